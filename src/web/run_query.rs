//! Which runs an address asks for: `runs?resource=NAME&scope=SCOPE&before=ID`.

use axum::http::StatusCode;
use uuid::Uuid;

use crate::model::description::Registry;
use crate::model::overview::RunQuery;
use crate::model::position::Scope;

/// Why an address asks for nothing that is there: the status, and words.
pub(super) type Refused = (StatusCode, &'static str);

/// Reads the query of an address. A resource with one scope has that scope.
pub(super) fn of(query: &str, registry: Registry) -> Result<RunQuery, Refused> {
    let mut wanted = RunQuery::default();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "resource" => wanted.resource = Some(value.into_owned()),
            "scope" => wanted.scope = Some(scope(&value)?),
            "before" => wanted.before = Some(id(&value)?),
            _ => {
                let words = "the query may have `resource`, `scope` and `before`\n";
                return Err((StatusCode::BAD_REQUEST, words));
            }
        }
    }
    if let Some(resource) = &wanted.resource {
        let Some(known) = registry.named(resource) else {
            let words = "there is no such resource: `blueconic-sync resources` lists them\n";
            return Err((StatusCode::NOT_FOUND, words));
        };
        if let [only] = known.scopes() {
            wanted.scope = wanted.scope.or(Some(*only));
        }
    }
    Ok(wanted)
}

fn scope(word: &str) -> Result<Scope, Refused> {
    let scope = [Scope::Full, Scope::Increment]
        .into_iter()
        .find(|scope| scope.as_str() == word);
    scope.ok_or((StatusCode::BAD_REQUEST, "`scope` is `full` or `increment`\n"))
}

/// Reads the id of a run.
pub(super) fn id(text: &str) -> Result<Uuid, Refused> {
    let words = "the id of a run is a UUID, as in `sync.runs.id` and in the log\n";
    Uuid::parse_str(text).map_err(|_| (StatusCode::BAD_REQUEST, words))
}
