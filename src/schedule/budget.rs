//! Keeps the schedule within what a month may cost: the forecast to the end of the month, and which due jobs wait. Pure arithmetic over
//! the ledger, the costs of runs, the limits and the time; reads no clock and stores nothing. A job that waits stays due in `sync.schedule`, and
//! so runs exactly once when nothing holds it any more.

use chrono::Duration;

use super::error::ScheduleError;
use super::occurrences::occurrences;
use super::plan::Timetable;
use crate::model::description::{Reading, Registry};
use crate::model::job::Job;
use crate::model::position::{Scope, Slot};
use crate::model::usage::{Budget, Measure, PutOff, SlotCost, Usage, WARN_PERCENT};
use crate::model::{Time, format};

/// How often other jobs than full walks run at the most once a limit is reached.
const RARELY: Duration = Duration::hours(6);

/// The jobs of a schedule.
#[derive(Debug)]
pub struct Plan {
    jobs: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    job: Job,
    timetable: Timetable,
    is_full_walk: bool,
}

/// What something costs.
#[derive(Debug, Clone, Copy, Default)]
struct Spend {
    requests: f64,
    /// Bytes on the wire.
    bytes: f64,
}

/// One of the two limits.
struct Limit<'a> {
    measure: Measure,
    most: u64,
    of: fn(Spend) -> f64,
    shown: fn(u64) -> String,
    what: &'a str,
}

impl Plan {
    /// The plan of jobs; full walks are those of the registry's walked resources.
    pub fn new(jobs: impl IntoIterator<Item = Job>, registry: Registry) -> Result<Self, ScheduleError> {
        let planned = |job: Job| -> Result<Planned, ScheduleError> {
            Ok(Planned {
                timetable: Timetable::of(&job)?,
                is_full_walk: is_full_walk(job.slot, registry),
                job,
            })
        };
        Ok(Self {
            jobs: jobs.into_iter().map(planned).collect::<Result<_, _>>()?,
        })
    }

    /// Whether there is no job.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Adds forecasts, limits and what is put off to the month so far. `due`: whether a job is due.
    pub fn complete(&self, usage: Usage, budget: Budget, due: impl Fn(&Job) -> bool, now: Time) -> Usage {
        let rest = self.rest(&usage, now, |_| true);
        let put_off = self.jobs.iter().filter(|planned| due(&planned.job));
        let put_off = put_off.filter_map(|planned| self.put_off(&planned.job, &usage, budget, now));
        let put_off = put_off.collect();
        let measure = |used: i64, more: f64, limit: Option<u64>| Measure {
            used,
            forecast: (!self.is_empty()).then(|| used.saturating_add(whole(more).cast_signed())),
            limit: limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)),
        };
        Usage {
            requests: measure(usage.requests.used, rest.requests, budget.requests),
            bytes_received: measure(usage.bytes_received.used, rest.bytes, budget.bytes),
            put_off,
            ..usage
        }
    }

    /// Whether a due job waits because of a limit, and until when.
    ///
    /// - Full walks: they run as scheduled while less than 80% of each limit are used, what the other jobs will need until the month ends
    ///   included. Beyond, the rest of the month is divided among as many walks as the rest of the limit is enough for. If it is enough for
    ///   none, they wait for the next month. The first walk and a walk that is open go on: without the first one there is no data, and an
    ///   open one would lose what was paid for.
    /// - Other jobs that come more often than every six hours: from 100% on, they run that often at the most.
    pub fn put_off(&self, job: &Job, usage: &Usage, budget: Budget, now: Time) -> Option<PutOff> {
        let planned = self.jobs.iter().find(|planned| planned.job == *job)?;
        let cost = usage.cost(job.slot.resource, job.slot.scope)?;
        let held = limits(usage, budget).filter_map(|limit| {
            if planned.is_full_walk {
                self.full_walk(planned, cost, usage, &limit, now)
            } else {
                rarely(planned, cost, usage, &limit, now)
            }
        });
        held.max_by_key(|held| held.until)
    }

    fn full_walk(
        &self,
        planned: &Planned,
        cost: &SlotCost,
        usage: &Usage,
        limit: &Limit<'_>,
        now: Time,
    ) -> Option<PutOff> {
        if cost.is_open || !cost.was_complete {
            return None;
        }
        let rest = self.rest(usage, now, |planned| !planned.is_full_walk);
        if !limit.is_used_with((limit.of)(rest), WARN_PERCENT) {
            return None;
        }
        let (others, walk) = ((limit.of)(rest), (limit.of)(spend(cost, usage)).max(1.0));
        let left = limit.left() - others;
        let walks = whole((left / walk).floor());
        let until = match i32::try_from(walks).unwrap_or(i32::MAX) {
            0 => usage.ends_at,
            walks => {
                let last = cost.last_started_at;
                let share = (usage.ends_at - last) / walks.saturating_add(1);
                let share = last + share - Duration::seconds(1);
                planned.timetable.next_after(share).ok()?.min(usage.ends_at)
            }
        };
        let enough = match walks {
            0 => "is not enough for a full walk".to_owned(),
            1 => "is enough for one full walk".to_owned(),
            walks => format!("is enough for {} full walks", format::count(walks)),
        };
        let why = format!(
            "{}, and the rest, less about {} for the other jobs until the month ends, {enough} of about {}",
            limit.sentence(),
            (limit.shown)(whole(others)),
            (limit.shown)(whole(walk))
        );
        (now < until).then(|| PutOff {
            job: planned.job.name.clone(),
            until,
            why,
        })
    }

    /// What the jobs cost from now to the end of the month, as far as the cost of their runs is known.
    fn rest(&self, usage: &Usage, now: Time, wanted: impl Fn(&Planned) -> bool) -> Spend {
        let jobs = self.jobs.iter().filter(|planned| wanted(planned));
        jobs.fold(Spend::default(), |sum, planned| {
            let slot = planned.job.slot;
            let Some(cost) = usage.cost(slot.resource, slot.scope) else {
                return sum;
            };
            let (one, times) = (
                spend(cost, usage),
                occurrences(&planned.timetable, now, usage.ends_at),
            );
            Spend {
                requests: sum.requests + one.requests * times,
                bytes: sum.bytes + one.bytes * times,
            }
        })
    }
}

/// Whether a slot is the full walk of a walked resource, such as profiles.
fn is_full_walk(slot: Slot, registry: Registry) -> bool {
    let description = registry.named(slot.resource);
    slot.scope == Scope::Full && description.is_some_and(|it| matches!(it.reading, Reading::Walk(())))
}

fn spend(cost: &SlotCost, usage: &Usage) -> Spend {
    Spend {
        requests: cost.requests,
        bytes: cost.bytes_unpacked * usage.packing(),
    }
}

fn rarely(planned: &Planned, cost: &SlotCost, usage: &Usage, limit: &Limit<'_>, now: Time) -> Option<PutOff> {
    if !limit.is_used_with(0.0, 100) {
        return None;
    }
    let next = planned.timetable.next_after(now).ok()?;
    let is_rare = planned.timetable.next_after(next).ok()? - next >= RARELY;
    let until = (cost.last_ended_at? + RARELY).min(usage.ends_at);
    (!is_rare && now < until).then(|| PutOff {
        job: planned.job.name.clone(),
        until,
        why: format!(
            "{}, so that it runs every {} hours at the most",
            limit.sentence(),
            RARELY.num_hours()
        ),
    })
}

/// The limits that are set.
fn limits(usage: &Usage, budget: Budget) -> impl Iterator<Item = Limit<'static>> {
    let requests = budget.requests.map(|most| Limit {
        measure: usage.requests,
        most,
        of: |spend: Spend| spend.requests,
        shown: format::count,
        what: "requests",
    });
    let bytes = budget.bytes.map(|most| Limit {
        measure: usage.bytes_received,
        most,
        of: |spend: Spend| spend.bytes,
        shown: format::bytes,
        what: "of traffic",
    });
    requests.into_iter().chain(bytes)
}

impl Limit<'_> {
    fn used(&self) -> u64 {
        u64::try_from(self.measure.used).unwrap_or(0)
    }

    /// Whether so much of it is used, with what else will be.
    fn is_used_with(&self, more: f64, percent: u64) -> bool {
        let used = u128::from(self.used()) + u128::from(whole(more));
        used * 100 >= u128::from(self.most) * u128::from(percent)
    }

    #[expect(clippy::cast_precision_loss, reason = "a share needs no last digit")]
    fn left(&self) -> f64 {
        self.most.saturating_sub(self.used()) as f64
    }

    /// `812 of 1,000 requests of this month are used`.
    fn sentence(&self) -> String {
        format!(
            "{} of {} {} of this month are used",
            (self.shown)(self.used()),
            (self.shown)(self.most),
            self.what
        )
    }
}

/// A count of what is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float beyond the range becomes its end"
)]
fn whole(amount: f64) -> u64 {
    (amount.max(0.0).round() as u64).min(i64::MAX as u64)
}

#[cfg(test)]
mod tests;
