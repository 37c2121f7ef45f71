//! How full the pages of audit events are. A tenant that answers newest first returns one page of the newest events and
//! hides the others. The page fill warns before that happens, and names the schedule that prevents it.

use chrono::TimeDelta;

/// The page fill, in percent, from which an operator must act.
const ALARM: u64 = 80;
/// The wanted page fill, in percent: half a page, so that a busy hour still fits.
const WANTED: u64 = 50;

/// The events since the watermark in relation to the page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageFill {
    /// Events in percent of a page.
    pub(crate) percent: u64,
    events: u64,
    page_size: u64,
    since: TimeDelta,
}

impl PageFill {
    /// The fill by `events` that came during `since`.
    pub(crate) fn new(events: u64, page_size: u64, since: TimeDelta) -> Self {
        Self {
            percent: events.saturating_mul(100) / page_size.max(1),
            events,
            page_size,
            since,
        }
    }

    /// The advice to the operator; none while the pages have room.
    pub(crate) fn advice(self) -> Option<String> {
        if self.percent < ALARM {
            return None;
        }
        let (every, cron) = cadence(self.seconds_between_polls());
        Some(format!(
            "{}{} audit events came in {}, and the tenant gives no more than its newest {} at once: what does not fit is lost; \
             poll at least every {every} (`resources.audit_events.schedule = \"{cron}\"`)",
            if self.percent < 100 { "" } else { "at least " },
            self.events,
            spoken(self.since),
            self.page_size
        ))
    }

    /// The seconds until half a page has come, at the rate seen.
    fn seconds_between_polls(self) -> u64 {
        let seconds = u64::try_from(self.since.num_seconds()).unwrap_or(0);
        seconds.saturating_mul(WANTED) / self.percent.max(1)
    }
}

/// The longest common polling interval of at most `seconds`, in words and as a cron expression.
fn cadence(seconds: u64) -> (String, String) {
    const MINUTES: [u64; 9] = [30, 20, 15, 10, 5, 4, 3, 2, 1];
    const SECONDS: [u64; 4] = [30, 20, 15, 10];
    if let Some(minutes) = MINUTES.into_iter().find(|minutes| minutes * 60 <= seconds) {
        return match minutes {
            1 => ("minute".to_owned(), "* * * * *".to_owned()),
            _ => (format!("{minutes} minutes"), format!("*/{minutes} * * * *")),
        };
    }
    let fit = SECONDS.into_iter().find(|fit| *fit <= seconds).unwrap_or(10);
    (format!("{fit} seconds"), format!("*/{fit} * * * * *"))
}

fn spoken(time: TimeDelta) -> String {
    match time.num_seconds() {
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds @ 120..7200 => format!("{} minutes", seconds / 60),
        seconds => format!("{} hours", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_a_page_are_an_alarm() {
        assert_eq!(PageFill::new(799, 1000, TimeDelta::minutes(5)).advice(), None);
        let advice = PageFill::new(800, 1000, TimeDelta::minutes(5)).advice();
        let advice = advice.unwrap_or_default();
        for word in [
            "800 audit events came in 5 minutes",
            "newest 1000",
            "\"*/3 * * * *\"",
        ] {
            assert!(advice.contains(word), "{advice}");
        }
    }

    #[test]
    fn the_schedule_brings_half_a_page() {
        let cron = |percent: u64, minutes| {
            let page_fill = PageFill::new(percent * 10, 1000, TimeDelta::minutes(minutes));
            cadence(page_fill.seconds_between_polls()).1
        };
        assert_eq!(cron(100, 5), "*/2 * * * *");
        assert_eq!(cron(100, 1), "*/30 * * * * *");
        assert_eq!(cron(90, 600), "*/30 * * * *");
        assert_eq!(cron(1000, 1), "*/10 * * * * *");
    }
}
