//! When an expression comes true next: always ahead, never twice, right on the days when clocks jump.

use blueconic_sync::config::cron::parse;
use blueconic_sync::model::Time;
use blueconic_sync::model::job::{Again, Jitter, Job, ScheduledJob, StoredJob};
use blueconic_sync::model::position::{Scope, Slot};
use blueconic_sync::schedule::plan::{Timetable, after_run, at_start, next_run};
use chrono::{DateTime, Duration, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;
use proptest::prelude::*;

fn at(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

/// The next times, one after another.
fn following(expression: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
    let mut now = at(after);
    (0..count)
        .map(|_| {
            now = next_run(expression, zone, now).unwrap();
            now.with_timezone(&zone).to_rfc3339()
        })
        .collect()
}

#[test]
fn a_time_that_does_not_exist_runs_once_when_the_gap_ends() {
    assert_eq!(
        following("30 2 * * *", Tz::Europe__Berlin, "2025-03-28T12:00:00Z", 3),
        [
            "2025-03-29T02:30:00+01:00",
            "2025-03-30T03:00:00+02:00",
            "2025-03-31T02:30:00+02:00"
        ]
    );
    assert_eq!(
        following("30 2 * * *", Tz::America__New_York, "2025-03-08T12:00:00Z", 2),
        ["2025-03-09T03:00:00-04:00", "2025-03-10T02:30:00-04:00"]
    );
    // Several missing times, and one at the end of the gap itself, are one run.
    assert_eq!(
        following("*/20 2-3 * * *", Tz::Europe__Berlin, "2025-03-30T00:00:00Z", 3),
        [
            "2025-03-30T03:00:00+02:00",
            "2025-03-30T03:20:00+02:00",
            "2025-03-30T03:40:00+02:00"
        ]
    );
}

#[test]
fn a_time_that_exists_twice_runs_once_at_its_first_pass() {
    assert_eq!(
        following("30 2 * * *", Tz::Europe__Berlin, "2025-10-25T12:00:00Z", 2),
        ["2025-10-26T02:30:00+02:00", "2025-10-27T02:30:00+01:00"]
    );
    // Asked between the two passes, and within the second one, before its 02:30.
    for after in [
        "2025-10-26T00:45:00Z",
        "2025-10-26T01:10:00Z",
        "2025-10-26T01:30:00Z",
    ] {
        assert_eq!(
            following("30 2 * * *", Tz::Europe__Berlin, after, 1),
            ["2025-10-27T02:30:00+01:00"],
            "after {after}"
        );
    }
    assert_eq!(
        following("30 1 * * *", Tz::America__New_York, "2025-11-02T00:00:00Z", 2),
        ["2025-11-02T01:30:00-04:00", "2025-11-03T01:30:00-05:00"]
    );
}

#[test]
fn an_interval_goes_through_both_passes_of_a_repeated_hour() {
    assert_eq!(
        following("*/30 * * * *", Tz::Europe__Berlin, "2025-10-25T23:45:00Z", 7),
        [
            "2025-10-26T02:00:00+02:00",
            "2025-10-26T02:30:00+02:00",
            "2025-10-26T02:00:00+01:00",
            "2025-10-26T02:30:00+01:00",
            "2025-10-26T03:00:00+01:00",
            "2025-10-26T03:30:00+01:00",
            "2025-10-26T04:00:00+01:00",
        ]
    );
}

#[test]
fn an_interval_keeps_its_distance_over_a_missing_hour() {
    assert_eq!(
        following("*/30 * * * *", Tz::Europe__Berlin, "2025-03-30T00:20:00Z", 3),
        [
            "2025-03-30T01:30:00+01:00",
            "2025-03-30T03:00:00+02:00",
            "2025-03-30T03:30:00+02:00"
        ]
    );
    assert_eq!(
        following(
            "*/30 * * * *",
            Tz::Australia__Lord_Howe,
            "2025-10-04T15:00:00Z",
            3
        ),
        [
            "2025-10-05T02:30:00+11:00",
            "2025-10-05T03:00:00+11:00",
            "2025-10-05T03:30:00+11:00"
        ],
        "a gap of half an hour"
    );
}

#[test]
fn every_other_hour_is_named_by_the_wall_clock() {
    assert_eq!(
        following("0 */2 * * *", Tz::Europe__Berlin, "2025-10-25T22:30:00Z", 3),
        [
            "2025-10-26T02:00:00+02:00",
            "2025-10-26T04:00:00+01:00",
            "2025-10-26T06:00:00+01:00"
        ]
    );
}

#[test]
fn a_leap_day_comes_every_four_years_and_not_in_2100() {
    assert_eq!(
        following("0 12 29 2 *", Tz::Europe__Berlin, "2092-03-01T00:00:00Z", 3),
        [
            "2096-02-29T12:00:00+01:00",
            "2104-02-29T12:00:00+01:00",
            "2108-02-29T12:00:00+01:00"
        ]
    );
    // An interval over four years crosses eight changes of the clock.
    assert_eq!(
        following("0 * 29 2 *", Tz::Europe__Berlin, "2024-02-29T22:00:00Z", 2),
        ["2028-02-29T00:00:00+01:00", "2028-02-29T01:00:00+01:00"]
    );
}

#[test]
fn a_day_that_a_zone_left_out_does_not_stop_the_clock() {
    // Samoa went from the 29th to the 31st of December 2011.
    assert_eq!(
        following("30 8 * * *", Tz::Pacific__Apia, "2011-12-29T18:00:00Z", 3),
        [
            "2011-12-29T08:30:00-10:00",
            "2011-12-31T00:00:00+14:00",
            "2011-12-31T08:30:00+14:00"
        ]
    );
}

#[test]
fn six_fields_count_seconds_and_fractions_are_over() {
    assert_eq!(
        following("*/20 * * * * *", Tz::UTC, "2025-01-01T00:00:40.5Z", 2),
        ["2025-01-01T00:01:00+00:00", "2025-01-01T00:01:20+00:00"]
    );
}

#[test]
fn what_never_comes_true_is_an_error() {
    let error = next_run("0 0 30 2 *", Tz::UTC, at("2025-01-01T00:00:00Z")).unwrap_err();
    assert!(error.to_string().contains("never comes true"), "{error}");
    assert!(next_run("0 0 * *", Tz::UTC, at("2025-01-01T00:00:00Z")).is_err());
    assert!(parse("0 0 0 1 1 * 2020").is_err(), "seven fields");
}

fn task(cron: &str, zone: &str) -> ScheduledJob {
    ScheduledJob {
        job: Job {
            name: "segments".to_owned(),
            slot: Slot {
                resource: "segments",
                scope: Scope::Full,
            },
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
        },
        overlap: None,
        at_once: true,
        jitter: Jitter::default(),
    }
}

fn stored(job: &Job, next_run_at: Time) -> StoredJob {
    StoredJob {
        job: job.clone(),
        next_run_at,
        is_requested: false,
        is_paused: false,
    }
}

#[test]
fn a_missed_run_stays_due_and_is_made_up_once() {
    let (now, missed) = (at("2025-06-10T12:00:00Z"), at("2025-06-03T02:30:00Z"));
    let daily = task("30 2 * * *", "UTC");
    let timetable = Timetable::of(&daily.job).unwrap();
    let stored = stored(&daily.job, missed);
    assert_eq!(
        at_start(&daily, &timetable, Some(&stored), now).unwrap(),
        None,
        "left as it is: due"
    );
    let next = after_run(&timetable, Again::OnTime, now).unwrap();
    assert_eq!(
        next,
        at("2025-06-11T02:30:00Z"),
        "the other missed runs are not made up"
    );
}

#[test]
fn a_changed_expression_or_zone_is_planned_anew_and_a_missed_run_survives_it() {
    let now = at("2025-06-10T12:00:00Z");
    let daily = task("30 2 * * *", "UTC");
    for changed in [task("0 5 * * *", "UTC"), task("30 2 * * *", "Europe/Berlin")] {
        let timetable = Timetable::of(&changed.job).unwrap();
        let waiting = stored(&daily.job, at("2025-06-11T02:30:00Z"));
        let next = at_start(&changed, &timetable, Some(&waiting), now).unwrap();
        assert_eq!(next, Some(timetable.next_after(now).unwrap()));
        assert_ne!(next, Some(at("2025-06-11T02:30:00Z")));
        let missed = stored(&daily.job, at("2025-06-10T02:30:00Z"));
        assert_eq!(
            at_start(&changed, &timetable, Some(&missed), now).unwrap(),
            Some(missed.next_run_at)
        );
    }
}

#[test]
fn a_new_job_is_due_at_once_unless_it_only_adds_to_another() {
    let now = at("2025-06-10T12:00:00Z");
    let daily = task("30 2 * * *", "UTC");
    let timetable = Timetable::of(&daily.job).unwrap();
    assert_eq!(at_start(&daily, &timetable, None, now).unwrap(), Some(now));
    let scan = ScheduledJob {
        at_once: false,
        ..daily
    };
    assert_eq!(
        at_start(&scan, &timetable, None, now).unwrap(),
        Some(at("2025-06-11T02:30:00Z"))
    );
}

#[test]
fn a_run_that_asks_to_come_back_sooner_is_heard() {
    let now = at("2025-06-10T12:00:00Z");
    let timetable = Timetable::of(&task("30 2 * * *", "UTC").job).unwrap();
    let after = |seconds| {
        after_run(
            &timetable,
            Again::After(std::time::Duration::from_secs(seconds)),
            now,
        )
        .unwrap()
    };
    assert_eq!(after(0), now);
    assert_eq!(after(60), at("2025-06-10T12:01:00Z"));
    assert_eq!(
        after(1_000_000),
        at("2025-06-11T02:30:00Z"),
        "never later than its time"
    );
    assert_eq!(after(u64::MAX), at("2025-06-11T02:30:00Z"));
}

#[test]
fn a_jitter_moves_each_run_by_the_same_time_and_never_beyond_the_next_one() {
    let spread = |cron: &str, most, share| {
        let jitter = Jitter {
            most: std::time::Duration::from_secs(most),
            share,
        };
        Timetable::of(&task(cron, "UTC").job).unwrap().spread(jitter)
    };
    let half = spread("*/15 * * * *", 240, 1 << 31);
    let mut now = at("2025-06-10T12:00:00Z");
    let starts: Vec<String> = (0..3)
        .map(|_| {
            now = half.next_after(now).unwrap();
            now.format("%H:%M:%S").to_string()
        })
        .collect();
    assert_eq!(
        starts,
        ["12:02:00", "12:17:00", "12:32:00"],
        "the one of 12:00 is still to come"
    );
    // An hour would lead beyond the next time, so the time between two runs counts instead.
    let whole = spread("*/15 * * * *", 3600, u32::MAX);
    assert_eq!(
        whole.next_after(at("2025-06-10T12:00:00Z")).unwrap(),
        at("2025-06-10T12:14:59Z")
    );
    assert_eq!(
        whole.next_after(at("2025-06-10T12:14:59Z")).unwrap(),
        at("2025-06-10T12:29:59Z")
    );
    // A run that a person asked for within the delay does not take the place of the one that is due.
    assert_eq!(
        after_run(&half, Again::OnTime, at("2025-06-10T12:01:00Z")).unwrap(),
        at("2025-06-10T12:02:00Z")
    );
}

const ZONES: [Tz; 8] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Casablanca,
    Tz::Asia__Kathmandu,
    Tz::America__St_Johns,
    Tz::Pacific__Apia,
];

/// Whether a wall-clock time matches, written without the search that is tested.
fn matches(cron: &Cron, wall: chrono::NaiveDateTime) -> bool {
    cron.is_time_matching(&wall.and_utc()).unwrap()
}

fn field(range: std::ops::Range<u32>) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("*".to_owned()),
        2 => range.clone().prop_map(|value| value.to_string()),
        1 => (2u32..15).prop_map(|step| format!("*/{step}")),
        1 => (range.clone(), range).prop_map(|(a, b)| format!("{},{}", a.min(b), a.max(b))),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    (
        field(0..60),
        field(0..24),
        field(1..29),
        field(1..13),
        field(0..7),
    )
        .prop_map(|(minute, hour, day, month, week)| format!("{minute} {hour} {day} {month} {week}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Ahead of `after`, the same for every moment between, and true by the wall clock unless it ends a gap.
    #[test]
    fn the_next_run_is_ahead_and_monotone_and_true(
        expression in expression(),
        zone in prop::sample::select(ZONES.as_slice()),
        second in 1_577_836_800i64..2_208_988_800,
        nanos in prop_oneof![Just(0u32), 1u32..1_000_000_000],
        part in 0.0f64..1.0,
    ) {
        let after = Utc.timestamp_opt(second, nanos).unwrap();
        let next = next_run(&expression, zone, after).unwrap();
        prop_assert!(next > after);
        prop_assert_eq!(next.nanosecond(), 0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment between will do")]
        let between = after + Duration::milliseconds(((next - after).num_milliseconds() as f64 * part) as i64);
        if between < next {
            prop_assert_eq!(next_run(&expression, zone, between).unwrap(), next, "asked at {}", between);
        }
        prop_assert!(next_run(&expression, zone, next).unwrap() > next);
        let wall = |moment: Time| moment.with_timezone(&zone).naive_local();
        if !matches(&parse(&expression).unwrap(), wall(next)) {
            let before = wall(next - Duration::seconds(1)) + Duration::seconds(1);
            prop_assert!(before < wall(next), "neither a match nor the end of a gap: {}", wall(next));
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Each match starts exactly once, in order, before the next match, whenever the schedule is asked.
    #[test]
    fn with_a_jitter_each_match_starts_once(
        expression in expression(),
        zone in prop::sample::select(ZONES.as_slice()),
        second in 1_577_836_800i64..2_208_988_800,
        most in 0u64..=3600,
        share in any::<u32>(),
        part in 0.0f64..1.0,
    ) {
        let plain = Timetable::new(parse(&expression).unwrap(), zone);
        let spread = plain.clone().spread(Jitter { most: std::time::Duration::from_secs(most), share });
        let follow = |timetable: &Timetable, mut now: Time| -> Vec<Time> {
            (0..13).map(|_| { now = timetable.next_after(now).unwrap(); now }).collect()
        };
        let matches = follow(&plain, Utc.timestamp_opt(second, 0).unwrap());
        // The first match may start with the first search, or before.
        let starts: Vec<Time> = follow(&spread, matches[0]).into_iter().filter(|start| *start >= matches[1]).collect();
        for (due, start) in matches[1..].windows(2).zip(&starts) {
            prop_assert!(*start >= due[0] && *start < due[1], "{start} for {} before {}", due[0], due[1]);
            prop_assert!(*start - due[0] <= Duration::seconds(i64::try_from(most).unwrap()));
        }
        for pair in starts.windows(2) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment between will do")]
            let between = pair[0] + Duration::milliseconds(((pair[1] - pair[0]).num_milliseconds() as f64 * part) as i64);
            if between < pair[1] {
                prop_assert_eq!(spread.next_after(between).unwrap(), pair[1], "asked at {}", between);
            }
        }
        prop_assert!(starts.len() >= 11);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Nothing is left out: compared minute by minute over two days around a change of the clock.
    #[test]
    fn no_time_of_the_wall_clock_is_left_out(
        minute in field(0..60),
        hour in field(0..24),
        zone in prop::sample::select(ZONES.as_slice()),
        day in prop::sample::select(["2025-03-09", "2025-03-30", "2025-10-05", "2025-10-26", "2025-11-02", "2025-04-06"].as_slice()),
    ) {
        let expression = format!("{minute} {hour} * * *");
        let cron = parse(&expression).unwrap();
        let start = at(&format!("{day}T00:00:00Z")) - Duration::days(1);
        let end = start + Duration::days(3);
        let mut found = Vec::new();
        let mut now = start;
        loop {
            now = next_run(&expression, zone, now).unwrap();
            if now > end { break; }
            found.push(now);
        }
        let minutes = (1..=(end - start).num_minutes()).map(|minute| start + Duration::minutes(minute));
        let true_minutes: Vec<Time> = minutes
            .filter(|moment| matches(&cron, moment.with_timezone(&zone).naive_local()))
            .collect();
        let repeated = |moment: &Time| {
            let wall = moment.with_timezone(&zone).naive_local();
            zone.from_local_datetime(&wall).latest().map(|last| last.with_timezone(&Utc)) == Some(*moment)
                && zone.from_local_datetime(&wall).single().is_none()
        };
        let interval = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap());
        for moment in &true_minutes {
            let wanted = interval || !repeated(moment);
            prop_assert_eq!(found.contains(moment), wanted, "{} at {}", expression, moment.with_timezone(&zone));
        }
        let extra = found.iter().filter(|moment| !true_minutes.contains(moment)).count();
        prop_assert!(extra <= 1, "at most the run that makes up for a gap");
    }
}
