//! All resources, in the order in which a backfill reads them: what others refer to comes first.

use std::sync::Arc;

use crate::config::settings::Settings;
use crate::model::ports::{Clock, Resource};

use super::audit_events::AuditEvents;
use super::profile_properties::ProfileProperties;
use super::profiles::Profiles;
use super::segments::Segments;

/// How the engine walks a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A list that is read whole each time.
    List,
    /// Profiles: full walks and increments by cursor.
    Profiles,
    /// Audit events: by date.
    Events,
}

/// A row of the registry.
#[derive(Clone)]
pub struct Entry {
    /// The resource's name, as on the command line and in settings.
    pub name: &'static str,
    /// How it is walked.
    pub kind: Kind,
    /// Whether the settings want it.
    pub enabled: bool,
    /// The scope that the vendor asks for.
    pub scope: &'static str,
    /// Its meaning.
    pub resource: Arc<dyn Resource>,
}

/// The names of all resources, in order.
pub const NAMES: [&str; 4] = ["segments", "profile_properties", "profiles", "audit_events"];

/// The registry as the settings want it.
pub fn entries(settings: &Settings, clock: &Arc<dyn Clock>) -> Vec<Entry> {
    let resources = &settings.resources;
    vec![
        Entry {
            name: NAMES[0],
            kind: Kind::List,
            enabled: resources.segments.enabled,
            scope: super::segments::SCOPE,
            resource: Arc::new(Segments::new(resources.segments.page_size.get())),
        },
        Entry {
            name: NAMES[1],
            kind: Kind::List,
            enabled: resources.profile_properties.enabled,
            scope: super::profile_properties::SCOPE,
            resource: Arc::new(ProfileProperties::new(
                resources.profile_properties.page_size.get(),
            )),
        },
        Entry {
            name: NAMES[2],
            kind: Kind::Profiles,
            enabled: resources.profiles.enabled,
            scope: super::segments::SCOPE,
            resource: Arc::new(Profiles::new(&resources.profiles)),
        },
        Entry {
            name: NAMES[3],
            kind: Kind::Events,
            enabled: resources.audit_events.enabled,
            scope: super::audit_events::SCOPE,
            resource: Arc::new(AuditEvents::new(
                resources.audit_events.page_size.get(),
                Arc::clone(clock),
            )),
        },
    ]
}
