//! When the jobs of the schedule start within the next day, for the status page.

use std::collections::BTreeMap;

use chrono::Duration;
use chrono_tz::Tz;

use super::plan::Timetable;
use crate::config::cron::parse;
use crate::model::Time;
use crate::model::job::{Jitter, ScheduledJob};
use crate::model::overview::{PlannedJob, Starts};

/// The most starts of one job: every five minutes, and somewhat more.
const MOST: usize = 300;

/// Foretells the starts of jobs.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    /// The jitter of each job of these settings.
    jitters: BTreeMap<String, Jitter>,
}

impl Forecast {
    /// A forecast with the jitter of these jobs; other jobs start without one.
    pub fn of(jobs: &[ScheduledJob]) -> Self {
        let jitters = jobs.iter().map(|one| (one.job.name.clone(), one.jitter));
        Self {
            jitters: jitters.collect(),
        }
    }

    /// Fills in the starts of each job within the day after `now`. The stored time of the next run comes first, whatever the expression
    /// says of it: a run that failed is repeated sooner. A job whose expression or zone is not known here is left without.
    pub fn fill(&self, jobs: &mut [PlannedJob], now: Time) {
        for job in jobs {
            job.starts = self.starts(job, now);
        }
    }

    fn starts(&self, job: &PlannedJob, now: Time) -> Option<Starts> {
        let zone: Tz = job.time_zone.parse().ok()?;
        let timetable = Timetable::new(parse(&job.cron).ok()?, zone);
        let jitter = self.jitters.get(&job.job).copied().unwrap_or_default();
        let until = now + Duration::days(1);
        let held_until = match &job.pause {
            None => now,
            Some(pause) => match pause.ends_at {
                Some(end) => end.max(now),
                None => return Some(Starts::default()),
            },
        };
        let first = job.next_run_at.max(held_until);
        if first > until {
            return Some(Starts::default());
        }
        let mut times = vec![first];
        times.extend(timetable.spread(jitter).starts(first, until, MOST));
        let and_more = times.len() > MOST;
        times.truncate(MOST);
        Some(Starts { times, and_more })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;
    use crate::model::timetable::Pause;

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn job(cron: &str, next_run_at: &str) -> PlannedJob {
        PlannedJob {
            job: "one".to_owned(),
            cron: cron.to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            next_run_at: time(next_run_at),
            is_running: false,
            is_requested: false,
            pause: None,
            starts: None,
        }
    }

    fn starts(mut job: PlannedJob) -> Option<Starts> {
        Forecast::default().fill(std::slice::from_mut(&mut job), time("2026-01-10T12:00:00Z"));
        job.starts
    }

    #[test]
    fn the_stored_time_comes_first_and_the_expression_says_the_others() {
        let six_hours = starts(job("0 */6 * * *", "2026-01-10T12:05:00Z")).unwrap();
        let expected = [
            "2026-01-10T12:05:00Z",
            "2026-01-10T17:00:00Z",
            "2026-01-10T23:00:00Z",
            "2026-01-11T05:00:00Z",
            "2026-01-11T11:00:00Z",
        ];
        assert_eq!(six_hours.times, expected.map(time));
        assert!(!six_hours.and_more);
        // One that is overdue starts now, one of another day not at all.
        assert_eq!(
            starts(job("0 3 * * *", "2026-01-10T02:00:00Z")).unwrap().times,
            ["2026-01-10T12:00:00Z", "2026-01-11T02:00:00Z"].map(time)
        );
        assert_eq!(
            starts(job("0 3 1 2 *", "2026-02-01T02:00:00Z")),
            Some(Starts::default())
        );
    }

    #[test]
    fn a_job_of_every_second_is_cut() {
        let starts = starts(job("* * * * * *", "2026-01-10T12:00:01Z")).unwrap();
        assert_eq!((starts.times.len(), starts.and_more), (MOST, true));
    }

    #[test]
    fn a_pause_holds_starts_until_it_ends() {
        let held = |ends_at: Option<&str>| {
            let pause = Pause {
                since: time("2026-01-10T11:00:00Z"),
                ends_at: ends_at.map(time),
                by: "somebody".to_owned(),
            };
            starts(PlannedJob {
                pause: Some(pause),
                ..job("0 */6 * * *", "2026-01-10T11:00:00Z")
            })
        };
        assert_eq!(held(None), Some(Starts::default()));
        assert_eq!(
            held(Some("2026-01-11T00:00:00Z")).unwrap().times,
            [
                "2026-01-11T00:00:00Z",
                "2026-01-11T05:00:00Z",
                "2026-01-11T11:00:00Z"
            ]
            .map(time)
        );
    }

    #[test]
    fn what_is_not_understood_has_no_starts() {
        assert_eq!(starts(job("every morning", "2026-01-10T12:05:00Z")), None);
        let elsewhere = PlannedJob {
            time_zone: "Mars/Base".to_owned(),
            ..job("0 3 * * *", "2026-01-10T12:05:00Z")
        };
        assert_eq!(starts(elsewhere), None);
    }
}
