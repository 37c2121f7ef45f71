//! `sync.probe`: the reports of the last probes.

use sqlx::types::{Json, JsonValue};
use sqlx::{PgConnection, PgPool};

use crate::model::probe::Report;
use crate::postgres::bigint::from_count;
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const READING: &str = "reading the last probe";
const WRITING: &str = "storing the report of a probe";
/// How many reports are kept.
const KEPT: i64 = 20;

impl PostgresStore {
    /// Stores a report, and forgets all but the last ones.
    pub async fn record_probe(&self, report: &Report) -> Result<(), Error> {
        self.moment(WRITING, record(self.control(), report)).await
    }
}

async fn record(pool: &PgPool, report: &Report) -> Result<(), Error> {
    let mut transaction = pool.begin().await.doing(WRITING)?;
    sqlx::query!(
        "insert into sync.probe (started_at, version, release, is_partial, requests, report)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (started_at) do nothing",
        report.started_at,
        report.version,
        report.release,
        report.partial.is_some(),
        from_count(report.requests),
        Json(report) as _
    )
    .execute(&mut *transaction)
    .await
    .doing(WRITING)?;
    sqlx::query!(
        "delete from sync.probe as p
         where (select count(*) from sync.probe as k where k.started_at > p.started_at) >= $1",
        KEPT
    )
    .execute(&mut *transaction)
    .await
    .doing(WRITING)?;
    boundary::cross("probe", WRITING, transaction.commit()).await
}

/// The report of the last probe. One that this version cannot read counts as none.
pub(super) async fn last(connection: &mut PgConnection) -> Result<Option<Report>, Error> {
    let report: Option<JsonValue> =
        sqlx::query_scalar!("select report from sync.probe order by started_at desc limit 1")
            .fetch_optional(connection)
            .await
            .doing(READING)?;
    Ok(report.and_then(|report| serde_json::from_value(report).ok()))
}
