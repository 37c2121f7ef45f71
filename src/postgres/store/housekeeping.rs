//! Housekeeping, step by step.

use tokio_util::sync::CancellationToken;

use crate::model::fault::Outcome;
use crate::model::retention::{Kept, Removed};
use crate::postgres::housekeeping::{self, DROPPING, FORGETTING};
use crate::postgres::waits::WaitLimit;

use super::PostgresStore;

impl PostgresStore {
    /// Removes what is no longer kept, until `stop`. A month of audit events that somebody reads for long is left to the next time.
    pub async fn keep_house(&self, kept: Kept, stop: &CancellationToken) -> Outcome<Removed> {
        let mut removed = Removed::default();
        while !stop.is_cancelled() {
            let forgotten = self
                .watch(FORGETTING, async |session| {
                    housekeeping::forget_runs(session, kept.runs).await
                })
                .await?;
            removed.runs += forgotten;
            if forgotten == 0 {
                break;
            }
        }
        let Some(keep) = kept.audit_events else {
            return Ok(removed);
        };
        let months = self
            .watch(DROPPING, async |session| {
                housekeeping::old_months(session, keep).await
            })
            .await?;
        for month in months {
            if stop.is_cancelled() {
                break;
            }
            // The connection has the limits of this work and is not used again.
            let mut session = self.watched(DROPPING).await?;
            let watch = session.work();
            let dropping = housekeeping::drop_month(&mut session, &month);
            match watch.wait(DROPPING, WaitLimit::None, dropping).await {
                Ok(()) => removed.partitions.push(month.name),
                Err(error) if error.is_lock_not_had() => {
                    removed.postponed = Some(format!("`{}`: {error}", month.name));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(removed)
    }
}
