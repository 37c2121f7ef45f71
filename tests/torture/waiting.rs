//! The database keeps the program waiting: connections fall silent, a stranger holds a lock, a standby does not confirm, a
//! failover leads to a server that can only be read. In each of these the program ends soon when it is asked to, and when
//! the cause is gone it makes up for everything without a hand.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant::{Tenant, start};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::business::Business;
use super::table::{Case, tries};
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::program::{LONG, Program, Running};
use crate::support::registry::by_default;
use crate::support::{eventually, small};

/// How long a process may take to end; orchestrators kill then.
const STOPPED: Duration = Duration::from_secs(10);
/// How long it may take until everything is as at the tenant, from the moment when the cause is gone.
const RECOVERED: Duration = Duration::from_secs(90);

const PROFILES: u64 = 1_200;

/// A tenant, a server with a gateway before it, and what an undisturbed load gives.
struct World {
    tenant: Tenant,
    cluster: Cluster,
    gateway: Gateway,
    expected: Business,
}

impl World {
    async fn new() -> Self {
        let settings = Settings {
            latency: Duration::from_millis(15),
            audit_order: AuditOrder::OldestFirst,
            ..small(PROFILES)
        };
        let tenant = start(settings).await.unwrap();
        let cluster = tokio::task::block_in_place(Cluster::start);
        let gateway = Gateway::before(cluster.socket()).await;
        let reference = Database::on(&cluster).await;
        let program = Program::new(tenant.url(), &reference.url);
        program.expect(0, &["backfill", "--full"]).await;
        let expected = Business::of(&reference).await;
        Self {
            tenant,
            cluster,
            gateway,
            expected,
        }
    }

    /// A program that reaches a database by the gateway.
    fn program(&self, database: &Database) -> Program {
        Program::new(self.tenant.url(), &self.gateway.url_of(&database.name))
            .set("resources.profiles.page_size", "100")
            .set("web.bind", "127.0.0.1:0")
            .set("schedule.heartbeat", "1s")
    }
}

/// What keeps the program waiting.
enum Cause {
    /// Statements of a stranger, in a transaction that stays open.
    Stranger(&'static [&'static str]),
    /// A synchronous standby that is away.
    StandbyAway,
    /// No connection says anything any more, new ones neither.
    Dark,
    /// The connections that there are say nothing any more.
    Silence,
    /// The address leads to a standby.
    Failover(PathBuf),
}

/// A cause that is in effect.
enum Effect {
    Stranger(PgConnection),
    Other,
}

impl Cause {
    async fn begin(&self, world: &World, database: &Database) -> Effect {
        match self {
            Self::Stranger(statements) => {
                let options = world.cluster.options.clone().database(&database.name);
                let mut stranger = PgConnection::connect_with(&options.application_name("a-stranger"))
                    .await
                    .unwrap();
                for statement in *statements {
                    sqlx::raw_sql(AssertSqlSafe(*statement))
                        .execute(&mut stranger)
                        .await
                        .unwrap();
                }
                return Effect::Stranger(stranger);
            }
            Self::StandbyAway => confirmed_by(world, "the_standby").await,
            Self::Dark => world.gateway.go_dark(),
            Self::Silence => world.gateway.silence(),
            Self::Failover(socket) => world.gateway.point_at(socket.clone()),
        }
        Effect::Other
    }

    async fn end(&self, world: &World, effect: Effect) {
        if let Effect::Stranger(stranger) = effect {
            stranger.close().await.unwrap();
        }
        match self {
            Self::StandbyAway => confirmed_by(world, "").await,
            Self::Dark => world.gateway.light_up(),
            Self::Failover(_) => world.gateway.point_at(world.cluster.socket()),
            Self::Stranger(_) | Self::Silence => {}
        }
    }
}

async fn confirmed_by(world: &World, standbys: &str) {
    let mut admin = PgConnection::connect_with(&world.cluster.options).await.unwrap();
    let set = format!("alter system set synchronous_standby_names = '{standbys}'");
    sqlx::raw_sql(AssertSqlSafe(set))
        .execute(&mut admin)
        .await
        .unwrap();
    sqlx::raw_sql("select pg_reload_conf()")
        .execute(&mut admin)
        .await
        .unwrap();
}

async fn address(running: &mut Running) -> String {
    eventually("it serves", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let reported = running.stderr();
        let at = reported.split_once("status page at http://")?.1;
        Some(at.split_once('/')?.0.to_owned())
    })
    .await
}

/// Stops it and says how long that took.
async fn stopped(running: Running, code: i32) -> Duration {
    let asked = Instant::now();
    running.signal(Signal::SIGTERM);
    let ended = running.ended(STOPPED).await;
    ended.expect(code);
    asked.elapsed()
}

/// Waits until runs that began after `since` have brought all four resources.
async fn caught_up(database: &Database, since: &str, running: &mut Running) {
    // The jobs that come round are all the resources that are not optional; the others are read once.
    let often: Vec<String> = by_default()
        .filter(|one| one.as_list().is_none_or(|list| !list.optional))
        .map(|one| format!("'{}'", one.name()))
        .collect();
    let sql = format!(
        "select (select count(distinct resource) from sync.runs
                 where status = 'succeeded' and finished_at > '{since}' and resource in ({}))
              + (select count(distinct resource) from sync.runs where status = 'succeeded')",
        often.join(", ")
    );
    let all = i64::try_from(often.len() + by_default().count()).unwrap();
    eventually("all resources are read again", RECOVERED, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (database.one::<i64>(&sql).await == all).then_some(())
    })
    .await;
}

/// `noticed`: words of the log by which it is known that the program waits; none: a readiness that is refused.
async fn one(world: &World, cause: &Cause, noticed: &[&str], row: &mut Case, worst: &mut Duration) {
    let database = Database::on(&world.cluster).await;
    // Every job comes round in seconds, so that what was postponed or failed is repeated soon.
    let program = world
        .program(&database)
        .set("resources.segments.schedule", "*/5 * * * * *")
        .set("resources.profile_properties.schedule", "*/5 * * * * *")
        .set("resources.profiles.schedule", "*/5 * * * * *")
        .set("resources.profiles.full_schedule", "*/10 * * * * *")
        .set("resources.audit_events.schedule", "*/5 * * * * *");
    program.expect(0, &["migrate"]).await;
    let mut running = program.start(&["serve"]);
    let first = address(&mut running).await;
    let effect = cause.begin(world, &database).await;
    wait_for(&mut running, &first, noticed).await;
    *worst = stopped(running, 0).await.max(*worst);
    // A start meets it as well, where one can be had.
    let mut running = program.start(&["serve"]);
    tokio::time::sleep(Duration::from_millis(rand::random_range(500..3_000))).await;
    if running.has_ended() {
        // Without a database there is no start: whoever started it tries again.
        assert!(
            matches!(cause, Cause::Dark | Cause::Failover(_)),
            "{}",
            running.stderr()
        );
    }
    cause.end(world, effect).await;
    let gone = Instant::now();
    let since: String = database.one("select clock_timestamp()::text").await;
    if running.has_ended() {
        running = program.start(&["serve"]);
    }
    let second = eventually("it serves", RECOVERED, async || {
        if running.has_ended() {
            running = program.start(&["serve"]);
        }
        let reported = running.stderr();
        let at = reported.split_once("status page at http://")?.1;
        Some(at.split_once('/')?.0.to_owned())
    })
    .await;
    caught_up(&database, &since, &mut running).await;
    row.recovered(gone.elapsed());
    eventually("it is ready", RECOVERED, async || {
        (status_of(&second, "/readyz").await == Some(200)).then_some(())
    })
    .await;
    assert_eq!(status_of(&second, "/healthz").await, Some(200));
    *worst = stopped(running, 0).await.max(*worst);
    world.expected.compare(&database, row).await;
    database.remove(&world.cluster).await;
    row.tried(1);
}

async fn status_of(address: &str, path: &str) -> Option<u16> {
    let answer = reqwest::get(format!("http://{address}{path}")).await.ok()?;
    Some(answer.status().as_u16())
}

async fn wait_for(running: &mut Running, address: &str, noticed: &[&str]) {
    eventually("it notices", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let reported = running.stderr();
        if noticed.is_empty() {
            return (status_of(address, "/readyz").await == Some(503)).then_some(());
        }
        noticed.iter().all(|word| reported.contains(word)).then_some(())
    })
    .await;
}

async fn tried(name: &str, cause: Cause, noticed: &[&str], in_full: u32) {
    let world = World::new().await;
    tried_in(&world, name, cause, noticed, in_full).await;
}

async fn tried_in(world: &World, name: &str, cause: Cause, noticed: &[&str], in_full: u32) {
    let mut row = Case::new(name);
    let mut worst = Duration::ZERO;
    for _ in 0..tries(1, in_full) {
        one(world, &cause, noticed, &mut row, &mut worst).await;
    }
    row.note(format!("worst exit {:.1} s", worst.as_secs_f64()));
    row.report();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_locks_what_is_loaded() {
    let lock = &["begin", "lock table blueconic.profiles in access exclusive mode"];
    let noticed = &["a lock is held by session", "a-stranger"];
    tried("a stranger locks `profiles`", Cause::Stranger(lock), noticed, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_holds_the_lock_of_erasures() {
    let lock = &["begin", "select pg_advisory_xact_lock(sync.erasures_lock())"];
    let noticed = &["a lock is held by session", "a-stranger"];
    tried(
        "a stranger holds the lock of erasures",
        Cause::Stranger(lock),
        noticed,
        10,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_changes_the_table_of_audit_events() {
    let lock = &[
        "begin",
        "lock table blueconic.audit_events in share update exclusive mode",
    ];
    let noticed = &["a lock is held by session", "a-stranger"];
    tried(
        "a stranger blocks a partition",
        Cause::Stranger(lock),
        noticed,
        10,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_standby_is_away() {
    let noticed = &["a synchronous standby that is away"];
    tried("a synchronous standby is away", Cause::StandbyAway, noticed, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_says_anything_any_more() {
    tried("all connections silent, new ones too", Cause::Dark, &[], 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_to_a_standby_and_back() {
    let world = World::new().await;
    let standby = tokio::task::block_in_place(|| world.cluster.standby());
    let cause = Cause::Failover(standby.socket());
    tried_in(&world, "failover to a standby and back", cause, &[], 10).await;
}

/// The backfill goes on by itself over new connections: at random moments of a load, and while the service has nothing to
/// do.
#[tokio::test(flavor = "multi_thread")]
async fn the_connections_that_there_are_fall_silent() {
    let world = World::new().await;
    let mut case = Case::new("connections fall silent in a backfill");
    let mut deaf = Duration::ZERO;
    for number in 0..tries(2, 20) {
        let database = Database::on(&world.cluster).await;
        let program = world.program(&database);
        let mut running = program.start(&["backfill", "--full"]);
        eventually("it loads", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            let exists = "select to_regclass('blueconic.profiles') is not null";
            (database.one::<bool>(exists).await && database.count("blueconic.profiles").await > 0)
                .then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..200))).await;
        Cause::Silence.begin(&world, &database).await;
        let silent = Instant::now();
        if number % 2 == 0 {
            running.ended(RECOVERED).await.expect(0);
        } else {
            // Nobody has noticed yet: the signal is heard all the same.
            deaf = stopped(running, 130).await.max(deaf);
            // Its sessions hear nothing of that: what they hold, the next run needs.
            let holding = "pg_stat_activity where datname = current_database() and xact_start is not null
                           and application_name like 'blueconic-sync %'";
            eventually(
                "its transactions have ended",
                Duration::from_secs(5),
                async || (database.count(holding).await == 0).then_some(()),
            )
            .await;
            program.expect(0, &["backfill", "--full"]).await;
        }
        case.recovered(silent.elapsed());
        world.expected.compare(&database, &mut case).await;
        database.remove(&world.cluster).await;
        case.tried(1);
    }
    case.note(format!("worst exit {:.1} s", deaf.as_secs_f64()));
    case.report();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_of_the_service_fall_silent_between_runs() {
    let world = World::new().await;
    let database = Database::on(&world.cluster).await;
    let mut case = Case::new("connections fall silent between runs");
    let program = world.program(&database);
    program.expect(0, &["backfill", "--full"]).await;
    let program = program
        .set("resources.segments.schedule", "*/3 * * * * *")
        .set("resources.profile_properties.schedule", "*/3 * * * * *")
        .set("resources.profiles.schedule", "*/3 * * * * *")
        .set("resources.audit_events.schedule", "*/3 * * * * *");
    let mut running = program.start(&["serve"]);
    address(&mut running).await;
    for _ in 0..tries(1, 10) {
        let since: String = database.one("select clock_timestamp()::text").await;
        caught_up(&database, &since, &mut running).await;
        Cause::Silence.begin(&world, &database).await;
        let silent = Instant::now();
        let since: String = database.one("select clock_timestamp()::text").await;
        caught_up(&database, &since, &mut running).await;
        case.recovered(silent.elapsed());
        case.tried(1);
    }
    let took = stopped(running, 0).await;
    world.expected.compare(&database, &mut case).await;
    case.note(format!("exit {:.1} s", took.as_secs_f64()));
    case.report();
}

/// An index cannot be built past a transaction that is older, and need not be: it is made by a later run.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_reads_for_long_while_the_index_is_due() {
    const VALID: &str =
        "pg_index where indexrelid = to_regclass('blueconic.profiles_segment_ids') and indisvalid";
    let world = World::new().await;
    let mut case = Case::new("a stranger's old transaction, an index is due");
    let reading = Cause::Stranger(&[
        "begin isolation level repeatable read",
        "select count(*) from blueconic.profiles",
    ]);
    let mut worst = Duration::ZERO;
    for number in 0..tries(1, 6) {
        let database = Database::on(&world.cluster).await;
        let program = world.program(&database);
        program.expect(0, &["backfill", "--full"]).await;
        assert_eq!(database.count(VALID).await, 1, "the first load made the index");
        // A load into a table with rows builds it beside writers, and waits for older transactions.
        database.run("drop index blueconic.profiles_segment_ids").await;
        let effect = reading.begin(&world, &database).await;
        let mut running = program.start(&["backfill", "--full"]);
        eventually("it waits for the stranger", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            running.stderr().contains("a-stranger").then_some(())
        })
        .await;
        if number % 2 == 0 {
            worst = stopped(running, 130).await.max(worst);
            // The server notices that nobody waits for it any more.
            eventually("the server lets go of the index", STOPPED, async || {
                (database.count("pg_stat_progress_create_index").await == 0).then_some(())
            })
            .await;
            running = program.start(&["backfill", "--full"]);
        }
        let ended = running.ended(RECOVERED).await;
        ended.expect(0);
        ended.tells(&["is postponed", "a-stranger"]);
        assert_eq!(database.count(VALID).await, 0);
        reading.end(&world, effect).await;
        let gone = Instant::now();
        // An increment makes up for it.
        program.expect(0, &["backfill"]).await;
        case.recovered(gone.elapsed());
        assert_eq!(database.count(VALID).await, 1);
        world.expected.compare(&database, &mut case).await;
        database.remove(&world.cluster).await;
        case.tried(1);
    }
    case.note(format!("worst exit {:.1} s", worst.as_secs_f64()));
    case.report();
}
