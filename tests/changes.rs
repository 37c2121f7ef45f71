//! Whoever follows `blueconic.changes` has every table as it is, whatever happened to it: loads, merges, sweeps, lists, timelines,
//! erasures. And a walk without changes writes none.

use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::Tenant;
use simulated_tenant::truth::AuditEvent;

use crate::support::cluster::Cluster;
use crate::support::copies::Copies;
use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::{Scene, scene, small};

/// A tenant with timelines, loaded once.
async fn loaded(settings: Settings) -> Scene {
    let Scene {
        tenant,
        database,
        program,
    } = scene(settings).await;
    let program = program
        .set("resources.profiles.timeline", "with_profiles")
        .set("resources.profiles.page_size", "300");
    program.expect(0, &["backfill", "--full"]).await;
    Scene {
        tenant,
        database,
        program,
    }
}

async fn kinds(database: &Database, table: &str) -> Vec<String> {
    let kinds = format!(
        "select distinct concat_ws(' ', operation, reason) from sync.changes
         where table_name = '{table}' and changed_at > (select changed_at from sync.changes where operation = 'started')
         order by 1"
    );
    database.texts(&kinds).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_can_be_followed() {
    let Scene {
        tenant,
        database,
        program,
    } = loaded(small(1_500)).await;
    let copies = Copies::of(&database).await;
    for position in (0..1_500).step_by(40) {
        tenant.touch(position, "city", &["Utrecht"]);
    }
    assert!((0..10).any(|number| tenant.merge(number * 100 + 1, number * 100 + 2)));
    assert!((0..5).any(|number| tenant.delete(number * 200 + 7)));
    tenant.add_profiles(20);
    let segments = tenant.segments();
    assert!(tenant.rename_segment(&segments[2].id, "another name"));
    assert!(tenant.remove_segment(&segments[4].id));
    tenant.push_audit_events([AuditEvent {
        date: tenant.now() - 60_000,
        object_type: "SEGMENT".to_owned(),
        operation: "UPDATE".to_owned(),
        application: None,
        user_name: Some("someone".to_owned()),
        ip_address: None,
        objects: None,
    }]);
    program.expect(0, &["backfill", "--full"]).await;
    copies.assert_follow().await;
    let of = |table| kinds(&database, table);
    assert_eq!(
        of("profiles").await,
        ["inserted", "removed deleted", "removed merged", "updated"]
    );
    assert_eq!(
        of("segments").await,
        ["inserted", "removed not_listed", "updated"]
    );
    assert_eq!(of("audit_events").await, ["inserted"]);
    let of_timelines = of("timeline_events").await;
    assert!(
        of_timelines.contains(&"removed merged".to_owned()),
        "{of_timelines:?}"
    );

    let before = database.count("sync.changes").await;
    program.expect(0, &["backfill", "--full"]).await;
    // The day's numbers may still change.
    let others = "sync.changes where table_name is distinct from 'dialogue_statistics'";
    let after = database.count(others).await;
    assert!(
        after <= before,
        "a second walk changes nothing: {after} after {before}"
    );
    copies.assert_follow().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_can_be_followed_and_leaves_no_id() {
    let Scene {
        tenant,
        database,
        program,
    } = loaded(small(400)).await;
    let copies = Copies::of(&database).await;
    let (person, other) = (tenant.id(11), tenant.id(12));
    tenant.touch(11, "city", &["Utrecht"]);
    tenant.touch(12, "city", &["Utrecht"]);
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    let names = |id: &str| format!("sync.changes as c where '{id}' = any (c.keys)");
    assert!(database.count(&names(&person)).await > 1);
    program.expect(0, &["erase", "--yes", &person]).await;
    assert_eq!(database.count(&names(&person)).await, 0);
    assert!(database.count(&names(&other)).await > 1);
    copies.assert_follow().await;
    let kept = format!("kept.profiles where id = '{person}'");
    assert_eq!(database.count(&kept).await, 0);
}

/// The setting decides at each start.
#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_switched_by_its_setting() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(50)).await;
    let start = async |program: &Program| {
        program.expect(0, &["backfill", "segments"]).await;
        database.count("sync.changes").await
    };
    let off = program.set("changes.enabled", "false");
    assert_eq!(start(&off).await, 0);
    assert_eq!(start(&program).await, 1, "nothing changed since it is on");
    assert_eq!(start(&program).await, 1);
    assert_eq!(start(&off).await, 0);
    tenant.stop().await;
}

/// The bytes of log that a first load of a tenant takes, and a walk in which one profile of a hundred has changed.
async fn log_of(cluster: &Cluster, tenant: &Tenant, program: &Program, enabled: &str) -> [i64; 2] {
    let database = Database::on(cluster).await;
    let program = program
        .with("DATABASE_URL", &database.url)
        .set("changes.enabled", enabled);
    program.expect(0, &["backfill", "segments"]).await;
    let log = async || -> i64 {
        database
            .one("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
            .await
    };
    let mut points = vec![log().await];
    for _ in 0..2 {
        program.expect(0, &["backfill", "--full", "profiles"]).await;
        points.push(log().await);
        for position in (0..tenant.positions()).step_by(100) {
            tenant.touch(
                position,
                "city",
                &[&format!("Utrecht {enabled} {}", points.len())],
            );
        }
    }
    let recorded = database
        .count("blueconic.changes where operation = 'updated'")
        .await;
    assert_eq!(recorded > 90, enabled == "true", "{recorded}");
    database.pool.close().await;
    [points[1] - points[0], points[2] - points[1]]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_costs_a_small_part_of_what_the_changes_themselves_cost() {
    let cluster = Cluster::start();
    let Scene {
        tenant,
        program,
        database: _database,
    } = scene(small(10_000)).await;
    let admin = Database::on(&cluster).await;
    // The log is that of the rows alone.
    for setting in ["autovacuum = off", "full_page_writes = off"] {
        admin.run(&format!("alter system set {setting}")).await;
    }
    admin.run("select pg_reload_conf()").await;
    let without = log_of(&cluster, &tenant, &program, "false").await;
    let with = log_of(&cluster, &tenant, &program, "true").await;
    for (alone, both) in without.into_iter().zip(with) {
        assert!(
            both * 100 < alone * 115,
            "{with:?} bytes of log, {without:?} without the feed"
        );
    }
    admin.pool.close().await;
}
