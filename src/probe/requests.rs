//! The requests of a probe.

use crate::config::settings::Profiles;
use crate::model::Time;
use crate::model::description::Description;
use crate::model::page::Request;
use crate::resources::segment_profiles::{ARRAYS, path_of};

/// The property that tells when a profile changed.
pub(super) const MODIFIED: &str = "lastmodifieddate";

/// A page of a plain list.
pub(super) fn list(of: &Description, start: u64, count: u64) -> Request {
    Request {
        path: of.path.to_owned(),
        query: vec![("startIndex", start.to_string()), ("count", count.to_string())],
        arrays: of.arrays,
        scope: of.oauth_scope,
    }
}

/// Audit events after a time.
pub(super) fn events(of: &Description, from: Time, count: u64) -> Request {
    Request {
        query: vec![("fromDate", text(from)), ("count", count.to_string())],
        ..list(of, 0, count)
    }
}

/// A page of profiles without more than the date of their last change.
pub(super) fn profiles(scope: &'static str, segment: &str, cursor: &str, count: u64) -> Request {
    Request {
        path: path_of(segment),
        query: vec![
            ("cursor", cursor.to_owned()),
            ("count", count.to_string()),
            ("profileProperty", MODIFIED.to_owned()),
        ],
        arrays: ARRAYS,
        scope,
    }
}

/// A page of profiles as a walk asks for it.
pub(super) fn whole_profiles(scope: &'static str, segment: &str, settings: &Profiles, count: u64) -> Request {
    let mut request = profiles(scope, segment, "*", count);
    request.query.pop();
    let expansions = ["segments", "permissions", "replace"];
    let expansions = expansions.map(|name| ("expand", format!("profiles.profile.{name}")));
    request.query.extend(expansions);
    if !settings.properties.is_empty() {
        let selected = settings.properties.iter().map(String::as_str).chain([MODIFIED]);
        let selected = selected.map(|id| ("profileProperty", id.to_owned()));
        request.query.extend(selected);
    }
    request
}

/// Profiles that changed within a time, by the search index.
pub(super) fn changed(scope: &'static str, segment: &str, from: Time, to: Time, count: u64) -> Request {
    let mut request = profiles(scope, segment, "*", count);
    let refinement = serde_json::json!({
        "property": MODIFIED,
        "operator": "IN_RANGE",
        "fromDate": text(from),
        "toDate": text(to),
    });
    request.query.push(("refinement", refinement.to_string()));
    request
}

fn text(time: Time) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
