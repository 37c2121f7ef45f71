//! Dates from outside: one answer whose `Date` is wrong, ahead or behind, fresh or out of a cache; and a search index that
//! shows changes late. What changes afterwards arrives.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant::{Tenant, start};

use super::table::{Case, tries};
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::small;
use crate::support::truth::{assert_equal, assert_profiles_equal};

/// Seconds by which a `Date` is off, with the `Age` beside it.
const OFFS: [(i64, Option<u64>); 9] = [
    (3 * 86_400, None),
    (-3 * 86_400, None),
    (1_200, None),
    (-1_200, None),
    (60, None),
    (-7_200, None),
    (-7_200, Some(7_200)),
    (0, Some(7_200)),
    (40 * 86_400, None),
];
const ROUTES: [Route; 4] = [Route::Token, Route::Segments, Route::Profiles, Route::AuditEvents];

fn change(tenant: &Tenant, round: u64) {
    let event = tenant.audit_events().remove(0);
    let now = tenant.now();
    for position in 0..7 {
        assert!(tenant.touch(20 * round + position, "name", &["Touched"]));
    }
    tenant.push_audit_events((0..5).map(|number| {
        let mut event = event.clone();
        event.date = now - number;
        event
    }));
}

/// The so-many-th try: which answer is wrong, in which run, and how.
async fn wrong_once(number: u32) {
    let index = usize::try_from(number).unwrap();
    let (off, age) = OFFS[index % OFFS.len()];
    let route = ROUTES[index / OFFS.len() % ROUTES.len()];
    let tenant = start(Settings {
        audit_order: AuditOrder::OldestFirst,
        ..small(200)
    })
    .await
    .unwrap();
    let database = Database::bare().await;
    let program = Program::new(tenant.url(), &database.url)
        .set("resources.profiles.overlap", "2s")
        .set("resources.profiles.page_size", "90");
    for run in 0..4_u64 {
        if run == u64::from(number % 3) {
            let kind = Kind::Dated { off, age };
            tenant.faults().push(Fault::at(route, When::Request(1), kind));
        }
        program.expect(0, &["backfill"]).await;
        let ahead = "sync.cursors where watermark > clock_timestamp() + interval '1 minute'";
        assert_eq!(database.count(ahead).await, 0, "{number}, run {run}");
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        change(&tenant, run);
    }
    program.expect(0, &["backfill"]).await;
    assert_equal(&database, &tenant).await;
    assert_eq!(
        database.count("sync.gaps where closed_at is null").await,
        0,
        "{number}"
    );
    database.remove(Cluster::shared()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_is_wrong_once() {
    let mut case = Case::new("one answer with a wrong `Date` or an `Age`");
    let number = tries(9, 108);
    case.tried(number.into());
    stream::iter(0..number).for_each_concurrent(4, wrong_once).await;
    case.report();
}

/// Increments every second or so over an index that is seconds behind, with an overlap that is longer.
async fn late_index(number: u32) {
    let tenant = start(Settings {
        index_lag: Duration::from_secs(2 + u64::from(number % 3)),
        ..small(200)
    })
    .await
    .unwrap();
    let database = Database::bare().await;
    let program = Program::new(tenant.url(), &database.url).set("resources.profiles.overlap", "15s");
    program.expect(0, &["backfill", "profiles"]).await;
    for round in 0..5_u64 {
        for position in 0..7 {
            assert!(tenant.touch(20 * round + position, "name", &["Late"]));
        }
        tenant.add_profiles(1);
        program.expect(0, &["backfill", "profiles"]).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    program.expect(0, &["backfill", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_eq!(database.count("sync.runs where mode = 'full'").await, 1);
    database.remove(Cluster::shared()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_late_loses_nothing_within_the_overlap() {
    let mut case = Case::new("a search index that shows changes late");
    let number = tries(3, 30);
    case.tried(number.into());
    stream::iter(0..number).for_each_concurrent(4, late_index).await;
    case.report();
}
