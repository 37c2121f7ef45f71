//! Every setting by name and kind: what an unknown key is compared with, and how a variable's text is read. The keys of the
//! plain lists follow from the registry.

use std::borrow::Cow;

use crate::model::description::Registry;

/// What a setting holds, as far as reading it from a variable needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text, or what is written as one (addresses, files).
    Text,
    /// A text such as `15m`; `bounds.rs` has the least and the most.
    Duration,
    /// A text such as `8MiB`; `bounds.rs` has the least and the most.
    Size,
    /// A whole number; `bounds.rs` has the least and the most.
    Integer,
    /// `true` or `false`.
    Bool,
    /// A list of texts; in a variable separated by commas, or a TOML list.
    Texts,
    /// A TOML list of tables.
    Tables,
    /// A whole number or a text.
    IntegerOrText,
}

/// What stands for the name of each plain list, in a table of keys.
const LIST: &str = "LIST";

/// Every key, with its sections. A key with [`LIST`] in it is one for each plain list.
const KEYS: &[(&str, Kind)] = &[
    ("tenant.url", Kind::Text),
    ("tenant.client_id", Kind::Text),
    ("tenant.client_secret_file", Kind::Text),
    ("tenant.api_path", Kind::Text),
    ("tenant.grant", Kind::Text),
    ("tenant.client_auth", Kind::Text),
    ("tenant.scopes", Kind::Texts),
    ("tenant.redirect_url", Kind::Text),
    ("tenant.connect_timeout", Kind::Duration),
    ("tenant.read_timeout", Kind::Duration),
    ("tenant.page_timeout", Kind::Duration),
    ("tenant.least_rate", Kind::Size),
    ("tenant.compression", Kind::Bool),
    ("database.url", Kind::Text),
    ("database.data_dir", Kind::Text),
    ("database.max_connections", Kind::Integer),
    ("database.load_connections", Kind::Integer),
    ("limits.requests_per_second", Kind::Integer),
    ("limits.burst", Kind::Integer),
    ("limits.concurrent_requests", Kind::Integer),
    ("limits.element_size", Kind::Size),
    ("limits.batch_size", Kind::Size),
    ("retry.initial_delay", Kind::Duration),
    ("retry.max_delay", Kind::Duration),
    ("retry.give_up_after", Kind::Duration),
    ("schedule.time_zone", Kind::Text),
    ("schedule.heartbeat", Kind::Duration),
    ("schedule.lease_ttl", Kind::Duration),
    ("resources.LIST.enabled", Kind::Bool),
    ("resources.LIST.schedule", Kind::Text),
    ("resources.LIST.page_size", Kind::Integer),
    ("resources.profiles.enabled", Kind::Bool),
    ("resources.profiles.schedule", Kind::Text),
    ("resources.profiles.full_schedule", Kind::Text),
    ("resources.profiles.page_size", Kind::Integer),
    ("resources.profiles.segment", Kind::Text),
    ("resources.profiles.properties", Kind::Texts),
    ("resources.profiles.overlap", Kind::Duration),
    ("resources.profiles.max_removals", Kind::IntegerOrText),
    ("resources.audit_events.enabled", Kind::Bool),
    ("resources.audit_events.schedule", Kind::Text),
    ("resources.audit_events.page_size", Kind::Integer),
    ("resources.audit_events.order", Kind::Text),
    ("resources.audit_events.overlap", Kind::Duration),
    ("resources.audit_events.scans", Kind::Tables),
    ("resources.audit_events.settle", Kind::Duration),
    ("resources.audit_events.retention", Kind::Duration),
    ("web.bind", Kind::Text),
    ("web.token_file", Kind::Text),
    ("web.hosts", Kind::Texts),
    ("log.format", Kind::Text),
];

/// The key for each plain list, where it is one of those; else the key alone.
pub(super) fn for_each_list(key: &'static str, registry: Registry) -> Vec<Cow<'static, str>> {
    let is_of_lists = key.split('.').any(|part| part == LIST);
    if !is_of_lists {
        return vec![Cow::Borrowed(key)];
    }
    let names = registry.lists().map(|(description, _)| description.name());
    names.map(|name| Cow::Owned(key.replace(LIST, name))).collect()
}

/// The keys that there are.
#[derive(Debug)]
pub(super) struct Keys(Vec<(Cow<'static, str>, Kind)>);

impl Keys {
    /// The keys for the plain lists of a registry, and all others.
    pub(super) fn of(registry: Registry) -> Self {
        let each = |(key, kind): &(&'static str, Kind)| {
            let kind = *kind;
            for_each_list(key, registry)
                .into_iter()
                .map(move |key| (key, kind))
        };
        Self(KEYS.iter().flat_map(each).collect())
    }

    /// Each with its kind.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.0.iter().map(|(key, kind)| (key.as_ref(), *kind))
    }

    /// The kind of a key, if there is such a key.
    pub(super) fn kind(&self, key: &str) -> Option<Kind> {
        self.iter().find(|(name, _)| *name == key).map(|(_, kind)| kind)
    }

    /// Whether the key names a section rather than a setting.
    pub(super) fn is_section(&self, key: &str) -> bool {
        self.iter()
            .any(|(name, _)| name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The known key that is nearest to a wrong one, unless it is too far to be meant. A right last part in a wrong
    /// section counts as near.
    pub(super) fn nearest(&self, wrong: &str) -> Option<String> {
        let distance = |name: &str| {
            let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
            let whole = strsim::damerau_levenshtein(name, wrong);
            if last(name) == last(wrong) {
                whole.min(2)
            } else {
                whole
            }
        };
        self.iter()
            .map(|(name, _)| (distance(name), name))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, name)| *distance <= (name.len() / 3).max(3))
            .map(|(_, name)| name.to_owned())
    }
}
