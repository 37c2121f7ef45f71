//! `GET /profileEvents/{profileId}`: the history of a profile's consent.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::segments::envelope;
use crate::answer::{Refusal, json};
use crate::dates::iso;
use crate::json::Node;
use crate::query::Query;
use crate::state::State;
use crate::truth::{ConsentEvent, Property};
use crate::world::Lookup;

pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    state.allow(&headers, "read:profiles")?;
    let paging = Query::of(&uri).paging()?;
    let events = {
        let world = state.world();
        let Lookup::Current(position) = world.lookup(&id) else {
            return Err(Refusal::not_found("The profile doesn't exist."));
        };
        world.consent_events(position)
    };
    let body = envelope("events", &events, paging, node);
    Ok(json(state.writer().document(&Node::Object(body)).into()))
}

fn node(event: &ConsentEvent) -> Node {
    let property = |property: &Property| {
        Node::Object(vec![
            ("id", Node::text(property.id.clone())),
            ("values", Node::texts(&property.values)),
        ])
    };
    Node::Object(vec![
        ("date", Node::text(iso(event.date))),
        (
            "properties",
            Node::List(event.properties.iter().map(property).collect()),
        ),
        ("type", Node::text(event.event_type.clone())),
    ])
}
