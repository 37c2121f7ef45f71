//! Lists of which each parent's listing is read as a whole, once the parent has changed: histories of profiles.

use std::fmt::Debug;

use bytes::Bytes;

use super::batch::{Batch, Fingerprint};
use super::fault::Outcome;

/// Reads the answers about one parent. `resources` implements it without I/O.
pub trait History: Debug + Send + Sync {
    /// Takes an answer apart. A fault if it is no such answer.
    fn answer(&self, body: &[u8]) -> Outcome<Answer>;
    /// Adds the row of a parent, and a row for each item, from all answers about it. `parent` has its id and its hash as stored.
    fn decode(&self, parent: &Fingerprint, bodies: &[Bytes], into: &mut Batch);
}

/// What an answer about one parent holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The items of the answer.
    pub items: u64,
    /// How many there are in all, if it says so.
    pub total: Option<u64>,
}
