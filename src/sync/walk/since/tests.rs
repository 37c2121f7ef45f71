//! What follows from single pages, one case each; `tests/proofs/audit_walk.rs` drives the same machine through thousands
//! of tenants.

#![expect(clippy::panic, reason = "a test says what it needs by panicking")]

use super::*;
use crate::model::batch::ScanEvidence;

fn at(millis: i64) -> Time {
    DateTime::from_timestamp_millis(1_700_000_000_000 + millis).unwrap_or_default()
}

fn parameters(watermark: Option<i64>) -> ScanParameters {
    ScanParameters {
        watermark: watermark.map(at),
        since: None,
        overlap: TimeDelta::milliseconds(100),
        settle: TimeDelta::milliseconds(10),
        retention: TimeDelta::days(30),
        order: None,
        page_size: 6,
        now: at(10_000),
        latest: at(10_000),
        scan_evidence: ScanEvidence::default(),
    }
}

/// A scan whose first answer told the same time.
fn begun(parameters: ScanParameters) -> SinceWalk {
    SinceWalk::begin(parameters, Some(parameters.now))
}

fn dates(millis: &[i64]) -> Vec<Time> {
    millis.iter().map(|one| at(*one)).collect()
}

/// Nothing more comes, whatever is asked for.
fn drained(walk: &mut SinceWalk) -> Advance {
    for _ in 0..200 {
        if let Step::End(advance) = walk.page(0, &[]) {
            return advance;
        }
    }
    panic!("no end")
}

#[test]
fn a_short_page_that_reaches_back_covers_all_once_a_later_bound_brings_fewer() {
    let mut walk = begun(parameters(Some(5_000)));
    assert_eq!(walk.from(), at(4_900));
    let Step::Read(from, advance) = walk.page(3, &dates(&[4_950, 6_000, 7_000])) else {
        panic!("takes a short page for the last")
    };
    assert_eq!((from, advance), (at(4_950), Advance::default()));
    let Step::End(advance) = walk.page(2, &dates(&[6_000, 7_000])) else {
        panic!("not at its end")
    };
    assert_eq!(advance.watermark, Some(at(9_990)));
    assert_eq!(advance.gaps, []);
    assert_eq!(
        advance.covered,
        [TimeRange {
            from: at(4_950),
            to: at(9_990)
        }]
    );
}

#[test]
fn a_short_page_that_does_not_reach_back_leaves_a_gap_in_doubt() {
    let gap = |parameters: ScanParameters, events: &[i64], again: &[i64]| {
        let mut walk = begun(parameters);
        let mut step = walk.page(events.len() as u64, &dates(events));
        if let Step::Read(from, _) = step {
            assert_eq!(from, at(6_000));
            step = walk.page(again.len() as u64, &dates(again));
        }
        match step {
            Step::End(advance) => advance.gaps,
            Step::Read(..) => panic!("not at its end"),
        }
    };
    let span = TimeRange {
        from: at(5_000),
        to: at(6_000),
    };
    // No order, then newest first: by the page itself, and as it was told.
    let unordered = gap(parameters(Some(5_000)), &[6_000, 8_000, 7_000], &[7_000, 8_000]);
    assert_eq!(unordered, [(span, GapReason::Doubtful(3))]);
    let newest = [9_000, 8_000, 7_000, 6_500, 6_000];
    assert_eq!(
        gap(parameters(Some(5_000)), &newest, &[]),
        [(span, GapReason::Doubtful(5))]
    );
    let told = ScanParameters {
        order: Some(EventOrder::NewestFirst),
        ..parameters(Some(5_000))
    };
    assert_eq!(gap(told, &[7_000, 6_000], &[]), [(span, GapReason::Doubtful(2))]);
}

#[test]
fn a_known_event_is_asked_for_again_and_proves_by_coming_that_nothing_is_hidden() {
    let known = ScanParameters {
        scan_evidence: ScanEvidence {
            event: Some(at(-9_000)),
            doubt: None,
        },
        ..parameters(Some(5_000))
    };
    let mut walk = begun(known);
    assert_eq!(walk.from(), at(-9_001));
    let newest = dates(&[9_000, 8_000, 7_000, 6_000, -9_000]);
    let Step::End(advance) = walk.page(5, &newest) else {
        panic!("not at its end")
    };
    assert_eq!(advance.gaps, []);
    // It has to come: an answer without it hides what is newer.
    let mut walk = begun(known);
    assert!(matches!(walk.page(0, &[]), Step::Read(from, _) if from == at(4_900)));
    let Step::End(advance) = walk.page(0, &[]) else {
        panic!("not at its end")
    };
    let span = TimeRange {
        from: at(5_000),
        to: at(9_990),
    };
    assert_eq!(advance.gaps, [(span, GapReason::Doubtful(0))]);
}

/// Drives a walk against a tenant that answers oldest first, cuts at `cap`, and takes `window` events before it leaves out
/// those that are hidden. Gives the end, the requests, and what was read.
fn against(
    parameters: ScanParameters,
    window: usize,
    cap: usize,
    events: &[(i64, bool)],
) -> (Advance, u32, Vec<i64>) {
    let mut walk = begun(parameters);
    let mut read = std::collections::BTreeSet::new();
    for requests in 1..500 {
        let behind = events
            .iter()
            .filter(|(date, _)| at(*date) > walk.from())
            .take(window);
        let page: Vec<i64> = behind
            .filter(|(_, shown)| *shown)
            .map(|(date, _)| *date)
            .take(cap)
            .collect();
        read.extend(page.iter().copied());
        if let Step::End(advance) = walk.page(page.len() as u64, &dates(&page)) {
            return (advance, requests, read.into_iter().collect());
        }
    }
    panic!("no end")
}

#[test]
fn a_cap_in_oldest_first_order_costs_requests_and_nothing_else() {
    let events: Vec<(i64, bool)> = (0..350).map(|one| (-4_000_000 + one * 10_000, true)).collect();
    let capped = ScanParameters {
        page_size: 1_000,
        ..parameters(None)
    };
    let (advance, requests, read) = against(capped, 1_000, 100, &events);
    assert_eq!((advance.gaps, read.len()), (vec![], 350));
    assert!(requests <= 18, "{requests} requests");
}

#[test]
fn a_quiet_poll_takes_two_requests() {
    let events: Vec<(i64, bool)> = (0..20).map(|one| (4_950 + one * 200, true)).collect();
    let polled = ScanParameters {
        page_size: 1_000,
        ..parameters(Some(5_000))
    };
    assert_eq!(against(polled, 1_000, 1_000, &events).1, 2);
    assert_eq!(against(polled, 1_000, 1_000, &events[..2]).1, 2);
}

#[test]
fn where_no_event_comes_at_all_nothing_is_known() {
    let whole = |walk: &SinceWalk| TimeRange {
        from: walk.from(),
        to: at(9_990),
    };
    let mut walk = begun(parameters(None));
    let whole = whole(&walk);
    assert_eq!(drained(&mut walk).gaps, [(whole, GapReason::Doubtful(0))]);
}

#[test]
fn events_behind_a_page_of_hidden_ones_are_found_and_what_cannot_be_read_between_is_a_gap() {
    // Every ten seconds one, 1000 of them; 300 in the middle are hidden, but for a few.
    let hidden = |one: i64| (400..700).contains(&one) && one != 550;
    let events: Vec<(i64, bool)> = (0..1_000)
        .map(|one| (-10_000_000 + one * 10_000, !hidden(one)))
        .collect();
    let filtered = ScanParameters {
        page_size: 100,
        ..parameters(None)
    };
    let (advance, _, read) = against(filtered, 100, 100, &events);
    let missing: Vec<i64> = events
        .iter()
        .filter(|(date, shown)| *shown && !read.contains(date))
        .map(|(date, _)| *date)
        .collect();
    for date in &missing {
        let lies_in = |(span, _): &(TimeRange, GapReason)| span.from < at(*date) && at(*date) <= span.to;
        assert!(
            advance.gaps.iter().any(lies_in),
            "{date} is missing without a gap"
        );
    }
    assert!(
        read.len() >= 699 && !advance.gaps.is_empty(),
        "{} read, {:?}",
        read.len(),
        advance.gaps
    );
}

#[test]
fn a_tenant_that_does_not_heed_the_bound_leaves_a_gap_and_the_watermark_moves() {
    let mut walk = begun(ScanParameters {
        order: Some(EventOrder::OldestFirst),
        ..parameters(Some(5_000))
    });
    let Step::End(advance) = walk.page(6, &dates(&[1, 2, 3, 4, 5, 6])) else {
        panic!("reads the same page for ever")
    };
    assert!(walk.is_unheeded());
    let span = TimeRange {
        from: at(5_000),
        to: at(9_990),
    };
    assert_eq!(advance.gaps, [(span, GapReason::Unreachable)]);
    assert_eq!(advance.watermark, Some(at(9_990)));
}

#[test]
fn a_page_full_of_what_has_no_date_is_passed() {
    let mut walk = begun(ScanParameters {
        order: Some(EventOrder::OldestFirst),
        ..parameters(Some(5_000))
    });
    let mut step = walk.page(6, &[]);
    for _ in 0..40 {
        match step {
            Step::End(advance) => {
                let span = TimeRange {
                    from: at(5_000),
                    to: at(8_000),
                };
                return assert_eq!(advance.gaps, [(span, GapReason::Unreachable)]);
            }
            // Unreadable ones fill the page up to 8,000; behind it lies one event.
            Step::Read(from, _) if from < at(8_000) => step = walk.page(6, &[]),
            Step::Read(from, _) => {
                let one = dates(&[9_000])
                    .into_iter()
                    .filter(|date| *date > from)
                    .collect::<Vec<_>>();
                step = walk.page(one.len() as u64, &one);
            }
        }
    }
    panic!("no end")
}

#[test]
fn oldest_first_goes_on_from_the_millisecond_before_the_last() {
    let mut walk = begun(parameters(Some(5_000)));
    let Step::Read(from, advance) = walk.page(6, &dates(&[6_000, 6_001, 6_002, 6_003, 6_004, 6_004])) else {
        panic!("does not go on")
    };
    assert_eq!((from, advance.watermark), (at(6_003), Some(at(6_003))));
    // One more than before: there may be more behind it.
    let step = walk.page(3, &dates(&[6_004, 6_004, 6_004]));
    assert!(matches!(step, Step::Read(from, _) if from == at(6_004)));
    assert_eq!(drained(&mut walk).gaps, []);
}

#[test]
fn a_millisecond_that_fills_a_page_is_a_gap_and_the_scan_goes_on_behind_it() {
    let mut walk = begun(ScanParameters {
        order: Some(EventOrder::OldestFirst),
        ..parameters(Some(5_000))
    });
    assert!(matches!(walk.page(6, &dates(&[6_000; 6])), Step::Read(from, _) if from == at(5_999)));
    assert!(matches!(walk.page(6, &dates(&[6_000; 6])), Step::Read(from, _) if from == at(6_000)));
    let Step::End(advance) = walk.page(0, &[]) else {
        panic!("not at its end")
    };
    assert_eq!(
        advance.gaps,
        [(
            TimeRange {
                from: at(5_999),
                to: at(6_000)
            },
            GapReason::Saturated
        )]
    );
}

#[test]
fn newest_first_hides_what_is_older_than_its_page() {
    let mut walk = begun(parameters(Some(5_000)));
    let Step::End(advance) = walk.page(6, &dates(&[9_005, 9_004, 9_003, 9_002, 9_001, 9_000])) else {
        panic!("not at its end")
    };
    assert_eq!(
        advance.gaps,
        [(
            TimeRange {
                from: at(5_000),
                to: at(9_000)
            },
            GapReason::Unreachable
        )]
    );
    assert_eq!(advance.watermark, Some(at(9_990)));
}

#[test]
fn without_order_the_bound_of_the_first_short_page_is_searched() {
    // 6 events fill a page; events lie at every 1000 ms, so the lowest short bound is 5000 (6000..9000 and 9500).
    let events: Vec<i64> = (1..10).map(|one| one * 1000).collect();
    let mut walk = begun(ScanParameters {
        page_size: 5,
        ..parameters(Some(0))
    });
    for _ in 0..64 {
        let from = walk.from();
        let mut page: Vec<i64> = events
            .iter()
            .copied()
            .filter(|one| at(*one) > from)
            .take(5)
            .collect();
        let half = page.len() / 2;
        page.rotate_left(half);
        match walk.page(page.len() as u64, &dates(&page)) {
            Step::Read(..) => {}
            Step::End(advance) => {
                assert_eq!(
                    advance.gaps,
                    [(
                        TimeRange {
                            from: at(0),
                            to: at(5_000)
                        },
                        GapReason::Unreachable
                    )]
                );
                return;
            }
        }
    }
    panic!("no end")
}

#[test]
fn what_the_tenant_dropped_is_a_gap() {
    let day = 86_400_000;
    let mut walk = begun(ScanParameters {
        order: Some(EventOrder::OldestFirst),
        now: at(40 * day),
        ..parameters(Some(0))
    });
    assert_eq!(walk.from(), at(10 * day + 3_600_000));
    let advance = drained(&mut walk);
    let gap = TimeRange {
        from: at(0),
        to: at(10 * day + 3_600_000),
    };
    assert_eq!(advance.gaps, [(gap, GapReason::Retention)]);
}

#[test]
fn the_first_scan_ever_opens_no_gap_before_its_start() {
    let mut walk = begun(parameters(None));
    let begins = walk.from();
    assert!(matches!(walk.page(1, &dates(&[9_000])), Step::Read(from, _) if from == at(9_000)));
    let doubtful = TimeRange {
        from: begins,
        to: at(9_000),
    };
    assert_eq!(drained(&mut walk).gaps, [(doubtful, GapReason::Doubtful(1))]);
    let mut walk = begun(ScanParameters {
        order: Some(EventOrder::OldestFirst),
        ..parameters(None)
    });
    walk.page(1, &dates(&[9_000]));
    assert_eq!(drained(&mut walk).gaps, []);
}

#[test]
fn what_the_tenant_may_have_dropped_by_its_own_clock_is_not_covered() {
    let day = 86_400_000;
    // Our clock is an hour behind: what we ask for may be gone already.
    let ours = ScanParameters {
        order: Some(EventOrder::OldestFirst),
        now: at(40 * day - 3_600_000),
        ..parameters(Some(0))
    };
    let mut walk = SinceWalk::begin(ours, Some(at(40 * day)));
    let first = walk.from();
    let advance = drained(&mut walk);
    let kept = at(10 * day + 3_600_000);
    assert!(first < kept);
    assert_eq!(
        advance.gaps,
        [(
            TimeRange {
                from: at(0),
                to: kept
            },
            GapReason::Retention
        )]
    );
    assert_eq!(advance.covered[0].from, kept);
}

#[test]
fn without_the_tenants_time_nothing_is_claimed_of_the_last_hour() {
    let told = ScanParameters {
        order: Some(EventOrder::OldestFirst),
        ..parameters(Some(-9_000_000))
    };
    let mut walk = SinceWalk::begin(told, None);
    let advance = drained(&mut walk);
    assert_eq!(advance.watermark, Some(at(9_990 - 3_600_000)));
    assert_eq!(advance.covered[0].to, at(9_990 - 3_600_000));
}

#[test]
fn a_page_that_speaks_against_the_order_of_the_settings_has_none() {
    let mut walk = begun(ScanParameters {
        order: Some(EventOrder::OldestFirst),
        ..parameters(Some(5_000))
    });
    let page = dates(&[9_005, 9_004, 9_003, 9_002, 9_001, 9_000]);
    let Step::Read(from, advance) = walk.page(6, &page) else {
        panic!("does not go on")
    };
    assert!(from > at(10_000), "the bisection begins");
    assert_eq!(advance, Advance::default());
}

#[test]
fn a_tenant_that_writes_faster_than_we_read_is_left_to_the_next_scan() {
    let mut walk = begun(parameters(Some(5_000)));
    for first in (9_000..).step_by(1_000) {
        assert!(first < 20_000, "no end");
        let page: Vec<i64> = (first..first + 6).collect();
        match walk.page(6, &dates(&page)) {
            Step::Read(..) => {}
            Step::End(advance) => return assert_eq!(advance.watermark, Some(at(9_990))),
        }
    }
}

#[test]
fn pages_that_follow_one_another_cover_one_stretch() {
    let mut walk = begun(parameters(Some(5_000)));
    for first in (6_000..9_000).step_by(100) {
        let page: Vec<i64> = (first..first + 6).collect();
        let Step::Read(_, advance) = walk.page(6, &dates(&page)) else {
            panic!("does not go on")
        };
        assert_eq!(
            advance.covered,
            [TimeRange {
                from: at(4_900),
                to: at(first + 4)
            }]
        );
    }
}

#[test]
fn only_what_can_be_hidden_presses() {
    let percent = |order, watermark, events: &[i64]| {
        let walk = begun(ScanParameters {
            order,
            ..parameters(watermark)
        });
        walk.page_fill(events.len() as u64, &dates(events))
            .map(|page_fill| page_fill.percent)
    };
    let newest = [9_005, 9_004, 9_003, 9_002, 9_001, 4_990];
    assert_eq!(percent(None, Some(5_000), &newest), Some(83));
    assert_eq!(
        percent(None, None, &newest),
        None,
        "the first scan has nothing to lose"
    );
    let mut oldest = newest;
    oldest.reverse();
    assert_eq!(percent(Some(EventOrder::OldestFirst), Some(5_000), &oldest), None);
    let contradicted = percent(Some(EventOrder::OldestFirst), Some(5_000), &newest);
    assert_eq!(
        contradicted,
        Some(83),
        "the page counts for more than the setting"
    );
    assert_eq!(percent(None, Some(5_000), &oldest), None);
    assert_eq!(
        percent(Some(EventOrder::NewestFirst), Some(5_000), &[9_000]),
        Some(16)
    );
}
