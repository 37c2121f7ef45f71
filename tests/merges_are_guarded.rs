//! Merges obey the removal guard: what a run removes because an element lists it in `replaces` counts with what its sweep
//! removes, and waits for a person's word.

use std::time::Duration;

use simulated_tenant::tenant::Tenant;

use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::truth::{assert_ledgers_add_up, assert_profiles_equal};
use crate::support::{Scene, scene, small};

/// An element that replaces these.
fn winner(id: &str, losers: &[String], modified: i64) -> String {
    serde_json::json!({
        "id": id,
        "replaces": losers,
        "segments": [],
        "properties": [{ "id": "lastmodifieddate", "values": [modified.to_string()] }],
    })
    .to_string()
}

/// Goes on with the run that waits for an approval of so many removals.
async fn approve(program: &Program, removals: i64) {
    let removals = removals.to_string();
    program
        .expect(0, &["backfill", "profiles", "--approve-removals", &removals])
        .await;
}

/// Status, error and hint of the last run, and what it removed.
async fn last_run(database: &Database) -> (String, String, String, i64) {
    database
        .rows(
            "select status, coalesce(error, ''), coalesce(hint, ''), rows_removed from sync.runs
             where resource = 'profiles' order by started_at desc limit 1",
        )
        .await
        .remove(0)
}

/// Merges the profiles at so many positions from the first on into others; says how many there were.
fn merge(tenant: &Tenant, losers: u64, winner: impl Fn(u64) -> u64) -> i64 {
    let merged = (0..losers).filter(|loser| tenant.merge(*loser, winner(*loser)));
    i64::try_from(merged.count()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_element_that_replaces_nearly_all_waits_for_approval() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(1_000)).await;
    program.expect(0, &["backfill"]).await;
    let stored = database.count("blueconic.profiles").await;
    let aliases = database.count("blueconic.profile_aliases").await;
    let merged = merge(&tenant, 990, |_| 995);
    tenant.advance(Duration::from_secs(5));
    let (approve, less) = (merged.to_string(), (merged - 1).to_string());
    for full in [false, true] {
        let mut arguments = vec!["backfill", "profiles"];
        arguments.extend(full.then_some("--full"));
        let ended = program.expect(4, &arguments).await;
        ended.tells(&[&format!("{merged} rows"), &format!("--approve-removals {merged}")]);
        let (status, _, _, removed) = last_run(&database).await;
        assert_eq!((status.as_str(), removed), ("needs_approval", 0));
        assert_eq!(database.count("blueconic.profiles").await, stored);
        let now = database.count("blueconic.profile_aliases").await;
        assert_eq!(now, aliases, "nothing of the batch is stored");
    }
    // Too little is not enough; what was named is.
    program
        .expect(4, &["backfill", "profiles", "--approve-removals", &less])
        .await;
    assert_eq!(database.count("blueconic.profiles").await, stored);
    let walk: String = database
        .one("select position ->> 'walk_id' from sync.cursors where resource = 'profiles' and scope = 'full'")
        .await;
    program
        .expect(0, &["backfill", "profiles", "--approve-removals", &approve])
        .await;
    let went_on: String = database
        .one("select position_from ->> 'walk_id' from sync.runs order by started_at desc limit 1")
        .await;
    assert_eq!(
        walk, went_on,
        "the approved run goes on with the walk that stopped"
    );
    assert_profiles_equal(&database, &tenant).await;
    assert_ledgers_add_up(&database).await;
}

/// Spread over elements and batches: the number that is named is that of the whole page, and is enough.
#[tokio::test(flavor = "multi_thread")]
async fn many_elements_with_one_loser_each_are_counted_together() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(2_000)).await;
    let program = program.set("limits.batch_size", "64KiB");
    program.expect(0, &["backfill"]).await;
    let before = database.count("blueconic.profiles").await;
    let merged = merge(&tenant, 600, |loser| loser + 1_000);
    let ended = program.expect(4, &["backfill", "--full", "profiles"]).await;
    let (status, error, hint, removed) = last_run(&database).await;
    assert_eq!(status, "needs_approval", "{error}");
    assert!((0..=100).contains(&removed), "{removed} went unasked");
    assert_eq!(before - database.count("blueconic.profiles").await, removed);
    let named = format!("--approve-removals {merged}");
    assert!(hint.contains(&named), "{hint}");
    ended.tells(&[&named]);
    approve(&program, merged).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_ledgers_add_up(&database).await;
}

/// An increment that stopped is gone on with by the approved run, and no full walk is needed for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_increment_waits_and_goes_on_too() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(400)).await;
    program.expect(0, &["backfill"]).await;
    let merged = merge(&tenant, 150, |_| 300);
    tenant.advance(Duration::from_secs(5));
    program.expect(4, &["backfill", "profiles"]).await;
    let mode: String = database
        .one("select mode from sync.runs order by started_at desc limit 1")
        .await;
    assert_eq!(mode, "increment");
    approve(&program, merged).await;
    let ended: (String, i64) = database
        .rows("select mode, rows_removed from sync.runs order by started_at desc limit 1")
        .await
        .remove(0);
    assert_eq!(ended, ("increment".to_owned(), merged));
    assert_profiles_equal(&database, &tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_and_the_sweep_of_one_run_count_together() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(1_000)).await;
    program.expect(0, &["backfill"]).await;
    let merged = merge(&tenant, 70, |_| 500);
    let deleted = (100..170).filter(|position| tenant.delete(*position)).count();
    let deleted = i64::try_from(deleted).unwrap();
    // The merges are within the bound of 100; with those that are gone it is passed.
    let ended = program.expect(4, &["backfill", "--full", "profiles"]).await;
    let all = (merged + deleted).to_string();
    ended.tells(&[
        &format!("merges removed {merged}"),
        &format!("--approve-removals {all}"),
    ]);
    program
        .expect(0, &["backfill", "profiles", "--approve-removals", &all])
        .await;
    assert_profiles_equal(&database, &tenant).await;
}

/// Losers that are not there cost nothing: a first load with any number of merges is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_with_many_merges_needs_nobody() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(300)).await;
    let losers: Vec<String> = (0..5_000).map(|number| format!("loser{number}")).collect();
    tenant.insert_raw(0, winner("winner", &losers, tenant.now()));
    program.expect(0, &["backfill", "profiles"]).await;
    assert_eq!(
        database
            .count("blueconic.profile_aliases where survivor_id = 'winner'")
            .await,
        5_000
    );
}
