//! Waiting for a database that is away when the service starts, or when it applies other settings. The process counts as alive
//! meanwhile, since a restart would not help.

use std::time::Duration;

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::liveness::Liveness;
use crate::shutdown::Shutdown;

/// The wait between two attempts.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How often the process counts as alive while it waits.
const ALIVE: Duration = Duration::from_secs(1);

/// Repeats `attempt` while it fails since the database cannot be reached. `note` gets each such fault; the first is logged as a warning.
///
/// Other faults are returned, and a shutdown request ends the wait at once.
pub(super) async fn attempt<T>(
    liveness: &Liveness,
    shutdown: &Shutdown,
    note: impl Fn(&Fault),
    mut attempt: impl AsyncFnMut() -> Outcome<T>,
) -> Outcome<T> {
    let tries = async {
        let mut is_away = false;
        loop {
            let fault = match attempt().await {
                Err(fault) if fault.is_transient() && fault.of_database => fault,
                done => {
                    if is_away {
                        tracing::info!("the database answers");
                    }
                    return done;
                }
            };
            note(&fault);
            if is_away {
                tracing::debug!("the database is still away: {fault}");
            } else {
                let hint = fault.hint.as_deref().unwrap_or_default();
                tracing::warn!(hint, "waiting for the database: {fault}");
            }
            is_away = true;
            tokio::time::sleep(TRY_AGAIN).await;
        }
    };
    tokio::select! {
        biased;
        () = shutdown.requested() => {
            Err(Fault::new(Kind::Interrupted, "interrupted while waiting for the database"))
        }
        done = tries => done,
        never = alive(liveness) => match never {},
    }
}

async fn alive(liveness: &Liveness) -> std::convert::Infallible {
    loop {
        liveness.record();
        tokio::time::sleep(ALIVE).await;
    }
}
