//! The known environment variables. An unknown one with this program's prefix is an error, since a misspelled setting
//! would silently keep its default. No message contains a value.

use std::ffi::OsStr;
use std::net::IpAddr;

use super::error::SettingsError;
use super::keys::Keys;
use super::variables::Variables;

/// Variables with this prefix set one key each.
pub(super) const PREFIX: &str = "BLUECONIC_SYNC__";
/// The prefix of all variables of this program.
const HEAD: &str = "BLUECONIC_";

/// The well-known variables; the first ones are the likelier guesses.
const WELL_KNOWN: [&str; 18] = [
    "BLUECONIC_URL",
    "BLUECONIC_CLIENT_ID",
    "BLUECONIC_CLIENT_SECRET",
    "BLUECONIC_CLIENT_SECRET_FILE",
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "BLUECONIC_SYNC_KEY",
    "BLUECONIC_SYNC_KEY_FILE",
    "BLUECONIC_SYNC_OLD_KEY",
    "BLUECONIC_SYNC_OLD_KEY_FILE",
    "BLUECONIC_SYNC_HASH_KEY",
    "BLUECONIC_SYNC_HASH_KEY_FILE",
    "BLUECONIC_SYNC_WEBHOOK_URL",
    "BLUECONIC_SYNC_WEBHOOK_URL_FILE",
    "BLUECONIC_SYNC_HEARTBEAT_URL",
    "BLUECONIC_SYNC_HEARTBEAT_URL_FILE",
    "BLUECONIC_SYNC_PROXY",
    "BLUECONIC_SYNC_PROXY_FILE",
];
/// Variables of the project's own image, tests and scripts.
const OWN: [&str; 2] = ["BLUECONIC_SYNC_IN_IMAGE", "BLUECONIC_OPENAPI"];
/// The prefixes of further variables.
const OWN_HEADS: [&str; 3] = [
    "BLUECONIC_SYNC_TEST_",
    "BLUECONIC_SYNC_TORTURE",
    "BLUECONIC_SYNC_BENCH",
];
/// The largest distance at which a foreign name counts as a misspelt well-known one.
const NEAR: usize = 2;

/// Refuses unknown variables with this program's prefix. Returns a sentence for each other variable that is probably misspelt.
pub(super) fn check(variables: &Variables, keys: &Keys) -> Result<Vec<String>, SettingsError> {
    let mut notices = Vec::new();
    for (name, value) in variables {
        let upper = name.to_uppercase();
        if upper.starts_with(HEAD) {
            if !is_known(name) && !is_service_link(name, value) {
                return Err(unknown(name, &upper, keys));
            }
        } else if !WELL_KNOWN.contains(&name.as_str())
            && let Some(meant) = well_known_within(&upper, NEAR)
            && !variables.contains_key(meant)
        {
            if upper.starts_with("BLUECONIC") {
                return Err(unknown(name, &upper, keys));
            }
            notices.push(format!(
                "the variable `{name}` is not read: did you mean `{meant}`?"
            ));
        }
    }
    Ok(notices)
}

fn unknown(name: &str, upper: &str, keys: &Keys) -> SettingsError {
    SettingsError::UnknownVariable {
        name: name.to_owned(),
        nearest: nearest(upper, keys),
    }
}

fn is_known(name: &str) -> bool {
    // The keys after the prefix are checked when they are set.
    name.starts_with(PREFIX)
        || WELL_KNOWN.contains(&name)
        || OWN.contains(&name)
        || OWN_HEADS.iter().any(|head| name.starts_with(head))
}

/// The variable of a key.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The known variable that is nearest to a wrong name; none if it is too far.
pub(super) fn nearest(wrong: &str, keys: &Keys) -> Option<String> {
    let well_known = WELL_KNOWN.iter().map(|name| (*name).to_owned());
    let of_keys = keys.iter().map(variable_of);
    well_known
        .chain(of_keys)
        .map(|name| (distance(&name, wrong), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (rest(name).len() / 3).max(NEAR))
        .map(|(_, name)| name)
}

fn well_known_within(upper: &str, most: usize) -> Option<&'static str> {
    WELL_KNOWN
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(name, upper), name))
        .min()
        .filter(|(distance, _)| *distance <= most)
        .map(|(_, name)| name)
}

/// The number of letters that differ or, if one name only lacks words of the other (`BLUECONIC_SECRET`), of those words.
fn distance(known: &str, wrong: &str) -> usize {
    let letters = strsim::damerau_levenshtein(known, wrong);
    let (known, wrong) = (words(known), words(wrong));
    let lacks = |some: &[&str], other: &[&str]| some.iter().filter(|word| !other.contains(word)).count();
    match (lacks(&known, &wrong), lacks(&wrong, &known)) {
        (0, more) | (more, 0) => letters.min(more + 1),
        _ => letters,
    }
}

fn words(name: &str) -> Vec<&str> {
    rest(name).split('_').filter(|word| !word.is_empty()).collect()
}

fn rest(name: &str) -> &str {
    name.strip_prefix(HEAD).unwrap_or(name)
}

/// Whether Kubernetes set the variable: it gives every pod the addresses of its namespace's services, and those of a service
/// named `blueconic-sync` have our prefix (`BLUECONIC_SYNC_SERVICE_HOST`, `BLUECONIC_SYNC_PORT_8080_TCP_ADDR`). Name and
/// value must fit.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let Some(value) = value.to_str() else {
        return false;
    };
    let is_address = || value.parse::<IpAddr>().is_ok();
    let is_port = || value.parse::<u16>().is_ok();
    let is_url = || {
        ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|scheme| value.starts_with(scheme))
    };
    if name.ends_with("_SERVICE_HOST") {
        return is_address();
    }
    if name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return is_port();
    }
    match name.split_once("_PORT").map(|(_, rest)| rest) {
        Some("") => is_url(),
        Some(rest) => match rest.rsplit('_').next() {
            Some("TCP" | "UDP" | "SCTP") => is_url(),
            Some("PROTO") => matches!(value, "tcp" | "udp" | "sctp"),
            Some("PORT") => is_port(),
            Some("ADDR") => is_address(),
            _ => false,
        },
        None => false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::load::tests::LISTS;

    fn checked(name: &str, value: &str) -> Result<Vec<String>, SettingsError> {
        check(
            &Variables::from([(name.to_owned(), OsString::from(value))]),
            &Keys::of(LISTS),
        )
    }

    fn message(name: &str) -> String {
        let error = checked(name, "hunter2").unwrap_err();
        format!("{error}; {}", error.hint())
    }

    #[test]
    fn a_misspelt_variable_is_an_error_that_names_the_nearest() {
        for (wrong, meant) in [
            ("BLUECONIC_CLIENTID", "BLUECONIC_CLIENT_ID"),
            ("BLUECONIC_SECRET", "BLUECONIC_CLIENT_SECRET"),
            ("BLUECONIC_CLIENT_SECERT", "BLUECONIC_CLIENT_SECRET"),
            ("BLUECONIC_CLIENT_SECRETS", "BLUECONIC_CLIENT_SECRET"),
            ("BLUECONIC_CLIENT_SECRET_FILES", "BLUECONIC_CLIENT_SECRET_FILE"),
            ("BLUECONIC_SYNC_LIMITS__BURST", "BLUECONIC_SYNC__LIMITS__BURST"),
            ("BLUECONIC_SYNC_LIMITS_BURST", "BLUECONIC_SYNC__LIMITS__BURST"),
            ("BLUECONIC__SYNC__LIMITS__BURST", "BLUECONIC_SYNC__LIMITS__BURST"),
            ("BLUECONIC_LIMITS__BURST", "BLUECONIC_SYNC__LIMITS__BURST"),
            ("blueconic_sync__limits__burst", "BLUECONIC_SYNC__LIMITS__BURST"),
            ("BLUECONIC_SYNC_URL", "BLUECONIC_URL"),
            ("BLUECONIC_KEY", "BLUECONIC_SYNC_KEY"),
            ("BLUECONIC_SYNC_KEYFILE", "BLUECONIC_SYNC_KEY_FILE"),
            ("BLUECONIC_SYNC_OLDKEY", "BLUECONIC_SYNC_OLD_KEY"),
            ("BLUECONIC_URl", "BLUECONIC_URL"),
            ("blueconic_url", "BLUECONIC_URL"),
            ("Blueconic_Client_Id", "BLUECONIC_CLIENT_ID"),
            ("BLUECONIC-URL", "BLUECONIC_URL"),
            ("BLUECONICURL", "BLUECONIC_URL"),
        ] {
            let message = message(wrong);
            assert!(message.contains(&format!("`{wrong}`")), "{message}");
            assert!(message.contains(&format!("did you mean `{meant}`?")), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(message("BLUECONIC_SOMETHING_ELSE").contains("unset it"));
    }

    #[test]
    fn a_name_elsewhere_that_is_near_is_noticed_unless_the_right_one_is_set() {
        for near in ["DATABASE_URl", "DATABASE_URI", "DATABSE_URL", "BLUECONC_URL"] {
            let notices = checked(near, "hunter2").unwrap();
            assert!(
                notices.len() == 1 && notices[0].contains(near) && !notices[0].contains("hunter2"),
                "{notices:?}"
            );
        }
        for far in ["PATH", "DATABASE", "MY_DATABASE_URL", "RUST_LOG"] {
            assert_eq!(checked(far, "x").unwrap(), Vec::<String>::new());
        }
        let both = ["DATABASE_URI", "DATABASE_URL"].map(|name| (name.to_owned(), OsString::from("x")));
        assert!(
            check(&Variables::from(both), &Keys::of(LISTS))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_project_and_kubernetes_may_set_theirs() {
        for (name, value) in [
            ("BLUECONIC_SYNC_IN_IMAGE", "1"),
            ("BLUECONIC_SYNC_TORTURE", "full"),
            ("BLUECONIC_SYNC_SERVICE_HOST", "10.0.0.11"),
            ("BLUECONIC_SYNC_SERVICE_PORT", "8080"),
            ("BLUECONIC_SYNC_SERVICE_PORT_HTTP", "8080"),
            ("BLUECONIC_SYNC_PORT", "tcp://10.0.0.11:8080"),
            ("BLUECONIC_SYNC_PORT_8080_TCP", "tcp://10.0.0.11:8080"),
            ("BLUECONIC_SYNC_PORT_8080_TCP_PROTO", "tcp"),
            ("BLUECONIC_SYNC_PORT_8080_TCP_PORT", "8080"),
            ("BLUECONIC_SYNC_PORT_8080_TCP_ADDR", "fd00::1"),
        ] {
            assert!(checked(name, value).unwrap().is_empty(), "{name}");
        }
        // A wrong guess of a person is not a service link.
        checked("BLUECONIC_SYNC_PORT", "8080").unwrap_err();
        checked("BLUECONIC_SYNC_SERVICE_HOST", "db.example").unwrap_err();
    }
}
