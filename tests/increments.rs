//! What changes at the tenant arrives: touched profiles by an increment, all else by a full walk, and what is gone goes.

use std::time::Duration;

use simulated_tenant::faults::Route;

use crate::support::truth::{assert_equal, assert_profiles_equal, profile};
use crate::support::{Scene, scene, small};

async fn last_run(scene: &Scene, column: &str) -> String {
    scene
        .database
        .one(&format!(
            "select {column}::text from sync.runs where resource = 'profiles' order by started_at desc limit 1"
        ))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_brings_what_was_touched_and_reads_little() {
    let scene = scene(small(3_000)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    let program = program.set("resources.profiles.overlap", "1s");
    program.expect(0, &["backfill"]).await;
    assert_eq!(last_run(&scene, "mode").await, "full", "nothing was complete yet");
    tenant.advance(Duration::from_mins(5));
    tenant.touch(5, "name", &["New Name"]);
    tenant.touch(2_999, "favourites", &["a", "b\u{1f600}", "\"quoted\"\\"]);
    let first = tenant.add_profiles(3);
    assert!(tenant.merge(10, 11));
    // The `Date` header has whole seconds: what happens within this one belongs to the next increment.
    tenant.advance(Duration::from_secs(5));
    program.expect(0, &["backfill", "profiles"]).await;
    assert_eq!(last_run(&scene, "mode").await, "increment");
    let read: i64 = last_run(&scene, "rows_read").await.parse().unwrap();
    assert!((6..300).contains(&read), "{read} of 3,000 were read");
    assert_profiles_equal(database, tenant).await;
    let reasons = database
        .texts(&format!(
            "select reason || ' ' || survivor_id from blueconic.profile_tombstones where profile_id = '{}'",
            tenant.id(10)
        ))
        .await;
    assert_eq!(reasons, [format!("merged {}", tenant.id(11))]);
    assert!(tenant.profile(first).is_some());
    // Nothing more to read, nothing to write.
    program.expect(0, &["backfill", "profiles"]).await;
    assert_eq!(
        last_run(&scene, "(rows_inserted + rows_updated + rows_removed)").await,
        "0"
    );
}

/// `lastmodifieddate` does not move when membership changes or a property is cleared: only a full walk tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_walk_brings_what_has_no_new_date() {
    let scene = scene(small(1_000)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    let segment = tenant.segments()[2].id.clone();
    let member = (0..1_000)
        .find(|position| {
            let profile = tenant.profile(*position).unwrap();
            profile.segment_ids.contains(&segment)
        })
        .unwrap();
    assert!(tenant.set_member(member, &segment, false));
    let other = tenant.profile(member + 1).unwrap();
    let cleared = other
        .properties
        .unwrap()
        .into_iter()
        .find(|property| !property.id.ends_with("date"));
    assert!(tenant.set_property(member + 1, &cleared.unwrap().id, None));
    program.expect(0, &["backfill", "--full"]).await;
    assert_equal(database, tenant).await;
    assert_eq!(last_run(&scene, "rows_updated").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_walk_removes_what_is_gone_and_says_why() {
    let scene = scene(small(1_500)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    for position in 100..120 {
        assert!(tenant.delete(position));
    }
    for position in 200..210 {
        assert!(tenant.merge(position, 300));
    }
    // Two merges in a row: 300 goes on into 301.
    assert!(tenant.merge(300, 301));
    let gone: Vec<u64> = (400..405).collect();
    for position in &gone {
        assert!(tenant.set_member(*position, "allvisitors", false));
    }
    let merged_before = database
        .count("blueconic.profile_tombstones where reason = 'merged'")
        .await;
    // One that the listing leaves out, though it is there.
    tenant.skip(500);
    program.expect(0, &["backfill", "--full"]).await;
    let reasons: Vec<(String, i64)> = database
        .rows("select reason, count(*) from blueconic.profile_tombstones group by reason order by reason")
        .await;
    assert_eq!(
        reasons,
        [
            ("deleted".into(), 20),
            ("merged".into(), merged_before + 11),
            ("out_of_scope".into(), 5)
        ]
    );
    assert_eq!(last_run(&scene, "rows_missed").await, "1");
    let kept = tenant.id(500);
    assert_eq!(
        database
            .count(&format!("blueconic.profiles where id = '{kept}'"))
            .await,
        1
    );
    // Out of scope is not at the tenant's segment of all visitors any more.
    let scoped: Vec<String> = tenant
        .profiles()
        .filter(|profile| profile.segment_ids.iter().any(|id| id == "allvisitors"))
        .map(|profile| profile.id)
        .collect();
    let mut stored = database.texts("select id from blueconic.profiles").await;
    let mut scoped_sorted = scoped;
    stored.sort();
    scoped_sorted.sort();
    assert_eq!(stored, scoped_sorted);
    // Every id leads to who it is now, also over two merges.
    let current: Vec<(Option<String>,)> = database
        .rows(&format!(
            "select distinct current_id from blueconic.profile_identity where profile_id in ('{}', '{}', '{}')",
            tenant.id(205),
            tenant.id(300),
            tenant.id(301)
        ))
        .await;
    assert_eq!(current, [(Some(tenant.id(301)),)]);
    let identities = database.count("blueconic.profile_identity").await;
    let expected =
        database.count("blueconic.profiles").await + database.count("blueconic.profile_aliases").await;
    assert_eq!(identities, expected);
    // Who returns is no longer dead.
    assert!(tenant.restore(100));
    tenant.list_truly();
    program.expect(0, &["backfill", "--full"]).await;
    let back = tenant.id(100);
    assert_eq!(
        database
            .count(&format!(
                "blueconic.profile_tombstones where profile_id = '{back}'"
            ))
            .await,
        0
    );
    let row: serde_json::Value = database
        .one(&format!(
            "select properties from blueconic.profiles where id = '{back}'"
        ))
        .await;
    assert_eq!(row, profile(&tenant.profile(100).unwrap())["properties"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_removal_waits_for_a_person() {
    let scene = scene(small(1_000)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    for position in 0..150 {
        assert!(tenant.delete(position));
    }
    let ended = program.expect(4, &["backfill", "--full"]).await;
    ended.tells(&["150", "--approve-removals"]);
    assert_eq!(last_run(&scene, "status").await, "needs_approval");
    assert_eq!(database.count("blueconic.profiles").await, 1_000);
    tenant.requests().forget();
    program
        .expect(4, &["backfill", "profiles", "--approve-removals", "149"])
        .await;
    assert_eq!(database.count("blueconic.profiles").await, 1_000);
    program
        .expect(0, &["backfill", "profiles", "--approve-removals", "150"])
        .await;
    assert_eq!(
        tenant.requests().count(Route::Profiles),
        0,
        "the finished walk is used, not read again"
    );
    assert_profiles_equal(database, tenant).await;
    assert_eq!(
        database
            .count("blueconic.profile_tombstones where reason = 'deleted'")
            .await,
        150
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_lose_what_the_tenant_removed() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(100)).await;
    program.expect(0, &["backfill"]).await;
    let (segment, property) = (tenant.segments()[4].id.clone(), tenant.properties()[5].id.clone());
    assert!(tenant.remove_segment(&segment) && tenant.remove_property(&property));
    let renamed = tenant.segments()[1].id.clone();
    assert!(tenant.rename_segment(&renamed, "Renamed"));
    program.expect(0, &["backfill", "--full"]).await;
    assert_equal(&database, &tenant).await;
}

/// `--since` reads what changed since then, and never moves the watermark back.
#[tokio::test(flavor = "multi_thread")]
async fn since_reads_back_and_leaves_the_watermark() {
    let scene = scene(small(2_000)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    let watermark = "select max(watermark)::text from sync.cursors where resource = 'profiles'";
    let before: String = database.one(watermark).await;
    let row = tenant.id(7);
    database
        .run(&format!("delete from blueconic.profiles where id = '{row}'"))
        .await;
    let modified = tenant.profile(7).unwrap().modified_at.unwrap();
    let since = chrono::DateTime::from_timestamp_millis(modified - 1)
        .unwrap()
        .to_rfc3339();
    program
        .expect(0, &["backfill", "profiles", "--since", &since])
        .await;
    assert_eq!(last_run(&scene, "mode").await, "increment");
    assert_profiles_equal(database, tenant).await;
    assert!(database.one::<String>(watermark).await >= before);
}

/// New audit events arrive once each, also equal ones and those within the overlap.
#[tokio::test(flavor = "multi_thread")]
async fn audit_events_arrive_once() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(1)).await;
    program.expect(0, &["backfill"]).await;
    let mut event = tenant.audit_events().pop().unwrap();
    event.date = tenant.now() - 5_000;
    tenant.push_audit_events([event.clone(), event.clone(), event.clone()]);
    for _ in 0..2 {
        program.expect(0, &["backfill", "audit_events"]).await;
        crate::support::truth::assert_events_equal(&database, &tenant).await;
    }
    tenant.push_audit_events([event]);
    program.expect(0, &["backfill", "audit_events"]).await;
    crate::support::truth::assert_events_equal(&database, &tenant).await;
}
