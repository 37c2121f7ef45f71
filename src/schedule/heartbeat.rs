//! The ticks at which the schedule checks for due jobs: a UTC job of tokio-cron-scheduler. That library freezes a
//! zone's offset when a job is added, forgets missed ticks and allows overlaps, so times and claims are computed here.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler};

use super::error::ScheduleError;

/// The ticks. Ticks that arrive while the schedule is busy count as one.
#[derive(Debug)]
pub struct Heartbeat {
    ticks: mpsc::Receiver<()>,
    /// After this time without a tick, one is made up: tokio-cron-scheduler uses the wall clock and is silent for an
    /// hour if that is set back by one. None for manual ticks.
    patience: Option<Duration>,
    source: Option<Source>,
}

/// The library's scheduler, which has no `Debug`.
struct Source(JobScheduler);

impl std::fmt::Debug for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JobScheduler")
    }
}

/// Manual ticks, for tests.
#[derive(Debug, Clone)]
pub struct ManualTicks(mpsc::Sender<()>);

impl ManualTicks {
    /// Ticks, unless a tick is waiting already.
    pub fn tick(&self) {
        let _ = self.0.try_send(());
    }
}

impl Heartbeat {
    /// Ticks about every `period`, from one second to an hour.
    pub async fn every(period: Duration) -> Result<Self, ScheduleError> {
        let (sender, ticks) = mpsc::channel(1);
        let scheduler = JobScheduler::new().await?;
        let job = Job::new_async(expression(period).as_str(), move |_, _| {
            let sender = sender.clone();
            Box::pin(async move {
                // A full channel holds a tick that was not taken yet, which is as good as this one.
                let _ = sender.try_send(());
            })
        })?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(Self {
            ticks,
            patience: Some(period.max(Duration::from_secs(1)) * 3),
            source: Some(Source(scheduler)),
        })
    }

    /// A heartbeat with manual ticks.
    pub fn manual() -> (ManualTicks, Self) {
        let (sender, ticks) = mpsc::channel(1);
        let heartbeat = Self {
            ticks,
            patience: None,
            source: None,
        };
        (ManualTicks(sender), heartbeat)
    }

    /// Waits for the next tick.
    pub async fn next(&mut self) {
        let Some(patience) = self.patience else {
            if self.ticks.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            return;
        };
        let late = tokio::time::sleep(patience);
        tokio::pin!(late);
        tokio::select! {
            Some(()) = self.ticks.recv() => {}
            () = &mut late => tracing::debug!(patience_ms = patience.as_millis(), "the heartbeat is late"),
        }
    }

    /// Stops the ticks.
    pub async fn stop(mut self) {
        if let Some(Source(mut scheduler)) = self.source.take()
            && let Err(error) = scheduler.shutdown().await
        {
            tracing::debug!(%error, "the heartbeat did not end");
        }
    }
}

/// A cron expression of six fields. A period that does not divide a minute ticks a little early once a minute, which does no
/// harm.
fn expression(period: Duration) -> String {
    match period.as_secs() {
        0 | 1 => "* * * * * *".to_owned(),
        seconds @ 2..60 => format!("*/{seconds} * * * * *"),
        seconds @ 60..3600 => format!("0 */{} * * * *", seconds / 60),
        _ => "0 0 * * * *".to_owned(),
    }
}
