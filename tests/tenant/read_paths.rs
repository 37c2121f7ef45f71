//! The two read paths: which requests take which, their orders and cursors, and how late they are.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use simulated_tenant::read_paths::{Flips, OtherCursor, ReadPaths, Sort};
use simulated_tenant::settings::Settings;

use super::asker::{Asker, elements, fixed, modified_between, text};

const LAG: Duration = Duration::from_mins(10);

fn two_paths(read_paths: ReadPaths) -> Settings {
    Settings {
        read_paths: Some(read_paths),
        index_lag: LAG,
        ..fixed()
    }
}

fn ids(page: &Value) -> Vec<String> {
    elements(page)
        .iter()
        .map(|profile| text(&profile["id"]))
        .collect()
}

/// A segment that holds less than 95%, and everybody with a date of modification.
fn everybody() -> String {
    modified_between(0, 4_000_000_000_000)
}

#[tokio::test]
async fn the_share_decides_the_order_and_the_form_of_cursors() {
    let asker = Asker::new(two_paths(ReadPaths::default())).await;
    let all = asker.walk("allvisitors", &[("count", "130")]).await;
    let scanned: Vec<String> = all.iter().flat_map(ids).collect();
    let truth: Vec<String> = asker.tenant.profiles().map(|profile| profile.id).collect();
    assert_ne!(scanned, truth, "an order of its own");
    let as_set = |ids: &[String]| ids.iter().cloned().collect::<HashSet<_>>();
    assert_eq!((as_set(&scanned), scanned.len()), (as_set(&truth), truth.len()));
    assert!(text(&all[0]["nextCursor"]).starts_with("0008"));

    let segment = asker.tenant.segments()[1].id.clone();
    let of_segment = asker.walk(&segment, &[("count", "30")]).await;
    assert!(text(&of_segment[0]["nextCursor"]).starts_with("AoJ"));
    let listed: Vec<String> = of_segment.iter().flat_map(ids).collect();
    let mut members: Vec<_> = asker
        .tenant
        .profiles()
        .filter(|profile| profile.segment_ids.contains(&segment))
        .map(|profile| (profile.modified_at.unwrap_or(0), profile.id))
        .collect();
    members.sort();
    let members: Vec<String> = members.into_iter().map(|(_, id)| id).collect();
    assert_eq!(listed, members, "by the sort value and the id");

    // A refinement that nearly everybody meets is answered by the store.
    let everybody = everybody();
    let query = [("refinement", everybody.as_str()), ("count", "100")];
    let refined = asker.walk("allvisitors", &query).await;
    assert!(text(&refined[0]["nextCursor"]).starts_with("0008"));
}

#[tokio::test]
async fn the_index_is_late_and_the_store_is_not() {
    let asker = Asker::new(two_paths(ReadPaths::default())).await;
    let tenant = &asker.tenant;
    let segment = tenant.segments()[1].id.clone();
    let member = |inside: bool| {
        let found = tenant.profiles().find(|profile| {
            profile.segment_ids.contains(&segment) == inside && profile.modified_at.is_some()
        });
        found.unwrap().position
    };
    let (leaves, joins) = (member(true), member(false));
    let now = tenant.now();
    assert!(tenant.set_member(leaves, &segment, false) && tenant.set_member(joins, &segment, true));
    assert!(tenant.touch(joins, "city", &["Utrecht"]));
    let new = tenant.add_profiles(1);
    let gone = leaves + 1;
    assert!(tenant.delete(gone));
    let lately = modified_between(now, now + 3_600_000);
    let lately = [("refinement", lately.as_str())];
    let count = [("count", "1000")];

    let of_segment = asker.ids(&segment, &count).await;
    assert!(of_segment.contains(&tenant.id(leaves)) && !of_segment.contains(&tenant.id(joins)));
    assert!(asker.ids("allvisitors", &lately).await.is_empty());
    let scanned = asker.ids("allvisitors", &count).await;
    assert!(scanned.contains(&tenant.id(new)) && !scanned.contains(&tenant.id(gone)));

    tenant.advance(LAG);
    let of_segment = asker.ids(&segment, &count).await;
    assert!(!of_segment.contains(&tenant.id(leaves)) && of_segment.contains(&tenant.id(joins)));
    let found = asker.ids("allvisitors", &lately).await;
    assert_eq!(
        found.iter().collect::<HashSet<_>>(),
        HashSet::from([&tenant.id(joins), &tenant.id(new)])
    );
}

/// The index counts a profile that is gone, and its page comes without it.
#[tokio::test]
async fn a_late_index_promises_what_does_not_come() {
    let asker = Asker::new(two_paths(ReadPaths::default())).await;
    let segment = asker.tenant.segments()[1].id.clone();
    let before = asker
        .json(&format!("/segments/{segment}/profiles"), &[("count", "1000")])
        .await;
    let gone = asker.tenant.position(&ids(&before)[3]).unwrap();
    assert!(asker.tenant.delete(gone));
    let after = asker
        .json(&format!("/segments/{segment}/profiles"), &[("count", "1000")])
        .await;
    assert_eq!(after["totalResults"], before["totalResults"]);
    assert_eq!(ids(&after).len() + 1, ids(&before).len());
}

/// Near the limit the path changes between two pages, and a cursor of the other path is refused or misread.
#[tokio::test]
async fn a_path_that_changes_refuses_cursors_or_takes_them() {
    let flipping = |other_cursor, every| ReadPaths {
        scan_from: 1_000,
        flips: Some(Flips { within: 50, every }),
        other_cursor,
        ..ReadPaths::default()
    };
    let refusing = Asker::new(Settings {
        refused_cursor: 422,
        ..two_paths(flipping(OtherCursor::Refused, 1))
    })
    .await;
    let path = "/segments/allvisitors/profiles";
    let first = refusing.json(path, &[("count", "100")]).await;
    let cursor = text(&first["nextCursor"]);
    let next = [("count", "100"), ("cursor", cursor.as_str())];
    assert_eq!(refusing.status(path, &next).await, 422);
    assert_eq!(refusing.status(path, &next).await, 200, "its own path again");
    assert_eq!(refusing.status(path, &[("cursor", "nonsense")]).await, 422);

    let taking = Asker::new(two_paths(flipping(OtherCursor::Taken, 3))).await;
    let walk = taking.ids("allvisitors", &[("count", "100")]).await;
    let distinct = walk.iter().collect::<HashSet<_>>().len();
    assert!(distinct < 1_000, "{distinct} of 1,000: some are left out");
    let twin = Asker::new(two_paths(flipping(OtherCursor::Taken, 3))).await;
    assert_eq!(
        twin.ids("allvisitors", &[("count", "100")]).await,
        walk,
        "by the seed"
    );
}

#[tokio::test]
async fn the_index_has_three_orders() {
    for sort in [Sort::Modified, Sort::NewestModified, Sort::Created] {
        let asker = Asker::new(two_paths(ReadPaths {
            sort,
            ..ReadPaths::default()
        }))
        .await;
        let segment = asker.tenant.segments()[1].id.clone();
        let paged = asker.ids(&segment, &[("count", "7")]).await;
        let whole = asker.ids(&segment, &[("count", "1000")]).await;
        assert_eq!(paged, whole, "{sort:?}");
        assert_eq!(Some(whole.len() as u64), asker.tenant.member_count(&segment));
        let dates: Vec<i64> = whole
            .iter()
            .filter_map(|id| asker.tenant.profile(asker.tenant.position(id)?)?.modified_at)
            .collect();
        match sort {
            Sort::Modified => assert!(dates.is_sorted()),
            Sort::NewestModified => assert!(dates.iter().rev().is_sorted()),
            Sort::Created => assert!(!dates.is_sorted()),
        }
    }
}

#[tokio::test]
async fn counts_are_as_old_as_they_may_be() {
    for read_paths in [None, Some(ReadPaths::default())] {
        let asker = Asker::new(Settings {
            count_age: Duration::from_mins(30),
            read_paths,
            ..fixed()
        })
        .await;
        let totals = async || {
            let segments = asker.json("/segments", &[]).await;
            let page = asker.json("/segments/allvisitors/profiles", &[]).await;
            let number = |value: &Value| value.as_u64().unwrap();
            (
                number(&segments["segments"][0]["profileCount"]),
                number(&page["totalResults"]),
            )
        };
        assert_eq!(totals().await, (1_000, 1_000));
        for position in 0..20 {
            assert!(asker.tenant.delete(position));
        }
        assert_eq!(totals().await, (1_000, 1_000), "too high");
        asker.tenant.advance(Duration::from_mins(30));
        assert_eq!(totals().await, (980, 980));
        asker.tenant.add_profiles(30);
        assert_eq!(totals().await, (980, 980), "too low");
    }
}
