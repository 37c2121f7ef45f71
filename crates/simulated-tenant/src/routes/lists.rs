//! The lists that the tenant was given as data.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

use super::segments::envelope;
use crate::answer::{Refusal, json};
use crate::json::Node;
use crate::lists::ServedList;
use crate::query::Query;
use crate::state::State;

/// Answers for the list at this path; a refusal if there is none.
pub(super) fn list(
    state: &State,
    method: &Method,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Refusal> {
    let unknown = || Refusal::not_found(format!("There is nothing at {}", uri.path()));
    let path = uri.path().strip_prefix(&state.settings.api_path);
    let at = |served: &&ServedList| path == Some(served.list.path) && method == Method::GET;
    let served = state.lists.iter().find(at).ok_or_else(unknown)?;
    state.allow(headers, served.list.scope)?;
    let paging = Query::of(uri).paging()?;
    let body = envelope(served.list.array, &served.elements, paging, Node::clone);
    Ok(json(Body::from(state.writer().document(&Node::Object(body)))))
}
