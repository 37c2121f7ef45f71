//! The program dies right before and right after each commit, and where the engine lets go of a page; the next run makes
//! up for it, and the tables are those of a run that nothing happened to.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use nix::sys::signal::Signal;
use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant::{Tenant, start};
use simulated_tenant::truth::AuditEvent;
use tokio::sync::Mutex as AsyncMutex;

use super::business::Business;
use super::table::{Case, in_full};
use crate::support::cluster::Cluster;
use crate::support::copies::Copies;
use crate::support::database::{Database, create};
use crate::support::program::{Ended, LONG, Program};
use crate::support::sources::files;
use crate::support::{eventually, small};

/// What is under way when the program dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// The first backfill, into an empty database.
    First,
    /// A full backfill over a filled database, with changes, merges and removals.
    Again,
    /// The same, while tokens die.
    TokensDie,
    /// Signing in, while the tenant gives no token.
    NoToken,
    /// `reset profiles`, before a backfill.
    ResetResource,
    ResetTo,
    /// `reset tenant`, before a backfill.
    ResetTenant,
    /// The service, over a filled database.
    Serve,
    /// `erase` of a person, who is let back afterwards.
    Erase,
    /// `erase --lift` of a person who was erased.
    Lift,
}

use Scene::{Again, Erase, First, Lift, NoToken, ResetResource, ResetTenant, ResetTo, Serve, TokensDie};

/// Each place, where it is reached, and which hit after the first one is tried as well (0: there is one hit only).
const PLACES: [(&str, Scene, u32); 43] = [
    ("migrate", First, 0),
    ("resources", First, 0),
    ("changes/switch", First, 0),
    ("tenant", First, 0),
    ("token/open", First, 0),
    ("token/claim", First, 0),
    ("token/store", First, 0),
    ("token/drop", TokensDie, 0),
    ("token/fail", NoToken, 0),
    ("lease/take", First, 3),
    ("lease/take", Again, 4),
    ("lease/renew", Again, 0),
    ("lease/close", Again, 3),
    ("progress", Again, 0),
    ("partitions/ahead", First, 0),
    ("partitions/staged", First, 0),
    ("drift", First, 0),
    ("load", First, 17),
    ("load", Again, 9),
    ("advance", First, 5),
    ("advance", Again, 4),
    ("renames", Again, 0),
    ("forget", Again, 0),
    ("candidates", Again, 0),
    ("missing", Again, 0),
    ("sweep", Again, 0),
    ("asked", Again, 0),
    ("index/drop", First, 0),
    ("index/make", First, 0),
    ("analyze", First, 0),
    ("reset/resource", ResetResource, 0),
    ("reset/tenant", ResetTenant, 0),
    ("reset/to", ResetTo, 0),
    ("erase", Erase, 0),
    ("erase/analyze", Erase, 0),
    ("lift", Lift, 0),
    ("services/beat", Serve, 3),
    ("schedule/put", Serve, 3),
    ("schedule/keep", Serve, 0),
    ("schedule/claim", Serve, 3),
    ("schedule/extend", Serve, 0),
    ("schedule/done", Serve, 2),
    ("usage", First, 0),
];

/// Places of which one side alone exists.
const SIDES: [(&str, Scene, u32); 4] = [
    ("copy/before", First, 11),
    ("page/ended/after", First, 9),
    ("page/tail/before", Again, 5),
    ("page/tail/after", First, 12),
];

/// Places that need a person's authorization or a slow token: `tests/oauth` dies there. At those of typed columns
/// `tests/typed_columns/killed.rs` dies, at those of histories and sizes by day
/// `tests/history/killed.rs`, at those of messages `tests/notify/killed.rs`, and at those of personal data `tests/personal_data/killed.rs` and `roles.rs`. Of 100,000 rejects
/// `tests/listings_in_the_wild/lists.rs` knows, a failover is in `failover.rs`, and a probe in `tests/probe`. The disk under a file of
/// hashes fails in `tests/store/known_in_memory.rs`. What a person does to the schedule dies in `tests/by_hand.rs`.
const ELSEWHERE: [&str; 33] = [
    "columns/change",
    "columns/fill",
    "columns/postpone",
    "facts",
    "hash_file/read",
    "hash_file/write",
    "histories/begin",
    "histories/switch",
    "housekeeping/detach",
    "housekeeping/drop",
    "housekeeping/runs",
    "lease/regain",
    "notify/claim",
    "notify/ended",
    "notify/heartbeat",
    "notify/judge",
    "notify/sent",
    "notify/unsent",
    "pauses/remove",
    "pauses/write",
    "personal/analyzed",
    "personal/change",
    "personal/scrub",
    "probe",
    "readers/grant",
    "readers/make",
    "rejects/room",
    "schedule/request",
    "services/leave",
    "token/extend",
    "token/grant",
    "token/remove",
    "token/reseal",
];

/// Places that stand in the source.
fn in_source() -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for (path, text) in files("src", ".rs") {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let calls = ["boundary::cross(", "failpoint::at(", "reach("];
        for call in calls
            .into_iter()
            .flat_map(|call| [format!("{call}\""), format!("{call} \"")])
        {
            for rest in flat.split(&call).skip(1) {
                let place = rest.split('"').next().unwrap();
                assert!(!place.is_empty(), "{path}");
                places.insert(place.to_owned());
            }
        }
    }
    places
}

#[test]
fn every_commit_has_its_failpoint_and_every_failpoint_is_tried() {
    for (path, text) in files("src/postgres", ".rs") {
        for line in text.lines().filter(|line| line.contains(".commit()")) {
            assert!(
                line.contains("boundary::cross("),
                "{path}: a commit without a failpoint: {line}"
            );
        }
        // A statement over a pool is a transaction of its own; those that only read fetch something.
        let flat: String = text.split_whitespace().collect();
        for pool in [".execute(pool).await", ".execute(self.control()).await"] {
            let bare = flat.matches(pool).count();
            assert_eq!(bare, 0, "{path}: {bare} statements commit without a failpoint");
        }
    }
    let tried: BTreeSet<String> = PLACES
        .iter()
        .map(|(place, ..)| (*place).to_owned())
        .chain(
            SIDES
                .iter()
                .map(|(place, ..)| place.rsplit_once('/').unwrap().0.to_owned()),
        )
        .chain(ELSEWHERE.map(str::to_owned))
        .collect();
    assert_eq!(in_source(), tried);
}

/// One death: where, and at which hit.
#[derive(Debug, Clone)]
struct Death {
    place: String,
    scene: Scene,
    hit: u32,
}

/// Both sides of each place, at the first hit and at a later one; in short one of these for each place.
fn deaths() -> Vec<Death> {
    let mut deaths = Vec::new();
    for (number, (place, scene, later)) in PLACES.into_iter().enumerate() {
        let sides = ["before", "after"].map(|side| format!("{place}/{side}"));
        deaths.extend(of_place(number, &sides, scene, later));
    }
    for (number, (place, scene, later)) in SIDES.into_iter().enumerate() {
        deaths.extend(of_place(number, &[place.to_owned()], scene, later));
    }
    deaths
}

fn of_place(number: usize, sides: &[String], scene: Scene, later: u32) -> Vec<Death> {
    let hits = if later == 0 { vec![1] } else { vec![1, later] };
    let mut all = Vec::new();
    for place in sides {
        all.extend(hits.iter().map(|hit| Death {
            place: place.clone(),
            scene,
            hit: *hit,
        }));
    }
    if in_full() {
        return all;
    }
    vec![all.swap_remove((number * 3 + 1) % all.len())]
}

/// A tenant, and what a backfill of it gives when nothing happens.
struct World {
    tenant: Tenant,
    /// A database to start from: empty, or filled before the tenant changed.
    template: String,
    expected: Business,
    /// What is done to the tenant's tokens concerns everybody.
    alone: AsyncMutex<()>,
}

fn program(tenant: &Tenant, database: &Database) -> Program {
    Program::new(tenant.url(), &database.url)
        .set("schedule.lease_ttl", "1s")
        .set("resources.profiles.page_size", "50")
        .set("resources.audit_events.page_size", "150")
        // A renamed value shows in what is read again.
        .set("resources.audit_events.overlap", "29d")
        .set("resources.profile_properties.page_size", "5")
}

async fn world(profiles: u64, filled: bool) -> World {
    let tenant = start(Settings {
        latency: Duration::from_millis(25),
        audit_events: 900,
        audit_order: AuditOrder::OldestFirst,
        ..small(profiles)
    });
    let tenant = tenant.await.unwrap();
    let reference = Database::bare().await;
    let program = program(&tenant, &reference);
    program.expect(0, &["backfill", "--full"]).await;
    let mut template = "template0".to_owned();
    if filled {
        template = create(Cluster::shared(), &reference.name).await;
        change(&tenant, profiles);
        program.expect(0, &["backfill", "--full"]).await;
    }
    let expected = Business::of(&reference).await;
    assert!(
        !filled || expected.count("profile_tombstones") >= 30,
        "nothing was swept"
    );
    World {
        tenant,
        template,
        expected,
        alone: AsyncMutex::new(()),
    }
}

fn change(tenant: &Tenant, profiles: u64) {
    tenant.advance(Duration::from_mins(1));
    for position in (3..profiles).step_by(29).take(20) {
        assert!(tenant.delete(position));
    }
    for position in (5..profiles).step_by(29).take(10) {
        assert!(tenant.merge(position, position + 1));
    }
    for position in (8..profiles).step_by(29) {
        assert!(tenant.touch(position, "name", &["Changed"]));
    }
    tenant.add_profiles(20);
    // A list in which something is missing is read again, and what the first reading saw is forgotten.
    let definition = tenant.properties().pop().unwrap();
    assert!(tenant.remove_property(&definition.id));
    let renamed = tenant.audit_events().remove(0).object_type;
    assert!(tenant.rename_object_type(&renamed, "RENAMED") > 10);
    // Equal events among them, and of the same millisecond; all within the overlap, so that no wider scan is needed.
    let now = tenant.now();
    let events = tenant.audit_events().into_iter().step_by(9).enumerate();
    let late: Vec<AuditEvent> = events
        .map(|(number, event)| AuditEvent {
            date: now - 10_000 * i64::try_from(number / 2).unwrap(),
            ..event
        })
        .flat_map(|event| [event.clone(), event])
        .collect();
    tenant.push_audit_events(late);
    tenant.advance(Duration::from_mins(1));
}

/// Dies as ordered, is made up for, and gives how long that took.
async fn one(world: &World, death: &Death, case: &AsyncMutex<Case>) {
    let database = Database::copy(Cluster::shared(), &world.template).await;
    let program = program(&world.tenant, &database);
    let copies = match death.scene {
        First => None,
        _ => Some(Copies::of(&database).await),
    };
    let order = format!("{}={}*off->return(kill)", death.place, death.hit - 1);
    let dying = program.with("FAILPOINTS", &order);
    let alone = match death.scene {
        TokensDie | NoToken => Some(world.alone.lock().await),
        _ => None,
    };
    let person = person(&world.tenant);
    if death.place.starts_with("asked") {
        // As if the last sweep had asked for as many as it may.
        let stopped =
            "update sync.cursors set asked_through = '8' where resource = 'profiles' and scope = 'full'";
        database.run(stopped).await;
    }
    if death.scene == Lift {
        program.expect(0, &["erase", &person, "--yes"]).await;
    }
    let ended = die(world, death.scene, &dying, &person).await;
    assert_eq!(ended.code(), 137, "{order}: it did not die\n{}", ended.stderr);
    let restarted = Instant::now();
    if death.scene == Serve {
        serve_to_the_end(&program, &database).await;
    }
    if matches!(death.scene, Erase | Lift) {
        program.expect(0, &["erase", &person, "--lift", "--yes"]).await;
    }
    let ended = program.run(&["backfill", "--full"]).await;
    assert_eq!(ended.code(), 0, "after {order}:\n{}", ended.stderr);
    let recovered = restarted.elapsed();
    drop(alone);
    let mut case = case.lock().await;
    case.tried(1);
    case.recovered(recovered);
    world.expected.compare(&database, &mut case).await;
    // Whoever followed the feed of changes all the while has every table as it is.
    if let Some(copies) = copies {
        copies.assert_follow().await;
    }
    let open = "sync.runs where status = 'running'";
    assert_eq!(database.count(open).await, 0, "after {order}");
    assert_eq!(
        database.count("sync.gaps where closed_at is null").await,
        0,
        "after {order}"
    );
    assert_eq!(
        database.count("sync.walk_seen").await,
        0,
        "after {order}: seen ids of a closed walk"
    );
    database.remove(Cluster::shared()).await;
}

/// Somebody who was never merged.
fn person(tenant: &Tenant) -> String {
    let merged = tenant.aliases();
    let of_a_merge = |id: &String| {
        merged
            .iter()
            .any(|(loser, survivor)| loser == id || survivor == id)
    };
    tenant
        .profiles()
        .map(|profile| profile.id)
        .find(|id| !of_a_merge(id))
        .unwrap()
}

async fn die(world: &World, scene: Scene, dying: &Program, person: &str) -> Ended {
    match scene {
        Erase => dying.run(&["erase", person, "--yes"]).await,
        Lift => dying.run(&["erase", person, "--lift", "--yes"]).await,
        First | Again => dying.run(&["backfill", "--full"]).await,
        ResetResource => dying.run(&["reset", "profiles", "--yes"]).await,
        ResetTo => {
            dying
                .run(&["reset", "profiles", "--to", "2026-01-01T00:00:00Z", "--yes"])
                .await
        }
        ResetTenant => dying.run(&["reset", "tenant", "--yes"]).await,
        NoToken => {
            world.tenant.switch_application(false);
            let ended = dying.run(&["backfill"]).await;
            world.tenant.switch_application(true);
            ended
        }
        TokensDie => {
            let mut running = dying.start(&["backfill", "--full"]);
            while !running.has_ended() {
                world.tenant.revoke_tokens();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            running.ended(LONG).await
        }
        Serve => {
            // Jobs that last: a claim is extended after a third of the time that it holds.
            let slow = service(dying)
                .set("limits.requests_per_second", "5")
                .set("limits.burst", "1");
            slow.start(&["serve"]).ended(LONG).await
        }
    }
}

fn service(program: &Program) -> Program {
    program
        .set("web.bind", "127.0.0.1:0")
        .set("schedule.heartbeat", "1s")
}

/// Serves until every job has ended well once.
async fn serve_to_the_end(program: &Program, database: &Database) {
    let mut running = service(program).start(&["serve"]);
    eventually("every job has run", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let due = "sync.schedule where claimed_by is not null or next_run_at <= sync.clock()";
        let known = database.count("sync.schedule").await;
        (known > 0 && database.count(due).await == 0).then_some(())
    })
    .await;
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_dies_at_every_commit_and_the_next_run_makes_up_for_it() {
    let profiles = if in_full() { 3_000 } else { 1_000 };
    let worlds = [
        world(profiles, false).await,
        world(profiles, true).await,
        world(profiles, true).await,
    ];
    let case = AsyncMutex::new(Case::new("dies before and after each commit"));
    let tries = stream::iter(deaths()).for_each_concurrent(6, async |death| {
        let world = match death.scene {
            First => &worlds[0],
            TokensDie | NoToken => &worlds[2],
            _ => &worlds[1],
        };
        one(world, &death, &case).await;
    });
    tries.await;
    let mut case = case.into_inner();
    case.note(format!("{} places", in_source().len()));
    case.report();
}
