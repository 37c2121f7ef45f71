//! The changes of a profile since the tenant was made. A change overrides the generated facts.

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

/// The changes of one profile; an empty field is as generated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) lifecycle: Lifecycle,
    /// Set for profiles that were added later.
    pub(crate) created: Option<i64>,
    pub(crate) modified: Option<i64>,
    /// New values by property id; `None`: the property was removed.
    pub(crate) properties: BTreeMap<String, Option<Vec<String>>>,
    pub(crate) membership: Option<u64>,
    /// The state of the search index before each change, oldest first: its end, and the date of modification. None: it had
    /// no date, or the profile did not exist.
    pub(crate) indexed: Vec<(i64, Option<i64>)>,
    /// Ids of profiles that were merged into this one.
    pub(crate) absorbed: Vec<String>,
}

impl Change {
    /// The state of the search index at a time, if it is behind: its end, and the date of modification under which it
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

/// An extra element that a listing holds directly before the profile at a position, without counting it.
#[derive(Clone, Debug)]
pub(crate) enum Extra {
    /// These bytes, as if they were an element.
    Raw(Bytes),
    /// The profile at this position again.
    Copy(u64),
}
