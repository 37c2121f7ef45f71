//! The port of messages about what is wrong: the rows of `sync.notifications`, and the time of the next sign of life.

use std::future::Future;
use std::time::Duration;

use crate::model::concern::Verdict;
use crate::model::fault::Outcome;
use crate::model::notification::Notification;

/// Keeps which messages were sent and are due. All times are by the database's clock.
pub trait NotificationStore: Send + Sync + 'static {
    /// Records what a state says: a new concern makes a message due, and so does the end of one that was told. Concerns about a resource that is not
    /// among the `known` ones end, too.
    fn judge(&self, verdicts: &[Verdict], known: &[String]) -> impl Future<Output = Outcome<()>> + Send;
    /// Claims all messages that are due and unclaimed, for `hold`.
    fn claim_due(&self, hold: Duration) -> impl Future<Output = Outcome<Vec<Notification>>> + Send;
    /// Records that a claimed message was sent; the next one about the same concern is due after `next`, or never.
    fn note_sent(
        &self,
        notification: &Notification,
        next: Option<Duration>,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// Records that a claimed message could not be sent; it is due again after `again`.
    fn note_unsent(
        &self,
        notification: &Notification,
        again: Duration,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// Whether a sign of life is due. Then the next one is due after `every`.
    fn claim_heartbeat(&self, every: Duration) -> impl Future<Output = Outcome<bool>> + Send;
}
