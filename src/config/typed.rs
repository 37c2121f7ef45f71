//! Converts the merged settings to their types, and names the key of a value that does not fit.

use toml::Value;

use super::error::SettingsError;
use super::network::PROXY_KEY;
use super::reader::{Given, TABLES, TEXTS, TRUE_OR_FALSE, WHOLE_NUMBER, Wrong, look_up};
use super::settings::{GivenList, GivenUrls, Settings};
use crate::model::description::Registry;

/// Converts the merged settings to their types; the registry has the plain lists.
pub(super) fn typed(given: &Given, registry: Registry) -> Result<Settings, SettingsError> {
    let bad = |wrong| bad_value(given, wrong);
    let mut settings: Settings = given.read("").map_err(bad)?;
    for (description, how) in registry.described() {
        let name = description.name();
        let section = format!("resources.{name}");
        let mut list: GivenList = given.read(&section).map_err(bad)?;
        if how.is_of_urls() {
            list.urls = given.read::<GivenUrls>(&section).map_err(bad)?.urls;
        }
        settings.resources.lists.insert(name.to_owned(), list);
    }
    Ok(settings)
}

fn bad_value(given: &Given, wrong: Wrong) -> SettingsError {
    let whole = Value::Table(given.table.clone());
    let value = look_up(&whole, &wrong.key);
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let why = plainly(&wrong.why).map_or_else(|| without(text, &wrong.why), str::to_owned);
    SettingsError::BadValue {
        // No other keys of a file may hold a password.
        value: match value {
            Some(_) if wrong.key == "database.url" || wrong.key == PROXY_KEY => "…".to_owned(),
            Some(value) => plain(value),
            None => String::new(),
        },
        key: wrong.key,
        why,
    }
}

/// A message without the value that it quotes, since the error shows the value already, without secrets.
fn without(value: &str, message: &str) -> String {
    if value.is_empty() {
        return message.to_owned();
    }
    message.replace(&format!(": {value:?}"), "").replace(value, "…")
}

/// A plain message in place of a library's.
fn plainly(message: &str) -> Option<&'static str> {
    let own = [WHOLE_NUMBER, TRUE_OR_FALSE, TEXTS, TABLES].map(|own| (own, own));
    let others = [
        ("nonzero u32", "a whole number from 1 up is expected"),
        (
            "relative URL without a base",
            "an address such as https://example.blueconic.net is expected",
        ),
        (
            "invalid socket address",
            "an address such as 127.0.0.1:8080 is expected",
        ),
    ];
    let mut all = own.into_iter().chain(others);
    all.find(|(said, _)| message.contains(said))
        .map(|(_, plain)| plain)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => without_user(text),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

/// An address without user and password.
pub(super) fn without_user(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => text.to_owned(),
    }
}
