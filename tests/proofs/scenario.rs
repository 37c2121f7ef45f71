//! Generated tenants with audit events, and the scans that read them: everything that the walk has to stand.

use std::time::Duration;

use blueconic_sync::sync::run_spec::EventOrder;
use proptest::prelude::*;

/// In milliseconds.
pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
/// How long events may take to show up; what takes longer is late.
pub(super) const SETTLE: i64 = MINUTE;
/// How long the tenant says it keeps events.
pub(super) const RETENTION: i64 = 30 * DAY;

/// How a tenant chooses and arranges what it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    OldestFirst,
    NewestFirst,
    /// Any of them in any order.
    Unordered,
    /// One of the three, anew for each answer.
    Changing,
}

/// Events about the same time.
#[derive(Debug, Clone)]
pub(super) struct Burst {
    pub(super) at: At,
    /// Over how many milliseconds they spread.
    pub(super) spread: i64,
    /// For each: its place within the spread (a share of it), and which of a few kinds it is; events of one kind and
    /// one millisecond are equal.
    pub(super) events: Vec<(f64, u8)>,
    /// After how many milliseconds they show up.
    pub(super) lag: i64,
}

/// When a burst comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// After so large a share of the time from a retention before the first scan to the last.
    Share(f64),
    /// So many milliseconds after a scan began.
    Scan(prop::sample::Index, i64),
}

#[derive(Debug, Clone)]
pub(super) struct Scan {
    /// Milliseconds since the last scan.
    pub(super) pause: i64,
    pub(super) overlap: Duration,
    /// The program dies when it asks for the page after so many.
    pub(super) crash_after: Option<u32>,
    /// A person names a date: so many milliseconds before the scan.
    pub(super) since: Option<i64>,
}

#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) page_size: u32,
    pub(super) arrangement: Arrangement,
    /// Whether the settings name the order.
    pub(super) known_order: bool,
    /// The most events that an answer holds, whatever is asked for.
    pub(super) cap: Option<u32>,
    /// Kinds of events that the run-as user may not see, as bits: they are left out after the limit was taken.
    pub(super) hidden_kinds: u8,
    /// Whether answers carry a `Date`.
    pub(super) tells_time: bool,
    /// Our clock minus the tenant's, in milliseconds.
    pub(super) skew: i64,
    /// The tenant drops events so many milliseconds before their time.
    pub(super) early_clean_up: i64,
    /// How long an answer takes, in milliseconds.
    pub(super) step: i64,
    pub(super) bursts: Vec<Burst>,
    pub(super) scans: Vec<Scan>,
}

impl Scenario {
    /// Whether the run-as user may not see events of a kind.
    pub(super) fn hides(&self, kind: u8) -> bool {
        self.hidden_kinds & (1 << kind) != 0
    }

    /// The most events that come at once.
    pub(super) fn at_once(&self) -> u32 {
        self.cap.unwrap_or(self.page_size).min(self.page_size)
    }

    pub(super) fn order(&self) -> Option<EventOrder> {
        match self.arrangement {
            Arrangement::OldestFirst if self.known_order => Some(EventOrder::OldestFirst),
            Arrangement::NewestFirst if self.known_order => Some(EventOrder::NewestFirst),
            _ => None,
        }
    }
}

fn lag() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => Just(0),
        2 => 0..=SETTLE,
        1 => SETTLE..HOUR,
        1 => HOUR..28 * DAY,
    ]
}

fn burst() -> impl Strategy<Value = Burst> {
    let at = prop_oneof![
        (0.0..1.0_f64).prop_map(At::Share),
        (any::<prop::sample::Index>(), -2 * SETTLE..2 * SETTLE).prop_map(|(scan, off)| At::Scan(scan, off)),
    ];
    let spread = prop_oneof![1_i64..4, 4_i64..100, SECOND..HOUR, HOUR..10 * DAY];
    let events = prop::collection::vec((0.0..1.0_f64, 0_u8..4), 1..16);
    (at, spread, events, lag()).prop_map(|(at, spread, events, lag)| Burst {
        at,
        spread,
        events,
        lag,
    })
}

fn scan() -> impl Strategy<Value = Scan> {
    let pause = prop_oneof![SECOND..HOUR, HOUR..2 * DAY, 2 * DAY..28 * DAY, 28 * DAY..40 * DAY];
    let minutes = prop_oneof![Just(0_u64), Just(15), Just(26 * 60), Just(29 * 24 * 60)];
    let since = prop::option::weighted(0.1, 0..40 * DAY);
    (pause, minutes, prop::option::weighted(0.3, 0_u32..6), since).prop_map(
        |(pause, minutes, crash_after, since)| Scan {
            pause,
            overlap: Duration::from_mins(minutes),
            crash_after,
            since,
        },
    )
}

pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    let arrangement = prop::sample::select(vec![
        Arrangement::OldestFirst,
        Arrangement::NewestFirst,
        Arrangement::Unordered,
        Arrangement::Changing,
    ]);
    let clock = (
        any::<bool>(),
        prop_oneof![Just(0), -HOUR..=HOUR],
        prop_oneof![Just(0), 0..HOUR - MINUTE],
        prop_oneof![Just(0), 0..3 * SECOND],
    );
    (
        any::<u64>(),
        2_u32..=50,
        arrangement,
        (
            any::<bool>(),
            prop_oneof![2 => Just(None), 1 => (2_u32..20).prop_map(Some)],
            prop_oneof![2 => Just(0_u8), 1 => 1_u8..15],
        ),
        clock,
        prop::collection::vec(burst(), 1..8),
        prop::collection::vec(scan(), 1..6),
    )
        .prop_map(
            |(seed, page_size, arrangement, (known_order, cap, hidden_kinds), clock, bursts, scans)| {
                let (tells_time, skew, early_clean_up, step) = clock;
                Scenario {
                    seed,
                    page_size,
                    arrangement,
                    known_order,
                    cap,
                    hidden_kinds,
                    tells_time,
                    skew,
                    early_clean_up,
                    step,
                    bursts,
                    scans,
                }
            },
        )
}
