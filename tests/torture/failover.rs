//! The primary is lost for good in mid-walk, and a standby takes its place. One that lagged lacks commits that were confirmed. The
//! run goes on from what that standby has: nothing is lost, nobody is removed wrongly, and no walk starts over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant::{Tenant, start};

use super::table::{Case, tries};
use crate::support::database::Database;
use crate::support::program::{LONG, Program, Running};
use crate::support::servers::Servers;
use crate::support::truth::{Departures, assert_equal, assert_events_equal, departures};
use crate::support::{eventually, small};

const PROFILES: u64 = 4_000;
const PAGE: u64 = 100;
/// The pages of a walk.
const PAGES: usize = 40;
/// Pages that the standby has when it stops receiving, and pages that the primary has more when it is lost.
const KNOWN: u8 = 8;
const LOST: u8 = 8;
/// Pages that are requested ahead or not stored yet when a run breaks off, and those of the commits on their way.
const UNDER_WAY: usize = 12;

/// How long the tenant takes where the standby parts, or the primary is lost with the connections to it.
const PAUSE: Duration = Duration::from_secs(3);
/// The same where the failover happens within the pause. Idle connections are given back meanwhile or break unnoticed, and the pool
/// opens others without a word.
const FAILOVER: Duration = Duration::from_secs(15);

/// When the standby stops receiving what the primary commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lag {
    /// Never: it lacks what was on its way.
    None,
    /// In mid-walk, and the primary is lost some pages later.
    Pages,
    /// In mid-walk, and the primary is lost in the sweep after it.
    Sweep,
    /// Before the run takes its lease.
    Run,
}

/// Servers, a tenant, and the program between them.
struct World {
    servers: Servers,
    tenant: Tenant,
    program: Program,
}

impl World {
    async fn new(settings: Settings) -> Self {
        let servers = Servers::new().await;
        let tenant = start(settings).await.unwrap();
        let url = servers.gateway.url_of(&servers.database.name);
        let program = Program::new(tenant.url(), &url)
            .set("resources.profiles.page_size", &PAGE.to_string())
            .set("resources.audit_events.page_size", "50");
        Self {
            servers,
            tenant,
            program,
        }
    }

    /// A filled database, and a tenant that has changed since; returns who is gone there.
    async fn filled() -> (Self, BTreeSet<String>) {
        let world = Self::new(Settings {
            latency: Duration::from_millis(40),
            audit_order: AuditOrder::OldestFirst,
            ..small(PROFILES)
        })
        .await;
        world.program.expect(0, &["backfill", "--full"]).await;
        world.servers.in_step().await;
        let before = ids(&world.tenant);
        world.tenant.advance(Duration::from_mins(1));
        for position in (0..PROFILES).step_by(3) {
            assert!(world.tenant.touch(position, "name", &["Late"]));
        }
        for position in (1..PROFILES).step_by(200) {
            world.tenant.delete(position);
        }
        world.tenant.add_profiles(50);
        world.tenant.advance(Duration::from_mins(1));
        world.tenant.requests().forget();
        let gone = before.difference(&ids(&world.tenant)).cloned().collect();
        (world, gone)
    }

    /// How many full walks began at the start of their listing.
    fn starts(&self) -> usize {
        let requests = self.tenant.requests().of(Route::Profiles).into_iter();
        let count = format!("count={PAGE}&");
        requests
            .filter(|request| request.query.contains("cursor=*") || request.query.contains("cursor=%2A"))
            .filter(|request| request.query.contains(&count))
            .count()
    }

    /// Slows the tenant where the standby parts and where the primary is lost.
    fn take_time(&self, lag: Lag) {
        let (parting, losing) = (u64::from(KNOWN) + 5, u64::from(KNOWN + LOST) + 10);
        let pauses = match lag {
            Lag::None | Lag::Run => Vec::new(),
            Lag::Pages => vec![
                slow(Route::Profiles, parting, PAUSE),
                slow(Route::Profiles, losing, PAUSE),
            ],
            Lag::Sweep => vec![
                slow(Route::Profiles, parting, PAUSE),
                slow(Route::Profile, 1, FAILOVER),
            ],
        };
        for pause in pauses {
            self.tenant.faults().push(pause);
        }
    }

    /// Waits for the moment of the failover; returns how many pages of the walk the standby lacks.
    async fn until_the_failover(&self, lag: Lag, running: &mut Running) -> usize {
        let servers = &self.servers;
        let lost = match lag {
            Lag::None => {
                stored(&servers.database, running, KNOWN.into()).await;
                // What was on its way counts as such.
                0
            }
            Lag::Run => stored(&servers.database, running, KNOWN.into()).await,
            Lag::Pages => {
                let known = fall_behind(servers, running).await;
                stored(&servers.database, running, known + i64::from(LOST)).await - known
            }
            Lag::Sweep => {
                let known = fall_behind(servers, running).await;
                asked_for(&self.tenant, Route::Profile, 1, running).await;
                pages(&servers.database).await - known
            }
        };
        usize::try_from(lost).unwrap()
    }

    /// The profiles equal the tenant's, and only who is gone there was removed. The next run makes up for lists whose runs had
    /// ended when the standby took over without them.
    async fn judge(&self, database: &Database, gone: &BTreeSet<String>, case: &mut Case) {
        let departed = departures(database, &self.tenant, "allvisitors").await;
        if departed != Departures::default() {
            case.note(format!("{departed:?}"));
        }
        case.lost(departed.lost);
        case.doubled(departed.other + departed.stale);
        let removed = "select profile_id from blueconic.profile_tombstones where reason <> 'merged'";
        let removed: BTreeSet<String> = database.texts(removed).await.into_iter().collect();
        case.wrongly_deleted(removed.difference(gone).count() as u64);
        assert_eq!(&removed, gone, "who is gone at the tenant was swept");
        self.program.expect(0, &["backfill"]).await;
        assert_equal(database, &self.tenant).await;
        database.pool.close().await;
        case.tried(1);
    }
}

fn ids(tenant: &Tenant) -> BTreeSet<String> {
    tenant.profiles().map(|profile| profile.id).collect()
}

/// The pages that the open full walk has stored; 0 without one.
async fn pages(database: &Database) -> i64 {
    database
        .one(
            "select coalesce(max((position->>'pages')::bigint), 0) from sync.cursors
             where resource = 'profiles' and scope = 'full'",
        )
        .await
}

async fn stored(database: &Database, running: &mut Running, most: i64) -> i64 {
    eventually("pages are stored", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        Some(pages(database).await).filter(|stored| *stored >= most)
    })
    .await
}

/// Waits until the tenant was asked so often.
async fn asked_for(tenant: &Tenant, route: Route, times: u64, running: &mut Running) {
    eventually("the tenant is asked", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (tenant.requests().count(route) as u64 >= times).then_some(())
    })
    .await;
}

/// From some page on, the standby receives nothing; returns how many it has.
async fn fall_behind(servers: &Servers, running: &mut Running) -> i64 {
    let replica = servers.replica();
    stored(&replica, running, KNOWN.into()).await;
    servers.part().await;
    let known = pages(&replica).await;
    replica.pool.close().await;
    known
}

/// The tenant takes its time for one answer: what happens to the servers happens before the next page.
fn slow(route: Route, request: u64, by: Duration) -> Fault {
    Fault {
        limit: Some(1),
        ..Fault::at(route, When::Request(request), Kind::Delay(by))
    }
}

/// A failover during `backfill --full`. `death`: where the program is killed as well.
async fn in_a_backfill(lag: Lag, death: Option<&str>, case: &mut Case) {
    let (world, gone) = World::filled().await;
    if lag == Lag::Run {
        world.servers.part().await;
    }
    world.take_time(lag);
    let program = match death {
        Some(place) => world.program.with("FAILPOINTS", &format!("{place}=return(kill)")),
        None => world.program.clone(),
    };
    let mut running = program.start(&["backfill", "--full"]);
    let lost = world.until_the_failover(lag, &mut running).await;
    let failed = Instant::now();
    let promoted = world.servers.fail_over().await;
    let ended = running.ended(LONG).await;
    if death.is_some() {
        assert_eq!(ended.code(), 137, "it was not killed:\n{}", ended.stderr);
        world.program.expect(0, &["backfill", "--full", "--wait"]).await;
    } else {
        ended.expect(0);
        ended.tells(&["crashed or failed over"]);
    }
    case.recovered(failed.elapsed());
    // Only where the standby knew nothing of the walk there is nothing to go on from.
    let starts = if lag == Lag::Run { 2 } else { 1 };
    assert_eq!(world.starts(), starts, "{lag:?}: the walk started over");
    let asked = world.tenant.requests().count(Route::Profiles);
    assert!(
        asked <= PAGES + lost + UNDER_WAY,
        "{asked} requests for {PAGES} pages, {lost} of them lost"
    );
    world.judge(&promoted, &gone, case).await;
}

async fn backfills(name: &str, lag: Lag) {
    let mut case = Case::new(name);
    for _ in 0..tries(1, 10) {
        in_a_backfill(lag, None, &mut case).await;
    }
    case.report();
}

#[tokio::test(flavor = "multi_thread")]
async fn to_a_standby_in_step() {
    backfills("failover in mid-walk, to a standby in step", Lag::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_a_standby_that_lacks_pages() {
    backfills("failover in mid-walk, to a standby that lags", Lag::Pages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_sweep_to_a_standby_that_lacks_pages() {
    backfills("failover in the sweep, to a standby that lags", Lag::Sweep).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_a_standby_that_does_not_know_the_run() {
    backfills("failover in mid-walk, to a standby without the run", Lag::Run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_it_dies_where_it_takes_its_lease_back() {
    let mut case = Case::new("failover in mid-walk, and a kill -9 then");
    for number in 0..tries(1, 10) {
        let place = ["lease/regain/after", "lease/regain/before"][number as usize % 2];
        in_a_backfill(Lag::Pages, Some(place), &mut case).await;
    }
    case.report();
}

/// The service goes on with a walk that was stopped, meets a failover in it, and ends it.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_service() {
    let mut case = Case::new("failover in a walk of the service, the standby lags");
    for _ in 0..tries(1, 10) {
        let (world, gone) = World::filled().await;
        let mut stopped = world.program.start(&["backfill", "--full", "profiles"]);
        stored(&world.servers.database, &mut stopped, 3).await;
        stopped.signal(Signal::SIGTERM);
        stopped.ended(LONG).await.expect(130);
        world.take_time(Lag::Pages);
        let yearly = "0 0 0 1 1 *";
        let service = world
            .program
            .set("web.bind", "127.0.0.1:0")
            .set("schedule.heartbeat", "1s")
            .set("resources.profiles.schedule", yearly)
            .set("resources.profiles.full_schedule", yearly);
        let mut running = service.start(&["serve"]);
        world.until_the_failover(Lag::Pages, &mut running).await;
        let failed = Instant::now();
        let promoted = world.servers.fail_over().await;
        eventually("the walk has ended", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            let ended = "sync.runs where resource = 'profiles' and mode = 'full' and status = 'succeeded'";
            // The first one filled the database.
            (promoted.count(ended).await == 2).then_some(())
        })
        .await;
        case.recovered(failed.elapsed());
        running.signal(Signal::SIGTERM);
        let ended = running.ended(Duration::from_secs(10)).await;
        ended.expect(0);
        ended.tells(&["crashed or failed over"]);
        assert_eq!(world.starts(), 1, "the walk started over:\n{}", ended.stderr);
        world.judge(&promoted, &gone, &mut case).await;
    }
    case.report();
}

/// While the tenant takes its time for a page, no connection is open that would break: the scan has to notice by itself.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_scan_of_audit_events() {
    /// The slow page: well behind those that the standby has.
    const SLOW: u64 = 12;
    let mut case = Case::new("failover in an audit scan, the standby lags");
    for _ in 0..tries(1, 10) {
        let world = World::new(Settings {
            audit_events: 1_000,
            audit_order: AuditOrder::OldestFirst,
            latency: Duration::from_millis(60),
            ..small(10)
        })
        .await;
        let program = world.program.set("resources.audit_events.overlap", "0s");
        program.expect(0, &["migrate"]).await;
        let faults = world.tenant.faults();
        faults.push(slow(Route::AuditEvents, 4, PAUSE));
        faults.push(slow(Route::AuditEvents, SLOW, FAILOVER));
        let mut running = program.start(&["backfill", "audit_events"]);
        let replica = world.servers.replica();
        let count = "blueconic.audit_events";
        eventually("the standby has events", LONG, async || {
            (replica.count(count).await >= 100).then_some(())
        })
        .await;
        world.servers.part().await;
        let known = replica.count(count).await;
        replica.pool.close().await;
        asked_for(&world.tenant, Route::AuditEvents, SLOW, &mut running).await;
        let stored = world.servers.database.count(count).await;
        assert!(known < stored, "the standby lacks nothing: {known} of {stored}");
        // The scan gives its connection back.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let failed = Instant::now();
        let promoted = world.servers.fail_over().await;
        let ended = running.ended(LONG).await;
        ended.expect(0);
        ended.tells(&["crashed or failed over"]);
        case.recovered(failed.elapsed());
        assert_events_equal(&promoted, &world.tenant).await;
        assert_eq!(promoted.count("sync.gaps where closed_at is null").await, 0);
        promoted.pool.close().await;
        case.tried(1);
    }
    case.report();
}
