//! A migrated database for each test, a store over it, and rows to load.

use std::time::Duration;

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::{Advance, Batch, Fingerprint, Known, Written};
use blueconic_sync::model::lease::{Acquired, Lease};
use blueconic_sync::model::ports::{LoadStore, Loader, RunStore};
use blueconic_sync::model::position::{CursorPosition, Position, Scope, Slot, WalkHistory};
use blueconic_sync::model::seen::{IdHasher, SeenIds};
use blueconic_sync::model::table::{Column, ColumnKind, Merge, Table};
use blueconic_sync::model::walk::Walk;
use blueconic_sync::postgres::loader::PostgresLoader;
use blueconic_sync::postgres::pool::Limits;
use blueconic_sync::postgres::store::PostgresStore;
use blueconic_sync::resources::registry::RESOURCES;
use chrono::TimeZone as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::support::cluster::Cluster;
use crate::support::database::{create, migrated};
use crate::support::discarded::Discarded;

static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// A database of the test's own, migrated.
pub(crate) async fn database() -> PgConnectOptions {
    let template = TEMPLATE.get_or_init(migrated_template).await;
    empty_database(Some(template)).await
}

async fn migrated_template() -> String {
    let options = empty_database(Some(migrated().await)).await;
    let store = another_store(&options, Duration::from_secs(30)).await;
    store.record_resources(RESOURCES).await.unwrap();
    store.disconnect().await;
    options.get_database().unwrap().to_owned()
}

/// An empty database, or a copy of another.
pub(crate) async fn empty_database(template: Option<&str>) -> PgConnectOptions {
    let cluster = Cluster::shared();
    let name = create(cluster, template.unwrap_or("template1")).await;
    cluster.options.clone().database(&name)
}

/// Runs any statement.
pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap();
}

/// A database with a store over it and a connection for checks.
pub(crate) struct Fixture {
    pub(crate) options: PgConnectOptions,
    pub(crate) store: PostgresStore,
    pub(crate) look: PgPool,
    pub(crate) discarded: Discarded,
}

pub(crate) const PROFILES_FULL: Slot = Slot {
    resource: "profiles",
    scope: Scope::Full,
};
pub(crate) const PROFILES_INCREMENT: Slot = Slot {
    resource: "profiles",
    scope: Scope::Increment,
};
pub(crate) const SEGMENTS: Slot = Slot {
    resource: "segments",
    scope: Scope::Full,
};
pub(crate) const AUDIT: Slot = Slot {
    resource: "audit_events",
    scope: Scope::Increment,
};

pub(crate) async fn fixture() -> Fixture {
    fixture_with_lease_of(Duration::from_secs(30)).await
}

pub(crate) async fn fixture_with_lease_of(lease_ttl: Duration) -> Fixture {
    let options = database().await;
    let store = another_store(&options, lease_ttl).await;
    let look = PgPool::connect_with(options.clone()).await.unwrap();
    Fixture {
        discarded: Discarded::with_its_test(options.get_database().unwrap()),
        options,
        store,
        look,
    }
}

/// A store as another process has it.
pub(crate) async fn another_store(options: &PgConnectOptions, lease_ttl: Duration) -> PostgresStore {
    let limits = Limits { lease_ttl, ..LIMITS };
    connect(options, limits).await
}

/// A store as a process with other settings has it.
pub(crate) async fn store_with(
    options: &PgConnectOptions,
    change: impl FnOnce(Limits) -> Limits,
) -> PostgresStore {
    connect(options, change(LIMITS)).await
}

/// A store as a process has it whose tenant keeps audit events for so long.
pub(crate) async fn store_with_retention(options: &PgConnectOptions, retention: Duration) -> PostgresStore {
    let limits = Limits { retention, ..LIMITS };
    connect(options, limits).await
}

const LIMITS: Limits = Limits {
    max_connections: 8,
    load_connections: 4,
    lease_ttl: Duration::from_secs(30),
    retention: Duration::from_hours(30 * 24),
    changes_kept: Some(Duration::from_hours(7 * 24)),
    rejects_kept: Duration::from_hours(30 * 24),
};

async fn connect(options: &PgConnectOptions, limits: Limits) -> PostgresStore {
    let slots = vec![SEGMENTS, PROFILES_FULL, PROFILES_INCREMENT, AUDIT];
    PostgresStore::connect(options.clone(), limits, slots)
        .await
        .unwrap()
}

impl Fixture {
    pub(crate) async fn lease(&self, slot: Slot) -> Lease {
        match self.store.acquire(slot).await.unwrap() {
            Acquired::Lease(lease) => lease,
            Acquired::Held(holder) => panic!("held by {holder:?}"),
        }
    }

    /// A lease and a walk that starts now.
    pub(crate) async fn walk(&self, slot: Slot) -> (Lease, Walk) {
        let lease = self.lease(slot).await;
        let walk = Walk {
            id: Uuid::new_v4(),
            opened_at: RunStore::now(&self.store).await.unwrap(),
            passed: None,
        };
        (lease, walk)
    }

    /// How many ids are recorded for a walk, each as often as it was: all, and those that it read itself.
    pub(crate) async fn seen(&self, walk: Walk) -> (i64, i64) {
        sqlx::query_as(
            "select coalesce(sum(octet_length(hashes) / 8), 0)::bigint,
               coalesce(sum(octet_length(hashes) / 8) filter (where read), 0)::bigint
             from sync.walk_seen where walk_id = $1",
        )
        .bind(walk.id)
        .fetch_one(&self.look)
        .await
        .unwrap()
    }

    /// Whether an id is recorded for a walk.
    pub(crate) async fn has_seen(&self, walk: Walk, id: &str) -> bool {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar("select hashes from sync.walk_seen where walk_id = $1")
            .bind(walk.id)
            .fetch_all(&self.look)
            .await
            .unwrap();
        let hash = id_hasher(walk).hash(id);
        rows.iter()
            .any(|hashes| blueconic_sync::model::seen::holds(hashes, hash))
    }

    pub(crate) async fn profiles(&self, lease: &Lease, walk: Option<Walk>) -> PostgresLoader {
        self.store.loader(&PROFILES, lease, walk).await.unwrap()
    }

    pub(crate) async fn one<T>(&self, sql: &str) -> T
    where
        (T,): for<'row> sqlx::FromRow<'row, sqlx::postgres::PgRow>,
        T: Send + Unpin,
    {
        let (value,): (T,) = sqlx::query_as(AssertSqlSafe(sql))
            .fetch_one(&self.look)
            .await
            .unwrap();
        value
    }

    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&self.look)
            .await
            .unwrap()
    }
}

/// Hashes the ids of a walk over a table in one part.
pub(crate) fn id_hasher(walk: Walk) -> IdHasher {
    IdHasher::new(walk.id, Vec::new())
}

/// The batch, with what it has read recorded for the walk.
pub(crate) fn recording(walk: Walk, batch: Batch) -> Batch {
    let recorded = SeenIds::of(&id_hasher(walk), batch.seen.iter().map(String::as_str));
    Batch { recorded, ..batch }
}

/// Compares elements as a lane does: the database is asked about those alone that memory does not know.
pub(crate) async fn compare(loader: &mut PostgresLoader, prints: &[Fingerprint]) -> Vec<Known> {
    let Some(same) = loader.same_in_memory(prints).await.unwrap() else {
        return loader.known(prints).await.unwrap();
    };
    let open = prints.iter().zip(&same).filter(|(_, same)| !**same);
    let open: Vec<Fingerprint> = open.map(|(print, _)| print.clone()).collect();
    let mut known = loader.known(&open).await.unwrap().into_iter();
    let answer = |same: bool| if same { Known::Same } else { known.next().unwrap() };
    same.into_iter().map(answer).collect()
}

/// Loads and unwraps.
pub(crate) async fn load(loader: &mut PostgresLoader, batch: Batch) -> Written {
    loader.load(batch, None).await.unwrap()
}

pub(crate) fn time(second: i64) -> Time {
    chrono::Utc.timestamp_opt(1_700_000_000 + second, 0).unwrap()
}

pub(crate) fn hash(of: &str) -> [u8; 16] {
    let mut hash = [7; 16];
    for (place, byte) in of.bytes().enumerate() {
        hash[place % 16] ^= byte.rotate_left(u32::try_from(place / 16).unwrap());
    }
    hash
}

pub(crate) fn print(id: &str, source: &str) -> Fingerprint {
    Fingerprint {
        id: id.to_owned(),
        source: hash(source),
    }
}

/// A profile whose content and bytes are both `content`.
pub(crate) fn add_profile(batch: &mut Batch, id: &str, modified: Option<i64>, content: &str) {
    add_profile_of(batch, id, modified, content, content);
}

pub(crate) fn add_profile_of(
    batch: &mut Batch,
    id: &str,
    modified: Option<i64>,
    source: &str,
    content: &str,
) {
    let modified = modified.map(time);
    batch
        .rows
        .row(id.as_bytes(), modified, 11)
        .text(id)
        .timestamp(Some(time(0)))
        .timestamp(modified)
        .text("GDPR")
        .null()
        .text_array::<&str>(&[])
        .text_array(&["o1"])
        .text_array(&["s1", "s2"])
        .jsonb(format!(r#"{{"name": ["{content}"]}}"#).as_bytes())
        .bytea(&hash(source))
        .bytea(&hash(content));
    batch.seen.push(id.to_owned());
}

pub(crate) fn add_segment(batch: &mut Batch, id: &str, modified: Option<i64>, name: &str) {
    let modified = modified.map(time);
    batch
        .rows
        .row(id.as_bytes(), modified, 10)
        .text(id)
        .text(name)
        .null()
        .text_array::<&str>(&[])
        .bigint(Some(3))
        .null()
        .timestamp(Some(time(0)))
        .timestamp(modified)
        .null()
        .null();
    batch.seen.push(id.to_owned());
}

/// The position of an open walk, to be stored as a cursor.
pub(crate) fn position(walk: Walk) -> Position {
    Position::Cursor(CursorPosition {
        walk_id: walk.id,
        segment: "allvisitors".to_owned(),
        cursor: "*".to_owned(),
        range: None,
        began_at: walk.opened_at,
        opened_at: walk.opened_at,
        properties: vec![],
        timelines: false,
        pages: 0,
        read: 0,
        divided_at: Some(Vec::new()),
        from_empty: false,
        unidentified: 0,
        total: None,
        passed: None,
        finished: None,
        aside: None,
        course: WalkHistory::default(),
    })
}

pub(crate) fn advance() -> Advance {
    Advance {
        position: None,
        watermark: None,
        segment: None,
        timelines: false,
        gaps: vec![],
        disproves: None,
        covered: vec![],
    }
}

use ColumnKind::{Bigint, Bytea, Int, Jsonb, Text, TextArray, Timestamptz};

pub(crate) static PROFILES: Table = Table {
    name: "profiles",
    columns: &[
        Column::new("id", Text),
        Column::new("created_at", Timestamptz),
        Column::new("modified_at", Timestamptz),
        Column::new("privacy_legislation", Text),
        Column::new("permission_level", Text),
        Column::new("consented_objectives", TextArray),
        Column::new("refused_objectives", TextArray),
        Column::new("segment_ids", TextArray),
        Column::new("properties", Jsonb),
        Column::new("source_hash", Bytea),
        Column::new("content_hash", Bytea),
    ],
    key: &["id"],
    merge: Merge::Profile,
    children: &[],
};

pub(crate) static SEGMENTS_TABLE: Table = Table {
    name: "segments",
    columns: &[
        Column::new("id", Text),
        Column::new("name", Text),
        Column::new("description", Text),
        Column::new("tags", TextArray),
        Column::new("profile_count", Bigint),
        Column::new("creator", Text),
        Column::new("created_at", Timestamptz),
        Column::new("modified_at", Timestamptz),
        Column::new("inverse_of", Text),
        Column::new("inversed_by", Text),
    ],
    key: &["id"],
    merge: Merge::Upsert,
    children: &[],
};

pub(crate) static AUDIT_EVENTS: Table = Table {
    name: "audit_events",
    columns: &[
        Column::new("occurred_at", Timestamptz),
        Column::new("event_key", Bytea),
        Column::new("occurrence", Int),
        Column::new("user_name", Text),
        Column::new("application", Text),
        Column::new("object_type", Text),
        Column::new("operation", Text),
        Column::new("ip_address", Text),
        Column::new("objects", Jsonb),
    ],
    key: &["event_key", "occurrence", "occurred_at"],
    merge: Merge::Occurrence,
    children: &[],
};
