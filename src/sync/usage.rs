//! Writes what this process sends to the tenant and receives from it into the ledger of the month, which all processes share. Only what came
//! since the last write is added, and nothing is written while nothing is sent. A write whose answer is lost is repeated, so that the
//! ledger may count a few seconds twice, and never too little but for a process that is killed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::model::fault::Outcome;
use crate::model::metrics::Traffic;
use crate::model::ports::UsageStore;
use crate::model::usage::{Budget, Used, WARN_PERCENT};

/// Writes the counters of a process into the ledger. Clones write the same counters once.
#[derive(Debug, Clone)]
pub struct UsageWriter<T> {
    store: T,
    traffic: Arc<Traffic>,
    budget: Budget,
    /// What the ledger has of the counters.
    written: Arc<Mutex<Used>>,
}

impl<T: UsageStore> UsageWriter<T> {
    /// Nothing of these counters is in the ledger yet. `budget`: the limits that are warned of.
    pub fn new(store: T, traffic: Arc<Traffic>, budget: Budget) -> Self {
        Self {
            store,
            traffic,
            budget,
            written: Arc::default(),
        }
    }

    /// The same counters with another store and other limits.
    #[must_use]
    pub fn over(&self, store: T, budget: Budget) -> Self {
        Self {
            store,
            budget,
            ..self.clone()
        }
    }

    /// Writes what is not in the ledger yet.
    pub async fn write(&self) -> Outcome<()> {
        let mut written = self.written.lock().await;
        let counted = self.traffic.used();
        let more = counted.since(&written);
        if more.is_none() {
            return Ok(());
        }
        let (requests, bytes) = self.store.add_usage(&more).await?;
        *written = counted;
        let setting = "limits.requests_per_month";
        warn_once(setting, "requests", self.budget.requests, requests, more.requests);
        let setting = "limits.traffic_per_month";
        warn_once(setting, "bytes", self.budget.bytes, bytes, more.received);
        Ok(())
    }

    /// Writes every so often until dropped.
    pub async fn keep(&self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            if let Err(fault) = self.write().await {
                tracing::debug!(%fault, "the usage could not be written; trying again");
            }
        }
    }

    /// Writes for the last time, within `patience`.
    pub async fn close(&self, patience: Duration) {
        let lost = match tokio::time::timeout(patience, self.write()).await {
            Ok(Ok(())) => return,
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "the database did not answer in time".to_owned(),
        };
        let hint = "nothing: the ledger has a few requests too few";
        tracing::warn!(
            hint,
            "the last seconds of usage could not be written into `sync.usage`: {lost}"
        );
    }
}

/// Warns if the last `more` of a month's `total` crossed a share of the limit. The write that crosses it is one of all processes' writes, so
/// that the log of one of them has the warning, once.
fn warn_once(setting: &str, unit: &str, limit: Option<u64>, total: u64, more: u64) {
    let Some(limit) = limit else { return };
    let Some(percent) = crossed(limit, total, more) else {
        return;
    };
    let hint = if percent < 100 {
        "what is left is spread: due full walks over profiles may be put off; see `blueconic-sync status`"
    } else {
        "full walks over profiles wait for the next month, and other jobs run every six hours at the most; raise the limit if that is not \
         meant"
    };
    tracing::warn!(
        used = total,
        limit,
        hint,
        "{percent}% of `{setting}` are used: {total} of {limit} {unit}"
    );
}

/// The highest share, in percent, that a total has passed with its last part.
fn crossed(limit: u64, total: u64, more: u64) -> Option<u64> {
    let reaches =
        |amount: u64, percent: u64| u128::from(amount) * 100 >= u128::from(limit) * u128::from(percent);
    let before = total.saturating_sub(more);
    [100, WARN_PERCENT]
        .into_iter()
        .find(|percent| reaches(total, *percent) && !reaches(before, *percent))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Sync;
    use std::sync::PoisonError;

    use super::*;
    use crate::model::fault::{Fault, Kind};

    /// A ledger in memory, with faults to order.
    #[derive(Clone, Default)]
    struct Memory(Arc<Sync<(Vec<Used>, bool)>>);

    impl UsageStore for Memory {
        async fn add_usage(&self, more: &Used) -> Outcome<(u64, u64)> {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.1 {
                return Err(Fault::new(Kind::Transient, "the database is away"));
            }
            state.0.push(*more);
            let sum = |of: fn(&Used) -> u64| state.0.iter().map(of).sum();
            Ok((sum(|one| one.requests), sum(|one| one.received)))
        }
    }

    impl Memory {
        fn away(&self, is_away: bool) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = is_away;
        }

        fn written(&self) -> Vec<u64> {
            let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.0.iter().map(|one| one.requests).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_count_is_written_once_and_nothing_at_rest() {
        let (store, traffic) = (Memory::default(), Arc::new(Traffic::default()));
        let writer = UsageWriter::new(store.clone(), Arc::clone(&traffic), Budget::default());
        let send = |count| (0..count).for_each(|_| traffic.answered(Some(200), Duration::ZERO));
        let keep = |time| tokio::time::timeout(time, writer.keep(Duration::from_secs(10)));
        send(3);
        assert!(keep(Duration::from_secs(65)).await.is_err(), "it goes on");
        assert_eq!(store.written(), [3]);
        // What could not be written is written later.
        store.away(true);
        send(2);
        assert!(keep(Duration::from_secs(25)).await.is_err());
        store.away(false);
        send(1);
        let other = writer.over(store.clone(), Budget::default());
        other.close(Duration::from_secs(1)).await;
        writer.close(Duration::from_secs(1)).await;
        assert_eq!(store.written(), [3, 3]);
    }

    #[test]
    fn a_share_is_crossed_once() {
        assert_eq!(crossed(1000, 799, 799), None);
        assert_eq!(crossed(1000, 800, 1), Some(80));
        assert_eq!(crossed(1000, 801, 1), None);
        assert_eq!(crossed(1000, 1000, 1), Some(100));
        assert_eq!(crossed(1000, 5000, 4500), Some(100), "both at once");
        assert_eq!(crossed(1, u64::MAX, u64::MAX), Some(100));
    }
}
