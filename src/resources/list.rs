//! Plain lists as the engine reads them: paged by `startIndex`, with an id for each element. The name, path and columns of a
//! list are in its [`Description`]; `list_row.rs` turns an element into a row.

use xxhash_rust::xxh3::xxh3_128;

use crate::model::batch::{Batch, Fingerprint, Known, Reject};
use crate::model::children::Parent;
use crate::model::description::{Description, List};
use crate::model::page::{Broken, Request, halved};
use crate::model::ports::{Decoder, Identified, Listing, Resource};
use crate::model::table::Table;

use super::child_rows::ChildPlans;
use super::fields::Fields;
use super::identity::{Problem, reject};
use super::list_row::{self, Plan};
use super::reject;

/// The request for `count` elements of a listing from `start` on.
pub(super) fn page(of: &Description, start: u64, count: u32) -> Request {
    Request {
        path: of.path.to_owned(),
        query: vec![("startIndex", start.to_string()), ("count", count.to_string())],
        arrays: of.arrays,
        scope: of.oauth_scope,
    }
}

/// A plain list as a resource.
pub(super) struct ListResource {
    description: &'static Description,
    list: &'static List,
    page_size: u32,
}

impl ListResource {
    /// A list that is read in pages of `page_size`.
    pub(super) fn new(description: &'static Description, list: &'static List, page_size: u32) -> Self {
        Self {
            description,
            list,
            page_size,
        }
    }
}

impl Resource for ListResource {
    fn table(&self) -> &'static Table {
        self.description.table
    }

    fn trial_request(&self) -> Request {
        page(self.description, 0, 1)
    }

    fn broken(&self, broken: &Broken) -> Reject {
        reject::broken(broken)
    }
}

impl Identified for ListResource {
    fn fingerprint(&self, element: &[u8]) -> Result<Fingerprint, Reject> {
        match list_row::identity(element, self.list.owner) {
            Ok(id) => Ok(Fingerprint {
                id,
                source: xxh3_128(element).to_be_bytes(),
            }),
            Err(problem) => Err(reject(element, None, problem)),
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(ListDecoder {
            plan: Plan::of(self.description.table, self.list.owner),
            children: ChildPlans::of(self.description.table),
        })
    }
}

impl Listing for ListResource {
    fn page(&self, start_index: u64, shrink: u32) -> Request {
        page(self.description, start_index, halved(self.page_size, shrink))
    }
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
    }
}
