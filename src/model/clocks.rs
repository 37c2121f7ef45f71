//! The two clocks that are ours: this process's and the database's. A time from outside (a `Date`, a stored watermark) is
//! held against both of them before anything follows from it. Knows times and nothing else.

use chrono::TimeDelta;

use super::Time;

/// By how much a watermark may lie ahead of both own clocks. Clocks that NTP keeps differ by milliseconds, and the two
/// readings and the write lie less than a few seconds apart; a minute is far above that, and far below the smallest
/// `overlap` of the defaults, which reads again whatever a minute could hide.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// What the two clocks showed at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnClocks {
    /// This process's clock.
    pub process: Time,
    /// The database's clock (`sync.clock()`).
    pub database: Time,
}

impl OwnClocks {
    /// The clock that claims less.
    pub fn earlier(self) -> Time {
        self.process.min(self.database)
    }

    /// The clock that claims more.
    pub fn later(self) -> Time {
        self.process.max(self.database)
    }

    /// The latest time that can have been reached: what lies behind it has not happened yet.
    pub fn bound(self) -> Time {
        later_by(self.later(), TOLERANCE)
    }

    /// Whether a time can have been reached.
    pub fn believe(self, time: Time) -> bool {
        time <= self.bound()
    }

    /// How far apart the two are, where that is more than the tolerance: the process's less the database's.
    pub fn difference(self) -> Option<TimeDelta> {
        Some(self.process - self.database).filter(|apart| apart.abs() > TOLERANCE)
    }

    /// How far a time from outside is ahead of both (positive) or behind both (negative), where that is more than the
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

/// So much later; a time at the end of the calendar stays.
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
