//! Explains the settings: each with its value and where it came from, without secrets.

use std::collections::BTreeMap;

use toml::Value;

use super::keys::Keys;
use super::reader::{Given, look_up};
use super::settings::{GivenList, GivenUrls, Settings};
use super::shown::{Origin, Shown};
use crate::model::description::{List, Registry};

/// The only key that may hold a secret.
pub(super) const DATABASE_URL: &str = "database.url";
/// The address that is no secret.
const EMBEDDED: &str = "embedded";

/// All keys in their order. The texts of variables have the types of their keys. The database's address is hidden unless it is
/// embedded.
pub(super) fn of_keys(given: &Given, is_embedded: bool, registry: Registry) -> Vec<Shown> {
    let meant = meant(given, registry);
    let whole = Value::Table(given.table.clone());
    let keys = Keys::of(registry);
    let shown = keys.iter().map(|key| {
        let found = meant.get(key).or_else(|| look_up(&whole, key)).cloned();
        let value = found.or_else(|| default_of_list(key, registry));
        let origin = match (given.origins.get(key), &value) {
            (Some(origin), _) => origin.clone(),
            (None, Some(_)) => Origin::Default,
            (None, None) => Origin::Unset,
        };
        let value = match key {
            DATABASE_URL if !is_embedded => return Shown::secret(key, Some(origin)),
            // Another source may have an address that is not used.
            DATABASE_URL => Some(EMBEDDED.into()),
            _ => value,
        };
        Shown {
            name: key.to_owned(),
            value,
            is_hidden: false,
            origin,
        }
    });
    shown.collect()
}

/// What the texts of variables mean, by key.
fn meant(given: &Given, registry: Registry) -> BTreeMap<String, Value> {
    let mut meant = given.meant::<Settings>("");
    for (description, list) in registry.described() {
        let section = format!("resources.{}", description.name());
        meant.extend(given.meant::<GivenList>(&section));
        if list.is_of_urls() {
            meant.extend(given.meant::<GivenUrls>(&section));
        }
    }
    meant
}

/// The default of a setting of a plain list, by the list's description.
fn default_of_list(key: &str, registry: Registry) -> Option<Value> {
    let (name, setting) = key.strip_prefix("resources.")?.split_once('.')?;
    let mut lists = registry.described();
    let (_, list) = lists.find(|(description, _)| description.name() == name)?;
    of_description(list, setting)
}

fn of_description(list: &List, setting: &str) -> Option<Value> {
    match setting {
        "enabled" => Some(list.enabled.into()),
        "schedule" => Some(list.schedule.into()),
        "page_size" => Some(i64::from(list.page_size).into()),
        "urls" => Some(Value::Array(Vec::new())),
        _ => None,
    }
}
