//! A walk in which little differs: what does is loaded in few transactions, and nothing of it is lost.

use std::time::Duration;

use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::tenant::Tenant;

use crate::support::database::Database;
use crate::support::truth::{assert_equal, assert_ledgers_add_up};
use crate::support::{Scene, scene, small};

const CHANGED: &str = "blueconic.profiles where properties::text like '%Somebody Else%'";

/// Changes every so-many-th profile; returns how many.
fn change(tenant: &Tenant, profiles: u64, every: usize) -> i64 {
    tenant.advance(Duration::from_secs(5));
    let all = (0..profiles).step_by(every);
    let changed = all.filter(|at| tenant.touch(*at, "name", &["Somebody Else"]));
    i64::try_from(changed.count()).unwrap()
}

async fn transactions(database: &Database) -> i64 {
    database
        .one(&format!("select count(distinct xmin::text) from {CHANGED}"))
        .await
}

/// Pages of about ten batches each.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_loads_what_differs_with_its_tail() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(3_000)).await;
    let program = program
        .set("limits.batch_size", "256KiB")
        .set("resources.profiles.page_size", "1000");
    program.expect(0, &["backfill", "--full"]).await;
    let changed = change(&tenant, 3_000, 100);
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_equal(&database, &tenant).await;
    assert_ledgers_add_up(&database).await;
    assert_eq!(database.count(CHANGED).await, changed);
    assert_eq!(transactions(&database).await, 3);
}

/// The page never ends whole: its position does not move, and what came of it is loaded.
#[tokio::test(flavor = "multi_thread")]
async fn what_differs_in_a_page_that_breaks_off_is_loaded() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(3_000)).await;
    let program = program
        .set("limits.batch_size", "256KiB")
        .set("retry.give_up_after", "1s");
    program.expect(0, &["backfill", "--full"]).await;
    let changed = change(&tenant, 3_000, 100);
    let first = |limit, kind| Fault {
        limit,
        ..Fault::at(Route::Profiles, When::Page(1), kind)
    };
    let unavailable = Kind::Status {
        status: 503,
        retry_after: None,
    };
    tenant.faults().push(first(Some(1), Kind::CutAfter(1_000_000)));
    tenant.faults().push(first(None, unavailable));
    program.expect(1, &["backfill", "--full", "profiles"]).await;
    let loaded = database.count(CHANGED).await;
    assert!(loaded > 0 && loaded < changed, "{loaded} of {changed}");
    assert_ledgers_add_up(&database).await;
    tenant.faults().clear();
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_equal(&database, &tenant).await;
    assert_ledgers_add_up(&database).await;
}

/// More merged ids wait for the tail than one batch may remove.
#[tokio::test(flavor = "multi_thread")]
async fn many_merges_that_were_left_over_are_loaded_in_parts() {
    const LOSERS: i64 = 9_999;
    const WINNERS: i64 = 4;
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(4_000)).await;
    program.expect(0, &["backfill", "--full"]).await;
    for winner in 0..WINNERS {
        let losers: Vec<String> = (0..LOSERS).map(|id| format!("\"{winner}{id}\"")).collect();
        let losers = losers.join(",");
        tenant.insert_raw(
            100,
            format!(r#"{{"id":"winner {winner}","replaces":[{losers}]}}"#),
        );
    }
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    let aliases = "blueconic.profile_aliases where survivor_id like 'winner%'";
    assert_eq!(database.count(aliases).await, WINNERS * LOSERS);
    let winners = "select count(distinct xmin::text) from blueconic.profiles where id like 'winner%'";
    assert!(database.one::<i64>(winners).await > 1, "all in one batch");
    let (read, distinct, inserted): (i64, i64, i64) = database
        .rows(
            "select rows_read, rows_distinct, rows_inserted from sync.runs
             where resource = 'profiles' order by started_at desc limit 1",
        )
        .await
        .remove(0);
    assert_eq!(
        (read, distinct, inserted),
        (4_000 + WINNERS, 4_000 + WINNERS, WINNERS)
    );
    assert_ledgers_add_up(&database).await;
}

/// In one page: batches of their own for some hundred profiles, of which each has one that changed and each second one a
/// broken element.
#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_gathered_from_many_batches() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(8_000)).await;
    let program = program.set("limits.batch_size", "64KiB");
    program.expect(0, &["backfill", "--full"]).await;
    let changed = change(&tenant, 8_000, 80);
    for at in (40..8_000).step_by(160) {
        tenant.insert_raw(at, format!(r#"{{"id":"broken {at}","properties":"none"}}"#));
    }
    for turn in 0..2 {
        program.expect(3, &["backfill", "--full", "profiles"]).await;
        assert_equal(&database, &tenant).await;
        let counts: (i64, i64, i64, i64) = database
            .rows(
                "select rows_read, rows_updated, rows_unchanged, rows_rejected from sync.runs
                 where resource = 'profiles' order by started_at desc limit 1",
            )
            .await
            .remove(0);
        let updated = if turn == 0 { changed } else { 0 };
        assert_eq!(counts, (8_050, updated, 8_000 - updated, 50));
        let rejects = "sync.rejects where resolved_at is null and run_id = (select id from sync.runs
                       where resource = 'profiles' order by started_at desc limit 1)";
        assert_eq!(database.count(rejects).await, 50, "met in this run as well");
    }
    let transactions = transactions(&database).await;
    assert!(
        transactions > 0 && transactions * 6 < changed,
        "{changed} rows came in {transactions} transactions"
    );
}
