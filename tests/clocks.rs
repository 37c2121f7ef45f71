//! A date from outside is a claim: an answer whose `Date` is wrong, a stored watermark that lies ahead, times that have not
//! come yet. What changes afterwards still arrives, and what went wrong heals.

use std::time::Duration;

use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::settings::{AuditOrder, DateHeader, Settings};

use crate::support::truth::{assert_equal, assert_profiles_equal};
use crate::support::{Scene, scene, small};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn settings() -> Settings {
    Settings {
        audit_order: AuditOrder::OldestFirst,
        ..small(120)
    }
}

/// Ten changed profiles and ten audit events, now.
fn change(scene: &Scene) {
    let tenant = &scene.tenant;
    let event = tenant.audit_events().remove(0);
    let now = tenant.now();
    for position in 0..10 {
        assert!(tenant.touch(position, "name", &["Changed"]));
    }
    tenant.push_audit_events((0..10).map(|number| {
        let mut event = event.clone();
        event.date = now - number;
        event
    }));
}

/// Seconds by which the latest watermark of a resource is ahead of the database's clock.
async fn ahead(scene: &Scene, resource: &str) -> f64 {
    scene
        .database
        .one(&format!(
            "select extract(epoch from max(watermark) - clock_timestamp())::float8
             from sync.cursors where resource = '{resource}'"
        ))
        .await
}

async fn in_the_future(scene: &Scene) -> i64 {
    let later =
        "blueconic.freshness where complete_as_of > clock_timestamp() or last_success_at > clock_timestamp()";
    scene.database.count(later).await
}

/// One answer of each listing is wrong while a run reads, then all are right.
async fn one_wrong_answer(off: i64, age: Option<u64>, routes: &[Route]) {
    let scene = scene(settings()).await;
    let program = scene.program.set("resources.profiles.overlap", "1s");
    program.expect(0, &["backfill"]).await;
    for route in routes {
        let kind = Kind::Dated { off, age };
        scene
            .tenant
            .faults()
            .push(Fault::at(*route, When::Request(1), kind));
    }
    program.expect(0, &["backfill", "profiles", "audit_events"]).await;
    assert_eq!(scene.tenant.faults().given(), routes.len() as u64);
    for resource in ["profiles", "audit_events"] {
        let ahead = ahead(&scene, resource).await;
        assert!(ahead < 60.0, "{off} {age:?}: {resource} {ahead} s");
    }
    assert_eq!(in_the_future(&scene).await, 0);
    // The header `Date` has whole seconds.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    change(&scene);
    program.expect(0, &["backfill"]).await;
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    assert_equal(&scene.database, &scene.tenant).await;
    let gaps = scene.database.count("sync.gaps where closed_at is null").await;
    assert_eq!(gaps, 0, "{off} {age:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_date_passes_over_nothing() {
    let listings = [Route::Segments, Route::AuditEvents];
    for (off, age) in [
        (3 * DAY, None),
        (1_200, None),
        (60, None),
        (-7_200, None),
        (-7_200, Some(7_200)),
    ] {
        one_wrong_answer(off, age, &listings).await;
    }
    one_wrong_answer(3 * DAY, None, &[Route::Token]).await;
    one_wrong_answer(-2 * HOUR, None, &[Route::Token]).await;
}

/// All answers are off: what is read counts through our own time at most, and the run says so.
#[tokio::test(flavor = "multi_thread")]
async fn dates_that_are_all_wrong_pass_over_nothing_and_are_reported() {
    for (off, word) in [(3 * DAY, "ahead"), (1_200, "ahead"), (-7_200, "behind")] {
        let scene = scene(Settings {
            date_header: DateHeader::Off(off),
            ..settings()
        })
        .await;
        let program = scene.program.set("resources.profiles.overlap", "1s");
        program.expect(0, &["backfill"]).await;
        for resource in ["profiles", "audit_events"] {
            let ahead = ahead(&scene, resource).await;
            assert!(ahead < 60.0, "{off}: {resource} {ahead} s");
        }
        change(&scene);
        let ended = program.expect(0, &["backfill", "profiles", "audit_events"]).await;
        ended.tells(&["the tenant's clock is", word]);
        assert_profiles_equal(&scene.database, &scene.tenant).await;
        assert_eq!(in_the_future(&scene).await, 0);
        let hint: String = scene
            .database
            .one("select hint from sync.runs where resource = 'profiles' order by started_at desc limit 1")
            .await;
        assert!(hint.contains(word), "{hint}");
        let events = scene
            .database
            .count("blueconic.audit_events where occurred_at > now() - interval '1 minute'");
        assert_eq!(events.await, 10, "{off}");
    }
}

/// What an earlier version left behind: watermarks that lie days ahead. The next run does not believe them.
#[tokio::test(flavor = "multi_thread")]
async fn a_watermark_of_the_future_heals_by_itself() {
    let scene = scene(settings()).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill"]).await;
    database
        .run("update sync.cursors set watermark = now() + interval '3 days'")
        .await;
    assert_eq!(in_the_future(&scene).await, 0);
    let status = program.expect(0, &["status", "--json"]).await.json();
    for resource in status["resources"].as_array().unwrap() {
        assert!(resource["watermark"].is_null(), "{resource}");
    }
    change(&scene);
    let ended = program.expect(0, &["backfill", "profiles", "audit_events"]).await;
    ended.tells(&["is ignored", "reset profiles --to", "reset audit_events --to"]);
    assert_equal(database, tenant).await;
    assert!(ahead(&scene, "profiles").await < 1.0 && ahead(&scene, "audit_events").await < 1.0);
    assert_eq!(database.count("sync.gaps where closed_at is null").await, 0);
    // An increment alone lies ahead: the last full walk's start is good enough to read on from.
    database
        .run("update sync.cursors set watermark = now() + interval '20 minutes' where scope = 'increment'")
        .await;
    change(&scene);
    program.expect(0, &["backfill", "profiles", "audit_events"]).await;
    assert_equal(database, tenant).await;
    let mode: String = database
        .one("select mode from sync.runs where resource = 'profiles' order by started_at desc limit 1")
        .await;
    assert_eq!(mode, "increment");
    assert!(ahead(&scene, "profiles").await < 1.0);
}

/// Events that the tenant dropped while a watermark of the future hid them are a gap, not silence.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_wrong_watermark_hid_for_too_long_is_a_gap() {
    let scene = scene(settings()).await;
    scene.program.expect(0, &["backfill", "audit_events"]).await;
    scene
        .database
        .run(
            "update sync.cursors set watermark = now() + interval '3 days';
             select sync.make_month_partitions('audit_events', now() - interval '40 days', now());
             delete from blueconic.audit_events;
             insert into blueconic.audit_events (occurred_at, event_key, occurrence, object_type, operation, objects, synced_at)
             select now() - interval '40 days', '\\x00', 1, 'SEGMENT', 'UPDATE', '[]', now()",
        )
        .await;
    scene.program.expect(0, &["backfill", "audit_events"]).await;
    let gaps = "sync.gaps where closed_at is null and reason = 'retention'
                and from_at < now() - interval '39 days' and to_at < now() - interval '29 days'";
    assert_eq!(scene.database.count(gaps).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watermark_is_moved_back_by_hand() {
    let scene = scene(settings()).await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    for (arguments, words) in [
        (
            ["reset", "segments", "--to", "2026-01-01T00:00:00Z"],
            "lists are read whole",
        ),
        (
            ["reset", "tenant", "--to", "2026-01-01T00:00:00Z"],
            "takes no `--to`",
        ),
        (
            ["reset", "profiles", "--to", "2999-01-01T00:00:00Z"],
            "in the future",
        ),
        (
            ["reset", "audit_events", "--to", "2020-01-01T00:00:00Z"],
            "too far back",
        ),
        (["reset", "profiles", "--to", "yesterday"], "--to"),
        (
            ["reset", "profiles", "--to", "2026-01-01T00:00:00Z"],
            "no terminal",
        ),
    ] {
        program.expect(2, &arguments).await.tells(&[words]);
    }
    let back = ["reset", "profiles", "--to", "2026-01-01T00:00:00Z", "--yes"];
    program.expect(0, &["migrate"]).await;
    program
        .expect(2, &back)
        .await
        .tells(&["no watermark to move back"]);
    program.expect(0, &["backfill"]).await;
    // A change that an increment passed over.
    let row = tenant.id(7);
    let modified = tenant.profile(7).unwrap().modified_at.unwrap();
    database
        .run(&format!("delete from blueconic.profiles where id = '{row}'"))
        .await;
    let to = chrono::DateTime::from_timestamp_millis(modified)
        .unwrap()
        .to_rfc3339();
    program
        .expect(0, &["reset", "profiles", "--to", &to, "--yes"])
        .await;
    let later = (chrono::Utc::now() - chrono::TimeDelta::minutes(1)).to_rfc3339();
    program
        .expect(2, &["reset", "profiles", "--to", &later, "--yes"])
        .await
        .tells(&["nothing to move back"]);
    program.expect(0, &["backfill", "profiles"]).await;
    assert_profiles_equal(database, tenant).await;
    let mode: String = database
        .one("select mode from sync.runs where resource = 'profiles' order by started_at desc limit 1")
        .await;
    assert_eq!(mode, "increment");
    assert!(ahead(&scene, "profiles").await > -60.0, "it moved forward again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_the_future_is_no_since() {
    let scene = scene(small(1)).await;
    let tomorrow = (chrono::Utc::now() + chrono::TimeDelta::days(1)).to_rfc3339();
    let ended = scene.program.expect(2, &["backfill", "--since", &tomorrow]).await;
    ended.tells(&["lies in the future", "this machine's clock shows"]);
    assert_eq!(scene.tenant.requests().all().len(), 0, "nothing was asked");
}

/// The search index is behind: what an increment passed over is brought, counted and told by the next full walk.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_full_walk_brought_is_late() {
    let scene = scene(Settings {
        index_lag: Duration::from_mins(40),
        ..settings()
    })
    .await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    let program = program.set("resources.profiles.overlap", "30m");
    program.expect(0, &["backfill"]).await;
    let ago = |minutes: i64| tenant.now() - minutes * 60_000;
    for position in 0..3 {
        tenant.touch(position, "name", &["Late"]);
        tenant.set_modified(position, ago(35 + i64::try_from(position).unwrap()));
    }
    // One within the overlap is found late as well, and needs no longer one.
    tenant.touch(3, "name", &["Late"]);
    tenant.set_modified(3, ago(5));
    // A change without a new date is nobody's lateness.
    tenant.set_property(4, "name", Some(&["No date"]));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    program.expect(0, &["backfill", "profiles"]).await;
    let last = "select rows_updated, rows_late, late_by_seconds from sync.runs where resource = 'profiles'
                order by started_at desc limit 1";
    let increment: Vec<(i64, i64, Option<i64>)> = database.rows(last).await;
    assert_eq!(increment, [(0, 0, None)], "the index does not know them yet");
    let ended = program.expect(0, &["backfill", "--full", "--json"]).await;
    assert_equal(database, tenant).await;
    ended.tells(&[
        "4 profiles came only with this full walk",
        "resources.profiles.overlap",
    ]);
    let full: Vec<(i64, i64, Option<i64>)> = database.rows(last).await;
    let [(5, 4, Some(worst))] = full[..] else {
        panic!("{full:?}")
    };
    assert!((37 * 60..39 * 60).contains(&worst), "{worst}");
    let shown = ended.json();
    let run = shown["runs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|run| run["resource"] == "profiles")
        .unwrap();
    assert_eq!(run["rows_late"], 4);
    // Nothing is late twice.
    program.expect(0, &["backfill", "--full"]).await;
    let again: Vec<(i64, i64, Option<i64>)> = database.rows(last).await;
    assert_eq!(again, [(0, 0, None)]);
}
