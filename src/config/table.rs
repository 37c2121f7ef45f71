//! Puts the value of a variable under its key in the merged table of settings.

use toml::{Table, Value};

use super::error::SettingsError;
use super::keys::Keys;
use super::known::{self, PREFIX};
use super::reader::Given;
use super::shown::Origin;

/// Sets the key that a variable names. Its text is parsed later, by the key's type.
pub(super) fn set_from_variable(
    keys: &Keys,
    given: &mut Given,
    name: &str,
    text: &str,
) -> Result<(), SettingsError> {
    let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
    if !keys.contains(&key) {
        let nearest = keys
            .nearest(&key)
            .map(|key| known::variable_of(&key))
            .or_else(|| known::nearest(&name.to_uppercase(), keys));
        return Err(SettingsError::UnknownKey {
            key,
            origin: format!("the variable `{name}`"),
            nearest,
        });
    }
    set_text(given, &key, name, text);
    Ok(())
}

/// Sets a key to the text of a variable with this name.
pub(super) fn set_text(given: &mut Given, key: &str, name: &str, text: &str) {
    set(&mut given.table, key, Value::String(text.to_owned()));
    given
        .origins
        .insert(key.to_owned(), Origin::Variable(name.to_owned()));
}

/// Sets a key in its section, and creates the section if necessary.
fn set(table: &mut Table, key: &str, value: Value) {
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
