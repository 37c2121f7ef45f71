//! `sync.tenant_document` and `sync.drift`: what was last read of the tenant's own document, and the differences that were found in
//! it and in the data.

use std::time::Duration;

use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::model::drift::{DriftStatus, Finding, OpenFinding};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;
use crate::postgres::store::PostgresStore;
use crate::postgres::unknown::shown;

const READING: &str = "reading what is known of the tenant's document";
const WRITING: &str = "recording the tenant's document";
/// How long a difference is kept that is seen no more.
const KEPT: Duration = Duration::from_hours(24 * 400);
/// The most findings of one document that are stored.
const MOST: usize = 2000;

impl PostgresStore {
    /// Whether nobody has asked for the tenant's document for `age`.
    pub async fn document_is_due(&self, age: Duration) -> Result<bool, Error> {
        self.moment(READING, is_due(self.control(), age)).await
    }

    /// The API of the tenant's last document, as it was stored; none before the first one.
    pub async fn stored_api(&self) -> Result<Option<Value>, Error> {
        self.moment(READING, stored_api(self.control())).await
    }

    /// Records that the document was asked for and could not be read.
    pub async fn note_unread_document(&self) -> Result<(), Error> {
        self.moment(WRITING, note_unread(self.control())).await
    }

    /// Stores a document and what was found in it.
    pub async fn record_document(
        &self,
        release: Option<&str>,
        api: &Value,
        findings: &[Finding],
    ) -> Result<(), Error> {
        self.moment(WRITING, record(self.control(), release, api, findings))
            .await
    }
}

async fn is_due(pool: &PgPool, age: Duration) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"select not exists (
             select from sync.tenant_document as d where d.asked_at > sync.clock() - $1::interval
           ) as "is_due!""#,
        interval(age)
    )
    .fetch_one(pool)
    .await
    .doing(READING)
}

async fn stored_api(pool: &PgPool) -> Result<Option<Value>, Error> {
    let stored = sqlx::query_scalar!("select operations from sync.tenant_document")
        .fetch_optional(pool)
        .await
        .doing(READING)?;
    Ok(stored.flatten())
}

async fn note_unread(pool: &PgPool) -> Result<(), Error> {
    let write = sqlx::query!(
        "insert into sync.tenant_document (asked_at) values (sync.clock())
         on conflict (only_row) do update set asked_at = excluded.asked_at"
    )
    .execute(pool);
    boundary::cross("drift", WRITING, write).await?;
    Ok(())
}

async fn record(
    pool: &PgPool,
    release: Option<&str>,
    api: &Value,
    findings: &[Finding],
) -> Result<(), Error> {
    let mut transaction = pool.begin().await.doing(WRITING)?;
    sqlx::query!(
        "insert into sync.tenant_document (asked_at, read_at, release, operations)
         select now.at, now.at, $1, $2 from (select sync.clock() as at) as now
         on conflict (only_row) do update set
           asked_at = excluded.asked_at, read_at = excluded.read_at, release = excluded.release,
           operations = excluded.operations",
        release,
        api
    )
    .execute(&mut *transaction)
    .await
    .doing(WRITING)?;
    write_findings(&mut transaction, release, findings).await?;
    sqlx::query!(
        "delete from sync.drift where last_seen_at < sync.clock() - $1::interval",
        interval(KEPT)
    )
    .execute(&mut *transaction)
    .await
    .doing(WRITING)?;
    boundary::cross("drift", WRITING, transaction.commit()).await
}

async fn write_findings(
    connection: &mut PgConnection,
    release: Option<&str>,
    findings: &[Finding],
) -> Result<(), Error> {
    let found = &findings[..findings.len().min(MOST)];
    let column = |of: fn(&Finding) -> &str| found.iter().map(|finding| shown(of(finding))).collect();
    let kinds: Vec<String> = column(|finding| finding.kind.as_str());
    let resources: Vec<String> = column(|finding| &finding.resource);
    let paths: Vec<String> = column(|finding| &finding.path);
    let names: Vec<String> = column(|finding| &finding.name);
    let severities: Vec<String> = column(|finding| finding.severity.as_str());
    let details: Vec<String> = column(|finding| &finding.detail);
    // Two names may be the same once they are cut. The rows have the time of the document, which shows what is still there.
    sqlx::query!(
        "insert into sync.drift
           (source, kind, resource, path, name, severity, detail, release, first_seen_at, last_seen_at, times)
         select distinct on (f.kind, f.resource, f.path, f.name)
           'document', f.kind, f.resource, f.path, f.name, f.severity, f.detail, $7, d.read_at, d.read_at, 1
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
           as f (kind, resource, path, name, severity, detail)
         cross join sync.tenant_document as d
         order by f.kind, f.resource, f.path, f.name
         on conflict (source, kind, resource, path, name) do update set
           severity = excluded.severity, detail = excluded.detail, release = excluded.release,
           last_seen_at = excluded.last_seen_at, times = drift.times + 1",
        &kinds,
        &resources,
        &paths,
        &names,
        &severities,
        &details,
        release
    )
    .execute(connection)
    .await
    .doing(WRITING)?;
    Ok(())
}

/// What the last document said, and what elements had that neither this program nor the document knows. None before a document was
/// read.
pub(crate) async fn status(connection: &mut PgConnection) -> Result<Option<DriftStatus>, Error> {
    let row = sqlx::query!(
        r#"select d.release as "release?", d.read_at as "read_at!",
             coalesce(count(*) filter (where f.source = 'document' and f.severity = 'breaks'), 0) as "breaks!",
             coalesce(count(*) filter (where f.source = 'document' and f.severity = 'loses'), 0) as "loses!",
             coalesce(count(*) filter (where f.source = 'document' and f.severity = 'note'), 0) as "notes!",
             count(*) filter (where f.source = 'data') as "unknown_in_data!"
           from sync.tenant_document as d
           left join sync.drift as f on case f.source
             when 'document' then f.last_seen_at >= d.read_at
             else not exists (
               select from sync.drift as o
               where o.source = 'document' and o.kind = f.kind and o.resource = f.resource and o.name = f.name
                 and o.last_seen_at >= d.read_at
             )
           end
           where d.read_at is not null
           group by d.release, d.read_at"#
    )
    .fetch_optional(&mut *connection)
    .await
    .doing(READING)?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(DriftStatus {
        release: row.release,
        read_at: row.read_at,
        breaks: row.breaks,
        loses: row.loses,
        notes: row.notes,
        unknown_in_data: row.unknown_in_data,
        findings: open(connection).await?,
    }))
}

/// What the last document lacks, the worst first.
async fn open(connection: &mut PgConnection) -> Result<Vec<OpenFinding>, Error> {
    sqlx::query_as!(
        OpenFinding,
        "select f.severity, f.kind, f.resource, f.path, f.name, f.detail, f.first_seen_at
         from sync.drift as f
         join sync.tenant_document as d on f.last_seen_at >= d.read_at
         where f.source = 'document' and f.severity <> 'note'
         order by f.severity, f.resource, f.path, f.kind, f.name
         limit 100"
    )
    .fetch_all(connection)
    .await
    .doing(READING)
}
