//! The errors of settings. Each names the key, the place it came from, and what to do.

use std::path::PathBuf;

/// A setting that cannot be used. All of them end in exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A key that does not exist.
    #[error("unknown setting `{key}` in {origin}")]
    UnknownKey {
        /// The key as given, with its sections.
        key: String,
        /// The file or the variable.
        origin: String,
        /// The known key that is nearest to it.
        nearest: Option<String>,
    },
    /// An unknown variable with this program's prefix.
    #[error("the variable `{name}` is not known")]
    UnknownVariable {
        /// Its name; its value may be a secret.
        name: String,
        /// The known variable that is nearest to it.
        nearest: Option<String>,
    },
    /// A value that does not fit its key.
    #[error("setting `{key}` cannot be `{value}`: {why}")]
    BadValue {
        /// The key with its sections.
        key: String,
        /// The value as given (never a secret).
        value: String,
        /// What it must be.
        why: String,
    },
    /// A key that a command needs is not set.
    #[error("`{key}` is not set")]
    Missing {
        /// The key with its sections.
        key: &'static str,
        /// How to set it.
        how: &'static str,
    },
    /// A file that cannot be read.
    #[error("cannot read {}, named by {origin}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What names it.
        origin: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that is not TOML. The parser's own error is not kept: it quotes the line, which may hold a password.
    #[error("{} is not valid TOML in line {line}, column {column}: {why}", .path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong there.
        why: String,
    },
    /// A setting or a variable that names no proxy.
    #[error("`{named_by}` names no proxy that can be used: {why}")]
    BadProxy {
        /// The setting or the variable.
        named_by: String,
        /// What is wrong with it; never the address, which may hold a password.
        why: String,
    },
    /// A file whose content cannot be used.
    #[error("`{key}` names {}, which cannot be used: {why}", .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// The setting that names it.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A well-known variable that is not Unicode.
    #[error("the variable `{name}` is not valid Unicode")]
    NotUnicode {
        /// The variable.
        name: String,
    },
}

impl SettingsError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`?"),
            Self::UnknownVariable {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`? Else unset it"),
            Self::UnknownVariable { nearest: None, .. } => {
                "unset it; docs/settings.md lists every variable".to_owned()
            }
            Self::UnknownKey { nearest: None, .. } => "docs/settings.md lists every setting".to_owned(),
            Self::BadValue { key, .. } => format!("correct `{key}` in the file or variable that sets it"),
            Self::Missing { how, .. } => (*how).to_owned(),
            Self::Unreadable { path, .. } => {
                format!(
                    "check that {} exists and that this user may read it",
                    path.display()
                )
            }
            Self::NotToml { path, .. } => format!("correct {} in that line", path.display()),
            Self::BadProxy { named_by, .. } => format!(
                "set `{named_by}` to http://HOST:PORT (or https, socks5, socks5h, socks4, socks4a), or unset it, or name the \
                 tenant's host in NO_PROXY"
            ),
            Self::BadFile { key, .. } => {
                format!("let `{key}` name a file in PEM with the authorities' certificates, one or more")
            }
            Self::NotUnicode { name } => format!("set `{name}` to plain text"),
        }
    }
}
