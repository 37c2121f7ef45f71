//! `--verify`: the tenant's own counts beside those of the tables, by table and by segment.

use blueconic_sync::model::description::Description;
use std::collections::BTreeSet;

use serde_json::Value;
use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;

use crate::support::registry::by_default;
use crate::support::{Scene, scene, small};

fn names(list: &Value, key: &str) -> BTreeSet<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_backfill_the_counts_agree() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        group_properties_listed: true,
        ..small(700)
    })
    .await;
    let summary = program
        .expect(0, &["backfill", "--verify", "--json"])
        .await
        .json();
    let found = &summary["verification"];
    assert_eq!(found["agrees"], true, "{found}");
    assert_eq!(
        names(&found["tables"], "name"),
        by_default()
            .filter(|one| one.as_list().is_some_and(|list| !list.keeps))
            .map(Description::name)
            .chain(["profiles"])
            .map(str::to_owned)
            .collect()
    );
    // Tables that keep what the tenant no longer lists, and events, which have no total.
    let kept = by_default().filter(|one| one.as_list().is_some_and(|list| list.keeps));
    let uncounted: Vec<&str> = kept.map(Description::name).chain(["audit_events"]).collect();
    assert_eq!(found["uncounted"], serde_json::json!(uncounted));
    assert_eq!(found["walked_segment"], "allvisitors");
    assert_eq!(
        names(&found["segments"], "id"),
        tenant.segments().into_iter().map(|one| one.id).collect()
    );
    for segment in found["segments"].as_array().unwrap() {
        let id = segment["id"].as_str().unwrap();
        assert_eq!(
            segment["by_the_tenant"].as_u64(),
            tenant.member_count(id),
            "{segment}"
        );
        assert_eq!(segment["difference"], 0, "{segment}");
    }
    let counted = found["tables"][1]["in_the_table"].as_i64();
    assert_eq!(
        counted,
        Some(database.count("blueconic.profile_properties").await)
    );

    // For people, apart from any run; it changes nothing and asks once for each segment.
    tenant.requests().forget();
    let runs = database.count("sync.runs").await;
    let reported = program.expect(0, &["status", "--verify"]).await.stdout;
    for word in [
        "All Visitors",
        "profileCount",
        "by the tenant",
        "700",
        "audit_events: not compared",
    ] {
        assert!(reported.contains(word), "`{word}` is not in:\n{reported}");
    }
    assert_eq!(tenant.requests().count(Route::Profiles), tenant.segments().len());
    assert_eq!(database.count("sync.runs").await, runs);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_named_with_what_to_do() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(900)).await;
    program.expect(0, &["backfill"]).await;
    // Within what changes during a walk: shown, and no alarm.
    database
        .run("delete from blueconic.profiles where id in (select id from blueconic.profiles limit 4)")
        .await;
    let few = program.expect(0, &["status", "--verify"]).await.stdout;
    assert!(few.contains("within what changes"), "{few}");
    // One segment's memberships, beyond it; and a list, in which nothing may be missing.
    let segment = tenant
        .segments()
        .into_iter()
        .find(|one| one.id != "allvisitors")
        .unwrap();
    let members = tenant.member_count(&segment.id).unwrap();
    database
        .run(&format!(
            "update blueconic.profiles set segment_ids = array_remove(segment_ids, '{}');
             delete from blueconic.profile_properties where id = 'lastmodifieddate'",
            segment.id
        ))
        .await;
    let ended = program.expect(3, &["status", "--verify"]).await;
    let sentence = format!(
        "the segment `{}` ({}) ({members} at the tenant, 0 in the table)",
        segment.id, segment.name
    );
    ended.tells(&[&sentence, "`profile_properties`", "backfill --full --verify"]);
    assert!(ended.stdout.contains("differs"), "{}", ended.stdout);
    let found = program.expect(3, &["status", "--verify", "--json"]).await.json();
    assert!(found["resources"].is_array());
    assert_eq!(found["verification"]["agrees"], false);
    // An increment brings neither back; a full walk does, since it reads what `segment_ids` no longer says.
    program.expect(3, &["backfill", "profiles", "--verify"]).await;
    database
        .run("update blueconic.profiles set source_hash = sha256('x'), content_hash = sha256('x')")
        .await;
    program.expect(0, &["backfill", "--full", "--verify"]).await;
}

/// Memberships of a segment that the tenant no longer has: nothing is asked for but the ids that the table knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_gone_at_the_tenant_is_compared_too() {
    let Scene {
        tenant,
        program,
        database: _database,
    } = scene(small(600)).await;
    program.expect(0, &["backfill"]).await;
    let segment = tenant
        .segments()
        .into_iter()
        .find(|one| one.id != "allvisitors")
        .unwrap()
        .id;
    assert!(tenant.remove_segment(&segment));
    let ended = program.expect(3, &["backfill", "--verify"]).await;
    ended.tells(&[&segment, "(0 at the tenant"]);
    program.expect(0, &["backfill", "--full", "--verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_read_is_counted_and_a_denial_is_named() {
    let Scene {
        tenant,
        program,
        database: _database,
    } = scene(small(200)).await;
    program.expect(0, &["backfill"]).await;
    tenant.requests().forget();
    let without = program.set("resources.profiles.enabled", "false");
    let found = without.expect(0, &["status", "--verify", "--json"]).await.json();
    assert_eq!(found["verification"]["segments"], serde_json::json!([]));
    assert_eq!(tenant.requests().count(Route::Profiles), 0);
    tenant.set_scopes(&["read:segments".to_owned()]);
    let denied = program.expect(3, &["status", "--verify"]).await;
    denied.tells(&[
        "profile_properties could not be counted",
        "read:profile-properties",
    ]);
    assert!(denied.stdout.contains("All Visitors"), "{}", denied.stdout);
    // The status itself needs no tenant.
    tenant.stop().await;
    program.expect(0, &["status"]).await;
    let away = program
        .set("retry.give_up_after", "1s")
        .run(&["status", "--verify", "--json"])
        .await;
    away.expect(1);
    away.tells(&["could not be compared with the tenant"]);
    assert!(away.json()["verification"]["error"].is_string());
}

/// A walk of a smaller segment holds a part of the others: their counts are shown and not judged.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_smaller_walk_other_segments_need_not_agree() {
    let Scene {
        tenant,
        program,
        database,
    } = scene(small(800)).await;
    let segments = tenant.segments().into_iter();
    let part = segments
        .filter(|one| {
            tenant
                .member_count(&one.id)
                .is_some_and(|count| (50..700).contains(&count))
        })
        .map(|one| one.id)
        .next()
        .unwrap();
    let program = program.set("resources.profiles.segment", &part);
    let ended = program.expect(0, &["backfill", "--verify"]).await;
    assert!(
        ended.stdout.contains("not judged") && ended.stdout.contains("has to agree"),
        "{}",
        ended.stdout
    );
    database.run("delete from blueconic.profiles").await;
    program.expect(3, &["status", "--verify"]).await.tells(&[&part]);
}

/// The tenant still counts those who were erased here: more of them than any walk may miss are no difference.
#[tokio::test(flavor = "multi_thread")]
async fn erased_persons_are_no_difference() {
    let Scene {
        tenant,
        program,
        database: _database,
    } = scene(Settings {
        merged_per_thousand: 0,
        ..small(300)
    })
    .await;
    program.expect(0, &["backfill"]).await;
    let ids: Vec<String> = (0..15).map(|position| tenant.id(position)).collect();
    let erase = ["erase", "--yes"]
        .into_iter()
        .chain(ids.iter().map(String::as_str));
    program.expect(0, &erase.collect::<Vec<&str>>()).await;
    let ended = program.expect(0, &["backfill", "--full", "--verify"]).await;
    assert!(
        ended.stdout.contains("15 ids were erased here"),
        "{}",
        ended.stdout
    );
    assert!(ended.stderr.contains("15 left out as erased"), "{}", ended.stderr);
}
