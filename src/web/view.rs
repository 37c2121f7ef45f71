//! What every part of a page knows: the names of the resources, the goals of the settings, and the time.

use maud::{Markup, html};

use crate::model::Time;
use crate::model::concern::Goals;
use crate::model::description::Registry;
use crate::model::format;
use crate::model::position::Scope;
use crate::model::status::RunStatus;

/// What every part of a page knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) registry: Registry,
    /// How far each table may be behind the tenant.
    pub(super) goals: &'a Goals,
    pub(super) now: Time,
}

impl View<'_> {
    /// The title of a resource; its name, if it is not known.
    pub(super) fn title<'name>(&self, resource: &'name str) -> &'name str {
        let known = self.registry.named(resource);
        known.map_or(resource, |known| known.title)
    }

    /// What a scope reads of a resource; none where a resource has only one scope.
    pub(super) fn part(&self, resource: &str, scope: Scope) -> Option<&'static str> {
        let known = self.registry.named(resource);
        let is_only = known.is_some_and(|known| known.scopes().iter().all(|own| *own == scope));
        match scope {
            _ if is_only => None,
            Scope::Full => Some("everything"),
            Scope::Increment => Some("what changed"),
        }
    }

    /// The title of a resource and the part of it that a scope reads.
    pub(super) fn full_name(&self, resource: &str, scope: Scope) -> String {
        let title = self.title(resource);
        match self.part(resource, scope) {
            Some(part) => format!("{title}, {part}"),
            None => title.to_owned(),
        }
    }

    /// A time: how far away, and by the clock.
    pub(super) fn moment(&self, at: Time) -> Markup {
        html! {
            time datetime=(at.to_rfc3339()) title={ (format::moment(at)) " UTC" } {
                (format::relative(at, self.now)) " " small { (format::clock(at, self.now)) }
            }
        }
    }
}

/// The state of a run in words.
pub(super) const fn state(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Succeeded => "Succeeded",
        RunStatus::Running => "Running",
        RunStatus::Partial => "Partial",
        RunStatus::Failed => "Failed",
        RunStatus::Interrupted => "Interrupted",
        RunStatus::NeedsApproval => "Needs approval",
        RunStatus::Skipped => "Not available",
    }
}

/// `1 run`, `1,234 runs`.
pub(super) fn counted(count: i64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", format::count(count))
}

/// The address of the runs of a slot, below `base`.
pub(super) fn runs_of(base: &str, resource: &str, scope: Scope) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("resource", resource);
    query.append_pair("scope", scope.as_str());
    format!("{base}runs?{}", query.finish())
}
