//! Audit events in the plainest form, so that thousands of tenants take seconds: an element is its date and its kind.
//! Equal ones are numbered within a response, as the real resource does it.

use std::collections::HashMap;

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::{Batch, Reject};
use blueconic_sync::model::event::Rename;
use blueconic_sync::model::page::{Broken, RejectReason, Request};
use blueconic_sync::model::ports::{Feed, FeedDecoder, Resource};
use blueconic_sync::model::table::{Merge, Table};
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
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn trial_request(&self) -> Request {
        panic!("nobody checks here")
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
}

impl Feed for PlainEvents {
    fn page(&self, from: Time) -> Request {
        let from = from.to_rfc3339_opts(SecondsFormat::Millis, true);
        Request {
            path: "/auditEvents".to_owned(),
            query: vec![("fromDate", from), ("count", self.page_size.to_string())],
            arrays: &["auditEvents"],
            scope: "read:audit-events",
        }
    }

    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn decoder(&self, _renames: &[Rename]) -> Box<dyn FeedDecoder> {
        Box::new(PlainDecoder::default())
    }
}

#[derive(Default)]
struct PlainDecoder {
    multiplicity: HashMap<(i64, u8), u32>,
    dates: Vec<Time>,
}

impl FeedDecoder for PlainDecoder {
    fn decode(&mut self, element: &[u8], into: &mut Batch) {
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
