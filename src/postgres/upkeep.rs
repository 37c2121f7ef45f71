//! Upkeep after a full walk: the indexes for readers over memberships and identifiers, and the planner's statistics. Nothing depends on them, so
//! upkeep that is blocked is postponed to a later run.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::table::{Merge, Table};
use crate::postgres::boundary;
use crate::postgres::columns;
use crate::postgres::error::{Doing, Error};
use crate::postgres::waits::WaitLimit;
use crate::postgres::watched::WatchedConnection;

/// An index that no load needs and that is built after the first full one, which is faster without it.
#[derive(Debug)]
pub(crate) struct DeferredIndex {
    name: &'static str,
    /// Its table in the schema `blueconic`.
    table: &'static str,
    /// How it is built over what.
    over: &'static str,
    /// What it is over, and what is slow without it, for messages.
    says: (&'static str, &'static str),
}

/// The indexes of `profiles` and what is written with them: members of segments, without which a first full load is three times as
/// fast; and profiles by their identifiers.
pub(crate) const OF_PROFILES: [DeferredIndex; 2] = [
    DeferredIndex {
        name: "profiles_segment_ids",
        table: "profiles",
        over: "using gin (segment_ids)",
        says: ("`segment_ids`", "look-ups of members"),
    },
    DeferredIndex {
        name: "profile_identifiers_value",
        table: "profile_identifiers",
        over: "(value, property_id)",
        says: ("`profile_identifiers`", "look-ups by value"),
    },
];

/// How long such work waits for each older transaction.
const PATIENCE: &str = "20s";
/// The most rows of a first load for which the index is built in one pass. Five million take 7 seconds, and whoever writes waits up to
/// a minute for a lock.
const IN_ONE_PASS: u64 = 10_000_000;

pub(crate) const INDEXING: &str = "building an index for readers";
pub(crate) const REFRESHING: &str = "refreshing the planner's statistics";

/// How the index is built. Readers never wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// In one pass over the table. Writers wait for it.
    InOnePass,
    /// Beside writers, in two passes and with a sort of all entries, which takes twice as long. More memory
    /// (`maintenance_work_mem`) makes neither build faster.
    Concurrently,
}

impl Build {
    /// After a full walk that brought so many rows into an empty table; none if the table had rows, so that others may write to it.
    pub(crate) fn after(loaded: Option<u64>) -> Self {
        match loaded {
            Some(rows) if rows <= IN_ONE_PASS => Self::InOnePass,
            _ => Self::Concurrently,
        }
    }

    fn statement(self, index: &DeferredIndex) -> String {
        let how = match self {
            Self::InOnePass => "",
            Self::Concurrently => "concurrently ",
        };
        let DeferredIndex {
            name, table, over, ..
        } = index;
        format!("create index {how}{name} on blueconic.{table} {over}")
    }
}

/// Builds the index if it is missing or unfinished. Returns a sentence if the work is postponed.
pub(crate) async fn index(
    mut session: WatchedConnection,
    index: &DeferredIndex,
    build: Build,
) -> Result<Option<String>, Error> {
    let watch = session.work();
    let made = watch
        .wait(INDEXING, WaitLimit::None, make(&mut session, index, build))
        .await;
    match made {
        Ok(Made::WasThere) => {
            session.rest();
            Ok(None)
        }
        // The connection has the limits of this work and is not used again.
        Ok(Made::Now) => Ok(None),
        Ok(Made::ByAnother) => {
            session.rest();
            Ok(Some(format!(
                "the index over {} is being made by another session; the next run looks whether it was finished",
                index.says.0
            )))
        }
        Err(error) if error.is_lock_not_had() => Ok(Some(format!(
            "the index over {} is postponed, {} are slow until a later run makes it: {error}",
            index.says.0, index.says.1
        ))),
        Err(error) => Err(error),
    }
}

enum Made {
    WasThere,
    ByAnother,
    Now,
}

/// Builds the index. The remains of a failed attempt are rebuilt.
async fn make(connection: &mut PgConnection, index: &DeferredIndex, build: Build) -> Result<Made, Error> {
    let state = sqlx::query!(
        r#"select
             exists (
               select from pg_index as i where i.indexrelid = to_regclass('blueconic.' || $1) and i.indisvalid
             ) as "is_there!",
             exists (
               select from pg_stat_progress_create_index as p where p.relid = to_regclass('blueconic.' || $2)
             ) as "is_being_made!""#,
        index.name,
        index.table
    )
    .fetch_one(&mut *connection)
    .await
    .doing(INDEXING)?;
    if state.is_there {
        return Ok(Made::WasThere);
    }
    if state.is_being_made {
        return Ok(Made::ByAnother);
    }
    take_time(connection, INDEXING).await?;
    let drop = format!("drop index concurrently if exists blueconic.{}", index.name);
    let drop = sqlx::query(AssertSqlSafe(drop));
    boundary::cross("index/drop", INDEXING, drop.execute(&mut *connection)).await?;
    let make = sqlx::query(AssertSqlSafe(build.statement(index)));
    boundary::cross("index/make", INDEXING, make.execute(connection)).await?;
    Ok(Made::Now)
}

/// Lets the statements of a session take their time, but wait for each older transaction only so long.
pub(crate) async fn take_time(connection: &mut PgConnection, doing: &'static str) -> Result<(), Error> {
    sqlx::query!(
        r#"select set_config('lock_timeout', $1, false) as "limit!", set_config('statement_timeout', '0', false) as "none!""#,
        PATIENCE
    )
    .fetch_one(connection)
    .await
    .doing(doing)?;
    Ok(())
}

/// Returns whether a table has changed enough since its statistics were made, by autovacuum's rule (50 rows and a tenth).
const STATISTICS_ARE_OLD: &str = "
select coalesce(greatest(last_analyze, last_autoanalyze) is null
  or n_mod_since_analyze > 50 + n_live_tup / 10, true)
from pg_stat_user_tables where relid = to_regclass($1)";

/// The tables that loads of a table fill besides it and its children: of profiles the typed columns, the identifiers, and the segments.
pub(crate) async fn beside(mut session: WatchedConnection, table: &Table) -> Result<Vec<String>, Error> {
    if table.merge != Merge::Profile {
        return Ok(Vec::new());
    }
    let watch = session.work();
    let reading = columns::tables(&mut session);
    let mut names = watch.wait(REFRESHING, WaitLimit::Short, reading).await?;
    session.rest();
    names.push("sync.segment_ids".to_owned());
    Ok(names)
}

/// Refreshes old statistics of a table, by its quoted name with its schema. Returns a sentence if the work is postponed.
pub(crate) async fn refresh(mut session: WatchedConnection, relation: &str) -> Result<Option<String>, Error> {
    let watch = session.work();
    let work = analyze(&mut session, relation);
    match watch.wait(REFRESHING, WaitLimit::None, work).await {
        Ok(()) => {
            session.rest();
            Ok(None)
        }
        Err(error) if error.is_lock_not_had() => Ok(Some(format!(
            "the planner's statistics of `{}` are postponed until autovacuum or a later run makes them: {error}",
            relation.replace('"', "")
        ))),
        Err(error) => Err(error),
    }
}

/// Runs `analyze` with a tenth of the usual sample, which suffices until autovacuum runs. The usual sample of wide rows takes
/// longer than a walk without changes, and is the whole table at some ten thousand pages.
async fn analyze(connection: &mut PgConnection, relation: &str) -> Result<(), Error> {
    let old: Option<bool> = sqlx::query_scalar(STATISTICS_ARE_OLD)
        .bind(relation)
        .fetch_optional(&mut *connection)
        .await
        .doing(REFRESHING)?;
    if old == Some(false) {
        return Ok(());
    }
    let mut transaction = connection.begin().await.doing(REFRESHING)?;
    sqlx::query!(
        r#"select set_config('default_statistics_target', '10', true) as "target!",
             set_config('lock_timeout', $1, true) as "limit!""#,
        PATIENCE
    )
    .fetch_one(&mut *transaction)
    .await
    .doing(REFRESHING)?;
    sqlx::query(AssertSqlSafe(format!("analyze {relation}")))
        .execute(&mut *transaction)
        .await
        .doing(REFRESHING)?;
    boundary::cross("analyze", REFRESHING, transaction.commit()).await
}
