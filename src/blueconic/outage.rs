//! Whether the tenant answers at all. After several faults in a row (five, or two at rest), whichever requests met them, one request at a time is sent, ever
//! more seldom, until one is answered: an outage costs requests, which the tenant counts, and those of all jobs would fail alike. That is
//! for a service; a command asks each thing as long as its patience lasts, and tells what came of it.

use std::time::Duration;

/// Faults in a row from which on it is an outage. A gateway that fails one request in ten has so many once in a hundred thousand.
const FAULTS: u32 = 5;
/// The same where nothing was answered for [`QUIET`] before. A service at rest sends a request every few minutes: each that only finds the
/// tenant still away is one more than usual.
const FAULTS_AT_REST: u32 = 2;
/// From when on the service was at rest, and the first pause of an outage that begins then.
const QUIET: Duration = Duration::from_mins(1);
/// The longest time without a request in an outage: that of a job that has failed.
const LONGEST: Duration = Duration::from_mins(5);

/// The faults since the last answer.
#[derive(Debug)]
pub(super) struct Outage {
    /// The pause of an outage that begins; it doubles with each further fault, at rest twice. None: nothing is taken for an outage.
    shortest: Option<Duration>,
    faults: u32,
    since: Option<Duration>,
    answered_at: Option<Duration>,
    /// Whether the service was at rest before the first fault.
    was_at_rest: bool,
}

impl Outage {
    /// What takes nothing for an outage.
    pub(super) fn off() -> Self {
        Self {
            shortest: None,
            faults: 0,
            since: None,
            answered_at: None,
            was_at_rest: false,
        }
    }

    pub(super) fn new(shortest: Duration) -> Self {
        Self {
            shortest: Some(shortest),
            ..Self::off()
        }
    }

    /// Whether the tenant is taken for being away.
    pub(super) fn is_on(&self) -> bool {
        self.shortest.is_some() && self.faults >= self.enough()
    }

    /// So many faults are an outage.
    fn enough(&self) -> u32 {
        if self.was_at_rest { FAULTS_AT_REST } else { FAULTS }
    }

    /// Notes a fault. Returns the time for which nothing is to be sent, once it is an outage, and whether it begins here.
    pub(super) fn failed(&mut self, now: Duration) -> Option<(Duration, bool)> {
        let shortest = self.shortest?;
        if self.since.is_none() {
            self.since = Some(now);
            self.was_at_rest = self
                .answered_at
                .is_some_and(|answered| now.saturating_sub(answered) >= QUIET);
        }
        self.faults = self.faults.saturating_add(1);
        let more = self.faults.checked_sub(self.enough())?;
        let (first, doublings) = if self.was_at_rest {
            (shortest.max(QUIET), more.saturating_mul(2))
        } else {
            (shortest, more)
        };
        let pause = first.saturating_mul(1 << doublings.min(20)).min(LONGEST);
        Some((pause, more == 0))
    }

    /// Notes an answer. Returns how long the outage lasted that ends with it.
    pub(super) fn answered(&mut self, now: Duration) -> Option<Duration> {
        let was_on = self.is_on();
        self.faults = 0;
        self.answered_at = Some(now);
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

    #[test]
    fn at_rest_two_faults_are_an_outage_and_its_pauses_are_long() {
        let mut outage = Outage::new(seconds(1));
        outage.answered(seconds(100));
        assert_eq!(outage.failed(seconds(160)), None);
        let pauses = [161, 221, 461, 761].map(|now| outage.failed(seconds(now)));
        let wanted = [(60, true), (240, false), (300, false), (300, false)];
        assert_eq!(
            pauses,
            wanted.map(|(pause, begins)| Some((seconds(pause), begins)))
        );
        assert_eq!(outage.answered(seconds(1061)), Some(seconds(901)));
        assert_eq!(outage.failed(seconds(1062)), None);
        assert_eq!(outage.failed(seconds(1063)), None, "it was not at rest");
        let mut young = Outage::new(seconds(1));
        assert_eq!(young.failed(seconds(1000)), None);
        assert_eq!(young.failed(seconds(1001)), None, "nothing was answered before");
    }
}
