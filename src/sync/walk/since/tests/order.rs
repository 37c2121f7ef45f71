//! Single pages in either order, and stretches that follow one another.

use super::*;

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
    // No order, then newest first: by the page itself, and by the settings.
    let unordered = gap(parameters(Some(5_000)), &[6_000, 8_000, 7_000], &[7_000, 8_000]);
    assert_eq!(unordered, [(span, GapReason::Doubtful(3))]);
    let newest = [9_000, 8_000, 7_000, 6_500, 6_000];
    assert_eq!(
        gap(parameters(Some(5_000)), &newest, &[]),
        [(span, GapReason::Doubtful(5))]
    );
    let known = ScanParameters {
        order: Some(EventOrder::NewestFirst),
        ..parameters(Some(5_000))
    };
    assert_eq!(gap(known, &[7_000, 6_000], &[]), [(span, GapReason::Doubtful(2))]);
}

#[test]
fn oldest_first_goes_on_from_the_millisecond_before_the_last() {
    let mut walk = begun(parameters(Some(5_000)));
    let Step::Read(from, advance) = walk.page(6, &dates(&[6_000, 6_001, 6_002, 6_003, 6_004, 6_004])) else {
        panic!("does not go on")
    };
    assert_eq!((from, advance.watermark), (at(6_003), Some(at(6_003))));
    // One more than before: more events may follow.
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
