//! Full walks with their sweeps, increments at the same time, and a tenant that changes with every request, over the real
//! PostgreSQL. Who is there is never removed for good: after one increment in quiet every living profile is stored in
//! its last version, whatever the sweep did meanwhile; after one full walk in quiet the tables equal the tenant. Every other
//! story is told by a tenant with two read paths, and an overlap as long as its index is late.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueconic_sync::clock::SystemClock;
use blueconic_sync::model::description::Reading;
use blueconic_sync::model::ports::Walkable;
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::postgres::store::PostgresStore;
use blueconic_sync::sync::engine::Engine;
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::{Bounds, ProfilesReading, RemovalBound, RunSpec, WhenHeld};
use tokio_util::sync::CancellationToken;

use super::living_tenant::{LATE, LivingSource, World};
use super::reader::profiles_with;
use crate::support::fixture::{Fixture, fixture, run};

/// Stories in one test run.
const STORIES: u64 = 12;

struct Story {
    world: Arc<Mutex<World>>,
    engine: Engine<LivingSource, PostgresStore>,
    profiles: Arc<dyn Walkable>,
    /// As long as the index is late.
    overlap: Duration,
}

impl Story {
    fn begin(db: &Fixture, seed: u64) -> Self {
        let two_paths = seed % 2 == 1;
        let world = Arc::new(Mutex::new(World::new(seed, 40, two_paths)));
        let bounds = Bounds {
            batch_bytes: 1 << 20,
            batch_elements: 5,
            lanes: 2,
            lease_ttl: Duration::from_secs(30),
            removals: RemovalBound::Default,
            // The bound has its own tests; here the sweep shall sweep.
            approved_removals: Some(1_000),
            lookups: 1_000,
            sample: 1_000_000,
            lookups_per_second: 0,
            full_window: None,
            known_bytes: 4 * 1024 * 1024,
            lookups_at_once: 3,
        };
        let source = Arc::new(LivingSource(Arc::clone(&world)));
        Self {
            engine: Engine::new(
                source,
                db.store.clone(),
                Arc::new(SystemClock),
                bounds,
                Arc::new(NoListener),
            ),
            world,
            profiles: profiles_with(7),
            overlap: if two_paths {
                // The time between two requests, and `Date`, which has whole seconds.
                Duration::from_millis(LATE.unsigned_abs()) + Duration::from_secs(3)
            } else {
                Duration::ZERO
            },
        }
    }

    /// Reads in a scope; gives back how the run ended and how many rows it removed.
    async fn read(&self, scope: Scope) -> (RunStatus, u64) {
        let reading = ProfilesReading {
            scope: Some(scope),
            overlap: self.overlap,
            since: None,
            next_full_at: None,
        };
        let spec = RunSpec {
            wanted: Reading::Walk((Arc::clone(&self.profiles), reading)),
            when_held: WhenHeld::Wait,
            is_named: false,
        };
        let report = self.engine.run(&spec, &CancellationToken::new()).await.unwrap();
        assert_ne!(
            report.ledger.status,
            RunStatus::Failed,
            "{:?}",
            report.ledger.error
        );
        (report.ledger.status, report.ledger.counts.removed)
    }

    fn live(&self, lives: bool) {
        let mut world = self.world.lock().unwrap();
        world.lives = lives;
        // `Date` counts in whole seconds: what happened before is behind it now.
        world.now += 2_000;
        world.refresh_index();
    }

    fn alive(&self) -> BTreeMap<String, u32> {
        self.world.lock().unwrap().alive()
    }
}

async fn stored(db: &Fixture) -> BTreeMap<String, u32> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select id, properties #>> '{version,0}' from blueconic.profiles")
            .fetch_all(&db.look)
            .await
            .unwrap();
    rows.into_iter()
        .map(|(id, version)| (id, version.parse().unwrap()))
        .collect()
}

/// Tells a story; gives back how many rows its sweep removed while the tenant lived.
async fn tell(db: &Fixture, seed: u64) -> u64 {
    let empty = "truncate blueconic.profiles, blueconic.profile_aliases, blueconic.profile_tombstones,
                 sync.cursors, sync.walk_seen";
    run(&mut db.look.acquire().await.unwrap(), empty).await;
    let story = Story::begin(db, seed);
    story.read(Scope::Full).await;
    assert_eq!(stored(db).await, story.alive(), "story {seed}: the first walk");
    story.live(true);
    let over = CancellationToken::new();
    let increments = async {
        while !over.is_cancelled() {
            story.read(Scope::Increment).await;
        }
    };
    let walks = async {
        let mut removed = 0;
        for _ in 0..2 {
            removed += story.read(Scope::Full).await.1;
        }
        over.cancel();
        removed
    };
    let ((), removed) = tokio::join!(increments, walks);
    story.live(false);
    story.read(Scope::Increment).await;
    let (there, alive) = (stored(db).await, story.alive());
    let undated = story.world.lock().unwrap().undated();
    for (id, version) in alive.iter().filter(|(id, _)| !undated.contains(*id)) {
        assert_eq!(
            there.get(id),
            Some(version),
            "story {seed}: `{id}` lives, after an increment in quiet"
        );
    }
    let (status, _) = story.read(Scope::Full).await;
    assert_eq!(status, RunStatus::Succeeded, "story {seed}");
    assert_eq!(stored(db).await, alive, "story {seed}: after a walk in quiet");
    removed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_beside_increments_removes_nobody_who_lives() {
    let db = fixture().await;
    let mut removed = 0;
    for seed in 0..STORIES {
        removed += tell(&db, seed).await;
    }
    assert!(removed > STORIES, "{removed} rows were swept: hardly a trial");
}
