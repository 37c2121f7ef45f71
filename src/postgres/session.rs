//! Opens and prepares sessions; nothing else opens a connection. Correctness must not depend on defaults of a role, a
//! database or a server, so each session sets what it needs after the start-up (poolers refuse settings in the start-up
//! message).

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::postgres::error::{Doing, Error};
use crate::postgres::{address, stale_sessions};

/// How long a connection is waited for before the database counts as unreachable.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// `server_version_num` of the oldest server that will do (multiranges, `security_invoker`).
const OLDEST_SERVER: i32 = 150_000;
/// The only encoding in which every text of a tenant can be stored.
const ENCODING: &str = "UTF8";

/// Loads wait for the end of an erasure, and those of one table for one another.
const LOADING_LOCKS: Duration = Duration::from_mins(1);
/// Everything else of a run waits for the end of a batch at most.
const CONTROL_LOCKS: Duration = Duration::from_secs(30);
/// Whoever comes after a migration that waits for a lock waits behind it, readers too.
pub(crate) const MIGRATION_LOCKS: Duration = Duration::from_secs(2);
/// A process that stands still must not keep the locks of a migration.
const MIGRATION_IDLE: Duration = Duration::from_mins(1);

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Everything short: leases, cursors, tokens, status. With the longest time that a transaction may idle.
    Control(Duration),
    /// Loading, with the same limit. It joins by looking up each key: a batch joins some thousand staged rows with tables
    /// of millions, and nothing tells the planner how many are staged. Left alone it reads profiles, aliases and
    /// tombstones whole for every batch (seen with 200,000 profiles), or for every row of it while they are small.
    Loading(Duration),
    /// Applying migrations.
    Migrating,
    /// Holding the migrations' lock, in a transaction that idles for as long as they take.
    Guarding,
    /// Looking around, or making the database itself.
    Looking,
}

impl Purpose {
    /// How long a lock is waited for. Nothing waits for ever: who holds it may be a stranger that never lets go.
    const fn lock_timeout(self) -> Duration {
        match self {
            Self::Loading(_) => LOADING_LOCKS,
            Self::Control(_) | Self::Looking => CONTROL_LOCKS,
            Self::Migrating | Self::Guarding => MIGRATION_LOCKS,
        }
    }

    /// How long a transaction may idle before the server ends the session; zero is for ever.
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
            ],
            _ => &[
                ("enable_hashjoin", "on"),
                ("enable_mergejoin", "on"),
                ("enable_seqscan", "on"),
            ],
        }
    }
}

/// The first words of a session. The path comes first: every later name and operator is PostgreSQL's own unless its schema
/// is written. A limit on statements or an isolation of the role's would already hold for the next statement; and where the
/// planner may not sort or loop, what it thinks the next one costs has it compiled, which took a second.
const FIRST_WORDS: &str = "set search_path = pg_catalog, pg_temp; set statement_timeout = 0; \
                           set default_transaction_isolation = 'read committed'; \
                           set default_transaction_deferrable = off; set row_security = off; \
                           set exit_on_error = off; set jit = off; set client_min_messages = notice";

/// What every session has, whatever the role's defaults are. Settings that a server does not know, or whose value it does
/// not know, are left out; those of a superuser are set where the role may.
const SETTINGS: [(&str, &str); 44] = [
    // Limits of time: the purpose says which ones hold.
    ("statement_timeout", "0"),
    ("transaction_timeout", "0"),
    ("idle_session_timeout", "0"),
    // How often the server looks, while it works or waits for a lock, whether we are still there, and after how long it
    // believes that we are not: a process that is gone must not keep its locks.
    ("client_connection_check_interval", "2s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "60s"),
    // Transactions. An erasure stays only where each statement sees what was committed before it.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    // Only where the role itself is made read-only by default ([`PREPARE`]): a read-only database stays one.
    ("default_transaction_read_only", "off"),
    // Only where it is off ([`PREPARE`]): what is told as done is on the disk. What a standby is waited for stays as it is.
    ("synchronous_commit", "local"),
    // An error instead of rows that are hidden.
    ("row_security", "off"),
    ("session_replication_role", "origin"),
    ("restrict_nonsystem_relation_kind", ""),
    ("default_table_access_method", "heap"),
    ("check_function_bodies", "on"),
    ("exit_on_error", "off"),
    // How values are read and written.
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
    // Which rows an index finds, and at what price.
    ("gin_fuzzy_search_limit", "0"),
    ("enable_indexscan", "on"),
    ("enable_indexonlyscan", "on"),
    ("enable_bitmapscan", "on"),
    ("enable_nestloop", "on"),
    ("enable_sort", "on"),
    ("enable_hashagg", "on"),
    ("plan_cache_mode", "auto"),
    // A batch is sorted before it is merged, which needs more than the usual 4 MB; compiling a query takes longer than
    // these run.
    ("work_mem", "64MB"),
    ("jit", "off"),
    // Compresses several times as fast as the default where the server has it: what is stored and, where the session may
    // say so and they are compressed anyway, the whole pages in the log, of which each changed row writes two after a
    // checkpoint.
    ("default_toast_compression", "lz4"),
    ("wal_compression", "lz4"),
    // A default of it starts workers for every statement; the second name is that of version 15.
    ("debug_parallel_query", "off"),
    ("force_parallel_mode", "off"),
];

/// `$1` names, `$2` values. A server on Windows cannot look for us. A default of the role's own is told by its source: `database` and above say that somebody
/// closed the database.
const PREPARE: &str = "
select set_config(known.name, wanted.value, false)
from unnest($1::text[], $2::text[]) with ordinality as wanted (name, value, place)
join pg_settings as known on known.name = wanted.name
where (known.enumvals is null or wanted.value = any (known.enumvals))
  and (known.context = 'user' or known.context = 'superuser' and has_parameter_privilege(known.name, 'set'))
  and (known.name <> 'client_connection_check_interval' or version() !~* 'visual c|mingw')
  and (known.name <> 'wal_compression' or known.setting = 'pglz')
  and (known.name <> 'synchronous_commit' or known.setting = 'off')
  and (known.name <> 'default_transaction_read_only' or known.source in ('user', 'database user'))
order by wanted.place";

/// Prepares a session that was just opened.
pub(crate) async fn prepare(connection: &mut PgConnection, purpose: Purpose) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(FIRST_WORDS).execute(&mut *connection).await?;
    let milliseconds = |limit: Duration| format!("{}ms", limit.as_millis());
    let limits = [
        ("lock_timeout", milliseconds(purpose.lock_timeout())),
        (
            "idle_in_transaction_session_timeout",
            milliseconds(purpose.idle_limit()),
        ),
    ];
    let fixed = SETTINGS.iter().chain(purpose.planner());
    let wanted = fixed
        .map(|(name, value)| (*name, *value))
        .chain(limits.iter().map(|(name, value)| (*name, value.as_str())));
    let (names, values): (Vec<&str>, Vec<&str>) = wanted.unzip();
    // Not checked at build time: it runs on servers that are refused afterwards as well.
    sqlx::query(PREPARE)
        .bind(names)
        .bind(values)
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(())
}

/// Opens one connection in the time that is given to it, refuses a server that will not do, and prepares the session.
pub(crate) async fn open(options: &PgConnectOptions, purpose: Purpose) -> Result<PgConnection, Error> {
    let mut connection = dial(options).await.map_err(|source| Error::Connect {
        address: address::shown(options),
        source,
    })?;
    sqlx::raw_sql(FIRST_WORDS)
        .execute(&mut connection)
        .await
        .doing("preparing a session")?;
    let server = Server::of(&mut connection).await?;
    server.refuse_unfit(options)?;
    prepare(&mut connection, purpose)
        .await
        .doing("preparing a session")?;
    Ok(connection)
}

/// A connection as it comes.
async fn dial(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options))
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// What a session says about its server and its database.
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
    /// Asks.
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

    /// PostgreSQL 15 is the oldest that will do, and UTF8 the only encoding.
    fn refuse_unfit(&self, options: &PgConnectOptions) -> Result<(), Error> {
        if self.number < OLDEST_SERVER {
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

    /// What has to be true before anything is written: it is no standby and not read-only, and batches can be staged.
    fn refuse_unwritable(&self, options: &PgConnectOptions) -> Result<(), Error> {
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

/// Whether an idle session of a pool may be handed out: it can write, and nothing spoiled it. One that cannot is closed by
/// the pool, which then opens another: after a failover no session stays on the standby. This is the pool's test
/// that the connection is alive as well.
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
