//! An erased person is gone everywhere, stays away from every later page, spoils no run, and comes back only when that is
//! asked for.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::settings::Settings;
use simulated_tenant::truth::AuditEvent;

use crate::support::database::Database;
use crate::support::program::{Ended, LONG};
use crate::support::traces::{assert_gone, encodings, traces};
use crate::support::truth::{assert_equal, assert_profiles_equal};
use crate::support::{Scene, eventually, scene, scene_in, small};

fn assert_silent(ended: &Ended, ids: &[String]) {
    for id in ids {
        assert!(
            !ended.stdout.contains(id) && !ended.stderr.contains(id),
            "{ended:?}"
        );
    }
}

/// A column of the last run of a resource.
async fn last(database: &Database, resource: &str, column: &str) -> String {
    database
        .one(&format!(
            "select {column}::text from sync.runs where resource = '{resource}' order by started_at desc limit 1"
        ))
        .await
}

async fn erase(scene: &Scene, ids: &[&str]) -> Value {
    let arguments = [&["erase", "--yes", "--json"], ids].concat();
    let ended = scene.program.expect(0, &arguments).await;
    assert_silent(&ended, &ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    ended.json()
}

/// An event that is about this profile and something else.
fn event(scene: &Scene, seconds_ago: i64, id: &str) -> AuditEvent {
    AuditEvent {
        date: scene.tenant.now() - seconds_ago * 1000,
        object_type: "PROFILE".to_owned(),
        operation: "UPDATE".to_owned(),
        application: None,
        user_name: Some("someone".to_owned()),
        ip_address: None,
        objects: Some(vec![
            (id.to_owned(), "A Person".to_owned()),
            ("other-object".to_owned(), "Other".to_owned()),
        ]),
    }
}

/// A person with merges behind them, all whose ids are given: the survivor last.
fn merged_person(scene: &Scene) -> Vec<String> {
    let tenant = &scene.tenant;
    assert!(tenant.merge(20, 21) && tenant.merge(21, 22) && tenant.merge(30, 22));
    let survivor = tenant.id(22);
    let mut ids: Vec<String> = [20, 21, 30].map(|position| tenant.id(position)).to_vec();
    // The simulated tenant has merges of its own.
    for _ in 0..3 {
        for (loser, winner) in tenant.aliases() {
            if (winner == survivor || ids.contains(&winner)) && !ids.contains(&loser) {
                ids.push(loser);
            }
        }
    }
    ids.push(survivor);
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_everywhere_and_away_from_every_later_page() {
    let scene = scene(small(600)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    // Losers that the tables know because they were there; the survivor of a chain of merges.
    program.expect(0, &["backfill"]).await;
    // As autovacuum may at any time: samples hold the losers, whose rows leave with the next walk.
    database.run("analyze").await;
    let ids = merged_person(&scene);
    let survivor = ids.last().unwrap();
    tenant.push_audit_events([event(&scene, 90, survivor), event(&scene, 90, survivor)]);
    tenant.insert_raw(
        40,
        format!(r#"{{"id":"broken","replaces":["{survivor}"],"properties":"x"}}"#),
    );
    tenant.insert_raw(41, format!(r#"{{"id":"{survivor}","properties":[tru]}}"#));
    program.expect(3, &["backfill", "--full"]).await;
    for id in &ids {
        assert!(
            !traces(database, id).await.is_empty(),
            "the tables know all of their ids"
        );
    }
    let profiles = database.count("blueconic.profiles").await;
    let events = database.count("blueconic.audit_events").await;

    let receipt = erase(&scene, &[&ids[0]]).await;
    assert_eq!(receipt["ids"], ids.len());
    assert_eq!(receipt["statistics_refreshed"], true);
    assert_eq!(
        (&receipt["ids_given"], &receipt["persons"]),
        (&1.into(), &1.into())
    );
    assert_eq!(receipt["removed"]["blueconic.profiles"], 1);
    assert_eq!(receipt["removed"]["blueconic.audit_events"], 2);
    assert_eq!(receipt["removed"]["sync.rejects"], 2);
    assert_gone(database, &ids).await;
    assert_eq!(database.count("blueconic.profiles").await, profiles - 1);
    assert_eq!(database.count("blueconic.audit_events").await, events);
    let kept = "blueconic.audit_events where objects = '[{\"id\": \"other-object\", \"name\": \"Other\"}]'";
    assert_eq!(database.count(kept).await, 2);
    assert_eq!(
        database.count("sync.erasures").await,
        i64::try_from(ids.len()).unwrap()
    );

    // Again: nothing more to do, and the first receipt counts.
    let again = erase(&scene, &[survivor, &ids[1]]).await;
    assert!(
        again["hashes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|kept| kept["erased_before"] == true)
    );
    assert_eq!(
        database
            .texts("select distinct receipt_id::text from sync.erasures")
            .await,
        [receipt["receipt_id"].as_str().unwrap()]
    );

    // Another's element that is still broken is told of without them; theirs is not told of at all.
    let ended = program.expect(3, &["backfill", "--full"]).await;
    assert_silent(&ended, &ids);
    assert_gone(database, &ids).await;
    assert_eq!(
        database
            .texts("select raw from sync.rejects where resolved_at is null")
            .await,
        [r#"{"id":"broken","replaces":["(erased)"],"properties":"x"}"#]
    );
    tenant.list_truly();

    let ended = program.expect(0, &["backfill", "--full"]).await;
    assert_silent(&ended, &ids);
    assert_eq!(last(database, "profiles", "status").await, "succeeded");
    assert_eq!(last(database, "profiles", "rows_suppressed").await, "1");
    assert_eq!(last(database, "profiles", "unexplained").await, "0");
    assert_eq!(last(database, "profiles", "rows_removed").await, "0");
    assert_gone(database, &ids).await;

    tenant.advance(Duration::from_mins(5));
    tenant.touch(22, "name", &["Back Again"]);
    tenant.push_audit_events([event(&scene, 2, survivor)]);
    tenant.advance(Duration::from_secs(70));
    program.expect(0, &["backfill"]).await;
    assert_eq!(last(database, "profiles", "mode").await, "increment");
    assert_eq!(last(database, "profiles", "rows_suppressed").await, "1");
    // Events are stored without the person, and counted as stored.
    assert_eq!(last(database, "audit_events", "rows_suppressed").await, "0");
    assert_eq!(last(database, "audit_events", "rows_inserted").await, "1");
    assert_eq!(database.count(kept).await, 3);
    assert_gone(database, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lifted_they_come_back_with_the_next_full_walk() {
    let scene = scene(small(300)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    let ids = merged_person(&scene);
    program.expect(0, &["backfill", "--full"]).await;
    erase(&scene, &[&ids[1]]).await;
    program.expect(0, &["backfill", "--full"]).await;
    assert_gone(database, &ids).await;

    // By any of their ids.
    let ended = program
        .expect(0, &["erase", "--lift", "--yes", &ids[0], "never-here"])
        .await;
    assert_silent(&ended, &ids);
    for words in ["backfill profiles --full", "1 of the given id(s) were not erased"] {
        assert!(ended.stdout.contains(words), "{}", ended.stdout);
    }
    assert_eq!(database.count("sync.erasures").await, 0);
    program.expect(0, &["backfill", "--full"]).await;
    assert_eq!(last(database, "profiles", "rows_inserted").await, "1");
    assert_eq!(last(database, "profiles", "rows_suppressed").await, "0");
    // Aliases of merges that the tenant sends with the survivor come back; ids that only we remembered do not.
    let stored = database
        .count(&format!("blueconic.profiles where id = '{}'", tenant.id(22)))
        .await;
    assert_eq!(stored, 1);
    let nothing = program
        .expect(0, &["erase", "--lift", "--yes", "--json", &ids[0]])
        .await;
    assert_eq!(nothing.json()["not_erased"], 1);
}

/// What is not stored can be erased too: the first page that would bring it does not.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_stored_yet_never_is() {
    let scene = scene(small(200)).await;
    scene.program.expect(0, &["migrate"]).await;
    let (one, two) = (scene.tenant.id(7), scene.tenant.id(150));
    let receipt = erase(&scene, &[&one, &two]).await;
    assert_eq!(
        (&receipt["persons"], &receipt["removed"]["blueconic.profiles"]),
        (&2.into(), &0.into())
    );
    scene.program.expect(0, &["backfill"]).await;
    assert_eq!(last(&scene.database, "profiles", "rows_suppressed").await, "2");
    assert_eq!(scene.database.count("blueconic.profiles").await, 198);
    assert_gone(&scene.database, &[one, two]).await;
}

/// Merges after the erasure: into the erased person, and of the erased person into another.
#[tokio::test(flavor = "multi_thread")]
async fn later_merges_bring_no_id_back() {
    let scene = scene(small(400)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    let (erased, loser, winner) = (tenant.id(50), tenant.id(51), tenant.id(52));
    erase(&scene, &[&erased]).await;
    tenant.advance(Duration::from_mins(1));
    assert!(tenant.merge(51, 50));
    tenant.advance(Duration::from_secs(5));
    program.expect(0, &["backfill", "profiles"]).await;
    // The loser is nobody any more, and nothing says into whom it went.
    assert_eq!(last(database, "profiles", "rows_removed").await, "1");
    assert_gone(database, &[erased.clone(), loser.clone()]).await;

    tenant.advance(Duration::from_mins(1));
    assert!(tenant.merge(50, 52));
    tenant.advance(Duration::from_secs(5));
    let ended = program.expect(0, &["backfill", "--full"]).await;
    ended.tells(&["replace an erased one"]);
    assert_silent(&ended, std::slice::from_ref(&erased));
    assert_gone(database, &[erased]).await;
    let stored = database
        .count(&format!("blueconic.profiles where id = '{winner}'"))
        .await;
    assert_eq!(stored, 1, "another id is another profile");
}

/// A full walk that only learns by a look-up that a profile was merged into an erased one.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_leaves_no_trace_of_an_erased_survivor() {
    let scene = scene(small(400)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    let (erased, loser) = (tenant.id(60), tenant.id(61));
    erase(&scene, &[&erased]).await;
    assert!(tenant.merge(61, 60));
    // Only the look-up tells.
    tenant.skip(60);
    program.expect(0, &["backfill", "--full"]).await;
    assert_eq!(last(database, "profiles", "rows_removed").await, "1");
    assert_gone(database, &[erased, loser]).await;
}

/// A walk that has met them stays whole: it is resumed, ends complete, sweeps, and calls nobody lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_walk_goes_on_and_still_counts_them() {
    let mut scene = scene(Settings {
        latency: Duration::from_millis(25),
        ..small(2_000)
    })
    .await;
    scene.program = scene.program.set("resources.profiles.page_size", "100");
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    assert!(tenant.delete(1_900));
    let before = tenant.requests().count(Route::Profiles);
    let mut running = program.start(&["backfill", "--full", "profiles"]);
    eventually("the walk is under way", LONG, async || {
        assert!(!running.has_ended());
        (tenant.requests().count(Route::Profiles) > before + 6).then_some(())
    })
    .await;
    running.signal(Signal::SIGTERM);
    running.ended(LONG).await.expect(130);
    // The last ones of pages stand in cursors.
    let met: Vec<String> = (0..12)
        .chain((99..=799).step_by(100))
        .map(|position| tenant.id(position))
        .collect();
    let ahead: Vec<String> = (1_800..1_820).map(|position| tenant.id(position)).collect();
    let all: Vec<&str> = met.iter().chain(&ahead).map(String::as_str).collect();
    let missed = format!(
        "insert into sync.walk_missing values ('profiles', '{}', gen_random_uuid(), now(), 1)",
        met[0]
    );
    database.run(&missed).await;
    let receipt = erase(&scene, &all).await;
    assert_eq!(receipt["removed"]["sync.walk_missing"], 1, "{receipt}");
    // Beside the hashes of a page stand a few of its ids, drawn for the walk.
    assert_gone(database, &met).await;
    let named: String = met.iter().map(|id| encodings(id)).collect();
    let open = format!("sync.cursors as t where t.scope = 'full' and (false {named})");
    assert_eq!(
        database.count(&open).await,
        1,
        "the tenant's text names the last one of a page"
    );

    let ended = program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert!(!ended.stderr.contains("lost"), "{}", ended.stderr);
    assert_eq!(last(database, "profiles", "unexplained").await, "0");
    let suppressed: u64 = last(database, "profiles", "rows_suppressed")
        .await
        .parse()
        .unwrap();
    // Those ahead, and of those that were met the last ones of the two pages that may have been open.
    assert!((20..=23).contains(&suppressed), "{suppressed}");
    assert_eq!(last(database, "profiles", "rows_removed").await, "1");
    assert_eq!(last(database, "profiles", "status").await, "succeeded");
    assert!(last(database, "profiles", "position_from is not null").await == "true");
    assert_gone(database, &[met, ahead].concat()).await;
    assert_eq!(database.count("sync.walk_seen").await, 0);
}

/// Real loads and real erasures at once, on two loading connections, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_under_way_does_not_bring_them_back() {
    const ROUNDS: u64 = 2;
    const EACH: u64 = 10;
    let mut scene = scene(small(4_000)).await;
    scene.program = scene.program.set("resources.profiles.page_size", "400");
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["migrate"]).await;
    let mut erased = Vec::new();
    for round in 0..ROUNDS {
        // Everything differs, so that each batch is written.
        tenant.advance(Duration::from_mins(1));
        for position in 0..4_000 {
            tenant.touch(position, "name", &[&format!("round {round}")]);
        }
        let loading = program.start(&["backfill", "--full", "profiles"]);
        for number in 0..EACH {
            let id = tenant.id(number * 399 + round * 3);
            erase(&scene, &[&id]).await;
            assert_gone(database, std::slice::from_ref(&id)).await;
            erased.push(id);
        }
        let ended = loading.ended(LONG).await;
        ended.expect(0);
        assert_silent(&ended, &erased);
        assert_gone(database, &erased).await;
        assert_eq!(last(database, "profiles", "unexplained").await, "0");
    }
    let meanwhile = database
        .count("sync.erasures as e join sync.runs as r on e.erased_at between r.started_at and r.finished_at")
        .await;
    assert!(meanwhile > 0, "no erasure came while a load was under way");
    let expected = 4_000 - i64::try_from(ROUNDS * EACH).unwrap();
    assert_eq!(database.count("blueconic.profiles").await, expected);
    let mut lift = vec!["erase", "--lift", "--yes"];
    lift.extend(erased.iter().map(String::as_str));
    program.expect(0, &lift).await;
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(database, tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_id_is_refused_and_nothing_is_asked_where_nobody_answers() {
    let scene = scene_in(Database::bare().await, small(10)).await;
    let program = &scene.program;
    let long = "x".repeat(5_000);
    let ended = program.expect(2, &["erase", "--yes", &long]).await;
    ended.tells(&["longer than 1024 bytes"]);
    assert!(!ended.stderr.contains("xxxx"));
    program.expect(2, &["erase", "--yes", ""]).await.tells(&["empty"]);
    program
        .expect(2, &["erase", "--yes", "a\u{1}b"])
        .await
        .tells(&["control character"]);
    program.expect(2, &["erase"]).await.tells(&["PROFILE_ID"]);
    program.expect(2, &["erase", "some-id"]).await.tells(&["--yes"]);
    // `check`, `status`, `reset` and this one apply no migrations.
    program
        .expect(1, &["erase", "--yes", "some-id"])
        .await
        .tells(&["blueconic-sync migrate"]);
    program.expect(0, &["backfill"]).await;
    // Odd, but ids: SQL and patterns mean nothing in them.
    for odd in ["' or true; --", "%", "\\", "\"quoted\"", "-1", "$1", "名前"] {
        program.expect(0, &["erase", "--yes", "--", odd]).await;
    }
    assert_equal(&scene.database, &scene.tenant).await;
}

/// A profile's id is a person's: no message names the one that was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_fails_names_no_id() {
    let scene = scene(small(200)).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    assert!(tenant.delete(9));
    let status = |status| Kind::Status {
        status,
        retry_after: None,
    };
    tenant
        .faults()
        .push(Fault::at(Route::Profile, When::Request(1), status(503)));
    tenant
        .faults()
        .push(Fault::at(Route::Profile, When::Request(2), status(403)));
    let ended = program.run(&["backfill", "--full", "profiles"]).await;
    ended.tells(&["GET /profiles/{id}: HTTP 503"]);
    assert_silent(&ended, &[tenant.id(9)]);
    let reported = database
        .texts("select coalesce(error, '') from sync.runs")
        .await
        .concat();
    assert!(!reported.contains(&tenant.id(9)), "{reported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_persons_leave_no_samples_behind() {
    let mut scene = scene(Settings {
        groups: 2,
        lifecycles: 1,
        timeline_events: Some(3),
        ..small(3)
    })
    .await;
    for name in ["timeline", "groups", "lifecycle_stages"] {
        let setting = format!("resources.profiles.{name}");
        scene.program = scene.program.set(&setting, "with_profiles");
    }
    scene.program.expect(0, &["backfill"]).await;
    scene.database.run("analyze").await;
    let ids: Vec<String> = (0..3).map(|position| scene.tenant.id(position)).collect();
    let given: Vec<&str> = ids.iter().map(String::as_str).collect();

    // `analyze` of a table that has become empty keeps its samples.
    let receipt = erase(&scene, &given).await;
    assert_eq!(receipt["statistics_refreshed"], true);
    for table in [
        "profiles",
        "profile_columns_1",
        "profile_identifiers",
        "timeline_events",
    ] {
        assert_eq!(
            scene.database.count(&format!("blueconic.{table}")).await,
            0,
            "{table}"
        );
    }
    assert_gone(&scene.database, &ids).await;
}
