//! The settings of messages about what is wrong: where they go, in which form, and how often. Both addresses are secrets, since
//! whoever knows one may write to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::error::SettingsError;
use super::loopback::is_loopback;
use super::secret::Secret;
use super::units;

/// The variable with the address that messages are sent to.
pub const WEBHOOK: &str = "BLUECONIC_SYNC_WEBHOOK_URL";
/// The variable with the address of the dead-man switch.
pub const HEARTBEAT: &str = "BLUECONIC_SYNC_HEARTBEAT_URL";

/// Messages about what is wrong.
#[derive(Debug, Clone, Deserialize)]
pub struct Notify {
    /// The file with the address that messages are sent to.
    pub webhook_url_file: Option<PathBuf>,
    /// The form of a message.
    pub format: MessageFormat,
    /// The wait from a first message to its first reminder; it doubles with each one.
    #[serde(deserialize_with = "units::duration")]
    pub remind_after: Duration,
    /// The longest wait between two reminders.
    #[serde(deserialize_with = "units::duration")]
    pub remind_at_most: Duration,
    /// The file with the address of the dead-man switch.
    pub heartbeat_url_file: Option<PathBuf>,
    /// How often the dead-man switch is told.
    #[serde(deserialize_with = "units::duration")]
    pub heartbeat_every: Duration,
    /// Where messages are sent, from its variable or file.
    #[serde(skip)]
    pub webhook_url: Option<SecretUrl>,
    /// The dead-man switch, from its variable or file.
    #[serde(skip)]
    pub heartbeat_url: Option<SecretUrl>,
}

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageFormat {
    /// An object of this program's own.
    Json,
    /// What Slack's incoming webhooks take.
    Slack,
    /// What a workflow of Microsoft Teams takes: an adaptive card.
    Teams,
}

/// An address that must not reach a log, an error or a page.
#[derive(Clone)]
pub struct SecretUrl {
    whole: Secret,
    /// Its scheme, host and port, which are no secret.
    origin: Url,
}

impl SecretUrl {
    /// Checks an address; `name` is the variable that sets it. The error never shows the address.
    pub fn parse(name: &str, secret: &Secret) -> Result<Self, SettingsError> {
        let bad = |why: &str| SettingsError::BadValue {
            key: name.to_owned(),
            value: "…".to_owned(),
            why: why.to_owned(),
        };
        let url = Url::parse(secret.expose().trim())
            .map_err(|_| bad("an address such as https://hooks.example.com/… is expected"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                return Err(bad(
                    "https is expected, so that the address, which is a secret, is never sent in the clear",
                ));
            }
            _ => return Err(bad("an address that begins with https:// is expected")),
        }
        if !url.has_host() {
            return Err(bad("it names no host"));
        }
        let mut origin = url.clone();
        origin.set_path("");
        origin.set_query(None);
        origin.set_fragment(None);
        let _ = origin.set_username("");
        let _ = origin.set_password(None);
        Ok(Self {
            whole: Secret::new(url.into()),
            origin,
        })
    }

    /// The address itself, for the one place that sends to it.
    pub fn expose(&self) -> &str {
        self.whole.expose()
    }

    /// Its scheme, host and port, by which the way to it is found.
    pub fn origin(&self) -> &Url {
        &self.origin
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_give_itself_away_is_refused_and_never_shown() {
        for (given, why) in [
            ("hunter2", "an address such as"),
            ("http://hooks.example.com/hunter2", "https is expected"),
            ("ftp://hooks.example.com/hunter2", "https://"),
            ("https://hooks.example.com:port/hunter2", "an address such as"),
        ] {
            let refused = SecretUrl::parse(WEBHOOK, &Secret::new(given.to_owned()));
            let message =
                refused.map_or_else(|error| format!("{error}; {}", error.hint()), |_| String::new());
            assert!(
                message.contains(WEBHOOK) && message.contains(why),
                "{given}: {message}"
            );
            assert!(!message.contains("hunter2"), "{message}");
        }
        for good in [
            "https://hooks.example.com/hunter2\n",
            "http://127.0.0.1:1/hunter2",
        ] {
            let parsed = SecretUrl::parse(WEBHOOK, &Secret::new(good.to_owned()));
            assert!(parsed.as_ref().is_ok_and(|url| url.expose().ends_with("hunter2")));
            assert!(!format!("{parsed:?}").contains("hunter2"));
            let origin = parsed.map(|url| url.origin().to_string()).unwrap_or_default();
            assert!(
                good.starts_with(&origin) && !origin.contains("hunter2"),
                "{origin}"
            );
        }
    }
}
