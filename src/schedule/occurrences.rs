//! How often jobs come within a time. Reads no clock.

use super::plan::Timetable;
use crate::model::Time;

/// Occurrences that are counted one by one; of a job that comes more often the rest follows from its pace.
const COUNTED: u32 = 500;

/// How often a job is due after `from`, up to and with `until`.
pub fn occurrences(timetable: &Timetable, from: Time, until: Time) -> f64 {
    let mut at = from;
    for count in 0..COUNTED {
        match timetable.next_after(at) {
            Ok(next) if next <= until => at = next,
            _ => return f64::from(count),
        }
    }
    f64::from(COUNTED) * (until - from).as_seconds_f64() / (at - from).as_seconds_f64()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;
    use crate::model::job::Job;
    use crate::model::position::{Scope, Slot};

    fn timetable(cron: &str, zone: &str) -> Timetable {
        let slot = Slot {
            resource: "things",
            scope: Scope::Full,
        };
        let job = Job {
            name: "things".to_owned(),
            slot,
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
        };
        Timetable::of(&job).unwrap()
    }

    #[test]
    fn a_month_of_each_pace() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let (from, until) = (at("2026-10-01T00:00:00Z"), at("2026-11-01T00:00:00Z"));
        for (cron, zone, count) in [
            ("30 2 * * *", "UTC", 31.0),
            // The night of the 25th has 02:30 twice, and one run.
            ("30 2 * * *", "Europe/Berlin", 31.0),
            ("30 2 * * 0", "UTC", 4.0),
            ("30 2 1 * *", "UTC", 1.0),
            ("30 2 1 1 *", "UTC", 0.0),
            ("0 * * * *", "UTC", 744.0),
            ("*/10 * * * *", "UTC", 4464.0),
        ] {
            let found = occurrences(&timetable(cron, zone), from, until);
            assert!((found - count).abs() < count / 1000.0 + 1e-9, "{cron}: {found}");
        }
    }
}
