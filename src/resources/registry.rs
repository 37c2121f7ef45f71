//! The resources of this program: the only place that names them. Who asks for one by name asks here.

use std::sync::Arc;

use crate::config::settings::Settings;
use crate::model::description::{Description, Reading, Registry};
use crate::model::ports::{Clock, Resource};

use super::audit_events::{self, AuditEvents};
use super::list::ListResource;
use super::lists;
use super::profiles::{self, Profiles};

/// All resources.
pub static RESOURCES: Registry =
    Registry::new(lists::LISTS, &[profiles::DESCRIPTION, audit_events::DESCRIPTION]);

/// A resource as the settings want it.
#[derive(Clone)]
pub struct Entry {
    /// What it is.
    pub description: &'static Description,
    /// Whether the settings want it.
    pub enabled: bool,
    /// Its meaning.
    pub resource: Arc<dyn Resource>,
}

impl Entry {
    /// The resource's name, as on the command line and in settings.
    pub const fn name(&self) -> &'static str {
        self.description.name()
    }
}

/// The resources as the settings want them.
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

/// Whether a resource is wanted, and its meaning.
fn resource(
    description: &'static Description,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> (bool, Arc<dyn Resource>) {
    let settings = &settings.resources;
    match &description.reading {
        Reading::List(list) => {
            let wanted = settings.list(description, list);
            let resource = ListResource::new(description, list, wanted.page_size.get());
            (wanted.enabled, Arc::new(resource))
        }
        Reading::Profiles => (
            settings.profiles.enabled,
            Arc::new(Profiles::new(&settings.profiles)),
        ),
        Reading::Events => {
            let events = &settings.audit_events;
            let resource = AuditEvents::new(events.page_size.get(), Arc::clone(clock));
            (events.enabled, Arc::new(resource))
        }
    }
}
