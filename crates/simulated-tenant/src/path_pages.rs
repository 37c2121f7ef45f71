//! Selects the pages of a tenant with two read paths: a scan of the store in the order of tokens, and the search index in its
//! own order.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::answer::Refusal;
use crate::cursor::{self, Cursor};
use crate::listing::{Plan, Scope};
use crate::read_paths::{OtherCursor, Path, ReadPaths, Sort, Turn};
use crate::search_index;
use crate::world::World;

/// The request for a page.
pub(crate) struct Asked<'a> {
    pub(crate) cursor: &'a str,
    pub(crate) count: u64,
    pub(crate) turn: Turn,
    pub(crate) refused_cursor: u16,
}

/// Selects the profiles of a page.
pub(crate) fn plan(paths: ReadPaths, world: &World, scope: &Scope, asked: &Asked) -> Result<Plan, Refusal> {
    let sent = cursor::read(world.base.identities, asked.cursor);
    let sent = sent.ok_or_else(|| refused_cursor(asked.refused_cursor))?;
    let hits = match scope.filter {
        Some(_) => search_index::found(world, scope).count() as u64,
        None => world.counts[scope.segment],
    };
    match (paths.path(hits, world.current, asked.turn), sent) {
        (Path::Scan, Cursor::Index { .. }) | (Path::Index, Cursor::Scan(_))
            if paths.other_cursor == OtherCursor::Refused =>
        {
            Err(refused_cursor(asked.refused_cursor))
        }
        (Path::Scan, sent) => Ok(scan(world, scope, sent, asked.count)),
        (Path::Index, sent) => Ok(index(paths.sort, world, scope, sent, asked.count)),
    }
}

/// A page of the search index.
fn index(sort: Sort, world: &World, scope: &Scope, sent: Cursor, count: u64) -> Plan {
    let indexed = search_index::listed(world, scope, sort);
    let key = |position: u64| search_index::key(world, sort, scope.now, position);
    let after = match sent {
        Cursor::Start => 0,
        Cursor::Index { sort: last, position } => {
            let last = (last, world.base.identities.write(position));
            indexed.partition_point(|position| key(*position) <= last)
        }
        Cursor::Scan(token) => world.tokens.at(token).map_or(0, |position| {
            indexed.partition_point(|other| key(*other) <= key(position))
        }),
    };
    let rest = &indexed[after..];
    let page = &rest[..rest.len().min(to_index(count))];
    let next = page.last().filter(|_| page.len() < rest.len());
    Plan::listed(
        page.into(),
        indexed.len() as u64,
        next.map(|last| cursor::of_index(world.base.identities, key(*last).0, *last)),
    )
}

/// The refusal of a cursor.
pub(crate) fn refused_cursor(status: u16) -> Refusal {
    Refusal {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
        ..Refusal::bad_request("The cursor is invalid")
    }
}

/// A page of a scan of the store, which is never late.
fn scan(world: &World, scope: &Scope, sent: Cursor, count: u64) -> Plan {
    let scope = Scope {
        now: i64::MAX,
        ..scope.clone()
    };
    let after = match sent {
        Cursor::Start => None,
        Cursor::Scan(token) => Some(token),
        Cursor::Index { position, .. } => Some(world.tokens.of(position)),
    };
    let count = to_index(count);
    let held = |position: &u64| scope.holds(world, *position, world.changes.get(position));
    let mut page: Vec<u64> = world
        .tokens
        .after(after)
        .filter(held)
        .take(count.saturating_add(1))
        .collect();
    let more = page.len() > count;
    page.truncate(count);
    let next = page.last().filter(|_| more).copied();
    let next_cursor = next.map(|last| cursor::of_scan(world.base.identities, world.tokens.of(last)));
    let total = match scope.filter {
        None => world.counts[scope.segment],
        Some(_) => world.tokens.after(None).filter(held).count() as u64,
    };
    Plan::listed(Arc::from(page), total, next_cursor)
}

fn to_index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
