//! Audit events in the plainest form, so that thousands of tenants take seconds: an element is its date and its kind.
//! Equal ones are numbered within a response, as the real resource does it.

use std::collections::HashMap;

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::{Batch, Fingerprint, Known, Reject};
use blueconic_sync::model::page::{Broken, Lookup, RejectReason, Request};
use blueconic_sync::model::ports::{Census, Decoder, Prelude, Resource};
use blueconic_sync::model::position::Position;
use blueconic_sync::model::table::{Merge, Table};
use blueconic_sync::model::verdict::Verdict;
use chrono::SecondsFormat;

use super::event_tenant::{Event, moment};

static TABLE: Table = Table {
    name: "audit_events",
    columns: &[],
    key: &[],
    merge: Merge::Occurrence,
    children: &[],
};

/// The resource.
pub(super) struct PlainEvents {
    pub(super) page_size: u32,
}

/// An event as an element.
pub(super) fn written(event: &Event) -> Vec<u8> {
    let mut bytes = event.date.to_be_bytes().to_vec();
    bytes.push(event.kind);
    bytes
}

/// The event of a row's key.
pub(super) fn read_back(key: &[u8]) -> (i64, u8) {
    (i64::from_be_bytes(key[..8].try_into().unwrap()), key[8])
}

impl Resource for PlainEvents {
    fn name(&self) -> &'static str {
        TABLE.name
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn request(&self, position: &Position, _shrink: u32) -> Request {
        let Position::Since(position) = position else {
            panic!("events are read by date")
        };
        let from = position.from.to_rfc3339_opts(SecondsFormat::Millis, true);
        Request {
            path: "/auditEvents".to_owned(),
            query: vec![("fromDate", from), ("count", self.page_size.to_string())],
            arrays: &["auditEvents"],
            scope: "read:audit-events",
        }
    }

    fn trial_request(&self) -> Request {
        panic!("nobody checks here")
    }

    fn lookup(&self, _id: &str) -> Option<Request> {
        None
    }

    fn verdict(&self, _id: &str, _segment: &str, _found: &Lookup) -> Verdict {
        Verdict::Kept
    }

    fn census(&self) -> Option<Box<dyn Census>> {
        None
    }

    fn prelude(&self, _wanted: Option<&str>) -> Option<Box<dyn Prelude>> {
        None
    }

    fn fingerprint(&self, _element: &[u8]) -> Result<Fingerprint, Reject> {
        Ok(Fingerprint {
            id: String::new(),
            source: [0; 16],
        })
    }

    fn broken(&self, broken: &Broken) -> Reject {
        Reject {
            element_id: None,
            reason: RejectReason::NotJson,
            detail: broken.detail.clone(),
            raw: String::new(),
            raw_bytes: broken.length,
            sha256: broken.sha256,
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(PlainDecoder::default())
    }

    fn selection(&self) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Default)]
struct PlainDecoder {
    multiplicity: HashMap<(i64, u8), u32>,
    dates: Vec<Time>,
}

impl Decoder for PlainDecoder {
    fn decode(&mut self, element: &[u8], _print: Fingerprint, _known: Known, into: &mut Batch) {
        let (date, kind) = read_back(element);
        let occurrence = self.multiplicity.entry((date, kind)).or_default();
        let key = [element, &occurrence.to_be_bytes()].concat();
        *occurrence += 1;
        self.dates.push(moment(date));
        into.rows.row(&key, None, 1).timestamp(Some(moment(date)));
    }

    fn dates(&self) -> &[Time] {
        &self.dates
    }
}
