//! Whether the tenant answers at all. After several faults in a row, whichever requests met them, one request at a time is sent, ever
//! more seldom, until one is answered: an outage costs requests, which the tenant counts, and those of all jobs would fail alike. That is
//! for a service; a command asks each thing as long as its patience lasts, and tells what came of it.

use std::time::Duration;

/// Faults in a row from which on it is an outage. A gateway that fails one request in ten has so many once in a hundred thousand.
const FAULTS: u32 = 5;
/// The longest time without a request in an outage: that of a job that has failed.
const LONGEST: Duration = Duration::from_mins(5);

/// The faults since the last answer.
#[derive(Debug)]
pub(super) struct Outage {
    /// The pause of an outage that begins; it doubles with each further fault. None: nothing is taken for an outage.
    shortest: Option<Duration>,
    faults: u32,
    since: Option<Duration>,
}

impl Outage {
    /// What takes nothing for an outage.
    pub(super) fn off() -> Self {
        Self {
            shortest: None,
            faults: 0,
            since: None,
        }
    }

    pub(super) fn new(shortest: Duration) -> Self {
        Self {
            shortest: Some(shortest),
            faults: 0,
            since: None,
        }
    }

    /// Whether the tenant is taken for being away.
    pub(super) fn is_on(&self) -> bool {
        self.shortest.is_some() && self.faults >= FAULTS
    }

    /// Notes a fault. Returns the time for which nothing is to be sent, once it is an outage, and whether it begins here.
    pub(super) fn failed(&mut self, now: Duration) -> Option<(Duration, bool)> {
        let shortest = self.shortest?;
        self.since.get_or_insert(now);
        self.faults = self.faults.saturating_add(1);
        let more = self.faults.checked_sub(FAULTS)?;
        let pause = shortest.saturating_mul(1 << more.min(20)).min(LONGEST);
        Some((pause, more == 0))
    }

    /// Notes an answer. Returns how long the outage lasted that ends with it.
    pub(super) fn answered(&mut self, now: Duration) -> Option<Duration> {
        let was_on = self.is_on();
        self.faults = 0;
        let since = self.since.take()?;
        was_on.then(|| now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn faults_in_a_row_are_an_outage_and_pauses_grow_up_to_five_minutes() {
        let mut outage = Outage::new(seconds(1));
        for fault in 0..4 {
            assert_eq!(outage.failed(seconds(fault)), None);
        }
        assert!(!outage.is_on());
        assert_eq!(outage.answered(seconds(4)), None, "it was none");
        let pauses: Vec<_> = (10..40).filter_map(|now| outage.failed(seconds(now))).collect();
        let wanted = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map(seconds);
        assert_eq!(
            pauses
                .iter()
                .map(|(pause, _)| *pause)
                .take(11)
                .collect::<Vec<_>>(),
            wanted
        );
        assert_eq!(pauses.iter().filter(|(_, begins)| *begins).count(), 1);
        assert_eq!(outage.answered(seconds(70)), Some(seconds(60)));
        assert!(!outage.is_on());
        assert_eq!(outage.failed(seconds(80)), None, "counted from the start");
    }
}
