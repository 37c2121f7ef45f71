//! Opens and prepares sessions; nothing else opens a connection. Correctness must not depend on defaults of a role, a
//! database or a server, so each session sets what it needs after the start-up (poolers refuse settings in the start-up
//! message).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::postgres::error::{Doing, Error};
use crate::postgres::{address, refused_settings, stale_sessions};

/// How long a connection is waited for before the database counts as unreachable.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// `server_version_num` of the oldest supported server (multiranges, `security_invoker`).
const OLDEST_SERVER: u32 = 150_000;
/// The only encoding in which every text of a tenant can be stored.
const ENCODING: &str = "UTF8";

/// The lock time-out of loads, which wait for erasures and for other loads of the same table.
const LOADING_LOCKS: Duration = Duration::from_mins(1);
/// The lock time-out of other work of a run, which waits for the end of a batch at most.
const CONTROL_LOCKS: Duration = Duration::from_secs(30);
/// The lock time-out of migrations. It is short, since later sessions, readers included, queue behind a migration that waits
/// for a lock.
pub(crate) const MIGRATION_LOCKS: Duration = Duration::from_secs(2);
/// The idle limit of a migration's transaction, so that a stuck process does not keep its locks.
const MIGRATION_IDLE: Duration = Duration::from_mins(1);

/// The purpose of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Short work: leases, cursors, tokens, status. With the longest time that a transaction may idle.
    Control(Duration),
    /// Loading, with the same limit. Joins use look-ups by key: a batch joins some thousand staged rows with tables of millions,
    /// and the planner does not know the number of staged rows. By default it would scan profiles, aliases and tombstones for
    /// every batch (seen with 200,000 profiles), or for every staged row while the tables are small.
    Loading(Duration),
    /// Applying migrations.
    Migrating,
    /// Holding the migrations' lock, in a transaction that idles for as long as they take.
    Guarding,
    /// Inspecting a server, or creating the database.
    Looking,
}

impl Purpose {
    /// The lock time-out. Nothing waits for ever, since the lock's holder may be a foreign session that never releases it.
    const fn lock_timeout(self) -> Duration {
        match self {
            Self::Loading(_) => LOADING_LOCKS,
            Self::Control(_) | Self::Looking => CONTROL_LOCKS,
            Self::Migrating | Self::Guarding => MIGRATION_LOCKS,
        }
    }

    /// How long a transaction may idle before the server ends the session; zero: no limit.
    const fn idle_limit(self) -> Duration {
        match self {
            Self::Control(limit) | Self::Loading(limit) => limit,
            Self::Migrating | Self::Looking => MIGRATION_IDLE,
            Self::Guarding => Duration::ZERO,
        }
    }

    /// Starting parallel workers takes longer than a batch's look-ups.
    const fn planner(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Loading(_) => &[
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("enable_seqscan", "off"),
                ("max_parallel_workers_per_gather", "0"),
                // Citus otherwise opens further connections to each node for every statement, a process each time: half of a load's
                // CPU (seen with two nodes).
                ("citus.multi_shard_modify_mode", "sequential"),
                ("citus.max_adaptive_executor_pool_size", "1"),
            ],
            _ => &[
                ("enable_hashjoin", "on"),
                ("enable_mergejoin", "on"),
                ("enable_seqscan", "on"),
            ],
        }
    }
}

/// The first statements of a session. The search path comes first, so that every later name and operator without a schema is
/// PostgreSQL's own. A statement time-out or an isolation level of the role would apply to the next statement already. If the
/// planner may not sort or loop, its cost estimate would make the next statement be compiled, which took a second.
const FIRST_WORDS: &str = "set search_path = pg_catalog, pg_temp; set statement_timeout = 0; \
                           set default_transaction_isolation = 'read committed'; \
                           set default_transaction_deferrable = off; set row_security = off; \
                           set exit_on_error = off; set jit = off; set client_min_messages = notice";

/// The settings that are set only against a default of the role. No session has such a default unless somebody made one.
const AGAINST_A_ROLE: [&str; 2] = ["synchronous_commit", "default_transaction_read_only"];

/// A setting and its value.
type Setting = (&'static str, Cow<'static, str>);

/// The settings of every session, whatever the role's defaults. Settings or values that a server does not know are left out;
/// settings for superusers are set if the role may.
pub(crate) const SETTINGS: [(&str, &str); 44] = [
    // Time limits; the purpose sets those that apply.
    ("statement_timeout", "0"),
    ("transaction_timeout", "0"),
    ("idle_session_timeout", "0"),
    // How often the server checks during work or lock waits that this client still exists, and when it gives the client up,
    // so that a process that is gone does not keep its locks.
    ("client_connection_check_interval", "2s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "60s"),
    // Transactions. Erasures hold only if each statement sees everything that was committed before it.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    // Only where the role itself is made read-only by default ([`PREPARE`]): a read-only database stays one.
    ("default_transaction_read_only", "off"),
    // Only where it is off ([`PREPARE`]): committed work must be on disk. Waiting for a standby stays as configured.
    ("synchronous_commit", "local"),
    // An error instead of hidden rows.
    ("row_security", "off"),
    ("session_replication_role", "origin"),
    ("restrict_nonsystem_relation_kind", ""),
    ("default_table_access_method", "heap"),
    ("check_function_bodies", "on"),
    ("exit_on_error", "off"),
    // The text format of values.
    ("client_encoding", ENCODING),
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("standard_conforming_strings", "on"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("quote_all_identifiers", "off"),
    ("xmloption", "content"),
    ("client_min_messages", "notice"),
    // The rows that an index returns, and its cost.
    ("gin_fuzzy_search_limit", "0"),
    ("enable_indexscan", "on"),
    ("enable_indexonlyscan", "on"),
    ("enable_bitmapscan", "on"),
    ("enable_nestloop", "on"),
    ("enable_sort", "on"),
    ("enable_hashagg", "on"),
    ("plan_cache_mode", "auto"),
    // A batch is sorted before its merge, which needs more than the default of 4 MB. Compiling a query takes longer than these
    // queries run.
    ("work_mem", "64MB"),
    ("jit", "off"),
    // If the server has it, it compresses several times as fast as the default: stored values and, if the session may set it
    // and compression is on, full pages in the WAL, of which each changed row writes two after a checkpoint.
    ("default_toast_compression", "lz4"),
    ("wal_compression", "lz4"),
    // Set by default, it would start workers for every statement; the second name is that of version 15.
    ("debug_parallel_query", "off"),
    ("force_parallel_mode", "off"),
];

/// Sets the settings `$1` to the values `$2`, and returns the names of those that were set. A server on Windows cannot check for the client. The source of a default shows
/// whether the role has it; the source `database` or a higher one means that the database was set read-only.
const PREPARE: &str = "
select known.name, set_config(known.name, wanted.value, false)
from unnest($1::text[], $2::text[]) with ordinality as wanted (name, value, place)
join pg_settings as known on known.name = wanted.name
where (known.enumvals is null or wanted.value = any (known.enumvals))
  and (known.context = 'user' or known.context = 'superuser' and has_parameter_privilege(known.name, 'set'))
  and (known.name <> 'client_connection_check_interval' or version() !~* 'visual c|mingw')
  and (known.name <> 'wal_compression' or known.setting = 'pglz')
  and (known.name <> 'synchronous_commit' or known.setting = 'off')
  and (known.name <> 'default_transaction_read_only' or known.source in ('user', 'database user'))
order by wanted.place";

/// Prepares a session that was just opened. `database`: its address, as [`address::shown`] has it.
pub(crate) async fn prepare(
    connection: &mut PgConnection,
    purpose: Purpose,
    database: Arc<str>,
) -> Result<(), sqlx::Error> {
    let wanted = wanted(purpose);
    let server = connection.server_version_num();
    if let Some(refused) = refused_settings::of(&database, server) {
        let taken = wanted.iter().filter(|(name, _)| !refused.contains(name));
        if set_at_once(connection, taken).await? {
            return Ok(());
        }
    }
    sqlx::raw_sql(FIRST_WORDS).execute(&mut *connection).await?;
    let set = set_what_the_server_takes(connection, &wanted).await?;
    let names = wanted.iter().map(|(name, _)| *name);
    let refused = names.filter(|name| !set.iter().any(|set| set == name)).collect();
    refused_settings::remember(&database, server, refused);
    Ok(())
}

/// The settings of a session for this purpose.
fn wanted(purpose: Purpose) -> Vec<Setting> {
    let milliseconds = |limit: Duration| Cow::Owned(format!("{}ms", limit.as_millis()));
    let limits = [
        ("lock_timeout", milliseconds(purpose.lock_timeout())),
        (
            "idle_in_transaction_session_timeout",
            milliseconds(purpose.idle_limit()),
        ),
    ];
    let fixed = SETTINGS.iter().chain(purpose.planner());
    let fixed = fixed.map(|(name, value)| (*name, Cow::Borrowed(*value)));
    fixed.chain(limits).collect()
}

/// Sets settings that the server took before, in one round trip and without the view `pg_settings`, which costs ten times as
/// much. Returns false if the server refuses one by now, or if a default of the role has to be looked at.
async fn set_at_once(
    connection: &mut PgConnection,
    settings: impl Iterator<Item = &Setting>,
) -> Result<bool, sqlx::Error> {
    // These names and values are constants of this file.
    let set = settings
        .filter(|(name, _)| !AGAINST_A_ROLE.contains(name))
        .map(|(name, value)| format!("set {name} = '{value}'"));
    let show = AGAINST_A_ROLE.iter().map(|name| format!("show {name}"));
    let statements: Vec<String> = std::iter::once(FIRST_WORDS.to_owned())
        .chain(set)
        .chain(show)
        .collect();
    let shown = sqlx::raw_sql(AssertSqlSafe(statements.join("; ")))
        .fetch_all(connection)
        .await;
    let shown = match shown {
        Err(sqlx::Error::Database(error)) => {
            tracing::debug!(%error, "the server takes other settings than before");
            return Ok(false);
        }
        shown => shown?,
    };
    let shown: Vec<&str> = shown.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(matches!(shown[..], [commit, read_only] if commit != "off" && read_only == "off"))
}

/// Sets the settings that this server knows and this role may set; returns their names.
async fn set_what_the_server_takes(
    connection: &mut PgConnection,
    wanted: &[Setting],
) -> Result<Vec<String>, sqlx::Error> {
    let (names, values): (Vec<&str>, Vec<&str>) =
        wanted.iter().map(|(name, value)| (*name, value.as_ref())).unzip();
    // Not checked at build time: it runs on servers that are refused afterwards as well.
    sqlx::query_scalar(PREPARE)
        .bind(names)
        .bind(values)
        .persistent(false)
        .fetch_all(connection)
        .await
}

/// Opens one connection within [`ACQUIRE_TIMEOUT`], refuses an unsuitable server, and prepares the session.
pub(crate) async fn open(options: &PgConnectOptions, purpose: Purpose) -> Result<PgConnection, Error> {
    open_and_ask(options, purpose)
        .await
        .map(|(connection, _)| connection)
}

/// The same, with what the server said of itself.
pub(crate) async fn open_and_ask(
    options: &PgConnectOptions,
    purpose: Purpose,
) -> Result<(PgConnection, Server), Error> {
    const DOING: &str = "preparing a session";
    let shown = address::shown(options);
    let mut connection = dial(options).await.map_err(|source| Error::Connect {
        address: shown.clone(),
        source,
    })?;
    if connection
        .server_version_num()
        .is_none_or(|number| number < OLDEST_SERVER)
    {
        // Preparing needs what an old server lacks.
        sqlx::raw_sql(FIRST_WORDS)
            .execute(&mut connection)
            .await
            .doing(DOING)?;
        Server::of(&mut connection).await?.refuse_unfit(options)?;
    }
    prepare(&mut connection, purpose, shown.into())
        .await
        .doing(DOING)?;
    // The settings decide whether the session is read-only.
    let server = Server::of(&mut connection).await?;
    server.refuse_unfit(options)?;
    Ok((connection, server))
}

/// Opens an unprepared connection.
async fn dial(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options))
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// The facts of a session's server and database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    number: i32,
    version: String,
    encoding: String,
    is_standby: bool,
    is_read_only: bool,
    may_stage: bool,
}

impl Server {
    /// Reads the facts.
    pub(crate) async fn of(connection: &mut PgConnection) -> Result<Self, Error> {
        sqlx::query_as!(
            Self,
            r#"select
                 current_setting('server_version_num')::int as "number!",
                 current_setting('server_version') as "version!",
                 current_setting('server_encoding') as "encoding!",
                 pg_is_in_recovery() as "is_standby!",
                 current_setting('transaction_read_only')::boolean as "is_read_only!",
                 has_database_privilege(current_database(), 'temporary') as "may_stage!""#
        )
        .fetch_one(connection)
        .await
        .doing("asking for the server's version")
    }

    /// Refuses servers older than PostgreSQL 15, and encodings other than UTF8.
    fn refuse_unfit(&self, options: &PgConnectOptions) -> Result<(), Error> {
        if u32::try_from(self.number).is_ok_and(|number| number < OLDEST_SERVER) {
            return Err(Error::TooOld {
                version: self.version.clone(),
                address: address::shown(options),
            });
        }
        if self.encoding != ENCODING {
            return Err(Error::NotUtf8 {
                encoding: self.encoding.clone(),
                address: address::shown(options),
            });
        }
        Ok(())
    }

    /// Refuses a standby, a read-only database, and a role that cannot stage batches.
    pub(crate) fn refuse_unwritable(&self, options: &PgConnectOptions) -> Result<(), Error> {
        if self.is_standby || self.is_read_only {
            return Err(Error::ReadOnly {
                is_standby: self.is_standby,
                address: address::shown(options),
            });
        }
        if !self.may_stage {
            return Err(Error::NoStaging {
                database: options
                    .get_database()
                    .unwrap_or_else(|| options.get_username())
                    .to_owned(),
                role: options.get_username().to_owned(),
            });
        }
        Ok(())
    }
}

/// Refuses a database that cannot be loaded.
pub(crate) async fn refuse_unwritable(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), Error> {
    Server::of(connection).await?.refuse_unwritable(options)
}

/// Whether an idle session of a pool may be used: it can write and is still valid. The pool closes other sessions and opens new
/// ones, so that after a failover no session stays on the standby. This also tests that the connection is alive.
pub(crate) async fn is_usable(connection: &mut PgConnection, age: Duration) -> Result<bool, sqlx::Error> {
    if !stale_sessions::is_valid(age) {
        return Ok(false);
    }
    sqlx::query_scalar!(
        r#"select not (pg_is_in_recovery() or current_setting('transaction_read_only')::boolean) as "writes!""#
    )
    .fetch_one(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_one_value() {
        let limits = Duration::from_secs(1);
        for purpose in [
            Purpose::Control(limits),
            Purpose::Loading(limits),
            Purpose::Migrating,
        ] {
            let all: Vec<&str> = SETTINGS
                .iter()
                .chain(purpose.planner())
                .map(|(name, _)| *name)
                .collect();
            let different: std::collections::BTreeSet<&str> = all.iter().copied().collect();
            assert_eq!(all.len(), different.len(), "{purpose:?}");
        }
    }

    #[test]
    fn nothing_waits_for_a_lock_without_end() {
        for purpose in [
            Purpose::Control(Duration::ZERO),
            Purpose::Loading(Duration::ZERO),
            Purpose::Migrating,
            Purpose::Guarding,
            Purpose::Looking,
        ] {
            assert!(purpose.lock_timeout() > Duration::ZERO, "{purpose:?}");
        }
    }
}
