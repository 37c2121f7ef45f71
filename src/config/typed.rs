//! Turns the merged table into settings, and tells which key is to blame where that fails.

use toml::{Table, Value};

use super::defaults::DEFAULTS;
use super::error::SettingsError;
use super::keys::Keys;
use super::settings::Settings;
use super::table::{look_up, set};

/// Turns the merged table into settings, section by section, so that an error names the key.
pub(super) fn typed(keys: &Keys, table: Value) -> Result<Settings, SettingsError> {
    let shown = table.clone();
    table.try_into::<Settings>().map_err(|error| {
        let (key, value) = culprit(keys, &shown).unwrap_or_default();
        // The value stands beside it already, without what must not be seen.
        let given = look_up(&shown, &key).and_then(Value::as_str).unwrap_or_default();
        let why = plainly(error.message().trim());
        let why = why.replace(&format!(": {given:?}"), "");
        SettingsError::BadValue {
            key,
            value,
            why: if given.is_empty() {
                why
            } else {
                why.replace(given, "…")
            },
        }
    })
}

/// What the libraries below say, in words for people who set a setting.
fn plainly(message: &str) -> String {
    let wanted = [
        ("nonzero u32", "a whole number from 1 up is wanted"),
        (
            "relative URL without a base",
            "an address such as https://example.blueconic.net is wanted",
        ),
        (
            "invalid socket address",
            "an address such as 127.0.0.1:8080 is wanted",
        ),
    ];
    let plain = wanted.into_iter().find(|(said, _)| message.contains(said));
    plain.map_or_else(|| message.to_owned(), |(_, plain)| plain.to_owned())
}

/// The first key whose value alone breaks the defaults; secrets are not among the keys of the table but for a
/// database URL in a file, which is not shown.
fn culprit(keys: &Keys, given: &Value) -> Option<(String, String)> {
    for (key, _) in keys.iter() {
        let Some(value) = look_up(given, key) else {
            continue;
        };
        let mut table = DEFAULTS.parse::<Table>().ok()?;
        set(&mut table, key, value.clone());
        if Value::Table(table).try_into::<Settings>().is_err() {
            let shown = if key == "database.url" {
                "…".to_owned()
            } else {
                plain(value)
            };
            return Some((key.to_owned(), shown));
        }
    }
    None
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
fn without_user(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => text.to_owned(),
    }
}
