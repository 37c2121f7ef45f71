//! Which histories of profiles are recorded: when they were in which segment or lifecycle stage, consented to what, and had which value.

/// The histories that the settings want.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedHistories {
    /// Of memberships of segments.
    pub segments: bool,
    /// Of consent.
    pub consent: bool,
    /// Of lifecycle stages.
    pub lifecycle_stages: bool,
    /// Of the values of these properties.
    pub properties: Vec<String>,
}
