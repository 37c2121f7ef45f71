//! A stranger's transaction has locked the rows that a sweep wants to remove. The sweep says who is in the way, ends soon
//! when it is asked to, and removes the rows once the transaction is gone.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::{Connection as _, PgConnection};

use super::table::{Case, tries};
use crate::support::cluster::Cluster;
use crate::support::program::{LONG, Program, Running};
use crate::support::truth::assert_profiles_equal;
use crate::support::{Scene, eventually, scene, small};

/// How long a process may take to end; orchestrators kill then.
const STOPPED: Duration = Duration::from_secs(10);
/// How many profiles leave the tenant before each sweep.
const LEAVING: u64 = 5;

/// Locks every stored profile until it is dropped.
async fn stranger(database: &str) -> PgConnection {
    let options = Cluster::shared().options.clone().database(database);
    let mut stranger = PgConnection::connect_with(&options.application_name("a-stranger"))
        .await
        .unwrap();
    for statement in ["begin", "select id from blueconic.profiles for update"] {
        sqlx::raw_sql(statement).execute(&mut stranger).await.unwrap();
    }
    stranger
}

/// Starts a full walk and waits until its sweep tells of the stranger.
async fn waiting(program: &Program) -> Running {
    let mut running = program.start(&["backfill", "profiles", "--full"]);
    eventually("the sweep waits for the stranger", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        running.stderr().contains("a-stranger").then_some(())
    })
    .await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_holds_the_rows_that_a_sweep_removes() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(400)).await;
    program.expect(0, &["backfill", "profiles"]).await;
    let mut case = Case::new("a stranger's transaction is open during a sweep");
    let mut worst = Duration::ZERO;
    for number in 0..tries(2, 10) {
        for leaving in 0..LEAVING {
            assert!(tenant.delete(u64::from(number) * LEAVING + leaving));
        }
        let stranger = stranger(&database.name).await;
        let mut running = waiting(&program).await;
        if number % 2 == 0 {
            let asked = Instant::now();
            running.signal(Signal::SIGTERM);
            running.ended(STOPPED).await.expect(130);
            worst = worst.max(asked.elapsed());
            running = waiting(&program).await;
        }
        stranger.close().await.unwrap();
        let gone = Instant::now();
        running.ended(LONG).await.expect(0);
        case.recovered(gone.elapsed());
        // The walk's rows and the tombstones of those that left, value for value.
        assert_profiles_equal(&database, &tenant).await;
        let removed = i64::try_from((u64::from(number) + 1) * LEAVING).unwrap();
        assert_eq!(
            database
                .count("blueconic.profile_tombstones where reason = 'deleted'")
                .await,
            removed
        );
        case.tried(1);
    }
    case.note(format!("worst exit {:.1} s", worst.as_secs_f64()));
    case.report();
}
