//! The job that removes what is no longer kept.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::settings::Settings;
use crate::model::job::Again;
use crate::model::retention::Kept;
use crate::postgres::store::PostgresStore;

/// When it is tried again after a fault that passes, or after somebody was in the way.
const AFTER_A_FAULT: Duration = Duration::from_hours(1);

/// Runs the job, until `stop`.
pub(super) async fn run_job(settings: &Settings, store: &PostgresStore, stop: &CancellationToken) -> Again {
    let kept = Kept {
        runs: settings.retention.runs,
        audit_events: settings.retention.audit_events,
    };
    match store.keep_house(kept, stop).await {
        Ok(removed) => {
            if removed.runs > 0 || !removed.partitions.is_empty() {
                tracing::info!(
                    runs = removed.runs,
                    partitions = removed.partitions.join(", "),
                    "housekeeping removed {} runs, of which the totals by day stay, and {} months of audit events",
                    removed.runs,
                    removed.partitions.len()
                );
            }
            match removed.postponed {
                Some(why) => {
                    tracing::info!("old audit events are removed later: {why}");
                    Again::After(AFTER_A_FAULT)
                }
                None if stop.is_cancelled() => Again::After(Duration::ZERO),
                None => Again::OnTime,
            }
        }
        Err(fault) => {
            tracing::warn!(%fault, hint = fault.hint, "the housekeeping broke off; trying again in an hour");
            Again::After(AFTER_A_FAULT)
        }
    }
}
