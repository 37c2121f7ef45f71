//! A setting as it may be shown, and where it came from. Knows how a value is written, and no secret.

use std::fmt;
use std::path::PathBuf;

use toml::Value;

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: there is no default, and nobody set it.
    Unset,
    /// The program.
    Default,
    /// The file given with `--config`.
    File(PathBuf),
    /// A variable.
    Variable(String),
    /// A file of its own, which holds a secret.
    SecretFile {
        /// The file.
        path: PathBuf,
        /// The variable or the setting that names it.
        named_by: String,
    },
}

impl Origin {
    /// The kind, for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Default => "default",
            Self::File(_) => "file",
            Self::Variable(_) => "variable",
            Self::SecretFile { .. } => "secret_file",
        }
    }

    /// Whether somebody set it.
    pub const fn is_given(&self) -> bool {
        !matches!(self, Self::Unset | Self::Default)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => out.write_str("-"),
            Self::Default => out.write_str("default"),
            Self::File(path) => write!(out, "file {}", path.display()),
            Self::Variable(name) => write!(out, "variable {name}"),
            Self::SecretFile { path, named_by } => {
                write!(out, "file {}, named by {named_by}", path.display())
            }
        }
    }
}

/// A setting as it may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its key with its sections; of what has no key, its variable.
    pub name: String,
    /// Its value as in a settings file; none if it is unset or hidden.
    pub value: Option<Value>,
    /// Whether it has a value that is a secret.
    pub is_hidden: bool,
    /// Where it came from.
    pub origin: Origin,
}

impl Shown {
    /// A secret, which is hidden, or unset without an origin.
    pub(super) fn secret(name: &str, origin: Option<Origin>) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
            is_hidden: origin.is_some(),
            origin: origin.unwrap_or(Origin::Unset),
        }
    }

    /// Its value for a person, in the form of a settings file.
    pub fn text(&self) -> String {
        match &self.value {
            _ if self.is_hidden => "hidden".to_owned(),
            Some(value) => written(value),
            None => "-".to_owned(),
        }
    }
}

/// A value as in a settings file, on one line.
pub(super) fn written(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let keys: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{key} = {}", written(value)))
                .collect();
            format!("{{ {} }}", keys.join(", "))
        }
        Value::String(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(is_on) => is_on.to_string(),
        Value::Datetime(time) => time.to_string(),
    }
}

/// A text as TOML quotes it.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_in_a_settings_file() {
        let text = r#"one = [{ schedule = "40 3 * * *", overlap = "26h" }, "a\\b\"c", 7, true]"#;
        let table: toml::Table = text.parse().unwrap_or_default();
        let again = format!("one = {}", written(&table["one"]));
        assert_eq!(again.parse::<toml::Table>().ok(), Some(table));
    }
}
