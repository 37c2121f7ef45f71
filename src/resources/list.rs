//! Plain lists as the engine reads them: paging by `startIndex`, and an id for each element. What a list is called, where
//! it is read and which columns it fills is its [`Description`]; how an element becomes a row is in `list/element.rs`.

mod element;

use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use crate::model::batch::{Batch, Fingerprint, Known, Reject};
use crate::model::description::{Description, List};
use crate::model::page::{Broken, Lookup, RejectReason, Request, halved};
use crate::model::ports::{Census, Decoder, Prelude, Resource};
use crate::model::position::Position;
use crate::model::table::Table;
use crate::model::verdict::Verdict;

use super::fields::{Fields, Wrong};
use super::reject;

use element::Plan;

/// The longest id that is taken, in bytes: PostgreSQL's index entries end at 2.7 kB.
pub(super) const LONGEST_ID: usize = 1024;

/// Why an element of a list cannot be loaded.
pub(super) enum Problem {
    /// It is no JSON, or not an object, or a field has the wrong type.
    Shape(String),
    /// It has no id.
    NoId,
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        Self::Shape(wrong.0)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape(error.to_string())
    }
}

/// Reads the id of an object: a text or a number, neither empty nor too long for an index.
pub(super) fn id_of(raw: Option<&RawValue>) -> Result<String, Problem> {
    let id = Fields::default()
        .text("id", raw)?
        .filter(|id| !id.is_empty())
        .ok_or(Problem::NoId)?;
    if id.len() > LONGEST_ID {
        return Err(Problem::Shape(format!("`id` is longer than {LONGEST_ID} bytes")));
    }
    Ok(id.into_owned())
}

/// The id of an object, nothing else decoded.
pub(super) fn identity(element: &[u8]) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    object(element)?;
    id_of(serde_json::from_slice::<Identified<'_>>(element)?.id)
}

/// Only an object is an element; `serde` would read a list as a struct by position, and lets pass in what it skips what
/// is no text.
pub(super) fn object(element: &[u8]) -> Result<(), Problem> {
    if let Err(error) = std::str::from_utf8(element) {
        return Err(Problem::Shape(error.to_string()));
    }
    if element.trim_ascii_start().starts_with(b"{") {
        return Ok(());
    }
    Err(Problem::Shape("the element is not an object".to_owned()))
}

/// The reject for an element with a problem.
pub(super) fn reject(element: &[u8], id: Option<String>, problem: Problem) -> Reject {
    let (reason, detail) = match problem {
        Problem::NoId => (RejectReason::NoId, "the element has no `id`".to_owned()),
        Problem::Shape(detail) if serde_json::from_slice::<serde::de::IgnoredAny>(element).is_err() => {
            (RejectReason::NotJson, detail)
        }
        Problem::Shape(detail) if std::str::from_utf8(element).is_err() => (RejectReason::NotJson, detail),
        Problem::Shape(detail) => (RejectReason::WrongShape, detail),
    };
    reject::whole(element, id, reason, detail)
}

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
    fn name(&self) -> &'static str {
        self.description.name()
    }

    fn table(&self) -> &'static Table {
        self.description.table
    }

    fn request(&self, position: &Position, shrink: u32) -> Request {
        let start = match position {
            Position::Offset(offset) => offset.start_index,
            Position::Cursor(_) | Position::Since(_) => 0,
        };
        page(self.description, start, halved(self.page_size, shrink))
    }

    fn probe(&self) -> Request {
        page(self.description, 0, 1)
    }

    fn lookup(&self, _id: &str) -> Option<Request> {
        None
    }

    fn verdict(&self, _id: &str, _segment: &str, _found: &Lookup) -> Verdict {
        // What a complete and stable listing no longer holds is gone; there is nothing to ask by id.
        Verdict::Deleted
    }

    fn census(&self) -> Option<Box<dyn Census>> {
        None
    }

    fn prelude(&self, _wanted: Option<&str>) -> Option<Box<dyn Prelude>> {
        None
    }

    fn fingerprint(&self, element: &[u8]) -> Result<Fingerprint, Reject> {
        match element::identity(element, self.list.owner) {
            Ok(id) => Ok(Fingerprint {
                id,
                source: xxh3_128(element).to_be_bytes(),
            }),
            Err(problem) => Err(reject(element, None, problem)),
        }
    }

    fn broken(&self, broken: &Broken) -> Reject {
        reject::broken(broken)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(ListDecoder(Plan::of(self.description.table, self.list.owner)))
    }

    fn selection(&self) -> Vec<String> {
        Vec::new()
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

    fn dates(&self) -> &[crate::model::Time] {
        &[]
    }
}
