//! `GET /segments`

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use crate::answer::{Refusal, json};
use crate::dates::iso;
use crate::json::Node;
use crate::query::{Paging, Query};
use crate::state::State;
use crate::truth::Segment;

pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    state.allow(&headers, "read:segments")?;
    let query = Query::of(&uri);
    let paging = query.paging()?;
    let wanted: Vec<&str> = query.all("filterTag").collect();
    let tagged = |segment: &Segment| {
        wanted.is_empty() || segment.tags.iter().any(|tag| wanted.contains(&tag.as_str()))
    };
    let segments: Vec<Segment> = {
        let world = state.world();
        let present = (0..world.segments.len()).filter(|bit| world.segments[*bit].present);
        let counted = |bit| {
            let segment = world.segment(bit);
            let profile_count = segment.profile_count.map(|_| state.count(&world, bit));
            Segment {
                profile_count,
                ..segment
            }
        };
        present.map(counted).filter(tagged).collect()
    };
    let body = envelope("segments", &segments, paging, node);
    Ok(json(state.writer().document(&Node::Object(body)).into()))
}

/// The envelope that lists share, in the order of the document's example.
pub(super) fn envelope<T>(
    key: &'static str,
    items: &[T],
    paging: Paging,
    node: impl Fn(&T) -> Node,
) -> Vec<(&'static str, Node)> {
    let total = items.len() as u64;
    let start = usize::try_from(paging.start).unwrap_or(usize::MAX);
    let count = usize::try_from(paging.count).unwrap_or(usize::MAX);
    vec![
        ("itemsPerPage", Node::count(paging.count)),
        (
            key,
            Node::List(items.iter().skip(start).take(count).map(node).collect()),
        ),
        ("startIndex", Node::count(paging.start)),
        ("totalPages", Node::count(total.div_ceil(paging.count))),
        ("totalResults", Node::count(total)),
    ]
}

fn node(segment: &Segment) -> Node {
    let user = |name: &str| {
        Node::Object(vec![
            ("fullName", Node::text(name.to_owned())),
            ("userName", Node::text(name.to_owned())),
        ])
    };
    let mut members = vec![
        ("creationDate", Node::text(iso(segment.creation_date))),
        ("creator", user(&segment.creator)),
        ("description", Node::text(segment.description.clone())),
        ("id", Node::text(segment.id.clone())),
        ("inverseOf", Node::text(segment.inverse_of.clone())),
        ("inversedBy", Node::text(segment.inversed_by.clone())),
        ("lastModifiedDate", Node::text(iso(segment.last_modified_date))),
        ("lastModifiedUser", user(&segment.creator)),
        ("name", Node::text(segment.name.clone())),
    ];
    members.extend(
        segment
            .profile_count
            .map(|count| ("profileCount", Node::count(count))),
    );
    members.push(("tags", Node::texts(&segment.tags)));
    Node::Object(members)
}
