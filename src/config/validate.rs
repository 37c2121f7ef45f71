//! Validates settings beyond their types: the vendor's bounds, addresses that keep secrets safe, cron expressions.

use url::Url;

use super::database::OTHER_CONNECTIONS;
use super::error::SettingsError;
use super::loopback::is_loopback;
use super::settings::Settings;
use crate::model::description::{Description, List};

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
    if settings.database.max_connections.get() < settings.database.loading() + OTHER_CONNECTIONS {
        let given = settings.database.max_connections.to_string();
        return bad(
            "database.max_connections",
            &given,
            "there must be at least three more than `database.load_connections`",
        );
    }
    validate_schedules(settings)
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
    if !settings.schedule.drift.is_empty() {
        add("schedule.drift", &settings.schedule.drift);
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
