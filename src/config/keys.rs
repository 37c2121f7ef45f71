//! The names of all settings, from the structs of `settings.rs`. Unknown keys are compared with them. The keys of the plain
//! lists follow from the registry.

use std::borrow::Cow;

use super::defaults::DEFAULTS;
use super::reader::Given;
use super::settings::{GivenList, GivenUrls, Settings};
use crate::model::description::Registry;

/// The placeholder for the name of each plain list in a key of the bounds.
const LIST: &str = "LIST";

/// The keys of all plain lists, if the key has the placeholder; otherwise the key alone.
pub(super) fn for_each_list(key: &'static str, registry: Registry) -> Vec<Cow<'static, str>> {
    let is_of_lists = key.split('.').any(|part| part == LIST);
    if !is_of_lists {
        return vec![Cow::Borrowed(key)];
    }
    let names = registry.described().map(|(description, _)| description.name());
    names.map(|name| Cow::Owned(key.replace(LIST, name))).collect()
}

/// All keys.
#[derive(Debug)]
pub(super) struct Keys(Vec<String>);

impl Keys {
    /// The keys for the plain lists of a registry, and all others. The defaults have every section, so that all structs are
    /// seen.
    pub(super) fn of(registry: Registry) -> Self {
        let defaults = Given {
            table: DEFAULTS.parse().unwrap_or_default(),
            ..Given::default()
        };
        let mut keys = defaults.keys::<Settings>("");
        let lists = registry.described().flat_map(|(description, list)| {
            let section = format!("resources.{}", description.name());
            let mut keys = defaults.keys::<GivenList>(&section);
            if list.is_of_urls() {
                keys.extend(defaults.keys::<GivenUrls>(&section));
            }
            keys
        });
        let first = keys.iter().position(|key| key.starts_with("resources."));
        let first = first.unwrap_or(keys.len());
        keys.splice(first..first, lists.collect::<Vec<_>>());
        let all = Self(keys);
        let settings = all.iter().filter(|key| !all.is_section(key));
        Self(settings.map(str::to_owned).collect())
    }

    /// Each key with its sections.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is such a key.
    pub(super) fn contains(&self, key: &str) -> bool {
        self.iter().any(|name| name == key)
    }

    /// Whether the key names a section rather than a setting.
    pub(super) fn is_section(&self, key: &str) -> bool {
        self.iter()
            .any(|name| name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The known key that is nearest to a wrong one; none if it is too far. The right name in a wrong section counts as near.
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
            .map(|name| (distance(name), name))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, name)| *distance <= (name.len() / 3).max(3))
            .map(|(_, name)| name.to_owned())
    }
}
