//! Plain lists as the engine reads them: paging by `startIndex`, and an id for each element. What a list is called, where
//! it is read and which columns it fills is its [`Description`]; how an element becomes a row is in `list_row.rs`.

use xxhash_rust::xxh3::xxh3_128;

use crate::model::batch::{Batch, Fingerprint, Known, Reject};
use crate::model::description::{Description, List};
use crate::model::page::{Broken, Request, halved};
use crate::model::ports::{Decoder, Identified, Listing, Resource};
use crate::model::table::Table;

use super::fields::Fields;
use super::identity::reject;
use super::list_row::{self, Plan};
use super::reject;

/// A request for `count` elements of a listing from `start` on.
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
        Box::new(ListDecoder(Plan::of(self.description.table, self.list.owner)))
    }
}

impl Listing for ListResource {
    fn page(&self, start_index: u64, shrink: u32) -> Request {
        page(self.description, start_index, halved(self.page_size, shrink))
    }
}

struct ListDecoder(Plan);

impl Decoder for ListDecoder {
    fn decode(&mut self, element: &[u8], print: Fingerprint, _known: Known, into: &mut Batch) {
        let mut fields = Fields::default();
        if let Err(problem) = self.0.row(element, &mut fields, &mut into.rows) {
            into.rejects.push(reject(element, Some(print.id), problem));
        }
        into.tally.replaced_characters += fields.replaced;
    }
}
