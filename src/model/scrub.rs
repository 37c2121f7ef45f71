//! Stored profiles whose values are hashed and dropped after the fact.

use super::personal_data::Treatment;
use super::property_columns::StoredProfile;

/// A stored profile with everything that the hash over its content covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContent {
    /// The profile.
    pub profile: StoredProfile,
    /// The objectives consented to, those refused, and the segments.
    pub arrays: [Vec<String>; 3],
}

/// Stored profiles that are to be scrubbed.
#[derive(Debug)]
pub struct ScrubRange {
    /// The version of the treatment that wants it.
    pub version: i64,
    /// What is done to them.
    pub scrub: Treatment,
    /// The profiles that have a property concerned, in the order of their ids.
    pub profiles: Vec<StoredContent>,
    /// The id after which the range begins; empty: it is the first one.
    pub after: String,
    /// The id up to which profiles are scrubbed then; none: it is the last range.
    pub until: Option<String>,
}
