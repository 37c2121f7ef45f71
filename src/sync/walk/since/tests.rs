//! What follows from single pages, one case each; `tests/proofs/audit_walk.rs` drives the same machine through thousands
//! of tenants.

#![expect(clippy::panic, reason = "a test says what it needs by panicking")]

use super::*;

fn at(millis: i64) -> Time {
    DateTime::from_timestamp_millis(1_700_000_000_000 + millis).unwrap_or_default()
}

fn frame(watermark: Option<i64>) -> Frame {
    Frame {
        watermark: watermark.map(at),
        since: None,
        overlap: TimeDelta::milliseconds(100),
        settle: TimeDelta::milliseconds(10),
        retention: TimeDelta::days(30),
        order: None,
        page_size: 6,
        now: at(10_000),
    }
}

/// A scan whose first answer told the same time.
fn begun(frame: Frame) -> SinceWalk {
    SinceWalk::begin(frame, Some(frame.now))
}

fn dates(millis: &[i64]) -> Vec<Time> {
    millis.iter().map(|one| at(*one)).collect()
}

#[test]
fn a_short_page_covers_all_behind_its_bound() {
    let mut walk = begun(frame(Some(5_000)));
    assert_eq!(walk.from(), at(4_900));
    let Step::End(advance) = walk.page(2, &dates(&[6_000, 7_000])) else {
        panic!("not at its end")
    };
    assert_eq!(advance.watermark, Some(at(9_990)));
    assert_eq!(advance.gaps, []);
    assert_eq!(
        advance.covered,
        [Span {
            from: at(4_900),
            to: at(9_990)
        }]
    );
}

#[test]
fn oldest_first_goes_on_from_the_millisecond_before_the_last() {
    let mut walk = begun(frame(Some(5_000)));
    let Step::Read(from, advance) = walk.page(6, &dates(&[6_000, 6_001, 6_002, 6_003, 6_004, 6_004])) else {
        panic!("does not go on")
    };
    assert_eq!((from, advance.watermark), (at(6_003), Some(at(6_003))));
    let Step::End(advance) = walk.page(3, &dates(&[6_004, 6_004, 6_004])) else {
        panic!("not at its end")
    };
    assert_eq!(advance.gaps, []);
}

#[test]
fn a_millisecond_that_fills_a_page_is_a_gap_and_the_scan_goes_on_behind_it() {
    let mut walk = begun(Frame {
        order: Some(EventOrder::OldestFirst),
        ..frame(Some(5_000))
    });
    assert!(matches!(walk.page(6, &dates(&[6_000; 6])), Step::Read(from, _) if from == at(5_999)));
    assert!(matches!(walk.page(6, &dates(&[6_000; 6])), Step::Read(from, _) if from == at(6_000)));
    let Step::End(advance) = walk.page(0, &[]) else {
        panic!("not at its end")
    };
    assert_eq!(
        advance.gaps,
        [(
            Span {
                from: at(5_999),
                to: at(6_000)
            },
            GapReason::Saturated
        )]
    );
}

#[test]
fn newest_first_hides_what_is_older_than_its_page() {
    let mut walk = begun(frame(Some(5_000)));
    let Step::End(advance) = walk.page(6, &dates(&[9_005, 9_004, 9_003, 9_002, 9_001, 9_000])) else {
        panic!("not at its end")
    };
    assert_eq!(
        advance.gaps,
        [(
            Span {
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
    let mut walk = begun(Frame {
        page_size: 5,
        ..frame(Some(0))
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
                        Span {
                            from: at(0),
                            to: at(5_000)
                        },
                        GapReason::Unreachable
                    )]
                );
                return;
            }
            Step::Stuck => panic!("stuck"),
        }
    }
    panic!("no end")
}

#[test]
fn what_the_tenant_dropped_is_a_gap() {
    let day = 86_400_000;
    let mut walk = begun(Frame {
        now: at(40 * day),
        ..frame(Some(0))
    });
    assert_eq!(walk.from(), at(10 * day + 3_600_000));
    let Step::End(advance) = walk.page(0, &[]) else {
        panic!("not at its end")
    };
    let gap = Span {
        from: at(0),
        to: at(10 * day + 3_600_000),
    };
    assert_eq!(advance.gaps, [(gap, GapReason::Retention)]);
}

#[test]
fn the_first_scan_ever_opens_no_gap_before_its_start() {
    let mut walk = begun(frame(None));
    let Step::End(advance) = walk.page(1, &dates(&[9_000])) else {
        panic!("not at its end")
    };
    assert_eq!(advance.gaps, []);
}

#[test]
fn what_the_tenant_may_have_dropped_by_its_own_clock_is_not_covered() {
    let day = 86_400_000;
    // Our clock is an hour behind: what we ask for may be gone already.
    let ours = Frame {
        now: at(40 * day - 3_600_000),
        ..frame(Some(0))
    };
    let mut walk = SinceWalk::begin(ours, Some(at(40 * day)));
    let Step::End(advance) = walk.page(0, &[]) else {
        panic!("not at its end")
    };
    let kept = at(10 * day + 3_600_000);
    assert!(walk.from() < kept);
    assert_eq!(
        advance.gaps,
        [(
            Span {
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
    let mut walk = SinceWalk::begin(frame(Some(-9_000_000)), None);
    let Step::End(advance) = walk.page(0, &[]) else {
        panic!("not at its end")
    };
    assert_eq!(advance.watermark, Some(at(9_990 - 3_600_000)));
    assert_eq!(advance.covered[0].to, at(9_990 - 3_600_000));
}

#[test]
fn a_page_that_speaks_against_the_order_of_the_settings_has_none() {
    let mut walk = begun(Frame {
        order: Some(EventOrder::OldestFirst),
        ..frame(Some(5_000))
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
    let mut walk = begun(frame(Some(5_000)));
    for first in (9_000..).step_by(1_000) {
        assert!(first < 20_000, "no end");
        let page: Vec<i64> = (first..first + 6).collect();
        match walk.page(6, &dates(&page)) {
            Step::Read(..) => {}
            Step::End(advance) => return assert_eq!(advance.watermark, Some(at(9_990))),
            Step::Stuck => panic!("stuck"),
        }
    }
}

#[test]
fn pages_that_follow_one_another_cover_one_stretch() {
    let mut walk = begun(frame(Some(5_000)));
    for first in (6_000..9_000).step_by(100) {
        let page: Vec<i64> = (first..first + 6).collect();
        let Step::Read(_, advance) = walk.page(6, &dates(&page)) else {
            panic!("does not go on")
        };
        assert_eq!(
            advance.covered,
            [Span {
                from: at(4_900),
                to: at(first + 4)
            }]
        );
    }
}

#[test]
fn only_what_can_be_hidden_presses() {
    let percent = |order, watermark, events: &[i64]| {
        let walk = begun(Frame {
            order,
            ..frame(watermark)
        });
        walk.pressure(&dates(events)).map(|pressure| pressure.percent)
    };
    let newest = [9_005, 9_004, 9_003, 9_002, 9_001, 4_990];
    assert_eq!(percent(None, Some(5_000), &newest), Some(83));
    assert_eq!(
        percent(None, None, &newest),
        None,
        "the first scan has nothing to lose"
    );
    assert_eq!(percent(Some(EventOrder::OldestFirst), Some(5_000), &newest), None);
    let mut oldest = newest;
    oldest.reverse();
    assert_eq!(percent(None, Some(5_000), &oldest), None);
    assert_eq!(
        percent(Some(EventOrder::NewestFirst), Some(5_000), &[9_000]),
        Some(16)
    );
}
