//! Segments as the engine knows them: the one to walk, and how many profiles the tenant counts in one.

/// The segment to walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub segment: String,
    /// Whether it is the wanted segment.
    pub is_wanted: bool,
    /// Whether the settings name it.
    pub is_configured: bool,
    /// A sentence if it is not the wanted segment.
    pub notice: Option<String>,
}

/// A segment in the listing of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentCount {
    /// Its id.
    pub id: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// `profileCount`, which may be absent and may lag.
    pub profile_count: Option<u64>,
}
