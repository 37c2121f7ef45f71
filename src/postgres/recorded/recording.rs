//! Records the histories of profiles in the transaction that changes them: keeps what rows are before a change, and compares it with what
//! they are after it. The transaction holds the locks on the profiles' rows. While no history is recorded, nothing is asked.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::Time;
use crate::postgres::distributed;
use crate::postgres::error::{Doing, Error};
use crate::postgres::recorded::statements::{
    ALL, ARRIVE, ARRIVED, KEEP_STAGES, KEEP_WHOLE_ROWS, PROPERTIES, RecordedHistory, forget, keep_rows,
    were_there,
};

const DOING: &str = "recording histories";
/// What is kept of profiles that are not stored.
const NOTHING: &str = "[]";

/// The histories that a transaction records, as they were once it had the lock of loads.
#[derive(Debug, Default)]
pub(crate) struct Recorded(Vec<&'static RecordedHistory>);

/// What profiles were before a change.
#[derive(Debug, Default)]
pub(crate) struct Former {
    /// Their rows as a JSON array; none: no history is made from rows.
    rows: Option<String>,
    /// The same of their lifecycle stages.
    stages: Option<String>,
}

impl Former {
    /// Rows that a statement returned as a JSON array.
    pub(crate) fn of_rows(rows: String) -> Self {
        Self {
            rows: Some(rows),
            stages: None,
        }
    }
}

impl Recorded {
    /// The histories with these names: what `sync.recorded_histories()` returns.
    pub(crate) fn named(names: &[String]) -> Self {
        let is_named = |one: &&RecordedHistory| names.iter().any(|name| name == one.name);
        Self(ALL.iter().filter(is_named).collect())
    }

    fn of(&self, is_of_stages: bool) -> impl Iterator<Item = &RecordedHistory> {
        let all = self.0.iter().copied();
        all.filter(move |one| one.is_of_stages == is_of_stages)
    }

    /// Whether any history is made from the rows of profiles.
    pub(crate) fn has_rows(&self) -> bool {
        self.of(false).next().is_some()
    }

    /// Keeps what these profiles are before they leave.
    pub(crate) async fn keep(&self, connection: &mut PgConnection, ids: &[&str]) -> Result<Former, Error> {
        let rows = self.keep_rows(connection, ids).await?.rows;
        let stages = self.keep_stages(connection, ids).await?.stages;
        Ok(Former { rows, stages })
    }

    /// Keeps what the rows of these profiles are.
    pub(crate) async fn keep_rows(
        &self,
        connection: &mut PgConnection,
        ids: &[&str],
    ) -> Result<Former, Error> {
        if !self.has_rows() || ids.is_empty() {
            return Ok(Former::default());
        }
        let statement = if distributed::is(connection).await? {
            KEEP_WHOLE_ROWS.to_owned()
        } else {
            keep_rows()
        };
        Ok(Former::of_rows(kept(connection, &statement, ids).await?))
    }

    /// Keeps the lifecycle stages of these profiles before they are replaced.
    pub(crate) async fn keep_stages(
        &self,
        connection: &mut PgConnection,
        ids: &[&str],
    ) -> Result<Former, Error> {
        let stages = if self.of(true).next().is_some() && !ids.is_empty() {
            Some(kept(connection, KEEP_STAGES, ids).await?)
        } else {
            None
        };
        Ok(Former { rows: None, stages })
    }

    /// Records how these profiles differ from what was kept of them, at this time.
    pub(crate) async fn record(
        &self,
        connection: &mut PgConnection,
        former: &Former,
        ids: &[&str],
        now: Time,
    ) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let parts = [(false, &former.rows), (true, &former.stages)];
        for (is_of_stages, kept) in parts {
            let Some(kept) = kept else { continue };
            for history in self.of(is_of_stages) {
                for statement in [history.end(), history.begin()] {
                    sqlx::query(AssertSqlSafe(statement))
                        .bind(now)
                        .bind(ids)
                        .bind(kept)
                        .execute(&mut *connection)
                        .await
                        .doing(DOING)?;
                }
            }
        }
        Ok(())
    }

    /// Records that profiles came, which were not stored before: one row each says so for all that they have, or will have once their
    /// children are written. Returns those that had been there before. What these have gets an interval each: of what rows have, here; of
    /// stages, by [`Recorded::record_returned_stages`].
    pub(crate) async fn record_new(
        &self,
        connection: &mut PgConnection,
        ids: &[&str],
        now: Time,
    ) -> Result<HashSet<String>, Error> {
        if self.0.is_empty() || ids.is_empty() {
            return Ok(HashSet::new());
        }
        let tables: Vec<&str> = self.0.iter().map(|history| history.table).collect();
        let returned: Vec<String> = sqlx::query_scalar(AssertSqlSafe(were_there(&tables)))
            .bind(ids)
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
        let returned: HashSet<String> = returned.into_iter().collect();
        let (back, first): (Vec<&str>, Vec<&str>) = ids.iter().partition(|id| returned.contains(**id));
        if !first.is_empty() {
            sqlx::query(ARRIVE)
                .bind(now)
                .bind(first)
                .execute(&mut *connection)
                .await
                .doing(DOING)?;
        }
        let nothing = Former::of_rows(NOTHING.to_owned());
        self.record(connection, &nothing, &back, now).await?;
        Ok(returned)
    }

    /// Records the lifecycle stages of profiles that were not stored, but had been there before.
    pub(crate) async fn record_returned_stages(
        &self,
        connection: &mut PgConnection,
        returned: &HashSet<String>,
        now: Time,
    ) -> Result<(), Error> {
        let nothing = Former {
            rows: None,
            stages: Some(NOTHING.to_owned()),
        };
        let ids: Vec<&str> = returned.iter().map(String::as_str).collect();
        self.record(connection, &nothing, &ids, now).await
    }

    /// Records that these profiles left, of which this was kept.
    pub(crate) async fn record_left(
        &self,
        connection: &mut PgConnection,
        former: &Former,
        ids: &[&str],
        now: Time,
    ) -> Result<(), Error> {
        if self.0.is_empty() || ids.is_empty() {
            return Ok(());
        }
        self.record(connection, former, ids, now).await?;
        execute(connection, forget(ARRIVED), ids).await
    }

    /// Deletes all that is recorded of these profiles: nothing may name them any more.
    pub(crate) async fn forget(&self, connection: &mut PgConnection, ids: &[&str]) -> Result<(), Error> {
        if self.0.is_empty() || ids.is_empty() {
            return Ok(());
        }
        for history in &self.0 {
            execute(&mut *connection, forget(history.table), ids).await?;
        }
        execute(connection, forget(ARRIVED), ids).await
    }

    /// Deletes the values of these profiles: the tenant deleted them, and values may be personal data.
    pub(crate) async fn forget_values(
        &self,
        connection: &mut PgConnection,
        ids: &[&str],
    ) -> Result<(), Error> {
        let records_values = self.0.iter().any(|history| history.table == PROPERTIES);
        if !records_values || ids.is_empty() {
            return Ok(());
        }
        execute(connection, forget(PROPERTIES), ids).await
    }
}

async fn kept(connection: &mut PgConnection, statement: &str, ids: &[&str]) -> Result<String, Error> {
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(ids)
        .fetch_one(connection)
        .await
        .doing(DOING)
}

async fn execute(connection: &mut PgConnection, statement: String, ids: &[&str]) -> Result<(), Error> {
    sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .execute(connection)
        .await
        .doing(DOING)?;
    Ok(())
}
