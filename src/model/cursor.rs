//! The durable record of how far a slot has come.

use super::Time;
use super::position::Position;

/// The durable record of a position and a watermark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The position of an open walk.
    pub position: Option<Position>,
    /// The time up to which everything was read.
    pub watermark: Option<Time>,
    /// The segment that the last complete full walk read.
    pub segment: Option<String>,
    /// The id up to which the last sweep looked up its candidates; none if it looked up all.
    pub asked_through: Option<String>,
}
