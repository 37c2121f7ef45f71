//! Loads settings: the compiled-in defaults, then the file given with `--config`, then variables.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::authorities::Authorities;
use super::bounds;
use super::defaults::DEFAULTS;
use super::error::SettingsError;
use super::explain;
use super::hash_key::{self, HashKey};
use super::keys::Keys;
use super::known::{self, PREFIX};
use super::network::{self, Network};
use super::notify::{self, SecretUrl};
use super::proxy::{self, Proxies};
use super::reader::{Given, look_up};
use super::secret::{self, Secret};
use super::settings::{Settings, Sources};
use super::shown::{Origin, Shown};
use super::table::{set_from_variable, set_text};
use super::typed::typed;
use super::validate::validate;
use super::variables::Variables;
use crate::model::description::Registry;

/// The longest settings file, in bytes. A longer file is not a settings file.
const LONGEST_FILE: u64 = 1 << 20;

/// Loads and validates the settings; the registry has the plain lists.
pub fn load(
    file: Option<&Path>,
    variables: &Variables,
    registry: Registry,
) -> Result<Settings, SettingsError> {
    let keys = Keys::of(registry);
    let mut notices = known::check(variables, &keys)?;
    let mut given = Given {
        table: parse(DEFAULTS, Path::new("config/default.toml"))?,
        ..Given::default()
    };
    let text = file
        .map(|path| secret::read_text(path, "`--config`", LONGEST_FILE))
        .transpose()?;
    if let (Some(path), Some(text)) = (file, &text) {
        let own = parse(text, path)?;
        check_keys(&keys, "", &own, &path.display().to_string())?;
        for key in keys
            .iter()
            .filter(|key| look_up(&Value::Table(own.clone()), key).is_some())
        {
            given
                .origins
                .insert(key.to_owned(), Origin::File(path.to_owned()));
        }
        merge(&mut given.table, own);
    }
    for (name, value) in variables.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        set_from_variable(&keys, &mut given, name, text_of(name, value)?)?;
    }
    well_known(&mut given, variables)?;
    bounds::check(&Value::Table(given.table.clone()), registry)?;
    let mut settings = typed(&given, registry)?;
    let mut secrets = Vec::new();
    if let Some((url, origin)) = secret_of(variables, "DATABASE_URL", None, &mut notices)? {
        given.origins.insert(explain::DATABASE_URL.to_owned(), origin);
        settings.database.url = url.clone();
        secrets.push(Some(url));
    }
    let mut shown = explain::of_keys(&given, settings.database.is_embedded(), registry);
    let mut secret = |name, named| {
        let (secret, origin) = secret_of(variables, name, named, &mut notices)?.unzip();
        shown.push(Shown::secret(name, origin));
        secrets.push(secret.clone());
        Ok(secret)
    };
    let named = |key, path: &Option<PathBuf>| path.clone().map(|path| (key, path));
    let file = named("tenant.client_secret_file", &settings.tenant.client_secret_file);
    settings.tenant.client_secret = secret("BLUECONIC_CLIENT_SECRET", file)?;
    settings.key = secret("BLUECONIC_SYNC_KEY", None)?;
    settings.old_key = secret("BLUECONIC_SYNC_OLD_KEY", None)?;
    let hash_key = secret(hash_key::VARIABLE, None)?;
    let file = named("network.proxy_file", &settings.network.proxy_file);
    let secret_proxy = secret(network::PROXY, file)?;
    let mut address = |name, key, path: &Option<PathBuf>| {
        let given = secret(name, named(key, path))?;
        given.map(|given| SecretUrl::parse(name, &given)).transpose()
    };
    let notify = &mut settings.notify;
    notify.webhook_url = address(
        notify::WEBHOOK,
        "notify.webhook_url_file",
        &notify.webhook_url_file,
    )?;
    notify.heartbeat_url = address(
        notify::HEARTBEAT,
        "notify.heartbeat_url_file",
        &notify.heartbeat_url_file,
    )?;
    complete(&mut settings.network, variables, secret_proxy, &mut shown)?;
    settings.sources = Sources {
        file: text,
        secrets,
        authorities: settings.network.authorities.clone(),
    };
    let sealing = [&settings.key, &settings.old_key];
    for (name, key) in ["BLUECONIC_SYNC_KEY", "BLUECONIC_SYNC_OLD_KEY"]
        .into_iter()
        .zip(sealing)
    {
        notices.extend(
            key.as_ref()
                .and_then(|key| secret::weak_key(key, name, "its tokens can be unsealed")),
        );
    }
    if let Some(key) = hash_key {
        notices.extend(secret::weak_key(
            &key,
            hash_key::VARIABLE,
            "its hashes can be reversed",
        ));
        settings.hash_key = Some(HashKey::decode(&key)?);
    }
    settings.registry = registry;
    validate(&settings)?;
    settings.notices = notices;
    settings.shown = shown;
    Ok(settings)
}

/// Finds the proxy and reads the further authorities. The explained settings show which proxy leads to the tenant, and what names it.
fn complete(
    network: &mut Network,
    variables: &Variables,
    secret: Option<Secret>,
    shown: &mut [Shown],
) -> Result<(), SettingsError> {
    let mut proxies = Proxies::of(variables);
    if let Some(exceptions) = &network.no_proxy {
        proxies = proxies.without(exceptions);
    }
    let origin = shown.iter().find(|one| one.name == network::PROXY);
    let named_by = match origin.map(|one| &one.origin) {
        Some(Origin::SecretFile { named_by, .. }) => named_by.as_str(),
        _ => network::PROXY,
    };
    let key = network::PROXY_KEY;
    if let Some(given) = secret {
        proxies = proxies.with(named_by, given)?;
    } else if let Some(given) = &network.proxy {
        proxies = proxies.with(key, proxy::without_password(key, given)?)?;
    }
    if let (Some((address, origin)), Some(row)) = (
        proxies.of_variable(),
        shown.iter_mut().find(|one| one.name == key),
    ) {
        (row.value, row.origin) = (Some(address.into()), origin);
    }
    network.proxies = proxies;
    if let Some(path) = &network.ca_file {
        network.authorities = Authorities::read(path, "network.ca_file")?;
    }
    Ok(())
}

fn parse(text: &str, path: &Path) -> Result<Table, SettingsError> {
    text.parse::<Table>().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        SettingsError::NotToml {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            why: error.message().replace('\n', ", "),
        }
    })
}

/// Refuses unknown keys; that includes secrets in a file.
fn check_keys(keys: &Keys, section: &str, table: &Table, origin: &str) -> Result<(), SettingsError> {
    for (name, value) in table {
        let key = if section.is_empty() {
            name.clone()
        } else {
            format!("{section}.{name}")
        };
        match value {
            Value::Table(inner) if keys.is_section(&key) => check_keys(keys, &key, inner, origin)?,
            _ if keys.contains(&key) => {}
            _ => {
                let nearest = keys.nearest(&key);
                return Err(SettingsError::UnknownKey {
                    key,
                    origin: origin.to_owned(),
                    nearest,
                });
            }
        }
    }
    Ok(())
}

fn merge(base: &mut Table, over: Table) {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(given)) => merge(inner, given),
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

fn text_of<'a>(name: &str, value: &'a OsString) -> Result<&'a str, SettingsError> {
    value.to_str().ok_or_else(|| SettingsError::NotUnicode {
        name: name.to_owned(),
    })
}

fn well_known(given: &mut Given, variables: &Variables) -> Result<(), SettingsError> {
    for (name, key) in [
        ("BLUECONIC_URL", "tenant.url"),
        ("BLUECONIC_CLIENT_ID", "tenant.client_id"),
    ] {
        if let Some(value) = variables.get(name) {
            let text = secret::without_newline(text_of(name, value)?);
            set_text(given, key, name, text);
        }
    }
    Ok(())
}

/// A secret from its variable, or from the file that its `_FILE` variable or a setting names, and which of them it was. Weaknesses
/// are added to the notices.
fn secret_of(
    variables: &Variables,
    name: &str,
    named: Option<(&str, PathBuf)>,
    notices: &mut Vec<String>,
) -> Result<Option<(Secret, Origin)>, SettingsError> {
    if let Some(value) = variables.get(name).filter(|value| !value.is_empty()) {
        let text = secret::without_newline(text_of(name, value)?);
        let origin = Origin::Variable(name.to_owned());
        return Ok(Some((Secret::new(text.to_owned()), origin)));
    }
    let variable = format!("{name}_FILE");
    let file = variables
        .get(&variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let (path, named_by) = match (file, named) {
        (Some(path), _) => (path, variable),
        (None, Some((key, path))) => (path, key.to_owned()),
        (None, None) => return Ok(None),
    };
    let quoted = format!("`{named_by}`");
    let secret = Secret::read(&path, &quoted)?;
    notices.extend(secret::open_to_all(&path, &quoted));
    Ok(Some((secret, Origin::SecretFile { path, named_by })))
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;
    use crate::config::units::Removals;
    use crate::model::description::{Description, List, Reading};
    use crate::model::table;

    /// A registry with a plain list of the tests' own.
    pub(in crate::config) const LISTS: Registry = Registry::new(
        &[Description {
            title: "Things",
            holds: "Things.",
            path: "/things",
            arrays: &["things"],
            oauth_scope: "read:things",
            table: &table::Table {
                name: "things",
                columns: &[],
                key: &["id"],
                merge: table::Merge::Upsert,
                children: &[],
            },
            reading: Reading::List(List {
                enabled: true,
                schedule: "0 * * * *",
                page_size: 100,
                owner: None,
                ..List::PLAIN
            }),
        }],
        &[],
    );

    fn with(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
            .collect();
        load(None, &variables, LISTS)
    }

    fn message(error: &SettingsError) -> String {
        format!("{error}; {}", error.hint())
    }

    #[test]
    fn the_defaults_are_valid_and_say_embedded() {
        let settings = with(&[]).unwrap();
        assert!(settings.database.is_embedded());
        assert_eq!(settings.resources.profiles.page_size.get(), 10_000);
        assert_eq!(settings.limits.element_size, 8 * 1024 * 1024);
        assert_eq!(settings.resources.audit_events.scans.len(), 2);
    }

    #[test]
    fn every_key_of_the_defaults_is_known_and_every_known_key_is_documented() {
        let defaults = DEFAULTS.parse::<Table>().unwrap();
        let keys = Keys::of(LISTS);
        check_keys(&keys, "", &defaults, "defaults").unwrap();
        for key in keys.iter() {
            let name = key.rsplit('.').next().unwrap();
            assert!(
                DEFAULTS.contains(&format!("{name} = ")),
                "`{key}` is not in config/default.toml"
            );
        }
    }

    #[test]
    fn a_variable_sets_one_key_by_its_kind() {
        let settings = with(&[
            ("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "1000"),
            ("BLUECONIC_SYNC__TENANT__CLIENT_ID", "12345"),
            ("BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES", "email, visits"),
            ("BLUECONIC_SYNC__RESOURCES__PROFILES__MAX_REMOVALS", "3%"),
            ("BLUECONIC_SYNC__RESOURCES__THINGS__ENABLED", "false"),
            (
                "BLUECONIC_SYNC__RESOURCES__AUDIT_EVENTS__SCANS",
                "[{schedule = \"0 1 * * *\", overlap = \"2h\"}]",
            ),
        ])
        .unwrap();
        assert_eq!(settings.resources.profiles.page_size.get(), 1000);
        assert_eq!(settings.tenant.client_id.as_deref(), Some("12345"));
        assert_eq!(settings.resources.profiles.properties, ["email", "visits"]);
        assert_eq!(
            settings.resources.profiles.max_removals,
            Some(Removals::Percent(3.0))
        );
        let (things, list) = LISTS.lists().next().unwrap();
        let things = settings.resources.list(things, list);
        // Missing settings follow from the description.
        assert_eq!(
            (things.enabled, things.schedule.as_str(), things.page_size.get()),
            (false, "0 * * * *", 100)
        );
        assert_eq!(settings.resources.audit_events.scans[0].overlap.as_secs(), 7200);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = with(&[("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGESIZE", "1")]).unwrap_err();
        let message = message(&error);
        assert!(
            message.contains("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGESIZE"),
            "{message}"
        );
        assert!(
            message.contains("did you mean `BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE`?"),
            "{message}"
        );
        let error = with(&[("BLUECONIC_SYNC__LIMITS__PAGE_SIZE", "1")]).unwrap_err();
        assert!(error.hint().contains("PAGE_SIZE"), "{}", error.hint());
    }

    #[test]
    fn a_bad_value_names_its_key_and_what_is_wanted() {
        for (name, value, key, wanted) in [
            (
                "BLUECONIC_SYNC__SCHEDULE__LEASE_TTL",
                "soon",
                "schedule.lease_ttl",
                "a duration",
            ),
            (
                "BLUECONIC_SYNC__LIMITS__BATCH_SIZE",
                "much",
                "limits.batch_size",
                "a size",
            ),
            (
                "BLUECONIC_SYNC__SCHEDULE__TIME_ZONE",
                "Mars/Base",
                "schedule.time_zone",
                "IANA",
            ),
            ("BLUECONIC_SYNC__LIMITS__BURST", "0", "limits.burst", ""),
            (
                "BLUECONIC_SYNC__LIMITS__BURST",
                "many",
                "limits.burst",
                "whole number",
            ),
            (
                "BLUECONIC_SYNC__RESOURCES__THINGS__SCHEDULE",
                "hourly",
                "resources.things.schedule",
                "cron",
            ),
            (
                "BLUECONIC_SYNC__RESOURCES__PROFILES__FULL_WINDOW",
                "22-06",
                "resources.profiles.full_window",
                "22:00-06:00",
            ),
            (
                "BLUECONIC_SYNC__RESOURCES__PROFILES__MAX_REMOVALS",
                "2 %%",
                "max_removals",
                "share",
            ),
        ] {
            let message = message(&with(&[(name, value)]).unwrap_err());
            assert!(
                message.contains(key) && message.contains(wanted) && message.contains(value),
                "{message}"
            );
        }
    }

    #[test]
    fn the_tenant_is_asked_over_https_unless_it_is_on_this_machine() {
        for good in [
            "https://x.blueconic.net",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            with(&[("BLUECONIC_URL", good)]).unwrap();
        }
        for bad in [
            "http://x.blueconic.net",
            "ftp://x",
            "https://u:hunter2@x.net",
            "https://u:hunter2@x.net:port",
            "https://x.net/rest",
            "x.net",
        ] {
            let message = message(&with(&[("BLUECONIC_URL", bad)]).unwrap_err());
            assert!(
                message.contains("tenant.url") && !message.contains("hunter2"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_file_stands_between_defaults_and_variables_and_secrets_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.toml");
        std::fs::write(&file, "[web]\nbind = \"0.0.0.0:1\"\n[limits]\nburst = 7\n").unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "s3cret\n").unwrap();
        let variables = Variables::from([
            ("BLUECONIC_SYNC__LIMITS__BURST".to_owned(), OsString::from("9")),
            ("BLUECONIC_CLIENT_SECRET_FILE".to_owned(), secret.into_os_string()),
        ]);
        let settings = load(Some(&file), &variables, LISTS).unwrap();
        assert_eq!((settings.web.bind.port(), settings.limits.burst.get()), (1, 9));
        assert_eq!(settings.tenant.client_secret.as_ref().unwrap().expose(), "s3cret");
        assert!(!format!("{settings:?}").contains("s3cret"));
        for (text, says) in [
            ("[tenant]\nclient_secret = \"s3cret\"\n", "client_secret_file"),
            (
                "[database]\n  url = \"postgres://u:s3cret@h/d\n",
                "line 2, column",
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let message = message(&load(Some(&file), &variables, LISTS).unwrap_err());
            assert!(message.contains(says) && !message.contains("s3cret"), "{message}");
        }
    }
}
