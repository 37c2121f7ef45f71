//! Hours of the day between which something may run, by the wall clock of a zone.

use std::fmt;
use std::str::FromStr;

use chrono::{Duration, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::Time;

/// The sentence about a window that cannot be read.
pub const WANTED: &str = "a window of the day such as \"22:00-06:00\" is expected, with two different times";
/// The way in which a setting writes a time of the day.
const FORM: &str = "%H:%M";

/// Two times of the wall clock; the second may be that of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from: NaiveTime,
    to: NaiveTime,
}

impl FromStr for Hours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once('-').ok_or(WANTED)?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), FORM).map_err(|_| WANTED);
        let hours = Self {
            from: time(from)?,
            to: time(to)?,
        };
        if hours.from == hours.to {
            return Err(WANTED);
        }
        Ok(hours)
    }
}

/// Hours of the day in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyWindow {
    hours: Hours,
    zone: Tz,
}

impl DailyWindow {
    /// Hours by the wall clock of `zone`.
    pub const fn new(hours: Hours, zone: Tz) -> Self {
        Self { hours, zone }
    }

    /// Whether the window is open: from its first minute on, up to and without its last one.
    pub fn is_open(&self, at: Time) -> bool {
        let Hours { from, to } = self.hours;
        let wall = at.with_timezone(&self.zone).time();
        if from < to {
            (from..to).contains(&wall)
        } else {
            wall >= from || wall < to
        }
    }

    /// When it opens next after `at`. An hour that the wall clock skips opens it when the clock goes on.
    pub fn opens_after(&self, at: Time) -> Time {
        let day = at.with_timezone(&self.zone).date_naive();
        let openings = (0..3).filter_map(|days| {
            let wall = (day + Duration::days(days)).and_time(self.hours.from);
            let of = |wall| self.zone.from_local_datetime(&wall).earliest();
            Some(
                of(wall)
                    .or_else(|| of(wall + Duration::hours(1)))?
                    .with_timezone(&Utc),
            )
        });
        openings
            .filter(|opening| *opening > at)
            .min()
            .unwrap_or(at + Duration::days(1))
    }
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { from, to } = self.hours;
        write!(out, "{}-{} {}", from.format(FORM), to.format(FORM), self.zone)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn window(hours: &str, zone: Tz) -> DailyWindow {
        DailyWindow::new(hours.parse().unwrap(), zone)
    }

    #[test]
    fn a_window_may_span_midnight_and_has_an_end_that_is_not_in_it() {
        let night = window("22:00-06:00", chrono_tz::Europe::Berlin);
        assert_eq!(night.to_string(), "22:00-06:00 Europe/Berlin");
        for (time, open) in [
            ("2026-01-10T20:59:59Z", false),
            ("2026-01-10T21:00:00Z", true),
            ("2026-01-11T04:59:59Z", true),
            ("2026-01-11T05:00:00Z", false),
            ("2026-07-10T20:00:00Z", true),
            ("2026-07-11T04:00:00Z", false),
        ] {
            assert_eq!(night.is_open(at(time)), open, "{time}");
        }
        let day = window("09:30-17:00", Tz::UTC);
        assert!(day.is_open(at("2026-01-10T09:30:00Z")) && !day.is_open(at("2026-01-10T17:00:00Z")));
    }

    #[test]
    fn it_opens_again_also_where_the_clock_skips_its_hour() {
        let night = window("22:00-06:00", Tz::UTC);
        assert_eq!(
            night.opens_after(at("2026-01-10T06:00:00Z")),
            at("2026-01-10T22:00:00Z")
        );
        assert_eq!(
            night.opens_after(at("2026-01-10T22:00:00Z")),
            at("2026-01-11T22:00:00Z")
        );
        let skipped = window("02:30-04:00", chrono_tz::Europe::Berlin);
        assert_eq!(
            skipped.opens_after(at("2026-03-28T23:00:00Z")),
            at("2026-03-29T01:30:00Z")
        );
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for wrong in [
            "",
            "22:00",
            "22:00-22:00",
            "22-06",
            "24:00-06:00",
            "22:00-06:60",
            "night",
        ] {
            assert_eq!(wrong.parse::<Hours>(), Err(WANTED), "{wrong}");
        }
    }
}
