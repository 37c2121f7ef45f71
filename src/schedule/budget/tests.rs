//! A month whose limit is not enough, step by step, with a clock that the test sets.
#![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

use super::*;
use crate::resources::registry::RESOURCES;

const WALK: Slot = Slot {
    resource: "profiles",
    scope: Scope::Full,
};
const INCREMENT: Slot = Slot {
    resource: "profiles",
    scope: Scope::Increment,
};

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn job(name: &str, slot: Slot, cron: &str) -> Job {
    Job {
        name: name.to_owned(),
        slot,
        cron: cron.to_owned(),
        time_zone: "UTC".to_owned(),
    }
}

fn cost(slot: Slot, requests: f64) -> SlotCost {
    SlotCost {
        resource: slot.resource.to_owned(),
        scope: slot.scope,
        runs: 30,
        requests,
        bytes_unpacked: requests * 1000.0,
        seconds: 1.0,
        last_started_at: at("2026-10-31T02:30:00Z"),
        last_ended_at: Some(at("2026-10-31T02:40:00Z")),
        is_open: false,
        was_complete: true,
    }
}

/// A schedule that runs, and its ledger.
struct Month {
    plan: Plan,
    usage: Usage,
    budget: Budget,
    /// The next time of each job; what is put off stays due.
    due: Vec<Time>,
    /// When each job ran.
    ran: Vec<Vec<Time>>,
}

impl Month {
    /// November 2026 with a full walk each night of 60 requests, and an increment each hour of 1 request.
    fn november(budget: Budget) -> Self {
        let jobs = [
            job("profiles/full", WALK, "30 2 * * *"),
            job("profiles/increment", INCREMENT, "0 * * * *"),
        ];
        let used = |used| Measure {
            used,
            ..Measure::default()
        };
        Self {
            plan: Plan::new(jobs, RESOURCES).unwrap(),
            usage: Usage {
                starts_at: at("2026-11-01T00:00:00Z"),
                ends_at: at("2026-12-01T00:00:00Z"),
                requests: used(0),
                bytes_received: used(0),
                bytes_unpacked: 0,
                profiles_read: 0,
                last_month: None,
                costs: vec![cost(WALK, 60.0), cost(INCREMENT, 1.0)],
                put_off: Vec::new(),
            },
            budget,
            due: vec![at("2026-11-01T02:30:00Z"), at("2026-11-01T01:00:00Z")],
            ran: vec![Vec::new(), Vec::new()],
        }
    }

    fn held(&self, number: usize, now: Time) -> Option<PutOff> {
        self.plan
            .put_off(&self.plan.jobs[number].job, &self.usage, self.budget, now)
    }

    /// Every ten minutes what is due and not held runs.
    fn live(&mut self, from: &str, until: &str) {
        let (mut now, until) = (at(from), at(until));
        while now < until {
            for number in 0..self.due.len() {
                if self.due[number] <= now && self.held(number, now).is_none() {
                    self.run(number, now);
                }
            }
            now += Duration::minutes(10);
        }
    }

    fn run(&mut self, number: usize, now: Time) {
        let cost = &mut self.usage.costs[number];
        cost.last_started_at = now;
        cost.last_ended_at = Some(now);
        self.usage.requests.used += i64::try_from(whole(cost.requests)).unwrap();
        self.usage.bytes_received.used += i64::try_from(whole(cost.bytes_unpacked)).unwrap();
        self.usage.bytes_unpacked = self.usage.bytes_received.used;
        self.ran[number].push(now);
        self.due[number] = self.plan.jobs[number].timetable.next_after(now).unwrap();
    }

    fn next_month(&mut self) {
        self.usage.starts_at = self.usage.ends_at;
        self.usage.ends_at = at("2027-01-01T00:00:00Z");
        self.usage.requests.used = 0;
        self.usage.bytes_received.used = 0;
    }
}

fn requests(limit: u64) -> Budget {
    Budget {
        requests: Some(limit),
        bytes: None,
    }
}

#[test]
fn without_a_limit_and_below_80_percent_nothing_waits() {
    for budget in [Budget::default(), requests(10_000)] {
        let mut month = Month::november(budget);
        month.live("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        assert_eq!((month.ran[0].len(), month.ran[1].len()), (30, 719));
    }
}

/// 30 walks and 719 increments take 2,519 requests. 1,500 are enough for the increments and 13 walks.
#[test]
fn what_is_left_of_a_limit_is_spread_over_the_month_and_stays_within_it() {
    for budget in [
        requests(1500),
        Budget {
            requests: None,
            bytes: Some(1_500_000),
        },
    ] {
        let mut month = Month::november(budget);
        month.live("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        assert_eq!(month.ran[1].len(), 719, "no increment waits");
        let used = month.usage.requests.used;
        assert!((1440..=1500).contains(&used), "{used} of 1500");
        assert_eq!(month.ran[0].len(), 13, "{:?}", month.ran[0]);
    }
}

#[test]
fn a_walk_that_waited_is_made_up_once_and_the_next_month_begins_anew() {
    let mut month = Month::november(requests(1000));
    month.live("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
    let walks = month.ran[0].len();
    let put_off = month.held(0, at("2026-11-30T23:59:00Z")).unwrap();
    assert_eq!(
        (put_off.job.as_str(), put_off.until),
        ("profiles/full", at("2026-12-01T00:00:00Z"))
    );
    assert!(
        put_off
            .why
            .contains(" of 1,000 requests of this month are used, and the rest, less about ")
            && put_off.why.ends_with("is not enough for a full walk of about 60"),
        "{}",
        put_off.why
    );
    month.next_month();
    month.live("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z");
    // The next one waits for its share of the month.
    assert_eq!(month.ran[0].split_off(walks), [at("2026-12-01T00:00:00Z")]);
}

#[test]
fn walks_are_spread_evenly_from_80_percent_on() {
    let mut month = Month::november(requests(2000));
    month.usage.costs[0].last_started_at = at("2026-11-10T02:30:00Z");
    let now = at("2026-11-10T12:00:00Z");
    // Until the 1st the increments need 123.
    month.usage.costs[1].requests = 0.25;
    month.usage.requests.used = 1_470;
    assert_eq!(month.held(0, now), None, "less than 80%");
    month.usage.requests.used = 1_600;
    // 400 less 123 are four walks: the time from the last one to the end of the month has five parts, of four days and four hours each.
    let put_off = month.held(0, now).unwrap();
    assert_eq!(put_off.until, at("2026-11-15T02:30:00Z"));
    assert!(put_off.why.contains("4 full walks"), "{}", put_off.why);
    let later = now + Duration::days(2);
    assert_eq!(month.held(0, later).unwrap().until, put_off.until);
    assert_eq!(month.held(0, put_off.until), None);
}

#[test]
fn beyond_the_limit_nothing_stops_dead() {
    let mut month = Month::november(requests(100));
    month.usage.requests.used = 100;
    month.live("2026-11-01T00:00:00Z", "2026-11-11T00:00:00Z");
    assert_eq!(month.ran[0].len(), 0, "full walks wait");
    assert_eq!(month.ran[1].len(), 40, "increments run four times a day");
    // A job that comes rarely anyway, the first walk, and an open one go on.
    let now = at("2026-11-11T00:00:00Z");
    assert!(month.held(1, now - Duration::hours(1)).is_some());
    let rare = Plan::new([job("profiles/increment", INCREMENT, "0 */6 * * *")], RESOURCES).unwrap();
    let held = rare.put_off(
        &rare.jobs[0].job,
        &month.usage,
        month.budget,
        now - Duration::hours(1),
    );
    assert_eq!(held, None);
    month.usage.costs[0].is_open = true;
    assert_eq!(month.held(0, now), None);
    month.usage.costs[0].is_open = false;
    month.usage.costs[0].was_complete = false;
    assert_eq!(month.held(0, now), None);
    month.usage.costs.clear();
    assert_eq!(month.held(1, now), None, "never ran");
}

#[test]
fn the_forecast_is_what_is_used_and_what_the_schedule_will_take() {
    let month = Month::november(requests(1000));
    let mut usage = month.usage.clone();
    usage.requests.used = 500;
    let now = at("2026-11-29T00:00:00Z");
    let is_walk = |job: &Job| job.slot == WALK;
    let complete = month.plan.complete(usage.clone(), month.budget, is_walk, now);
    // Two walks and 48 increments; before anything was unpacked a byte counts as one.
    assert_eq!(complete.requests.forecast, Some(500 + 2 * 60 + 48));
    assert_eq!(complete.bytes_received.forecast, Some(168_000));
    assert_eq!(
        (complete.requests.limit, complete.bytes_received.limit),
        (Some(1000), None)
    );
    assert_eq!(complete.put_off, []);
    usage.requests.used = 980;
    let complete = month.plan.complete(usage.clone(), month.budget, is_walk, now);
    assert_eq!(complete.put_off.len(), 1);
    assert_eq!(
        month
            .plan
            .complete(usage.clone(), month.budget, |_| false, now)
            .put_off,
        [],
        "not due"
    );
    let none = Plan::new([], RESOURCES).unwrap();
    assert_eq!(
        none.complete(usage, month.budget, is_walk, now).requests.forecast,
        None
    );
}
