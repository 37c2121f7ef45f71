//! PostgreSQL writes the key of a duplicate into its own log, which nobody erases from: no statement of ours may run into one.

use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::small;
use crate::support::truth::assert_ledgers_add_up;
use simulated_tenant::tenant::start;

/// A first load goes straight into the table. The listing brings profiles again: in the same batch, in a later one of the page,
/// on a later page, and as losers of merges that were or will be listed; then everything comes once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_that_meets_ids_twice_leaves_none_in_the_servers_log() {
    let cluster = Cluster::start();
    let tenant = start(small(3_000)).await.unwrap();
    for (position, before) in [
        (10, 11),
        (20, 900),
        (30, 2_900),
        (40, 41),
        (2_500, 5),
        (1_000, 1_700),
    ] {
        tenant.repeat(position, before);
    }
    for (place, position, loser) in [(1, 400, 100), (2, 500, 2_800), (3, 2_700, 600)] {
        let loser = tenant.id(loser);
        let element =
            format!(r#"{{"id":"winner {place}","replaces":["{loser}","never there","never there"]}}"#);
        tenant.insert_raw(position, element);
    }
    for size in ["64KiB", "2MiB"] {
        let database = Database::on(&cluster).await;
        database
            .run(&format!(
                "alter database {} set log_min_messages = 'error'",
                database.name
            ))
            .await;
        let program = Program::new(tenant.url(), &database.url)
            .set("limits.batch_size", size)
            .set("resources.profiles.page_size", "1000");
        program.expect(0, &["backfill"]).await;
        program.expect(0, &["backfill", "--full"]).await;
        assert_ledgers_add_up(&database).await;
        let rows = database.count("blueconic.profiles").await;
        assert!(rows > 2_900, "{rows}");
        let twice = "insert into blueconic.profiles (id, properties, source_hash, content_hash, synced_at)
                     values ('a control', '{}', '', '', now()), ('a control', '{}', '', '', now())";
        database.pool.close().await;
        let database = Database {
            pool: sqlx::PgPool::connect(&database.url).await.unwrap(),
            ..database
        };
        sqlx::query(twice).execute(&database.pool).await.unwrap_err();
    }
    let log = cluster.log();
    let mut keys: Vec<&str> = log.lines().filter(|line| line.contains("Key (")).collect();
    keys.retain(|line| !line.contains("a control"));
    assert!(
        log.contains("a control"),
        "the log is not what it was taken for: {log}"
    );
    assert!(keys.is_empty(), "{keys:#?}");
    let named = (0..tenant.positions()).map(|position| tenant.id(position));
    let named: Vec<String> = named.filter(|id| log.contains(id.as_str())).collect();
    assert!(named.is_empty(), "{named:?}");
}
