//! What a probe is about: the settings, the resources, and what is known before the first question.

use std::sync::Arc;
use std::time::Duration;

use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::description::{Description, Reading};
use crate::model::ports::{AnyResource, Clock, Walkable};
use crate::resources::registry::{self, Entry};

/// The subject of a probe.
pub struct Subject {
    /// The settings.
    pub settings: Settings,
    /// The release that the tenant's own document names; why there is none.
    pub release: Result<String, String>,
    /// When the token was requested and when it came; none if a stored one is used.
    pub token: Option<(Time, Time)>,
    /// How long the probe waits for what may be late.
    pub patience: Duration,
    pub(super) entries: Vec<Entry>,
}

impl Subject {
    /// A subject without a token of its own and without a release.
    pub fn new(settings: &Settings, clock: &Arc<dyn Clock>, patience: Duration) -> Self {
        Self {
            settings: settings.clone(),
            release: Err("the tenant was not asked".to_owned()),
            token: None,
            patience,
            entries: registry::entries(settings, clock),
        }
    }

    /// Profiles.
    pub(super) fn walk(&self) -> Option<&dyn Walkable> {
        let mut entries = self.entries.iter();
        entries.find_map(|entry| match &entry.resource {
            AnyResource::Walk(walk) => Some(walk.as_ref()),
            _ => None,
        })
    }

    /// Audit events.
    pub(super) fn feed(&self) -> Option<&'static Description> {
        let mut entries = self.entries.iter();
        let feed = entries.find(|entry| matches!(entry.description.reading, Reading::Feed(())));
        feed.map(|entry| entry.description)
    }

    /// A plain list.
    pub(super) fn list(&self, name: &str) -> Option<&'static Description> {
        self.settings.registry.named(name)
    }
}
