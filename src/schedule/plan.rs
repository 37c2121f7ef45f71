//! Pure arithmetic of the schedule: the next match of an expression in a zone, and the next time of a stored job. Reads no
//! clock and stores nothing.
//!
//! croner finds the next match on a wall clock, and this file converts it to a moment, since a zone's clock jumps twice a
//! year. (With zoned times, croner 3.0.1 returns the first pass of a repeated hour even after that pass.) The rule is that
//! of cron:
//!
//! - An expression that matches every hour is an interval. It continues through a repeated hour, and matches in a missing
//!   hour are not made up, since the next match is near.
//! - Any other expression names hours of the wall clock, once each: the first pass of a repeated hour, and the end of the gap
//!   for a missing hour.
//!
//! With a jitter each match starts later by a delay that is shorter than the way to the next match, so each match still has
//! exactly one start, and starts keep the order of their matches.

use std::str::FromStr;

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;

use super::error::ScheduleError;
use crate::config::cron::parse;
use crate::model::Time;
use crate::model::job::{Again, Jitter, Job, ScheduledJob, StoredJob};

/// The step of the search for changes of a zone's offset. Zones change months apart, so half a day finds each change.
const STRIDE: Duration = Duration::hours(12);

/// A task and its times.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) scheduled: ScheduledJob,
    pub(super) timetable: Timetable,
}

/// A cron expression in a zone.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: Tz,
    interval: bool,
    jitter: Jitter,
}

impl Timetable {
    /// Parses the expression and the zone of a job.
    pub fn of(job: &Job) -> Result<Self, ScheduleError> {
        let zone = Tz::from_str(&job.time_zone).map_err(|_| ScheduleError::Zone {
            job: job.name.clone(),
            zone: job.time_zone.clone(),
        })?;
        let cron = parse(&job.cron).map_err(|why| ScheduleError::Expression {
            job: job.name.clone(),
            expression: job.cron.clone(),
            why,
        })?;
        Ok(Self::new(cron, zone))
    }

    /// Joins an expression and a zone.
    pub fn new(cron: Cron, zone: Tz) -> Self {
        let interval = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        Self {
            cron,
            zone,
            interval,
            jitter: Jitter::default(),
        }
    }

    /// The same times, each later by the jitter.
    #[must_use]
    pub fn spread(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// The first time after `after` at which the job is due.
    pub fn next_after(&self, after: Time) -> Result<Time, ScheduleError> {
        // The last match before `after` may start after it.
        let last = self.last_match(after).map(|last| self.delayed(last));
        match last.filter(|start| *start > after) {
            Some(start) => Ok(start),
            None => Ok(self.delayed(self.match_after(after)?)),
        }
    }

    /// The starts after `after` and up to `until`, at most `most` of them: as [`Timetable::next_after`] gives them one by one, with one
    /// search for each.
    pub fn starts(&self, after: Time, until: Time, most: usize) -> Vec<Time> {
        let mut starts = Vec::new();
        let mut due = self
            .match_after(after - self.most_delay().unwrap_or_default())
            .ok();
        while let Some(at) = due.filter(|at| *at <= until && starts.len() < most) {
            due = self.match_after(at).ok();
            let start = self.delayed_before(at, due);
            if start > after && start <= until {
                starts.push(start);
            }
        }
        starts
    }

    /// When the run of a match starts: whole seconds later, before the next match.
    fn delayed(&self, due: Time) -> Time {
        match self.most_delay() {
            Some(_) => self.delayed_before(due, self.match_after(due).ok()),
            None => due,
        }
    }

    /// The same, if the next match is known.
    fn delayed_before(&self, due: Time, next: Option<Time>) -> Time {
        let Some(most) = self.most_delay() else {
            return due;
        };
        let room = next.map_or(most, |next| most.min(next - due));
        let seconds = (i128::from(room.num_seconds()) * i128::from(self.jitter.share)) >> 32;
        due + Duration::seconds(i64::try_from(seconds).unwrap_or(0))
    }

    /// The last match of the time before `now` in which a match may not have started yet; none without a jitter.
    fn last_match(&self, now: Time) -> Option<Time> {
        let most = self.most_delay()?;
        let at_most_now = |after| self.match_after(after).ok().filter(|found| *found <= now);
        let mut last = at_most_now(now - most)?;
        let mut end = now;
        while end - last > Duration::seconds(1) {
            let middle = last + (end - last) / 2;
            match at_most_now(middle) {
                Some(found) => last = found,
                None => end = middle,
            }
        }
        // The match at `end` itself, of which the search does not tell.
        while let Some(found) = at_most_now(last) {
            last = found;
        }
        Some(last)
    }

    fn most_delay(&self) -> Option<Duration> {
        let most = Duration::from_std(self.jitter.most).ok()?;
        (most >= Duration::seconds(1)).then_some(most)
    }

    /// The first match after `after`.
    fn match_after(&self, after: Time) -> Result<Time, ScheduleError> {
        let found = if self.interval {
            self.next_of_interval(after)
        } else {
            self.next_on_the_clock(after)
        };
        found.ok_or_else(|| ScheduleError::Never {
            expression: self.cron.as_str().to_owned(),
            after,
        })
    }

    /// The next match while the zone keeps its offset. If the offset changes before the match, the search restarts at the change.
    fn next_of_interval(&self, after: Time) -> Option<Time> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.offset_seconds(from);
            let wall = self.next_wall((from + offset).naive_utc(), inclusive)?;
            let found = wall.and_utc().checked_sub_signed(offset)?;
            match self.change_between(from, found) {
                None => return Some(found),
                Some(change) => (from, inclusive) = (change, true),
            }
        }
    }

    /// The next match of the wall clock whose moment is still ahead.
    fn next_on_the_clock(&self, after: Time) -> Option<Time> {
        let mut wall = after.with_timezone(&self.zone).naive_local();
        loop {
            wall = self.next_wall(wall, false)?;
            let found = self.moment(wall)?;
            if found > after {
                return Some(found);
            }
        }
    }

    /// The moment of a wall-clock time: the first pass of a repeated one, the end of the gap for one that is missing.
    fn moment(&self, wall: NaiveDateTime) -> Option<Time> {
        match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(found) | LocalResult::Ambiguous(found, _) => Some(found.with_timezone(&Utc)),
            LocalResult::None => {
                self.change_between(wall.and_utc() - STRIDE * 2, wall.and_utc() + STRIDE * 2)
            }
        }
    }

    /// The next match after (or at) a wall-clock time, found as if clocks never jumped.
    fn next_wall(&self, wall: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        let whole = wall.with_nanosecond(0)?;
        // A fraction lies after its whole second, so the whole second itself is over.
        let inclusive = inclusive && whole == wall;
        let found: DateTime<Utc> = self.cron.find_next_occurrence(&whole.and_utc(), inclusive).ok()?;
        Some(found.naive_utc())
    }

    fn offset_seconds(&self, at: Time) -> Duration {
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        Duration::seconds(i64::from(offset.local_minus_utc()))
    }

    /// The first moment in (`from`, `to`] with another offset than at `from`, to the second.
    fn change_between(&self, from: Time, to: Time) -> Option<Time> {
        let offset = self.offset_seconds(from);
        let (mut before, mut at) = (from, from);
        while self.offset_seconds(at) == offset {
            if at >= to {
                return None;
            }
            before = at;
            at = (at + STRIDE).min(to);
        }
        while (at - before).num_seconds() > 1 {
            let middle = before + Duration::seconds((at - before).num_seconds() / 2);
            if self.offset_seconds(middle) == offset {
                before = middle;
            } else {
                at = middle;
            }
        }
        // Changes happen at whole seconds, the search may have begun at a fraction.
        at.with_nanosecond(0)
    }
}

/// The first time after `after` at which `expression` comes true in `zone`.
pub fn next_run(expression: &str, zone: Tz, after: Time) -> Result<Time, ScheduleError> {
    let cron = parse(expression).map_err(|why| ScheduleError::Expression {
        job: expression.to_owned(),
        expression: expression.to_owned(),
        why,
    })?;
    Timetable::new(cron, zone).next_after(after)
}

/// What to write for a job at the start; nothing if the database has it already.
///
/// A run that was missed stays due, whatever else changed, and is made up once.
pub fn at_start(
    scheduled: &ScheduledJob,
    timetable: &Timetable,
    stored: Option<&StoredJob>,
    now: Time,
) -> Result<Option<Time>, ScheduleError> {
    match stored {
        Some(stored) if stored.job == scheduled.job => Ok(None),
        Some(stored) if stored.next_run_at <= now => Ok(Some(stored.next_run_at)),
        None if scheduled.at_once => Ok(Some(now)),
        Some(_) | None => timetable.next_after(now).map(Some),
    }
}

/// When a job runs next, after a run that ended `now`.
pub fn after_run(timetable: &Timetable, again: Again, now: Time) -> Result<Time, ScheduleError> {
    let later = |wait| {
        Duration::from_std(wait)
            .ok()
            .and_then(|wait| now.checked_add_signed(wait))
    };
    let on_time = timetable.next_after(now);
    let sooner = match again {
        Again::OnTime | Again::ReadByAnother => None,
        Again::After(wait) => later(wait),
        Again::NotBefore(wait) => return timetable.next_after(later(wait).unwrap_or(now)),
    };
    match (on_time, sooner) {
        (Ok(on_time), Some(sooner)) => Ok(on_time.min(sooner)),
        (Err(_), Some(sooner)) => Ok(sooner),
        (on_time, None) => on_time,
    }
}
