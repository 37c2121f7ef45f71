//! What the resources use of the tenant's API, for a check of the tenant's own document. All of it follows from the descriptions
//! and from the requests that the resources make; what only code reads is described beside that code.

use std::sync::Arc;

use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::description::Reading;
use crate::model::drift::{Rest, Role, Usage, UsedField};
use crate::model::page::Request;
use crate::model::ports::{Clock, Walkable};
use crate::model::position::CursorPosition;
use crate::model::table::{Child, Column, REST, Table};

use super::audit_events::SPELLINGS;
use super::audit_values;
use super::consent_history::VALUES;
use super::registry::{self, Entry};
use super::{profile_lookup, profiles};

/// The release of the vendor's document that the descriptions follow.
pub const KNOWN_RELEASE: &str = "103.0";

/// What all resources use, those that are off included.
pub fn usages(settings: &Settings, clock: &Arc<dyn Clock>) -> Vec<Usage> {
    let entries = registry::entries(settings, clock);
    entries
        .iter()
        .flat_map(|entry| of_entry(entry, clock.now()))
        .collect()
}

fn of_entry(entry: &Entry, now: Time) -> Vec<Usage> {
    match &entry.resource {
        Reading::List(list) => {
            // Where parents name the listings of a list, only those have pages.
            let listings = list.listings(&["id".to_owned()], None, now);
            let request = listings
                .first()
                .map_or_else(|| list.trial_request(), |one| one.page(0, 0));
            let listing = Usage {
                rest: rest(entry.description.table),
                envelope: if list.is_by_cursor() { &["nextCursor"] } else { &[] },
                ..usage(entry, &request)
            };
            let lookup = list.is_by_cursor().then(|| element(&listing));
            std::iter::once(listing).chain(lookup).collect()
        }
        Reading::Walk(walk) => of_profiles(entry, walk.as_ref(), now),
        Reading::Feed(feed) => vec![Usage {
            essential: true,
            values: audit_values::KNOWN,
            ..usage(entry, &feed.trial_request())
        }],
    }
}

/// The look-up of an element below its listing.
fn element(listing: &Usage) -> Usage {
    Usage {
        path: format!("{}/{{id}}", listing.path),
        query: Vec::new(),
        arrays: &[],
        envelope: &[],
        fields: vec![read("", "id", Role::Key)],
        rest: Rest::Untold,
        ..listing.clone()
    }
}

/// The usage of a listing. The path is the description's: that of a request holds ids.
fn usage(entry: &Entry, request: &Request) -> Usage {
    let description = entry.description;
    // The settings may add child tables.
    let table = entry.resource.resource().table();
    let is_history = description.as_list().is_some_and(|list| list.history.is_some());
    let mut fields = columns(table.columns, table.key);
    if is_history {
        // Its children are the elements themselves.
        fields.extend(table.read_children().flat_map(items));
    } else {
        fields.extend(table.read_children().flat_map(children));
    }
    if let Reading::List(list) = &description.reading {
        fields.extend(list.owner.map(|owner| read("", owner, Role::Owner)));
    }
    Usage {
        resource: description.name(),
        enabled: entry.enabled,
        essential: false,
        path: description.path.to_owned(),
        scope: description.oauth_scope,
        query: request.query.clone(),
        arrays: description.arrays,
        twin: None,
        envelope: &[],
        fields,
        rest: Rest::Dropped,
        values: &[],
    }
}

/// The listing of a segment's profiles, the look-up by id, and the choice of the segment.
fn of_profiles(entry: &Entry, walk: &dyn Walkable, now: Time) -> Vec<Usage> {
    let mut listing = Usage {
        essential: true,
        twin: Some(profile_lookup::PATH),
        envelope: &["nextCursor"],
        ..usage(
            entry,
            &walk.page(&increment(now, walk.table().reads_children()), 0),
        )
    };
    let beside = profiles::FIELDS.iter();
    listing
        .fields
        .extend(beside.map(|(field, fills)| read("", field, Role::Fills(fills))));
    let lookup = walk.lookup("id");
    let needed = profile_lookup::FIELDS
        .iter()
        .map(|field| read("", field, Role::Key));
    let lookup = Usage {
        path: profile_lookup::PATH.to_owned(),
        scope: lookup.scope,
        query: lookup.query,
        arrays: &[],
        twin: None,
        envelope: &[],
        fields: needed.collect(),
        rest: Rest::Untold,
        ..listing.clone()
    };
    let segments = walk.segment_resolver(None).request(0, 0);
    let segments = Usage {
        path: segments.path,
        scope: segments.scope,
        query: segments.query,
        arrays: segments.arrays,
        envelope: &[],
        fields: vec![read("", "id", Role::Key)],
        ..lookup.clone()
    };
    vec![listing, lookup, segments]
}

/// A position of an increment, whose request has every parameter.
fn increment(now: Time, timelines: bool) -> CursorPosition {
    CursorPosition::at_start("id", Some((now, now)), Vec::new(), timelines, now)
}

fn rest(table: &Table) -> Rest {
    if table.columns.iter().any(|column| column.source == REST) {
        Rest::Kept
    } else {
        Rest::Dropped
    }
}

/// The fields of columns. An element without the fields of the key cannot be read.
fn columns(columns: &'static [Column], key: &[&str]) -> Vec<UsedField> {
    let read_ones = columns.iter().filter(|column| is_field(column));
    read_ones
        .map(|column| read("", column.source, role(column, key)))
        .collect()
}

/// What the field of a column is for.
fn role(column: &Column, key: &[&str]) -> Role {
    if key.contains(&column.name) {
        Role::Key
    } else {
        Role::Fills(column.name)
    }
}

/// Whether a column holds one field: neither what the decoder computes nor the rest of the element.
fn is_field(column: &Column) -> bool {
    !matches!(column.source, "" | REST)
}

/// The fields of a child table. Its first column holds the parent's key.
fn children(child: &'static Child) -> Vec<UsedField> {
    if child.source.is_empty() {
        return Vec::new();
    }
    let columns = child
        .table
        .columns
        .iter()
        .skip(1)
        .filter(|column| is_field(column));
    let within = columns.map(|column| read(child.source, column.source, Role::Fills(child.table.name)));
    std::iter::once(read("", child.source, Role::Fills(child.table.name)))
        .chain(within)
        .collect()
}

/// The fields of the elements that are children themselves.
fn items(child: &'static Child) -> Vec<UsedField> {
    let of = |column: &'static Column| {
        let spellings = if column.source == VALUES[0] {
            &VALUES[..]
        } else {
            &[column.source]
        };
        spelled("", spellings, role(column, child.table.key))
    };
    let columns = child.table.columns.iter();
    columns.filter(|column| is_field(column)).map(of).collect()
}

/// A field in each of its spellings. Paths of a document do not show arrays.
fn read(within: &str, field: &'static str, role: Role) -> UsedField {
    let spellings = if SPELLINGS.contains(&field) {
        &SPELLINGS[..]
    } else {
        &[field]
    };
    spelled(within, spellings, role)
}

/// A field in any of these spellings.
fn spelled(within: &str, spellings: &[&'static str], role: Role) -> UsedField {
    let path = |name: &&str| {
        if within.is_empty() {
            (*name).to_owned()
        } else {
            format!("{within}.{name}")
        }
    };
    UsedField {
        paths: spellings
            .iter()
            .map(|name| path(name).replace("[]", ""))
            .collect(),
        role,
    }
}
