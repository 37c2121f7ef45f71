//! Events that are hidden after the end of a page: requested again, found, or a gap.

use super::*;

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
            // Unreadable events fill the page up to 8,000; one event follows.
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
