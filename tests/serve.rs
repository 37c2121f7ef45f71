//! The service: it fills a fresh database by itself, keeps it current, says how it is, and ends when asked.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::database::Database;
use crate::support::ports::free;
use crate::support::program::{LONG, Program};
use crate::support::registry::names;
use crate::support::truth::{assert_equal, assert_profiles_equal};
use crate::support::{Scene, eventually, scene, small};

async fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let answer = reqwest::get(format!("http://{address}{path}")).await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

fn service(program: &Program, address: SocketAddr) -> Program {
    program
        .set("web.bind", &address.to_string())
        .set("schedule.heartbeat", "1s")
        .set("resources.profiles.schedule", "* * * * * *")
        .set("resources.profiles.overlap", "2s")
}

async fn complete(database: &Database) -> Option<()> {
    // Migrations change the tables of `freshness` one after the other: who reads it meanwhile may be the victim of a deadlock. The
    // resources are recorded after the last migration.
    let recorded: bool = database
        .one("select to_regclass('sync.resources') is not null")
        .await;
    (recorded
        && database.count("sync.resources").await > 0
        && database
            .count("blueconic.freshness where complete_as_of is not null")
            .await
            == i64::try_from(names().len()).unwrap())
    .then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fills_a_fresh_database_and_keeps_it_current() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(800)).await;
    let address = free();
    let program = service(&program, address);
    program.expect(1, &["healthcheck"]).await;
    let mut running = program.start(&["serve"]);
    eventually("all resources are complete", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        complete(&database).await
    })
    .await;
    assert_equal(&database, &tenant).await;
    for path in ["/healthz", "/readyz"] {
        let (code, text) = get(address, path).await.unwrap();
        assert_eq!(code, 200, "{path}: {text}");
    }
    program.expect(0, &["healthcheck"]).await;
    let (code, metrics) = get(address, "/metrics").await.unwrap();
    assert!(
        code == 200 && metrics.contains("resource=\"profiles\""),
        "{metrics}"
    );
    let (code, page) = get(address, "/").await.unwrap();
    assert!(
        code == 200 && page.contains("Profiles") && page.contains("<html"),
        "{page}"
    );

    tenant.touch(17, "name", &["Touched"]);
    let added = tenant.add_profiles(2);
    let id = tenant.id(added + 1);
    eventually("the schedule brings what changed", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (database
            .count(&format!("blueconic.profiles where id = '{id}'"))
            .await
            == 1)
            .then_some(())
    })
    .await;
    assert_profiles_equal(&database, &tenant).await;

    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
    assert_eq!(database.count("sync.runs where status = 'running'").await, 0);
    assert!(
        get(address, "/healthz").await.is_none(),
        "nobody listens any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_in_the_middle_of_a_walk_it_ends_in_time() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(simulated_tenant::settings::Settings {
        latency: Duration::from_millis(100),
        ..small(5_000)
    })
    .await;
    let program = service(&program, free()).set("resources.profiles.page_size", "100");
    let mut running = program.start(&["serve"]);
    eventually("the walk is under way", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (tenant.requests().count(simulated_tenant::faults::Route::Profiles) > 5).then_some(())
    })
    .await;
    running.signal(Signal::SIGINT);
    running.ended(Duration::from_secs(10)).await.expect(0);
    assert_eq!(
        database
            .count(
                "sync.runs where resource = 'profiles' and status = 'interrupted' and position_to is not null"
            )
            .await,
        1
    );
}

/// An address that is taken is told, and nothing is asked or written before.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_reported() {
    let Scene {
        tenant,
        program,
        database: _database,
    } = scene(small(1)).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    program
        .expect(1, &["serve", "--bind", &address])
        .await
        .tells(&[&address, "web.bind"]);
    assert!(tenant.requests().all().is_empty());
}
