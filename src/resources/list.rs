//! Plain lists as the engine reads them: paged by `startIndex` or by `cursor`, with an id for each element. The name, path and
//! columns of a list are in its [`Description`]; `list_row.rs` turns an element into a row.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::settings;
use crate::model::Time;
use crate::model::batch::{Batch, Fingerprint, Known, Reject};
use crate::model::children::Parent;
use crate::model::description::{ByDay, Description, List, Named, Parents, Registry};
use crate::model::history::History;
use crate::model::page::{Broken, Lookup, Request, halved};
use crate::model::ports::{Decoder, Identified, Listing, Resource};
use crate::model::table::Table;
use crate::model::verdict::Verdict;

use super::child_rows::ChildPlans;
use super::fields::Fields;
use super::identity::{Problem, reject};
use super::list_row::{self, About, Plan};
use super::reject;
use super::segment_profiles::{encoded, is_addressable};

/// Stands for the parent's id in a path.
const PARENT: &str = "{parent}";

/// An id that no row has.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// The parameter with the place of a page, and its value for the first one.
const CURSOR: (&str, &str) = ("cursor", "*");

/// The request for `count` elements of a listing from `start` on; for all of them if the listing has no pages, for the first ones if
/// it is paged by cursor.
pub(super) fn page(of: &Description, start: u64, count: u32) -> Request {
    let place = match of.as_list() {
        Some(list) if list.by_cursor => Some((CURSOR.0, CURSOR.1.to_owned())),
        Some(list) if !list.paged => None,
        _ => Some(("startIndex", start.to_string())),
    };
    let count = place.is_some().then(|| ("count", count.to_string()));
    Request {
        path: of.path.to_owned(),
        query: place.into_iter().chain(count).collect(),
        arrays: of.arrays,
        scope: of.oauth_scope,
    }
}

/// A plain list as a resource, or the listing of one parent.
#[derive(Clone)]
pub(super) struct ListResource {
    description: &'static Description,
    list: &'static List,
    page_size: u32,
    /// The member that holds an element's id.
    id: &'static str,
    /// The URLs that the settings give the list.
    urls: Arc<[String]>,
    /// What this listing is about, if the list has several.
    about: Option<About>,
    /// The request that shows whether the tenant allows the list.
    trial: Request,
}

impl ListResource {
    /// A list of the registry with its settings.
    pub(super) fn new(
        registry: Registry,
        description: &'static Description,
        list: &'static List,
        settings: &settings::List,
    ) -> Self {
        // A listing of each stored parent has the scope of the parents, and can be requested only by somebody who has read them.
        let parents = list.parents().and_then(|table| registry.named(table.name));
        let trial = match list.history {
            // No profile has this id: a tenant that allows the request answers 404.
            Some(_) => {
                let listing = page(description, 0, 1);
                let path = listing.path.replace(PARENT, NOBODY);
                Request { path, ..listing }
            }
            None => page(parents.unwrap_or(description), 0, 1),
        };
        let own = Self {
            description,
            list,
            page_size: settings.page_size.get(),
            id: list_row::id_member(description.table),
            urls: settings.urls.clone().into(),
            about: None,
            trial,
        };
        if !list.is_of_urls() {
            return own;
        }
        let first = own.urls.first().cloned().unwrap_or_default();
        let trial = own.of(About::Parent(first)).page(0, 0);
        Self { trial, ..own }
    }

    /// The listing about a parent, or about parents and a day.
    fn of(&self, about: About) -> Self {
        Self {
            about: Some(about),
            ..self.clone()
        }
    }
}

impl Resource for ListResource {
    fn table(&self) -> &'static Table {
        self.description.table
    }

    fn trial_request(&self) -> Request {
        self.trial.clone()
    }

    fn broken(&self, broken: &Broken) -> Reject {
        reject::broken(broken)
    }
}

impl Identified for ListResource {
    fn fingerprint(&self, element: &[u8]) -> Result<Fingerprint, Reject> {
        let wanted = self.about.as_ref().and_then(About::owner);
        match list_row::identity(element, self.id, self.list.owner, wanted) {
            Ok(id) => Ok(Fingerprint {
                id: match &self.about {
                    Some(about) => list_row::of(&about.text(), &id),
                    None => id,
                },
                source: xxh3_128(element).to_be_bytes(),
            }),
            Err(problem) => Err(reject(element, None, problem)),
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(ListDecoder {
            plan: Plan::of(self.description.table, self.list.owner, self.about.clone()),
            children: ChildPlans::of(self.description.table),
        })
    }
}

impl Listing for ListResource {
    fn page(&self, start_index: u64, shrink: u32) -> Request {
        let mut request = page(self.description, start_index, halved(self.page_size, shrink));
        match (self.list.each.map(|each| each.named), &self.about) {
            (Some(Named::InPath), Some(About::Parent(id))) => {
                request.path = request.path.replace(PARENT, &encoded(id));
            }
            (Some(Named::ByParameter(name)), Some(About::Parent(id))) => {
                request.query.push((name, id.clone()));
            }
            (Some(Named::ByDay(by)), Some(About::Day(day, ids))) => {
                request.query.extend(ids.iter().map(|id| (by.ids, id.clone())));
                request.query.extend(by.days.map(|name| (name, day.to_string())));
            }
            _ => {}
        }
        request
    }

    fn is_paged(&self) -> bool {
        self.list.paged
    }

    fn is_by_cursor(&self) -> bool {
        self.list.by_cursor
    }

    fn keeps(&self) -> bool {
        self.list.keeps
    }

    fn is_optional(&self) -> bool {
        self.list.optional
    }

    fn parents(&self) -> Option<&'static Table> {
        self.list.parents()
    }

    fn listings(&self, parents: &[String], complete: Option<Time>, now: Time) -> Vec<Arc<dyn Listing>> {
        let Some(each) = self.list.each else {
            return vec![Arc::new(self.clone())];
        };
        let of = |about: About| -> Arc<dyn Listing> { Arc::new(self.of(about)) };
        let parents = match each.parents {
            Parents::Stored(_) => parents,
            Parents::Urls => &self.urls,
        };
        let parents = parents.iter().filter(|id| is_addressable(id));
        match each.named {
            Named::InPath | Named::ByParameter(_) => {
                parents.map(|id| of(About::Parent(id.clone()))).collect()
            }
            Named::ByDay(by) => {
                let parents: Vec<String> = parents.cloned().collect();
                let chunks = || parents.chunks(by.at_once.max(1));
                days(by, complete, now)
                    .flat_map(|day| chunks().map(move |ids| About::Day(day, ids.to_vec())))
                    .map(of)
                    .collect()
            }
        }
    }

    fn about(&self) -> String {
        self.about.as_ref().map(About::text).unwrap_or_default()
    }

    fn page_at(&self, cursor: &str, shrink: u32) -> Request {
        let mut request = self.page(0, shrink);
        for (name, value) in &mut request.query {
            if *name == CURSOR.0 {
                cursor.clone_into(value);
            }
        }
        request
    }

    fn listing_of(&self, id: &str) -> Arc<dyn Listing> {
        let parent = list_row::parts(id).filter(|_| self.list.each.is_some());
        Arc::new(Self {
            about: parent.map(|(parent, _)| About::Parent(parent.to_owned())),
            ..self.clone()
        })
    }

    fn lookup(&self, id: &str) -> Request {
        let listing = self.listing_of(id).page(0, 0);
        Request {
            path: format!("{}/{}", listing.path, encoded(self.own_id(id))),
            query: Vec::new(),
            arrays: &[],
            scope: listing.scope,
        }
    }

    fn history(&self) -> Option<&'static dyn History> {
        self.list.history
    }

    fn history_of(&self, parent: &str, start_index: u64) -> Option<Request> {
        let listings = self.listings(&[parent.to_owned()], None, Time::UNIX_EPOCH);
        // The answer is taken as a single object, so that no message names the parent, which may be a person.
        let request = listings.first()?.page(start_index, 0);
        Some(Request {
            arrays: &[],
            ..request
        })
    }

    fn verdict(&self, id: &str, found: &Lookup) -> Verdict {
        match found {
            Lookup::Gone => Verdict::Deleted,
            Lookup::Unclear(_) => Verdict::Kept,
            Lookup::Found(bytes) => match list_row::identity(bytes, self.id, None, None) {
                Ok(answered) if answered == self.own_id(id) => Verdict::Missed(bytes.clone()),
                _ => Verdict::Kept,
            },
        }
    }
}

impl ListResource {
    /// An element's own id, without that of its parent.
    fn own_id<'id>(&self, id: &'id str) -> &'id str {
        let parts = list_row::parts(id).filter(|_| self.list.each.is_some());
        parts.map_or(id, |(_, own)| own)
    }
}

/// The days that are read: those whose numbers may have changed since the list was last complete, until today (UTC).
fn days(by: ByDay, complete: Option<Time>, now: Time) -> impl Iterator<Item = NaiveDate> {
    let back = |from: Time, days: u32| from.date_naive().checked_sub_days(Days::new(days.into()));
    let first = match complete {
        Some(complete) => back(complete.min(now), by.again),
        None => back(now, by.first),
    };
    let last = now.date_naive();
    first
        .unwrap_or(last)
        .iter_days()
        .take_while(move |day| *day <= last)
}

struct ListDecoder {
    plan: Plan,
    children: ChildPlans,
}

impl ListDecoder {
    fn put(&self, element: &[u8], id: &str, fields: &mut Fields, into: &mut Batch) -> Result<(), Problem> {
        if self.children.is_empty() {
            return self.plan.row(element, fields, &mut into.rows);
        }
        let children = self.children.read(element, id, fields, &mut into.children)?;
        let before = into.rows.len();
        let put = self.plan.row(element, fields, &mut into.rows);
        if into.rows.len() == before {
            into.children.discard();
            return put;
        }
        // The merge compares a list row by row, so nothing is known of stored rows here.
        into.children.keep(Parent {
            id: id.to_owned(),
            source: [0; 16],
            content: [0; 16],
            children,
            differs: true,
            has_row: true,
            asked_at: None,
            modified_at: into.rows.last_modified_at(),
        });
        put
    }
}

impl Decoder for ListDecoder {
    fn decode(&mut self, element: &[u8], print: Fingerprint, _known: Known, into: &mut Batch) {
        let mut fields = Fields::default();
        if let Err(problem) = self.put(element, &print.id, &mut fields, into) {
            into.rejects.push(reject(element, Some(print.id), problem));
        }
        into.read_counts.replaced_characters += fields.replaced;
        into.unknown.merge(&fields.unknown);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    #[test]
    fn days_that_may_still_change_are_read_again() {
        let by = ByDay {
            ids: "id",
            at_once: 50,
            days: ["from", "to"],
            first: 30,
            again: 2,
        };
        let time = |text: &str| -> Time { text.parse().unwrap() };
        let read = |complete: Option<&str>| -> Vec<String> {
            let days = days(by, complete.map(time), time("2026-03-02T00:00:01Z"));
            days.map(|day| day.to_string()).collect()
        };
        let first = read(None);
        assert_eq!((first.len(), first[0].as_str()), (31, "2026-01-31"));
        let again = ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"];
        assert_eq!(read(Some("2026-03-01T23:59:59Z")), again);
        assert_eq!(
            read(Some("2026-02-01T12:00:00Z")).len(),
            32,
            "after a month's pause"
        );
        // A watermark ahead of the clock is not believed.
        assert_eq!(read(Some("2027-01-01T00:00:00Z")).len(), 3);
    }
}
