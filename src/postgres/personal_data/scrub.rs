//! Applies what became stricter to stored profiles, by ranges of ids. It goes on where it stopped, also in another process.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::Time;
use crate::model::lease::Lease;
use crate::model::personal_data::Treatment;
use crate::model::property_columns::{PropertyColumns, StoredProfile};
use crate::model::rows::Rows;
use crate::model::scrub::{ScrubRange, StoredContent};
use crate::postgres::boundary;
use crate::postgres::changes::ChangedTable;
use crate::postgres::columns::fill::lock_as_read;
use crate::postgres::columns::statements::ColumnStatements;
use crate::postgres::error::{Doing, Error};
use crate::postgres::{copy, leases, load_lock, staging};

const SCRUBBING: &str = "scrubbing personal data";
/// The most profiles of one transaction.
const AT_ONCE: i64 = 2_000;
const STAGED: &str = "pg_temp.scrubbed_profiles";

/// The next profiles to scrub; none: there is nothing to scrub for this version.
pub(crate) async fn next(connection: &mut PgConnection, version: i64) -> Result<Option<ScrubRange>, Error> {
    let state = sqlx::query!(
        r#"select scrub::text as "scrub!", scrub_after as "after!" from sync.personal_data
           where scrub is not null and version = $1"#,
        version
    )
    .fetch_optional(&mut *connection)
    .await
    .doing(SCRUBBING)?;
    let Some(state) = state else {
        return Ok(None);
    };
    let scrub: Treatment =
        serde_json::from_str(&state.scrub).map_err(|source| Error::Treatment { source })?;
    let ids = sqlx::query_scalar!(
        "select id from blueconic.profiles where id > $1 order by id limit $2",
        state.after,
        AT_ONCE
    )
    .fetch_all(&mut *connection)
    .await
    .doing(SCRUBBING)?;
    let is_last = i64::try_from(ids.len()).is_ok_and(|read| read < AT_ONCE);
    let until = ids.last().filter(|_| !is_last).cloned();
    let last = ids.last().map_or("", String::as_str);
    let profiles = concerned(connection, &scrub, &state.after, last).await?;
    Ok(Some(ScrubRange {
        version,
        scrub,
        profiles,
        after: state.after,
        until,
    }))
}

/// The profiles of a range that have a property concerned.
async fn concerned(
    connection: &mut PgConnection,
    scrub: &Treatment,
    after: &str,
    until: &str,
) -> Result<Vec<StoredContent>, Error> {
    let named: Vec<&str> = scrub.actions.keys().map(String::as_str).collect();
    let kept = scrub.kept.as_ref();
    let kept: Option<Vec<String>> = kept.map(|kept| kept.iter().cloned().collect());
    let rows = sqlx::query!(
        r#"select p.id, p.created_at, p.modified_at, p.privacy_legislation, p.permission_level, p.content_hash,
             p.consented_objectives, p.refused_objectives, p.segment_ids, j.properties::text as "properties!"
           from blueconic.profiles as p
           join blueconic.profiles_json as j on j.id = p.id
           where p.id > $1 and p.id <= $2 and (
             j.properties ?| $3
             or $4::text[] is not null
             and exists (select from jsonb_object_keys(j.properties) as own (id) where own.id <> all ($4))
           )
           order by p.id"#,
        after,
        until,
        &named as &[&str],
        kept.as_deref()
    )
    .fetch_all(connection)
    .await
    .doing(SCRUBBING)?;
    let content = rows.into_iter().map(|row| StoredContent {
        profile: StoredProfile {
            id: row.id,
            created_at: row.created_at,
            modified_at: row.modified_at,
            privacy_legislation: row.privacy_legislation,
            permission_level: row.permission_level,
            properties: row.properties,
            content: row.content_hash.try_into().unwrap_or([0; 16]),
        },
        arrays: [row.consented_objectives, row.refused_objectives, row.segment_ids],
    });
    Ok(content.collect())
}

/// Writes a scrubbed range. No load may change a profile meanwhile; one that has left stays away. `columns`: the typed columns beside
/// the rows, none while they are off.
pub(crate) async fn write(
    connection: &mut PgConnection,
    lease: &Lease,
    columns: Option<&PropertyColumns>,
    range: &ScrubRange,
    rows: &Rows,
) -> Result<(), Error> {
    let sql = columns.map(ColumnStatements::of);
    if !rows.is_empty() {
        stage(connection, sql.as_ref(), rows).await?;
    }
    let mut transaction = connection.begin().await.doing(SCRUBBING)?;
    let mut opened = load_lock::begin(&mut transaction).await?;
    let column_version = sqlx::query_scalar!(r#"select sync.column_version() as "version!""#)
        .fetch_one(&mut *transaction)
        .await
        .doing(SCRUBBING)?;
    if columns.map_or(column_version >= 0, |columns| columns.version != column_version) {
        return Err(Error::ColumnsChanged);
    }
    let moved = sqlx::query!(
        "update sync.personal_data set
           scrub_after = $3::text, scrub = case when $3::text is not null then scrub end
         where version = $1 and scrub is not null and scrub_after = $2",
        range.version,
        range.after,
        range.until
    )
    .execute(&mut *transaction)
    .await
    .doing(SCRUBBING)?;
    // Another process has scrubbed the range.
    if moved.rows_affected() == 0 {
        return transaction.rollback().await.doing(SCRUBBING);
    }
    let written = update(&mut transaction, range, opened.now).await?;
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    if let Some(sql) = sql.as_ref().filter(|_| !written.is_empty()) {
        sql.merge(&mut transaction, &written, opened.now).await?;
    }
    opened.changes.updated(ChangedTable::PROFILES, None, written);
    opened.changes.record(&mut transaction, opened.now).await?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("personal/scrub", SCRUBBING, transaction.commit()).await?;
    if rows.is_empty() {
        return Ok(());
    }
    staging::run(connection, &format!("truncate {STAGED}")).await?;
    match sql {
        Some(sql) => sql.clear(connection, true).await,
        None => Ok(()),
    }
}

async fn stage(
    connection: &mut PgConnection,
    columns: Option<&ColumnStatements>,
    rows: &Rows,
) -> Result<(), Error> {
    let create = format!(
        "create temporary table {STAGED} (id text collate \"C\", properties jsonb, content_hash bytea)"
    );
    staging::prepare_one(connection, STAGED, &create).await?;
    let copy = format!("copy {STAGED} (id, properties, content_hash) from stdin (format binary)");
    let sent = copy::send(&mut *connection, &copy, rows.tuples());
    sent.await.doing(SCRUBBING)?;
    let Some(columns) = columns else {
        return Ok(());
    };
    columns.prepare(connection).await?;
    columns.stage(connection, rows).await
}

/// Writes the rows that are still those that were read, and returns their ids. A hash over the source stays: the same element is still
/// decoded again, since its seed has changed with the treatment.
async fn update(connection: &mut PgConnection, range: &ScrubRange, now: Time) -> Result<Vec<String>, Error> {
    if range.profiles.is_empty() {
        return Ok(Vec::new());
    }
    let profiles = range.profiles.iter().map(|one| &one.profile);
    let same = lock_as_read(connection, profiles, SCRUBBING).await?;
    let statement = format!(
        "with s as materialized (select id, properties, content_hash from {STAGED})
         update blueconic.profiles as p
         set properties = s.properties, content_hash = s.content_hash, synced_at = $1
         from s
         where s.id = p.id and p.id = any ($2)"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(now)
        .bind(&same)
        .execute(connection)
        .await
        .doing(SCRUBBING)?;
    Ok(same)
}
