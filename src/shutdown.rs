//! Shutdown requests: SIGTERM (from an orchestrator) or SIGINT (from a person at a terminal). The first one asks every
//! task to stop at a safe point, the second one ends the process at once.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code that shells expect of an interrupted command.
const INTERRUPTED: i32 = 130;

/// A shutdown request.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// A shutdown without signals, for tests and for commands that end by themselves.
    pub fn manual() -> Self {
        Self {
            token: CancellationToken::new(),
        }
    }

    /// The token that a shutdown request cancels.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// A token for a part of the work, which may also be cancelled alone.
    pub fn child(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Whether a shutdown was requested.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for a shutdown request.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Runs the work of a command. After a shutdown request, the work has `patience` to reach a safe point; then it is dropped and
    /// none is returned.
    pub async fn farewell<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
        let late = async {
            self.requested().await;
            tokio::time::sleep(patience).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = late => None,
        }
    }

    /// Requests a shutdown from within the process.
    pub fn request(&self) {
        self.token.cancel();
    }
}

/// Listens for SIGTERM and SIGINT from now on.
///
/// The error is that of the operating system, if it refuses the registration.
pub fn listen() -> io::Result<Shutdown> {
    let shutdown = Shutdown::manual();
    let token = shutdown.token();
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(
            signal = name,
            "{name}: stopping at the next safe point (a second one ends at once)"
        );
        token.cancel();
        let name = signals.next().await;
        tracing::warn!(
            signal = name,
            "{name} again: ending at once; the next run continues from the last stored position"
        );
        std::process::exit(INTERRUPTED);
    });
    Ok(shutdown)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_command_that_waits_for_ever_is_left_once_the_end_is_asked_for() {
        let shutdown = Shutdown::manual();
        let patience = Duration::from_secs(9);
        assert_eq!(shutdown.farewell(patience, async { 7 }).await, Some(7));
        shutdown.request();
        assert_eq!(
            shutdown.farewell(patience, std::future::pending::<u8>()).await,
            None
        );
        let slow = async {
            tokio::time::sleep(patience / 2).await;
            7
        };
        assert_eq!(shutdown.farewell(patience, slow).await, Some(7));
    }
}
