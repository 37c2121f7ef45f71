//! An analyst's transaction is open while the program migrates: other readers are held up for a moment at most, the message
//! says who is in the way, a signal ends the wait, and the migration goes through when the transaction ends. Connections
//! that fall silent meanwhile are given up, and the migrations go on over new ones.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::table::{Case, tries};
use crate::support::cluster::Cluster;
use crate::support::database::{Database, of_an_older_version};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::program::{LONG, Program};

/// How long the server lets a migration wait for a lock, and what a busy machine adds.
const HELD_UP: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn behind_an_open_transaction() {
    let mut case = Case::new("an analyst's transaction is open during a migration");
    let (mut worst_reader, mut worst_end) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..tries(1, 10) {
        let database = Database::bare().await;
        of_an_older_version(&database).await;
        let program = Program::new("https://tenant.example", &database.url);
        let mut analyst = database.pool.begin().await.unwrap();
        sqlx::query("select count(*) from blueconic.profiles")
            .execute(&mut *analyst)
            .await
            .unwrap();

        let mut migrating = program.start(&["migrate"]);
        for _ in 0..3 {
            eventually("the migration waits", LONG, async || {
                assert!(!migrating.has_ended(), "{}", migrating.stderr());
                let waiting = "pg_locks where not granted and locktype = 'relation'
                    and database = (select oid from pg_database where datname = current_database())";
                (database.count(waiting).await > 0).then_some(())
            })
            .await;
            let asked = Instant::now();
            database.count("blueconic.profiles").await;
            worst_reader = worst_reader.max(asked.elapsed());
        }
        let reported = eventually("it says who blocks it", LONG, async || {
            let said = migrating.stderr();
            said.contains("blocked by: PID").then_some(said)
        })
        .await;
        assert!(
            reported.contains("idle in transaction") && reported.contains("in a transaction since"),
            "{reported}"
        );
        let asked = Instant::now();
        migrating.signal(Signal::SIGTERM);
        assert_ne!(migrating.ended(HELD_UP).await.code(), 0);
        worst_end = worst_end.max(asked.elapsed());

        let migrating = program.start(&["migrate"]);
        eventually("it waits again", LONG, async || {
            migrating.stderr().contains("blocked by").then_some(())
        })
        .await;
        let freed = Instant::now();
        analyst.commit().await.unwrap();
        migrating.ended(LONG).await.expect(0);
        case.recovered(freed.elapsed());
        case.tried(1);
    }
    assert!(
        worst_reader < HELD_UP,
        "a reader was held up for {worst_reader:?}"
    );
    case.note(format!(
        "readers held up for {:.1} s at most, SIGTERM within {:.1} s",
        worst_reader.as_secs_f64(),
        worst_end.as_secs_f64()
    ));
    case.report();
}

/// How long the program may take to notice that its connections are silent and to migrate over new ones.
const RECOVERED: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn over_connections_that_fall_silent() {
    let mut case = Case::new("connections fall silent during a migration");
    let mut worst = Duration::ZERO;
    for number in 0..tries(2, 10) {
        let database = Database::bare().await;
        of_an_older_version(&database).await;
        let gateway = Gateway::before(Cluster::shared().socket()).await;
        let program = Program::new("https://tenant.example", &gateway.url_of(&database.name));
        let mut analyst = database.pool.begin().await.unwrap();
        sqlx::query("select count(*) from blueconic.profiles")
            .execute(&mut *analyst)
            .await
            .unwrap();
        let migrating = program.start(&["migrate"]);
        eventually("the migration waits", LONG, async || {
            migrating.stderr().contains("blocked by: PID").then_some(())
        })
        .await;
        gateway.silence();
        let silent = Instant::now();
        analyst.commit().await.unwrap();
        if number % 2 == 0 {
            migrating.ended(RECOVERED).await.expect(0);
        } else {
            // Nobody has noticed yet: the signal is heard all the same.
            migrating.signal(Signal::SIGTERM);
            assert_ne!(migrating.ended(HELD_UP).await.code(), 0);
            worst = worst.max(silent.elapsed());
            // The lock that the silent session holds ends with it, in the time that keepalives take; an administrator's
            // command stands for them here, where the other end of the connection never goes.
            database
                .run(
                    "select pg_terminate_backend(pid) from pg_stat_activity
                     where application_name = 'blueconic-sync migrate' and datname = current_database()",
                )
                .await;
            program.expect(0, &["migrate"]).await;
        }
        case.recovered(silent.elapsed());
        let again = program.expect(0, &["migrate"]).await;
        assert!(again.stdout.contains("the schema is current"), "{}", again.stdout);
        assert_eq!(database.count("sync._sqlx_migrations where not success").await, 0);
        case.tried(1);
    }
    case.note(format!("SIGTERM within {:.1} s", worst.as_secs_f64()));
    case.report();
}
