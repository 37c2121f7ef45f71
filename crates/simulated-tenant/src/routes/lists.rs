//! The lists that the tenant was given as data.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

use super::segments::envelope;
use crate::answer::{Refusal, json};
use crate::json::Node;
use crate::query::{Paging, Query};
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
    let path = path.filter(|_| method == Method::GET).ok_or_else(unknown)?;
    let query = Query::of(uri);
    let given = || {
        let mut lists = state.lists.iter();
        lists.find_map(|served| Some((&served.list, served.elements(path, &query)?)))
    };
    let own_types = state.group_types_at(path);
    let (list, elements) = own_types
        .map(|list| (list, state.world().groups.type_nodes()))
        .or_else(given)
        .ok_or_else(unknown)?;
    state.allow(headers, list.scope)?;
    let paging = if list.paged {
        query.paging()?
    } else {
        Paging::whole(elements.len())
    };
    let body = envelope(list.array, &elements, paging, Node::clone);
    Ok(json(Body::from(state.writer().document(&Node::Object(body)))))
}
