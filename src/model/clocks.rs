//! The two own clocks: this process's and the database's. A time from outside (a `Date`, a stored watermark) is compared with
//! both before it is used. Knows times and nothing else.

use chrono::TimeDelta;

use super::Time;

/// How far a watermark may lie ahead of both own clocks. Clocks with NTP differ by milliseconds, and both readings and the
/// write happen within a few seconds. A minute is far above that, and far below the smallest default `overlap`, which reads
/// again what a minute could hide.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// The readings of both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnClocks {
    /// This process's clock.
    pub process: Time,
    /// The database's clock (`sync.clock()`).
    pub database: Time,
}

impl OwnClocks {
    /// The earlier reading.
    pub fn earlier(self) -> Time {
        self.process.min(self.database)
    }

    /// The later reading.
    pub fn later(self) -> Time {
        self.process.max(self.database)
    }

    /// The latest plausible time: anything after it lies in the future.
    pub fn bound(self) -> Time {
        later_by(self.later(), TOLERANCE)
    }

    /// Whether a time does not lie in the future.
    pub fn believe(self, time: Time) -> bool {
        time <= self.bound()
    }

    /// The process's clock minus the database's, if they differ by more than the tolerance.
    pub fn difference(self) -> Option<TimeDelta> {
        Some(self.process - self.database).filter(|apart| apart.abs() > TOLERANCE)
    }

    /// How far a time from outside is ahead of both clocks (positive) or behind both (negative), if that is more than the
    /// tolerance.
    pub fn departure(self, time: Time) -> Option<TimeDelta> {
        let ahead = time - self.later();
        let behind = time - self.earlier();
        if ahead > TOLERANCE {
            Some(ahead)
        } else {
            Some(behind).filter(|behind| *behind < -TOLERANCE)
        }
    }
}

/// Adds a duration; a time at the end of the calendar stays.
pub fn later_by(time: Time, delta: TimeDelta) -> Time {
    time.checked_add_signed(delta).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_700_000_000 + seconds, 0).unwrap_or_default()
    }

    #[test]
    fn only_what_passes_both_clocks_is_not_believed() {
        let own = OwnClocks {
            process: at(0),
            database: at(600),
        };
        assert!(own.believe(at(660)) && !own.believe(at(661)));
        assert_eq!(own.departure(at(300)), None);
        assert_eq!(own.departure(at(-60)), None);
        assert_eq!(own.departure(at(-61)), Some(TimeDelta::seconds(-61)));
        assert_eq!(own.departure(at(661)), Some(TimeDelta::seconds(61)));
        assert_eq!(own.difference(), Some(TimeDelta::seconds(-600)));
    }
}
