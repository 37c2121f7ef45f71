//! What `check` asks the tenant about each resource that is read: a page of its listing. A list of URLs is asked about each of them, a list
//! whose listings follow from another list about the first entry of that.

use std::sync::Arc;

use crate::app::{self, Overrides};
use crate::blueconic::client::Client;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::description::{List, Reading};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::page::{Lookup, Meter, Request};
use crate::model::ports::{Listing, Page as _, Source as _, TokenStore};
use crate::resources::registry::Entry;
use crate::sync::run_spec::WhenHeld;

use super::line::Line;

/// An id that no tenant has: a look-up of it shows whether look-ups are allowed.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// How often the page size is halved for a request that only tries: down to the least.
const SMALLEST: u32 = 31;

/// What came of it.
pub(super) struct Tried {
    /// A line for each resource that is read, and one for the look-ups that removals need.
    pub(super) lines: Vec<Line>,
    /// The resources that can be read.
    pub(super) readable: Vec<Entry>,
}

/// Asks about each resource that is read.
pub(super) async fn ask<T: TokenStore>(
    client: &Client<T>,
    entries: &[Entry],
    settings: &Settings,
    now: Time,
) -> Tried {
    let (mut lines, mut readable) = (Vec::new(), Vec::new());
    for entry in entries.iter().filter(|entry| entry.enabled) {
        let tried = match &entry.resource {
            Reading::List(list) if list.history().is_none() => {
                of_list(client, entry, list.as_ref(), entries, now).await
            }
            other => open(client, &other.resource().trial_request())
                .await
                .map(|()| String::new()),
        };
        let line = line(entry, tried, settings);
        if line.state == "ok" {
            readable.push(entry.clone());
        }
        lines.push(line);
        lines.extend(look_up(client, entry).await);
    }
    Tried { lines, readable }
}

fn line(entry: &Entry, tried: Outcome<String>, settings: &Settings) -> Line {
    let ok = |more: &str| {
        let scope = entry.description.oauth_scope;
        Line::ok(entry.name(), format!("scope {scope}{more}"))
    };
    match tried {
        Ok(more) => ok(&more),
        // It asks for the history of nobody.
        Err(fault) if fault.kind == Kind::Absent && has_histories(entry) => ok(""),
        Err(fault) if fault.kind == Kind::Absent && matches!(entry.resource, Reading::Walk(_)) => {
            let segment = &settings.resources.profiles.segment;
            Line::ok(
                entry.name(),
                format!("there is no segment `{segment}`: the largest one will be read"),
            )
        }
        Err(fault) => {
            let spec = app::run_spec(settings, entry, Overrides::default(), WhenHeld::Leave);
            let line = Line::of(entry.name(), &fault);
            if spec.is_skipped_by(&fault) {
                return Line {
                    state: "skipped",
                    exit: Exit::Done,
                    hint: None,
                    ..line
                };
            }
            line
        }
    }
}

fn has_histories(entry: &Entry) -> bool {
    matches!(&entry.resource, Reading::List(list) if list.history().is_some())
}

async fn open<T: TokenStore>(client: &Client<T>, request: &Request) -> Outcome<()> {
    client.open(request, 0, &Meter::default()).await.map(drop)
}

/// Tries a list. Returns what there is to say beside its scope.
async fn of_list<T: TokenStore>(
    client: &Client<T>,
    entry: &Entry,
    list: &dyn Listing,
    entries: &[Entry],
    now: Time,
) -> Outcome<String> {
    if entry.description.as_list().is_some_and(List::is_of_urls) {
        return of_urls(client, &list.listings(&[], None, now)).await;
    }
    let Some(parents) = list.parents() else {
        return open(client, &list.trial_request()).await.map(|()| String::new());
    };
    let parents = entries
        .iter()
        .find(|one| one.description.table.name == parents.name);
    let first = match parents.map(|entry| &entry.resource) {
        Some(Reading::List(parents)) => first(client, parents.as_ref()).await?,
        _ => None,
    };
    let listing = first.and_then(|id| list.listings(&[id], Some(now), now).pop());
    match (listing, parents) {
        (Some(listing), _) => open(client, &listing.page(0, SMALLEST))
            .await
            .map(|()| String::new()),
        (None, Some(parents)) => Ok(format!(", not tried: the tenant lists no {}", parents.name())),
        (None, None) => Ok(String::new()),
    }
}

/// The id of the first element of a list.
async fn first<T: TokenStore>(client: &Client<T>, list: &dyn Listing) -> Outcome<Option<String>> {
    let mut page = client.open(&list.page(0, SMALLEST), 0, &Meter::default()).await?;
    while let Some(block) = page.next().await? {
        let mut elements = block.elements.iter().map(|range| &block.bytes[range.clone()]);
        if let Some(id) = elements.find_map(|element| list.fingerprint(element).ok()) {
            return Ok(Some(id.id));
        }
    }
    Ok(None)
}

/// Tries each URL of a list. One that the tenant refuses does not keep the others from being tried.
async fn of_urls<T: TokenStore>(client: &Client<T>, listings: &[Arc<dyn Listing>]) -> Outcome<String> {
    let mut refused: Option<(Fault, usize)> = None;
    for listing in listings {
        let Err(fault) = open(client, &listing.page(0, SMALLEST)).await else {
            continue;
        };
        let is_of_all = !matches!(fault.kind, Kind::Final | Kind::Absent);
        let what = format!("{}: {}", listing.about(), fault.what);
        let fault = Fault { what, ..fault };
        if is_of_all {
            return Err(fault);
        }
        match &mut refused {
            Some((_, more)) => *more += 1,
            None => refused = Some((fault, 0)),
        }
    }
    match refused {
        None if listings.len() == 1 => Ok(String::new()),
        None => Ok(format!(", {} URLs", listings.len())),
        Some((fault, 0)) => Err(fault),
        Some((fault, more)) => {
            let what = format!("{}, and {more} more of {} URLs", fault.what, listings.len());
            Err(Fault { what, ..fault })
        }
    }
}

/// Whether the resource's elements can be looked up by id, which a sweep needs before it removes rows.
async fn look_up<T: TokenStore>(client: &Client<T>, entry: &Entry) -> Option<Line> {
    let Reading::Walk(walk) = &entry.resource else {
        return None;
    };
    let request = walk.lookup(NOBODY);
    match client.one(&request, &Meter::default()).await {
        Lookup::Unclear(fault) if matches!(fault.kind, Kind::Denied { .. }) => {
            let line = Line::of("removals", &fault);
            let detail = format!(
                "{}; without it nothing is ever removed from {}",
                line.detail,
                entry.name()
            );
            Some(Line { detail, ..line })
        }
        Lookup::Unclear(fault) => Some(Line::of("removals", &fault)),
        Lookup::Gone | Lookup::Found(_) => Some(Line::ok("removals", format!("scope {}", request.scope))),
    }
}
