//! A walk in which little differs: what does is loaded in few transactions, and nothing of it is lost.

use std::time::Duration;

use crate::support::truth::assert_equal;
use crate::support::{Scene, scene, small};

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
    tenant.advance(Duration::from_secs(5));
    let before: String = database.one("select sync.clock()::text").await;
    let touched = (0..8_000).step_by(80);
    let changed = touched
        .filter(|at| tenant.touch(*at, "name", &["Somebody Else"]))
        .count();
    let changed = i64::try_from(changed).unwrap();
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
    let loaded = format!("from blueconic.profiles where synced_at > '{before}'");
    let transactions: i64 = database
        .one(&format!("select count(distinct xmin::text) {loaded}"))
        .await;
    assert!(
        transactions > 0 && transactions * 3 < changed,
        "{changed} rows came in {transactions} transactions"
    );
}
