//! The durable record of how far a slot has come.

use super::Time;
use super::position::Position;

/// The durable record of a position and a watermark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Where an open walk stands.
    pub position: Option<Position>,
    /// Complete through.
    pub watermark: Option<Time>,
    /// The segment that the last complete full walk read.
    pub segment: Option<String>,
    /// Up to which id the last sweep asked for its candidates; none when it asked for all.
    pub asked_through: Option<String>,
}
