//! A message about a concern that is due, as the store hands it to one replica.

use super::Time;
use super::concern::Subject;

/// What a message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The concern has begun, or more of what cannot end has come.
    Began,
    /// The concern lasts.
    Lasts,
    /// All is well again.
    Ended,
}

impl Event {
    /// The word in a message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Lasts => "lasts",
            Self::Ended => "ended",
        }
    }
}

/// A message that is due and that this process has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What it is about.
    pub subject: Subject,
    /// What it tells.
    pub event: Event,
    /// How much of it there is: see [`super::concern::Verdict`].
    pub amount: i64,
    /// When the concern was noticed, by the database's clock.
    pub began_at: Time,
    /// The database's clock at the claim.
    pub now: Time,
    /// Messages that were sent about the concern before, since it began.
    pub sent: i32,
    /// Attempts to send this message that failed.
    pub failed: i32,
    /// The number of the claim. A later claim has another one, so that what an earlier one records no longer counts.
    pub fence: i64,
}
