//! The changes of a profile since the tenant was made. A change overrides the generated facts.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::truth::{ConsentEvent, LifecycleStage};

/// Whether a profile still exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    #[default]
    Current,
    Deleted,
    /// Merged into the profile with this id.
    Merged(String),
}

/// The state of a profile in the search index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) modified: Option<i64>,
    /// The bits of its segments.
    pub(crate) membership: u64,
}

/// A former state of the search index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indexed {
    /// The time at which the index learns of the change.
    pub(crate) until: i64,
    /// None: the profile did not exist.
    pub(crate) document: Option<Document>,
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
    /// The state of the search index before each change, oldest first.
    pub(crate) indexed: Vec<Indexed>,
    /// The groups and the lifecycle stages that a test gave it.
    pub(crate) groups: Option<Vec<(String, String)>>,
    pub(crate) stages: Option<Vec<LifecycleStage>>,
    /// Events of its consent since the tenant was made.
    pub(crate) consent_events: Vec<ConsentEvent>,
    /// Ids of profiles that were merged into this one.
    pub(crate) absorbed: Vec<String>,
}

impl Change {
    /// The state of the search index at a time, if it is behind.
    pub(crate) fn indexed_at(&self, time: i64) -> Option<Indexed> {
        self.indexed.iter().find(|indexed| indexed.until > time).copied()
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
