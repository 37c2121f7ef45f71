//! The registry of resources: the only place that names them. Other code looks a resource up by its name here.

use std::sync::Arc;

use crate::config::settings::Settings;
use crate::model::description::{Description, Reading, Registry};
use crate::model::ports::{AnyResource, Clock};

use super::audit_events::{self, AuditEvents};
use super::consent_history;
use super::list::ListResource;
use super::lists;
use super::profiles::{self, Profiles};

/// All resources.
pub static RESOURCES: Registry = Registry::new(
    lists::LISTS,
    &[
        profiles::DESCRIPTION,
        consent_history::DESCRIPTION,
        audit_events::DESCRIPTION,
    ],
);

/// A resource with its settings.
#[derive(Clone)]
pub struct Entry {
    /// Its description.
    pub description: &'static Description,
    /// Whether the settings enable it.
    pub enabled: bool,
    /// The resource itself.
    pub resource: AnyResource,
}

impl Entry {
    /// The resource's name, as on the command line and in settings.
    pub const fn name(&self) -> &'static str {
        self.description.name()
    }
}

/// All resources with their settings.
pub fn entries(settings: &Settings, clock: &Arc<dyn Clock>) -> Vec<Entry> {
    let entry = |description| {
        let (enabled, resource) = resource(description, settings, clock);
        Entry {
            description,
            enabled,
            resource,
        }
    };
    settings.registry.iter().map(entry).collect()
}

/// Whether the settings enable a resource, and the resource itself.
fn resource(
    description: &'static Description,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> (bool, AnyResource) {
    let (registry, hash_key) = (settings.registry, settings.hash_key.as_ref());
    let settings = &settings.resources;
    match &description.reading {
        Reading::List(list) => {
            let wanted = settings.list(description, list);
            let resource = ListResource::new(registry, description, list, &wanted);
            (wanted.enabled, AnyResource::List(Arc::new(resource)))
        }
        Reading::Walk(()) => (
            settings.profiles.enabled,
            AnyResource::Walk(Arc::new(Profiles::new(description, &settings.profiles, hash_key))),
        ),
        Reading::Feed(()) => {
            let events = &settings.audit_events;
            let resource = AuditEvents::new(events.page_size.get(), Arc::clone(clock));
            (events.enabled, AnyResource::Feed(Arc::new(resource)))
        }
    }
}
