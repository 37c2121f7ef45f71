//! Validates settings beyond their types: the vendor's bounds, addresses that keep secrets safe, cron expressions.

use std::collections::HashSet;

use url::Url;

use super::database::OTHER_CONNECTIONS;
use super::error::SettingsError;
use super::hash_key;
use super::loopback::is_loopback;
use super::settings::{Expansion, Profiles, PropertiesJson, Settings};
use super::typed::without_user;
use crate::model::description::{Description, List};
use crate::model::personal_data::{Action, Rule};

/// The most URLs of a list.
const MOST_URLS: usize = 1000;
/// The longest URL in bytes: together with an id it must fit into an entry of an index, which takes 2,704 bytes.
const LONGEST_URL: usize = 2000;
/// The most characters of a URL in a message.
const SHOWN: usize = 200;

/// Checks rules that types cannot express.
pub(super) fn validate(settings: &Settings) -> Result<(), SettingsError> {
    let bad = |key: &str, value: &str, why: &str| {
        Err(SettingsError::BadValue {
            key: key.to_owned(),
            value: value.to_owned(),
            why: why.to_owned(),
        })
    };
    if let Some(url) = &settings.tenant.url {
        validate_address(url)?;
    }
    if let Some(url) = &settings.log.traces_url
        && let Err(why) = collector(url)
    {
        // Its credentials are not shown.
        return bad("log.traces_url", "…", why);
    }
    let path = &settings.tenant.api_path;
    if !(path.is_empty() || path.starts_with('/')) || path.ends_with('/') || path.contains(['?', '#']) {
        return bad(
            "tenant.api_path",
            path,
            "a path such as /rest/v2 is expected, without a slash at its end",
        );
    }
    if let Err(why) = redirect(&settings.tenant.redirect_url) {
        return bad("tenant.redirect_url", &settings.tenant.redirect_url, why);
    }
    let blank = |scope: &&String| scope.is_empty() || scope.contains(char::is_whitespace);
    if let Some(scope) = settings.tenant.scopes.iter().find(blank) {
        return bad("tenant.scopes", scope, "scopes are words such as read:segments");
    }
    if settings.resources.profiles.segment.trim().is_empty() {
        return bad(
            "resources.profiles.segment",
            "",
            "the id of a segment is expected",
        );
    }
    let profiles = &settings.resources.profiles;
    if profiles.properties_json == PropertiesJson::Rest && !profiles.typed_columns {
        return bad(
            "resources.profiles.properties_json",
            "rest",
            "the rest is what typed columns do not hold: set `resources.profiles.typed_columns` to true, or this to all",
        );
    }
    if let Some((key, value, why)) = wrong_history(profiles) {
        return bad(key, &value, why);
    }
    let hashes = |rule: &Rule| rule.action() == Action::Hash;
    if settings.hash_key.is_none() && profiles.personal_data.iter().any(hashes) {
        return Err(SettingsError::Missing {
            key: hash_key::VARIABLE,
            how: "a rule of `resources.profiles.personal_data` hashes: set BLUECONIC_SYNC_HASH_KEY, or BLUECONIC_SYNC_HASH_KEY_FILE to \
                  a file, to a key that `openssl rand -base64 32` makes, and keep it apart from the database",
        });
    }
    if settings.database.max_connections.get() < settings.database.loading() + OTHER_CONNECTIONS {
        let given = settings.database.max_connections.to_string();
        return bad(
            "database.max_connections",
            &given,
            "there must be at least three more than `database.load_connections`",
        );
    }
    let (kept, listed) = (
        settings.retention.audit_events,
        settings.resources.audit_events.retention,
    );
    if let Some(kept) = kept.filter(|kept| *kept < listed) {
        return bad(
            "retention.audit_events",
            &humantime::format_duration(kept).to_string(),
            "the tenant lists older events, which would come back: set it to no less than `resources.audit_events.retention`",
        );
    }
    validate_urls(settings)?;
    validate_schedules(settings)
}

/// The key, the value and the fault of a history that cannot be recorded.
fn wrong_history(profiles: &Profiles) -> Option<(&'static str, String, &'static str)> {
    const PROPERTIES: &str = "resources.profiles.history.properties";
    let history = &profiles.history;
    if history.lifecycle_stages && profiles.lifecycle_stages == Expansion::Off {
        return Some((
            "resources.profiles.history.lifecycle_stages",
            "true".to_owned(),
            "lifecycle stages are not read: set `resources.profiles.lifecycle_stages` to with_profiles, or this to false",
        ));
    }
    let wrong = |id: &String, why| Some((PROPERTIES, id.clone(), why));
    if let Some(first) = history.properties.first()
        && profiles.properties_json == PropertiesJson::Rest
    {
        return wrong(
            first,
            "a history takes its values from `properties`, which lacks them: set `resources.profiles.properties_json` to all, or this to []",
        );
    }
    let mut met = HashSet::new();
    for id in &history.properties {
        if id.is_empty() || !met.insert(id) {
            return wrong(id, "the ids of properties are expected, each once");
        }
        if !(profiles.properties.is_empty() || profiles.properties.contains(id)) {
            return wrong(
                id,
                "the property is not stored: add it to `resources.profiles.properties`, or remove it from here",
            );
        }
    }
    None
}

/// Parses cron expressions at the start, so that an error does not wait for their first due time.
fn validate_schedules(settings: &Settings) -> Result<(), SettingsError> {
    let resources = &settings.resources;
    let of_list = |(description, list): (&Description, &List)| {
        let key = format!("resources.{}.schedule", description.name());
        (key, resources.list(description, list).schedule)
    };
    let mut expressions: Vec<(String, String)> = settings.registry.described().map(of_list).collect();
    let mut add = |key: &str, expression: &String| expressions.push((key.to_owned(), expression.clone()));
    let (profiles, events) = (&resources.profiles, &resources.audit_events);
    add("resources.profiles.schedule", &profiles.schedule);
    add("resources.profiles.full_schedule", &profiles.full_schedule);
    add("resources.audit_events.schedule", &events.schedule);
    for (key, cron) in [
        ("schedule.drift", &settings.schedule.drift),
        ("schedule.housekeeping", &settings.schedule.housekeeping),
    ] {
        if !cron.is_empty() {
            add(key, cron);
        }
    }
    for scan in &events.scans {
        add("resources.audit_events.scans", &scan.schedule);
    }
    for (key, value) in expressions {
        if let Err(why) = super::cron::parse(&value) {
            return Err(SettingsError::BadValue { key, value, why });
        }
    }
    Ok(())
}

/// Checks the URLs of the lists whose listings follow from URLs.
fn validate_urls(settings: &Settings) -> Result<(), SettingsError> {
    let lists = settings.registry.described();
    for (description, list) in lists.filter(|(_, list)| list.is_of_urls()) {
        let given = settings.resources.list(description, list);
        if let Err((value, why)) = urls(given.enabled, &given.urls) {
            return Err(SettingsError::BadValue {
                key: format!("resources.{}.urls", description.name()),
                value,
                why,
            });
        }
    }
    Ok(())
}

/// The value that is wrong among the URLs of a list, and why.
fn urls(enabled: bool, urls: &[String]) -> Result<(), (String, String)> {
    if enabled && urls.is_empty() {
        let why = "the list is read, and each of its URLs has a listing: name one or more, such as [\"https://www.example.com/\"], or set \
                   its `enabled` to false";
        return Err(("[]".to_owned(), why.to_owned()));
    }
    if urls.len() > MOST_URLS {
        let why = format!("at most {MOST_URLS} URLs are expected, since each takes a request");
        return Err((format!("{} URLs", urls.len()), why));
    }
    let mut met = HashSet::new();
    for text in urls {
        let shown = || shortened(&without_user(text));
        let url = page(text).map_err(|why| (shown(), why))?;
        if !met.insert(url) {
            return Err((shown(), "each URL is expected once".to_owned()));
        }
    }
    Ok(())
}

/// The address of a page. What a URL parser corrects silently, a tenant may not.
fn page(text: &str) -> Result<Url, String> {
    let expected = |what: &str| Err(format!("{what} is expected, such as https://www.example.com/"));
    if text.len() > LONGEST_URL {
        return expected(&format!("a URL of at most {LONGEST_URL} bytes"));
    }
    if text.contains(|one: char| one.is_whitespace() || one.is_control()) {
        return expected("a URL without spaces");
    }
    let has_host = |rest: &str| {
        rest.strip_prefix("://")
            .is_some_and(|rest| !rest.starts_with(['/', '\\']))
    };
    let url = Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url.filter(|url| text.get(url.scheme().len()..).is_some_and(has_host)) else {
        return expected("an absolute URL with http or https and a host");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return expected("a URL without user name and password");
    }
    Ok(url)
}

/// The start of a text that is too long for a message.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(SHOWN).collect();
    if start.len() < text.len() {
        start + "…"
    } else {
        start
    }
}

/// A code that travels in the clear must not leave this machine.
fn redirect(given: &str) -> Result<(), &'static str> {
    let url =
        Url::parse(given).map_err(|_| "an address such as http://127.0.0.1:8918/callback is expected")?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err("plain http is for this machine alone (127.0.0.1); https is expected"),
        _ => return Err("an address that begins with http://127.0.0.1 or https:// is expected"),
    }
    if url.fragment().is_some() {
        return Err("an address without `#` is expected");
    }
    Ok(())
}

/// The address of a collector. Traces hold no secret, so that it may be plain http.
fn collector(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("an address such as http://collector.example:4318/v1/traces is expected");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address without credentials is expected: put them into OTEL_EXPORTER_OTLP_HEADERS");
    }
    Ok(())
}

fn validate_address(url: &Url) -> Result<(), SettingsError> {
    let bad = |why: &str| {
        // The address is shown without what a person may have put into it.
        let mut shown = url.clone();
        let _ = shown.set_password(None);
        let _ = shown.set_username("");
        shown.set_query(None);
        Err(SettingsError::BadValue {
            key: "tenant.url".to_owned(),
            value: shown.to_string(),
            why: why.to_owned(),
        })
    };
    if url.host().is_none() {
        return bad("an address such as https://example.blueconic.net is expected");
    }
    let loopback = is_loopback(url);
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return bad("https is expected, so that the client secret is never sent in the clear"),
        _ => return bad("an address that begins with https:// is expected"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("an address without user name and password is expected");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return bad("the bare address is expected; the API's path is `tenant.api_path`");
    }
    Ok(())
}
