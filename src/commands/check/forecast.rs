//! What the schedule costs in 30 days for a tenant of this size: by the runs that this database has seen, else by what the tenant says of its
//! size. And how often full walks should come. Pure arithmetic; asks nothing.

use chrono::Duration;
use serde::Serialize;

use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::description::{Each, Parents, Reading};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::job::ScheduledJob;
use crate::model::ports::Listing;
use crate::model::position::Scope;
use crate::model::usage::Usage;
use crate::resources::registry::Entry;
use crate::schedule::jobs::jobs;
use crate::schedule::occurrences::occurrences;
use crate::schedule::plan::Timetable;

use super::cost::{Cost, DAYS, whole};
use super::recommendation::{Recommendation, Walk, recommend};
use super::sample::{ProfileSample, Sample, Samples};

/// What a listing of one parent is taken for, in bytes on the wire, before one was read.
const SMALL_ANSWER: f64 = 2048.0;
/// Parents whose listings are counted one by one; beyond, their number grows in proportion.
const COUNTED_PARENTS: u64 = 10_000;

/// Where a figure comes from, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Basis {
    /// The last runs in this database.
    Measured,
    /// The tenant's totals and one page.
    Sampled,
    /// The number of requests follows from totals, their size is a guess.
    Assumed,
    /// Nothing is known; it counts as nothing.
    Unknown,
}

/// A job of the schedule.
#[derive(Debug, Clone, Serialize)]
pub(super) struct JobCost {
    pub(super) job: String,
    pub(super) cron: String,
    /// Runs in 30 days.
    pub(super) runs: f64,
    /// What one run costs.
    pub(super) run: Cost,
    /// What its runs cost in 30 days.
    pub(super) total: Cost,
    pub(super) basis: Basis,
    #[serde(skip)]
    is_full_walk: bool,
}

/// The forecast.
#[derive(Debug, Serialize)]
pub(super) struct Forecast {
    /// The days that it is about.
    pub(super) days: f64,
    /// Profiles, as the tenant says.
    pub(super) profiles: Option<u64>,
    /// Profiles that changed within the last day, as the tenant says.
    pub(super) changed_a_day: Option<u64>,
    pub(super) jobs: Vec<JobCost>,
    /// The sum of all jobs.
    pub(super) total: Cost,
    pub(super) requests_per_month: Option<u64>,
    pub(super) traffic_per_month: Option<u64>,
    /// How long a full walk takes at least, in seconds; none: profiles are not read.
    pub(super) full_walk_seconds: Option<f64>,
    pub(super) recommendation: Option<Recommendation>,
}

/// What the forecast is made of.
pub(super) struct Known<'a> {
    pub(super) settings: &'a Settings,
    pub(super) entries: &'a [Entry],
    pub(super) samples: &'a Samples,
    /// What runs in this database cost; none without a database.
    pub(super) usage: Option<&'a Usage>,
    pub(super) now: Time,
}

impl Known<'_> {
    /// Makes the forecast. The only fault is a cron expression that cannot be kept.
    pub(super) fn forecast(&self) -> Outcome<Forecast> {
        let mut costs = Vec::new();
        for job in jobs(self.settings) {
            costs.extend(self.job(&job)?);
        }
        let sum = |wanted: fn(&JobCost) -> bool| {
            let costs = costs.iter().filter(|job| wanted(job));
            costs.fold(Cost::default(), |sum, job| sum.plus(job.total))
        };
        let total = sum(|_| true);
        let budget = self.settings.limits.budget();
        let walk = costs.iter().find(|job| job.is_full_walk);
        let walk = walk.map(|job| Walk {
            runs: job.runs,
            cost: job.run,
            seconds: self.walk_seconds(job.run),
        });
        let profiles = self.samples.profiles.as_ref();
        let recommendation = walk
            .filter(|walk| walk.cost.requests > 0.0)
            .map(|walk| recommend(walk, sum(|job| !job.is_full_walk), budget));
        Ok(Forecast {
            days: DAYS,
            profiles: profiles.and_then(|it| it.page.total),
            changed_a_day: profiles.and_then(|it| it.changed_a_day),
            jobs: costs,
            total,
            requests_per_month: budget.requests,
            traffic_per_month: budget.bytes,
            full_walk_seconds: walk.map(|walk| walk.seconds),
            recommendation,
        })
    }

    /// The cost of a job of a resource; none for the service's own jobs.
    fn job(&self, job: &ScheduledJob) -> Outcome<Option<JobCost>> {
        let slot = job.job.slot;
        let Some(entry) = self.entries.iter().find(|entry| entry.name() == slot.resource) else {
            return Ok(None);
        };
        let timetable = Timetable::of(&job.job).map_err(|error| {
            Fault::new(Kind::Settings, error.to_string()).hint("correct the cron expression that is named")
        })?;
        let until = self.now + Duration::seconds(whole(DAYS * 86_400.0).cast_signed());
        let runs = occurrences(&timetable, self.now, until);
        let measured = self.measured(slot.resource, slot.scope);
        let (run, basis) = match measured {
            Some(cost) => (cost, Basis::Measured),
            None => self.estimated(entry, job, runs),
        };
        Ok(Some(JobCost {
            job: job.job.name.clone(),
            cron: job.job.cron.clone(),
            runs,
            run,
            total: run.times(runs),
            basis,
            is_full_walk: matches!(entry.resource, Reading::Walk(_)) && slot.scope == Scope::Full,
        }))
    }

    fn measured(&self, resource: &str, scope: Scope) -> Option<Cost> {
        let usage = self.usage?;
        let cost = usage.cost(resource, scope).filter(|cost| cost.runs > 0)?;
        let packing = if usage.bytes_unpacked > 0 {
            usage.packing()
        } else {
            self.samples.packing()
        };
        Some(Cost {
            requests: cost.requests,
            bytes: cost.bytes_unpacked * packing,
        })
    }

    fn estimated(&self, entry: &Entry, job: &ScheduledJob, runs: f64) -> (Cost, Basis) {
        let days = DAYS / runs.max(1.0);
        let settings = &self.settings.resources;
        let sampled = |cost: Option<Cost>| match cost {
            Some(cost) => (cost, Basis::Sampled),
            None => (Cost::default(), Basis::Unknown),
        };
        match &entry.resource {
            Reading::List(list) => {
                if let Some(sample) = self.samples.lists.get(entry.name()) {
                    let list_settings = entry.description.as_list();
                    let size = list_settings
                        .map_or(1, |list| settings.list(entry.description, list).page_size.get());
                    return sampled(Some(sample.reading(sample.size(), f64::from(size))));
                }
                let requests = if list.history().is_some() {
                    // Each changed profile is asked for once a run.
                    self.changed_a_day().map(|changed| changed * days)
                } else {
                    let each = entry.description.as_list().and_then(|list| list.each);
                    self.listings(list.as_ref(), each)
                };
                match requests {
                    Some(requests) => (
                        Cost {
                            requests,
                            bytes: requests * SMALL_ANSWER,
                        },
                        Basis::Assumed,
                    ),
                    None => (Cost::default(), Basis::Unknown),
                }
            }
            Reading::Walk(_) => {
                let size = f64::from(settings.profiles.page_size.get());
                let of = |sample: &ProfileSample| match job.job.slot.scope {
                    Scope::Full => sample.page.total.map(float),
                    Scope::Increment => {
                        let overlap = settings.profiles.overlap.as_secs_f64() / 86_400.0;
                        sample
                            .changed_a_day
                            .map(|changed| float(changed) * (days + overlap))
                    }
                };
                let cost = self.samples.profiles.as_ref().and_then(|sample| {
                    let segments = sample.segments.reading(sample.segments.size(), 1000.0);
                    Some(segments.plus(sample.page.reading(of(sample)?, size)))
                });
                sampled(cost)
            }
            Reading::Feed(_) => {
                let overlap = job.overlap.unwrap_or(settings.audit_events.overlap);
                let reaches = days + overlap.as_secs_f64() / 86_400.0;
                let size = f64::from(settings.audit_events.page_size.get());
                let cost = self.samples.events.as_ref();
                sampled(cost.map(|sample| sample.reading(float(sample.elements) * reaches, size)))
            }
        }
    }

    fn changed_a_day(&self) -> Option<f64> {
        self.samples.profiles.as_ref()?.changed_a_day.map(float)
    }

    /// The listings of a list that follow from parents or URLs.
    fn listings(&self, list: &dyn Listing, each: Option<Each>) -> Option<f64> {
        let parents = match each?.parents {
            Parents::Urls => 0,
            Parents::Stored(table) => self.samples.lists.get(table.name)?.total?,
        };
        let counted = parents.min(COUNTED_PARENTS);
        let ids: Vec<String> = (0..counted).map(|number| number.to_string()).collect();
        let listings = list.listings(&ids, Some(self.now), self.now).len();
        let more = if counted == 0 {
            1.0
        } else {
            float(parents) / float(counted)
        };
        Some(float(listings as u64) * more)
    }

    /// How long a full walk takes at least: by the last ones, else by the rate limit and the time of a page.
    fn walk_seconds(&self, run: Cost) -> f64 {
        let measured = self.usage.and_then(|usage| {
            let of_walk = self
                .entries
                .iter()
                .find(|it| matches!(it.resource, Reading::Walk(_)))?;
            usage
                .cost(of_walk.name(), Scope::Full)
                .filter(|cost| cost.runs > 0)
        });
        if let Some(cost) = measured {
            return cost.seconds;
        }
        let by_rate = run.requests / f64::from(self.settings.limits.requests_per_second.get());
        let by_page = self.samples.profiles.as_ref().map_or(0.0, |sample| {
            let profiles = sample.page.total.map_or(0.0, float);
            sample.page.seconds * profiles / float(sample.page.elements.max(1))
        });
        by_rate.max(by_page)
    }
}

impl Sample {
    /// How many elements there are: as the tenant says, else as came.
    fn size(&self) -> f64 {
        float(self.total.unwrap_or(self.elements))
    }

    /// What reading so many elements costs in pages of `size`.
    fn reading(&self, elements: f64, size: f64) -> Cost {
        let bytes = match self.elements {
            0 => float(self.received),
            came => (float(self.received) * elements / float(came)).max(float(self.received) / float(came)),
        };
        Cost {
            requests: (elements / size).ceil().max(1.0),
            bytes,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate needs no last digit")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::load::load;
    use crate::config::variables::Variables;
    use crate::model::description::{List, Named};
    use crate::model::ports::Clock;
    use crate::resources::registry::{self, RESOURCES};

    const PAGE: Sample = Sample {
        total: Some(50_000_000),
        elements: 156,
        received: 156_000,
        unpacked: 624_000,
        seconds: 0.03,
    };

    /// A list with a listing for each row of another one, and that one.
    fn with_parents() -> (&'static str, &'static str) {
        let mut lists = RESOURCES.lists();
        let of_each = |list: &List| {
            matches!(
                list.each,
                Some(Each {
                    named: Named::InPath,
                    ..
                })
            )
        };
        let (child, list) = lists.find(|(_, list)| of_each(list) && list.enabled).unwrap();
        (child.name(), list.parents().unwrap().name)
    }

    /// The tenant of 50 million profiles, of which half a million changed within a day.
    fn large() -> Samples {
        let list = |total: u64| Sample {
            total: Some(total),
            elements: total.min(125),
            received: total.min(125) * 200,
            unpacked: total.min(125) * 800,
            seconds: 0.1,
        };
        Samples {
            lists: [("segments", list(2500)), (with_parents().1, list(40))].into(),
            profiles: Some(ProfileSample {
                segments: list(1000),
                page: PAGE,
                changed_a_day: Some(500_000),
            }),
            events: Some(Sample {
                elements: 1000,
                ..list(1000)
            }),
        }
    }

    fn forecast(samples: &Samples, usage: Option<&Usage>) -> Forecast {
        let settings = load(None, &Variables::new(), RESOURCES).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let known = Known {
            settings: &settings,
            entries: &registry::entries(&settings, &clock),
            samples,
            usage,
            now: "2026-11-01T00:00:00Z".parse().unwrap(),
        };
        known.forecast().unwrap()
    }

    fn of<'a>(forecast: &'a Forecast, name: &str) -> &'a JobCost {
        forecast.jobs.iter().find(|job| job.job == name).unwrap()
    }

    #[test]
    fn a_large_tenant_is_not_walked_each_night() {
        let found = forecast(&large(), None);
        let requests = |name: &str| {
            let job = of(&found, name);
            (whole(job.runs), whole(job.run.requests), job.basis)
        };
        assert_eq!(requests("profiles/full"), (30, 5001, Basis::Sampled));
        // Ten minutes and an overlap of thirty: 13,889 profiles in two pages.
        assert_eq!(requests("profiles/increment"), (4320, 3, Basis::Sampled));
        assert_eq!(requests("segments").1, 3);
        // A listing for each connection, whose ids are not known yet.
        assert_eq!(requests(with_parents().0).1, 40);
        assert_eq!(requests(with_parents().0).2, Basis::Assumed);
        // A day and its overlap of 26 hours, of a thousand events a day.
        assert_eq!(requests("audit_events/scan-1").1, 3);
        let walk = of(&found, "profiles/full").run;
        assert_eq!(whole(walk.bytes), 50_000_200_000);
        let advice = found.recommendation.unwrap();
        assert_eq!((advice.pace, advice.is_kept), ("monthly", false));
        let seconds = found.full_walk_seconds.unwrap();
        assert!((seconds - 0.03 * 50e6 / 156.0).abs() < 1.0, "{seconds}");
    }

    #[test]
    fn the_last_runs_are_surer_than_what_the_tenant_says() {
        let usage = serde_json::json!({
            "starts_at": "2026-11-01T00:00:00Z", "ends_at": "2026-12-01T00:00:00Z",
            "requests": { "used": 10, "forecast": null, "limit": null },
            "bytes_received": { "used": 100, "forecast": null, "limit": null },
            "bytes_unpacked": 1000, "profiles_read": 5, "last_month": null, "put_off": [],
            "costs": [
                { "resource": "profiles", "scope": "full", "runs": 2, "requests": 7.0, "bytes_unpacked": 5000.0, "seconds": 60.0,
                  "last_started_at": "2026-11-01T00:00:00Z", "last_ended_at": null, "is_open": false, "was_complete": true },
                { "resource": "profiles", "scope": "increment", "runs": 0, "requests": 7.0, "bytes_unpacked": 5000.0, "seconds": 60.0,
                  "last_started_at": "2026-11-01T00:00:00Z", "last_ended_at": null, "is_open": false, "was_complete": true }
            ]
        });
        let usage: Usage = serde_json::from_value(usage).unwrap();
        let found = forecast(&large(), Some(&usage));
        let walk = of(&found, "profiles/full");
        assert_eq!(
            (whole(walk.run.requests), whole(walk.run.bytes), walk.basis),
            (7, 500, Basis::Measured)
        );
        assert_eq!(found.full_walk_seconds, Some(60.0));
        // None of its runs came to its end.
        assert_eq!(of(&found, "profiles/increment").basis, Basis::Sampled);
        let nothing = forecast(&Samples::default(), None);
        assert!(nothing.jobs.iter().all(|job| job.basis == Basis::Unknown));
        assert_eq!((nothing.total, nothing.recommendation), (Cost::default(), None));
    }
}
