//! What the tenant dropped before it was read.

use super::*;

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
    // Our clock is an hour behind, so the requested events may be gone already.
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
    let known = ScanParameters {
        order: Some(EventOrder::OldestFirst),
        ..parameters(Some(-9_000_000))
    };
    let mut walk = SinceWalk::begin(known, None);
    let advance = drained(&mut walk);
    assert_eq!(advance.watermark, Some(at(9_990 - 3_600_000)));
    assert_eq!(advance.covered[0].to, at(9_990 - 3_600_000));
}
