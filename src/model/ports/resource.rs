//! The port to a resource: its requests, and the decoding of its elements. `resources` implements it without I/O. Lists, walks
//! and feeds have further traits beside this file.

use crate::model::batch::{Batch, Fingerprint, Known, Reject};
use crate::model::page::{Broken, Request};
use crate::model::table::Table;

/// The common part of all resources, however they are read.
pub trait Resource: Send + Sync + 'static {
    /// The table that it fills.
    fn table(&self) -> &'static Table;
    /// Its name, which is its table's.
    fn name(&self) -> &'static str {
        self.table().name
    }
    /// The smallest request that shows whether the tenant allows this resource (`check` sends it).
    fn trial_request(&self) -> Request;
    /// The reject for an element that the reader could not cut off.
    fn broken(&self, broken: &Broken) -> Reject;
}

/// A resource whose elements have an id, so that they can be compared with their rows before they are decoded.
pub trait Identified: Resource {
    /// The id and the hash over the bytes, without decoding.
    fn fingerprint(&self, element: &[u8]) -> Result<Fingerprint, Reject>;
    /// The version of what becomes of personal data, by which it decodes: [`crate::model::personal_data::Treated`].
    fn treatment_version(&self) -> i64 {
        0
    }
    /// A decoder; one per lane, since it keeps state between elements.
    fn decoder(&self) -> Box<dyn Decoder>;
    /// A decoder of elements that were looked up by id. Such an answer may lack what a listing brings.
    fn lookup_decoder(&self) -> Box<dyn Decoder> {
        self.decoder()
    }
}

/// Turns identified elements into rows.
pub trait Decoder: Send {
    /// Decodes one element into the batch: a row, a refreshed hash, or a reject. `known` is never [`Known::Same`].
    fn decode(&mut self, element: &[u8], print: Fingerprint, known: Known, into: &mut Batch);
}
