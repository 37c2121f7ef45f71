//! Applies migrations, and checks whether the database has those of this program. One process at a time: the lock is
//! held by a transaction on a second connection, since session-level locks fail behind poolers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::postgres::error::{Doing, Error};
use crate::postgres::own_session::OwnSession;
use crate::postgres::schemas::{self, Schema};
use crate::postgres::session::{self, Purpose};
use crate::postgres::waits::{SessionMonitor, WaitLimit};
use crate::postgres::{blockers, boundary, migration_steps};

/// Where applied migrations are recorded.
const TABLE: &str = "sync._sqlx_migrations";
/// The key of the advisory lock; any unique number works. It spells "blueconi".
const LOCK: i64 = 0x626c_7565_636f_6e69;
/// The interval of attempts to take the lock.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait for another process's migrations, and how long to try ours.
const PATIENCE: Duration = Duration::from_mins(10);
/// The pause between attempts, which lets waiting sessions pass. It is longer than [`session::MIGRATION_LOCKS`], the
/// time for which they waited.
const PAUSE: Duration = Duration::from_secs(4);
/// Attempts after a connection fell silent.
const ATTEMPTS: u32 = 3;

const LOCKING: &str = "locking the migrations";
const READING: &str = "reading the applied migrations";

/// A migration that this program brings and the database lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub description: String,
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.set_locking(false);
    migrator.dangerous_set_table_name(TABLE);
    migrator
}

/// For a database whose schemas somebody else may have made.
fn migrator_for(schemas: &[Schema]) -> Migrator {
    let mut migrator = migrator();
    for schema in schemas {
        if schema.name() == "sync" && schema.is_missing() {
            migrator.create_schema("sync");
        }
        for migration in migrator.migrations.to_mut() {
            schema.spare(migration);
        }
    }
    migrator
}

/// Returns a fault if the role lacks a right that migrations need.
pub async fn verify_rights(options: &PgConnectOptions) -> Result<(), Error> {
    let mut connection = session::open(options, Purpose::Looking).await?;
    for schema in schemas::look(&mut connection).await? {
        schema.refuse_unusable()?;
    }
    connection.close().await.doing("closing a connection")
}

/// The schemas in which every role may create functions and operators.
pub async fn open_schemas(options: &PgConnectOptions) -> Result<Vec<String>, Error> {
    let mut connection = session::open(options, Purpose::Looking).await?;
    let schemas = schemas::look(&mut connection).await?;
    connection.close().await.doing("closing a connection")?;
    let open = schemas.iter().filter(|schema| schema.is_open());
    Ok(open.map(|schema| schema.name().to_owned()).collect())
}

/// The pending migrations. Writes nothing. Refuses a database that is newer or was migrated with other texts.
pub async fn pending(connection: &mut PgConnection) -> Result<Vec<Pending>, Error> {
    compare(&migrator(), &applied(connection).await?)
}

/// Returns a fault unless the schema is the one that this program needs.
pub async fn verify(connection: &mut PgConnection) -> Result<(), Error> {
    match pending(connection).await?.len() {
        0 => Ok(()),
        pending => Err(Error::Pending { pending }),
    }
}

/// Applies the pending migrations and returns them. If none is pending, no right to create is needed.
///
/// # Errors
/// A connection that falls silent is given up and its session ended; the migrations are then tried again over new
/// connections, since each is a transaction of its own.
pub async fn apply(options: &PgConnectOptions) -> Result<Vec<Pending>, Error> {
    let options = options.clone().application_name("blueconic-sync migrate");
    let monitor = SessionMonitor::new(options.clone());
    let mut ours = None;
    for _ in 1..ATTEMPTS {
        match attempt(&options, &monitor, &mut ours).await {
            Err(error) if error.is_silence() => tracing::warn!("{error}; trying again"),
            applied => return applied,
        }
    }
    attempt(&options, &monitor, &mut ours).await
}

/// One attempt. `ours`: the migrations that were pending when this process first had the lock.
async fn attempt(
    options: &PgConnectOptions,
    monitor: &SessionMonitor,
    ours: &mut Option<Vec<Pending>>,
) -> Result<Vec<Pending>, Error> {
    let mut connection = OwnSession::open(options, monitor, Purpose::Migrating).await?;
    connection.server.refuse_unwritable(options)?;
    let looking = pending(&mut connection.inner);
    let found = monitor
        .watch(READING, WaitLimit::Short, Some(connection.pid), looking)
        .await?;
    if !found.is_empty() {
        let mut guard = OwnSession::open(options, monitor, Purpose::Guarding).await?;
        apply_alone(&mut connection, &mut guard, ours).await?;
        guard.close().await?;
    }
    connection.close().await?;
    Ok(ours.take().unwrap_or_default())
}

/// `guard` holds the lock in a transaction of its own while `connection` migrates.
async fn apply_alone(
    connection: &mut OwnSession,
    guard: &mut OwnSession,
    ours: &mut Option<Vec<Pending>>,
) -> Result<(), Error> {
    let began = Instant::now();
    while !guard.moment(LOCKING, take_lock).await? {
        if began.elapsed() > PATIENCE {
            return Err(Error::MigrationsLocked {
                seconds: PATIENCE.as_secs(),
            });
        }
        tokio::time::sleep(POLL).await;
    }
    let applied = run_patiently(connection, guard, ours).await;
    // The lock ends with the transaction, or with the session where that does not answer any more.
    let freed = guard
        .moment(LOCKING, async |guard| execute(guard, "rollback").await)
        .await;
    applied.and(freed)
}

/// Begins a transaction that holds the lock; false: somebody else has the lock, and no transaction is open.
async fn take_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    execute(connection, "begin").await?;
    let ours = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "ours!""#, LOCK)
        .fetch_one(&mut *connection)
        .await?;
    if !ours {
        execute(connection, "rollback").await?;
    }
    Ok(ours)
}

async fn execute(connection: &mut PgConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(statement).execute(connection).await.map(drop)
}

/// Retries until all locks are obtained. A migration that waits for a lock blocks all later sessions, so each attempt
/// is short and is followed by a pause. Meanwhile `guard` finds the blocking sessions.
async fn run_patiently(
    connection: &mut OwnSession,
    guard: &mut OwnSession,
    ours: &mut Option<Vec<Pending>>,
) -> Result<(), Error> {
    let looking = async {
        let schemas = schemas::look(&mut connection.inner).await?;
        for schema in &schemas {
            schema.refuse_unusable()?;
        }
        // Another process may have applied them during the wait for the lock.
        Ok((schemas, pending(&mut connection.inner).await?))
    };
    let monitor = connection.monitor.clone();
    let (schemas, pending) = monitor
        .watch(READING, WaitLimit::Short, Some(connection.pid), looking)
        .await?;
    if pending.is_empty() {
        return Ok(());
    }
    ours.get_or_insert(pending);
    let began = Instant::now();
    loop {
        let (applied, who) = run_watched(connection, guard, &schemas).await;
        match applied {
            Err(error) if error.is_locked_out() || error.is_lock_not_had() => {}
            applied => return applied,
        }
        let who = who?.unwrap_or_else(|| "a session that has gone meanwhile".to_owned());
        let seconds = began.elapsed().as_secs();
        if began.elapsed() > PATIENCE {
            return Err(Error::InTheWay { seconds, who });
        }
        tracing::warn!(
            waited_seconds = seconds,
            "a migration waits for a lock; blocked by: {who}. Readers are not blocked; trying again in {} s",
            PAUSE.as_secs()
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Runs the migrations once. Returns the outcome and the last blocking sessions.
async fn run_watched(
    connection: &mut OwnSession,
    guard: &mut OwnSession,
    schemas: &[Schema],
) -> (Result<(), Error>, Result<Option<String>, Error>) {
    let monitor = connection.monitor.clone();
    let pid = connection.pid;
    let ended = CancellationToken::new();
    let migrator = migrator_for(schemas);
    let attempt = async {
        let work = run(&mut connection.inner, &migrator);
        let applied = monitor
            .watch("applying the migrations", WaitLimit::None, Some(pid), work)
            .await;
        ended.cancel();
        applied
    };
    let looks = blockers::watch(&mut guard.inner, pid, &ended);
    let looks = monitor.watch(
        "looking for blocking sessions",
        WaitLimit::None,
        Some(guard.pid),
        looks,
    );
    tokio::join!(attempt, looks)
}

/// Each migration is a transaction of its own.
async fn run(connection: &mut PgConnection, migrator: &Migrator) -> Result<(), Error> {
    if migration_steps::are_wanted(connection).await? {
        let pending = pending(connection).await?;
        let is_pending = |version: i64| pending.iter().any(|one| one.version == version);
        for migration in migrator.iter().filter(|one| is_pending(one.version)) {
            migration_steps::apply(connection, migration).await?;
        }
        return Ok(());
    }
    let applied = async { Ok(migrator.run_direct(None, connection, false).await) };
    let applied = boundary::cross("migrate", "applying the migrations", applied).await?;
    applied.map_err(refusal)
}

fn refusal(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMismatch(version) => Error::Altered { version },
        MigrateError::Dirty(version) => Error::Dirty { version },
        other => Error::Migrate(other),
    }
}

/// Version to checksum and whether it went through.
type Applied = HashMap<i64, (Vec<u8>, bool)>;

async fn applied(connection: &mut PgConnection) -> Result<Applied, Error> {
    let exists = sqlx::query_scalar!(r#"select to_regclass($1) is not null as "exists!""#, TABLE)
        .fetch_one(&mut *connection)
        .await
        .doing(READING)?;
    if !exists {
        return Ok(Applied::new());
    }
    // Not checked at build time: the table is the migrator's own.
    let rows: Vec<(i64, Vec<u8>, bool)> =
        sqlx::query_as("select version, checksum, success from sync._sqlx_migrations")
            .fetch_all(connection)
            .await
            .doing(READING)?;
    Ok(rows
        .into_iter()
        .map(|(version, checksum, success)| (version, (checksum, success)))
        .collect())
}

fn compare(migrator: &Migrator, applied: &Applied) -> Result<Vec<Pending>, Error> {
    let known = migrator
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    let found = applied.keys().copied().max().unwrap_or(0);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    let mut pending = Vec::new();
    for migration in migrator.iter() {
        match applied.get(&migration.version) {
            None => pending.push(Pending {
                version: migration.version,
                description: migration.description.to_string(),
            }),
            Some((_, false)) => {
                return Err(Error::Dirty {
                    version: migration.version,
                });
            }
            Some((checksum, true)) if checksum.as_slice() != &*migration.checksum => {
                return Err(Error::Altered {
                    version: migration.version,
                });
            }
            Some(_) => {}
        }
    }
    Ok(pending)
}
