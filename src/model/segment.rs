//! Segments as the engine knows them: the one to walk, and how many profiles the tenant counts in one.

/// The segment to walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub segment: String,
    /// Whether it is the one that was wanted.
    pub is_wanted: bool,
    /// Whether the settings name it.
    pub is_configured: bool,
    /// A sentence when it is not the wanted one.
    pub notice: Option<String>,
}

/// A segment as the listing of segments tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentCount {
    /// Its id.
    pub id: String,
    /// Its name, or nothing.
    pub name: String,
    /// `profileCount`, which may be absent and may lag.
    pub profile_count: Option<u64>,
}
