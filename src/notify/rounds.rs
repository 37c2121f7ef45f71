//! The loop that looks at the state, sends what is due, and records it. It needs the database, which decides which replica sends. While the
//! database is away nothing is sent, the signs of life included, so that a dead-man switch notices.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::sender::{PATIENCE, Sender};
use crate::model::concern::{Goals, verdicts};
use crate::model::fault::{Fault, Outcome};
use crate::model::liveness::Liveness;
use crate::model::metrics::Messages;
use crate::model::notification::Notification;
use crate::model::ports::NotificationStore;
use crate::model::status::Status;

/// How long a claim lasts: longer than sending and recording take.
const HOLD: Duration = Duration::from_mins(1);
/// The wait after the first failed attempt; it doubles with each further one.
const AGAIN: Duration = Duration::from_secs(30);
/// The longest wait between two attempts.
const LATEST: Duration = Duration::from_hours(1);

const _: () = assert!(PATIENCE.as_secs() * 2 < HOLD.as_secs());

/// When messages are sent.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The pause between two looks at the state.
    pub every: Duration,
    /// The wait from a first message to its first reminder; it doubles with each one.
    pub remind_after: Duration,
    /// The longest wait between two reminders.
    pub remind_at_most: Duration,
    /// The pause between two signs of life.
    pub heartbeat_every: Duration,
    /// How old the last round of the schedule may be for a sign of life.
    pub longest_silence: Duration,
}

/// What the rounds of one process need.
pub struct Rounds<S> {
    /// Which messages were sent.
    pub store: Arc<S>,
    /// Where they go.
    pub sender: Sender,
    /// When.
    pub pace: Pace,
    /// How far each table may be behind the tenant.
    pub goals: Goals,
    /// Counts what was sent and what was not.
    pub messages: Arc<Messages>,
}

impl<S: NotificationStore> Rounds<S> {
    /// Looks and sends until `cancel`, and finishes the round that it is in. A failure is logged, and the next round tries again.
    pub async fn run<L: Future<Output = Outcome<Status>>>(
        &self,
        look: impl Fn() -> L,
        liveness: &Liveness,
        cancel: &CancellationToken,
    ) {
        loop {
            self.round(&look, liveness).await;
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(self.pace.every) => {}
            }
        }
    }

    async fn round<L: Future<Output = Outcome<Status>>>(&self, look: &impl Fn() -> L, liveness: &Liveness) {
        if self.sender.has_webhook()
            && let Err(fault) = self.tell(look).await
        {
            // The schedule reports an unreachable database itself.
            tracing::debug!(%fault, "what is due to be told could not be read or recorded");
        }
        if self.sender.has_heartbeat()
            && liveness.age() <= self.pace.longest_silence
            && let Err(fault) = self.beat().await
        {
            log(&fault, "the sign of life could not be sent");
        }
    }

    /// Looks at the state once, and sends what is due.
    pub async fn tell<L: Future<Output = Outcome<Status>>>(&self, look: &impl Fn() -> L) -> Outcome<()> {
        let status = look().await?;
        let known = status.resources.iter().map(|it| it.resource.clone());
        let known: Vec<String> = known.collect();
        self.store.judge(&verdicts(&status, &self.goals), &known).await?;
        let due = self.store.claim_due(HOLD).await?;
        if due.is_empty() {
            return Ok(());
        }
        match self.sender.tell(&due, status.tenant.as_deref()).await {
            Ok(()) => {
                self.messages.sent.add(1);
                tracing::info!(
                    messages = due.len(),
                    "told the webhook of {} change(s)",
                    due.len()
                );
                for notification in &due {
                    let next = self.pace.reminder(notification);
                    self.store.note_sent(notification, next).await?;
                }
            }
            Err(error) => {
                self.messages.failed.add(1);
                log(&error.into(), "a message could not be sent; trying again later");
                for notification in &due {
                    self.store
                        .note_unsent(notification, again(notification.failed))
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Sends a sign of life if one is due. One that could not be sent is not made up for: the next one comes by its time.
    pub async fn beat(&self) -> Outcome<()> {
        if self.store.claim_heartbeat(self.pace.heartbeat_every).await? {
            let sent = self.sender.beat().await;
            let counter = if sent.is_ok() {
                &self.messages.sent
            } else {
                &self.messages.failed
            };
            counter.add(1);
            sent?;
        }
        Ok(())
    }
}

impl Pace {
    /// The wait from this message to its reminder; none where nothing can end.
    fn reminder(&self, notification: &Notification) -> Option<Duration> {
        let wait = doubled(self.remind_after, notification.sent, self.remind_at_most);
        notification.subject.concern.can_end().then_some(wait)
    }
}

/// The wait after so many failed attempts and this one.
fn again(failed: i32) -> Duration {
    doubled(AGAIN, failed, LATEST)
}

fn doubled(first: Duration, times: i32, most: Duration) -> Duration {
    let factor = u32::try_from(times)
        .ok()
        .and_then(|times| 1_u32.checked_shl(times))
        .filter(|factor| *factor > 0);
    factor
        .and_then(|factor| first.checked_mul(factor))
        .unwrap_or(most)
        .min(most)
}

fn log(fault: &Fault, what: &str) {
    tracing::warn!(%fault, hint = fault.hint, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound() {
        let hours = Duration::from_hours;
        let waits: Vec<Duration> = (0..7).map(|sent| doubled(hours(1), sent, hours(24))).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 24, 24].map(hours));
        for absurd in [31, 32, 33, i32::MAX, -1] {
            assert_eq!(doubled(hours(1), absurd, hours(24)), hours(24), "{absurd}");
        }
    }
}
