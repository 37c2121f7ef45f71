//! `GET /auditEvents`

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use crate::answer::{Refusal, json};
use crate::auditing::select;
use crate::clock::milliseconds;
use crate::dates::iso;
use crate::json::Node;
use crate::query::Query;
use crate::settings::UserSpelling;
use crate::state::State;
use crate::truth::AuditEvent;

pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    state.allow(&headers, "read:audit-events")?;
    let query = Query::of(&uri);
    let count = query.number("count", 1, 1000, 100)?;
    let forgotten = state.clock.now() - milliseconds(state.settings.audit_retention);
    let after = query.date("fromDate")?.unwrap_or(i64::MIN).max(forgotten);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let shown_until = state.clock.now() - milliseconds(state.settings.audit_lag);
    let events = {
        let world = state.world();
        let events = &world.audit_events;
        // A date that lies ahead is a test's own.
        let shown = if state.settings.audit_lag.is_zero() {
            events.len()
        } else {
            events.partition_point(|event| event.date <= shown_until)
        };
        select(&events[..shown], after, count, &state.settings)
    };
    let nodes = events
        .into_iter()
        .map(|event| node(event, state.settings.user_spelling))
        .collect();
    let body = Node::Object(vec![("auditEvents", Node::List(nodes))]);
    Ok(json(state.writer().document(&body).into()))
}

fn node(event: AuditEvent, spelling: UserSpelling) -> Node {
    let by_schema = match spelling {
        UserSpelling::Schema => true,
        UserSpelling::Example => false,
        // Equal events get equal answers.
        UserSpelling::Mixed => event.date % 2 == 0,
    };
    let user_key = if by_schema { "username" } else { "userName" };
    let mut members = Vec::new();
    members.extend(
        event
            .application
            .map(|application| ("application", Node::text(application))),
    );
    members.push(("date", Node::text(iso(event.date))));
    members.extend(event.user_name.map(|user| (user_key, Node::text(user))));
    members.push(("objectType", Node::text(event.object_type)));
    let object = |(id, name)| Node::Object(vec![("id", Node::Text(id)), ("name", Node::Text(name))]);
    let objects = event.objects.map(|objects| {
        Node::List(
            objects
                .into_iter()
                .map(|(id, name)| object((id.into(), name.into())))
                .collect(),
        )
    });
    members.extend(objects.map(|objects| ("objects", objects)));
    members.push(("operation", Node::text(event.operation)));
    members.extend(event.ip_address.map(|address| ("ipAddress", Node::text(address))));
    Node::Object(members)
}
