//! What happened to a profile since the tenant was made. A change lies over the generated facts and wins.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Whether a profile still exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    #[default]
    Current,
    Deleted,
    /// Merged into the profile with this id.
    Merged(String),
}

/// The changes of one profile; whatever is empty is as generated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) lifecycle: Lifecycle,
    /// Set for profiles that came later.
    pub(crate) created: Option<i64>,
    pub(crate) modified: Option<i64>,
    /// New values by property id; `None`: the property is gone.
    pub(crate) properties: BTreeMap<String, Option<Vec<String>>>,
    pub(crate) membership: Option<u64>,
    /// What the search index knew before each change, oldest first: until when, and the date of modification; none: it had
    /// none, or the profile was not there.
    pub(crate) indexed: Vec<(i64, Option<i64>)>,
    /// Ids of profiles that were merged into this one.
    pub(crate) absorbed: Vec<String>,
}

impl Change {
    /// What the search index still knows at a time, if it is behind: until when, and the date of modification under which it
    /// finds the profile.
    pub(crate) fn indexed_at(&self, time: i64) -> Option<(i64, Option<i64>)> {
        self.indexed.iter().find(|(until, _)| *until > time).copied()
    }

    /// The profile changes at this time.
    pub(crate) fn modify(&mut self, at: i64) {
        self.modified = Some(at);
        self.properties.remove("lastmodifieddate");
    }
}

/// Something that a listing brings directly before the profile at a position, beyond its count.
#[derive(Clone, Debug)]
pub(crate) enum Extra {
    /// These bytes, as if they were an element.
    Raw(Bytes),
    /// The profile at this position, once more.
    Copy(u64),
}
