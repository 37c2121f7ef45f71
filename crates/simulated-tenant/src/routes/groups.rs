//! `GET /groups/{grouptype}` and `GET /groups/{grouptype}/{group}`

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use crate::answer::{Refusal, json};
use crate::cursor;
use crate::groups::{GroupKey, group_node};
use crate::json::{Node, Writer};
use crate::page::link;
use crate::path_pages::refused_cursor;
use crate::query::Query;
use crate::shape::{LastPage, NextCursor};
use crate::state::State;
use crate::truth::Group;

/// The document's limit for one page, and the value of its example.
const MOST: u64 = 1_000_000;
const DEFAULT_COUNT: u64 = 20;

/// The groups of a type, by date of creation and id.
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    Path(group_type): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    state.allow(&headers, "read:groups")?;
    let query = Query::of(&uri);
    for name in ["maxHitsAllowed", "refinement"] {
        if query.one(name).is_some() {
            return Err(Refusal::bad_request(format!("`{name}` is not simulated")));
        }
    }
    let count = query.number("count", 1, MOST, DEFAULT_COUNT)?;
    let count = state.settings.count_ceiling.map_or(count, |most| count.min(most));
    let sent = query.one("cursor").unwrap_or("*");
    let after = match sent {
        "*" => None,
        cursor => {
            Some(cursor::read_group(cursor).ok_or_else(|| refused_cursor(state.settings.refused_cursor))?)
        }
    };
    let groups = {
        let world = state.world();
        let unknown = || Refusal::not_found("Group type not found.");
        let of_type = world.groups.of_type(&group_type).ok_or_else(unknown)?;
        let mut groups: Vec<Group> = of_type.groups.values().cloned().collect();
        groups.sort_by(|one, other| key(one).cmp(&key(other)));
        groups
    };
    let start = after.map_or(0, |after| {
        groups.partition_point(|group| key(group) <= (after.0, after.1.as_str()))
    });
    let page = groups
        .iter()
        .skip(start)
        .take(usize::try_from(count).unwrap_or(usize::MAX));
    let page: Vec<&Group> = page.collect();
    let next = page
        .last()
        .filter(|_| start + page.len() < groups.len())
        .map(|last| cursor::of_group(last.creation_date, &last.id));
    let address = format!("{}{}/groups/{group_type}", state.url, state.settings.api_path);
    let wanted = wanted(&query);
    let nodes = page
        .iter()
        .map(|group| group_node(group, wanted.as_ref()))
        .collect();
    let envelope = Envelope {
        sent,
        next,
        count,
        total: groups.len() as u64,
        address,
    };
    let writer = state.writer();
    let body = envelope.node(nodes, &writer);
    Ok(json(writer.document(&body).into()))
}

/// One group.
pub(crate) async fn one(
    Shared(state): Shared<Arc<State>>,
    Path(key): Path<GroupKey>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    state.allow(&headers, "read:groups")?;
    let wanted = wanted(&Query::of(&uri));
    let found = state.world().groups.find(&key).cloned();
    let group = found.ok_or_else(|| Refusal::not_found("Group not found."))?;
    let node = group_node(&group, wanted.as_ref());
    Ok(json(state.writer().document(&node).into()))
}

/// The ids of the requested properties; `None`: all of them.
fn wanted(query: &Query) -> Option<HashSet<String>> {
    let wanted: HashSet<String> = query
        .all("properties")
        .flat_map(|list| list.split(','))
        .map(str::to_owned)
        .collect();
    (!wanted.is_empty()).then_some(wanted)
}

fn key(group: &Group) -> (i64, &str) {
    (group.creation_date, group.id.as_str())
}

/// The page around the groups.
struct Envelope<'a> {
    sent: &'a str,
    next: Option<String>,
    count: u64,
    total: u64,
    /// The address of this listing, without cursor and count.
    address: String,
}

impl Envelope<'_> {
    /// In the order of the document's example, with `nextCursor` before the array or after it.
    fn node(self, groups: Vec<Node>, writer: &Writer) -> Node {
        let shape = writer.shape;
        let mut links = vec![self.link("first", "*", writer)];
        links.extend(self.next.as_ref().map(|next| self.link("next", next, writer)));
        let same = (shape.last_page == LastPage::SameCursor).then(|| self.sent.to_owned());
        let next = self.next.or(same).map(|next| ("nextCursor", Node::text(next)));
        let mut members = vec![
            ("itemsPerPage", Node::count(self.count)),
            ("totalPages", Node::count(self.total.div_ceil(self.count))),
            ("totalResults", Node::count(self.total)),
            ("cursor", Node::text(self.sent.to_owned())),
            ("links", Node::List(links)),
            ("groups", Node::List(groups)),
        ];
        if let Some(next) = next {
            match shape.next_cursor {
                NextCursor::BeforeProfiles => members.insert(4, next),
                NextCursor::AfterProfiles => members.push(next),
            }
        }
        Node::Object(members)
    }

    fn link(&self, relation: &'static str, cursor: &str, writer: &Writer) -> Node {
        let cursor: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
        let address = format!("{}?cursor={cursor}&count={}", self.address, self.count);
        link(address, relation, writer)
    }
}
