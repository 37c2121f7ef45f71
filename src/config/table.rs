//! The merged table of settings: puts the value of a variable under its key, and finds the value of a key.

use toml::{Table, Value};

use super::error::SettingsError;
use super::keys::{Keys, Kind};
use super::variables::{self, PREFIX};

/// Sets the key that a variable names, by the kind of the key.
pub(super) fn set_from_variable(
    keys: &Keys,
    table: &mut Table,
    name: &str,
    text: &str,
) -> Result<(), SettingsError> {
    let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
    let Some(kind) = keys.kind(&key) else {
        let nearest = keys
            .nearest(&key)
            .map(|key| variables::variable_of(&key))
            .or_else(|| variables::nearest(&name.to_uppercase(), keys));
        return Err(SettingsError::UnknownKey {
            key,
            origin: format!("the variable `{name}`"),
            nearest,
        });
    };
    let value = value_of(kind, text).ok_or_else(|| SettingsError::BadValue {
        key: key.clone(),
        value: text.to_owned(),
        why: expectation(kind).to_owned(),
    })?;
    set(table, &key, value);
    Ok(())
}

fn value_of(kind: Kind, text: &str) -> Option<Value> {
    let list = || {
        format!("list = {text}")
            .parse::<Table>()
            .ok()?
            .remove("list")
            .filter(Value::is_array)
    };
    match kind {
        Kind::Text | Kind::Duration | Kind::Size => Some(Value::String(text.to_owned())),
        Kind::Integer => text.trim().parse().ok().map(Value::Integer),
        Kind::Bool => text.trim().parse().ok().map(Value::Boolean),
        Kind::IntegerOrText => Some(
            text.trim()
                .parse()
                .map_or_else(|_| Value::String(text.to_owned()), Value::Integer),
        ),
        Kind::Tables => list(),
        Kind::Texts if text.trim_start().starts_with('[') => list(),
        Kind::Texts => Some(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Value::String(part.to_owned()))
                .collect(),
        )),
    }
}

const fn expectation(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Duration | Kind::Size | Kind::IntegerOrText => "a text",
        Kind::Integer => "a whole number is wanted",
        Kind::Bool => "`true` or `false` is wanted",
        Kind::Texts => "texts separated by commas are wanted",
        Kind::Tables => {
            "a TOML list of tables is wanted, such as [{schedule = \"40 3 * * *\", overlap = \"26h\"}]"
        }
    }
}

/// Sets a key in its section, which is made where there is none.
pub(super) fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            if let Value::Table(inner) = table
                .entry(section.to_owned())
                .or_insert_with(|| Value::Table(Table::new()))
            {
                set(inner, rest, value);
            }
        }
    }
}

/// The value of a key.
pub(super) fn look_up<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(value, |value, part| value.get(part))
}
