//! The durable record of how far a slot has come.

use super::Time;
use super::position::{Position, Scope};

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

/// How far a resource has come in both scopes, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The database's clock at that moment.
    pub now: Time,
    /// The cursor of full walks.
    pub full: Cursor,
    /// The cursor of increments.
    pub increment: Cursor,
}

impl Standing {
    /// The cursor of a scope.
    pub fn of(&self, scope: Scope) -> &Cursor {
        match scope {
            Scope::Full => &self.full,
            Scope::Increment => &self.increment,
        }
    }
}
