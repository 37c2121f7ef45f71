//! Fills typed columns of profiles that were stored before there were such columns, by ranges of ids. It goes on where it stopped, also
//! in another process.

use sqlx::{Connection as _, PgConnection};

use crate::model::lease::Lease;
use crate::model::property_columns::{FillRange, PropertyColumns, StoredProfile};
use crate::model::rows::Rows;
use crate::postgres::boundary;
use crate::postgres::distributed;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases;
use crate::postgres::load_lock;

use super::catalogue::Plan;
use super::statements::ColumnStatements;

const FILLING: &str = "filling typed columns";
/// The most profiles of one transaction.
const AT_ONCE: i64 = 2_000;

/// Records that stored profiles, if there are any, have to be filled: all of them, or those with a property that gets a column or whose
/// values become identifiers.
pub(crate) async fn want(connection: &mut PgConnection, all: bool, plan: &Plan) -> Result<(), Error> {
    let mut properties: Vec<String> = plan
        .to_fill
        .iter()
        .cloned()
        .chain(plan.added.iter().map(|one| one.column.property.clone()))
        .collect();
    properties.sort_unstable();
    properties.dedup();
    if !all && properties.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update sync.column_layout set fill_after = '', fill_properties = case
           when $1 or (fill_after is not null and fill_properties is null) then null
           else coalesce(fill_properties, '{}') || $2::text[]
         end
         where (select count(*) from (select 1 from blueconic.profiles limit 1) as few) > 0",
        all,
        &properties
    )
    .execute(connection)
    .await
    .doing(FILLING)?;
    Ok(())
}

/// The next profiles to fill; none: there is nothing to fill, or the columns are of another version.
pub(crate) async fn next(
    connection: &mut PgConnection,
    columns: &PropertyColumns,
) -> Result<Option<FillRange>, Error> {
    let layout = sqlx::query!(
        r#"select fill_after as "fill_after!", fill_properties from sync.column_layout
           where fill_after is not null and is_on and version = $1"#,
        columns.version
    )
    .fetch_optional(&mut *connection)
    .await
    .doing(FILLING)?;
    let Some(layout) = layout else {
        return Ok(None);
    };
    let ids = sqlx::query_scalar!(
        "select id from blueconic.profiles where id > $1 order by id limit $2",
        layout.fill_after,
        AT_ONCE
    )
    .fetch_all(&mut *connection)
    .await
    .doing(FILLING)?;
    let is_last = i64::try_from(ids.len()).is_ok_and(|read| read < AT_ONCE);
    let until = ids.last().filter(|_| !is_last).cloned();
    let rows = sqlx::query!(
        r#"select p.id, p.created_at, p.modified_at, p.privacy_legislation, p.permission_level, p.content_hash,
             j.properties::text as "properties!"
           from blueconic.profiles as p
           join blueconic.profiles_json as j on j.id = p.id
           where p.id > $1 and p.id <= $2 and ($3::text[] is null or j.properties ?| $3)
           order by p.id"#,
        layout.fill_after,
        ids.last().map_or("", String::as_str),
        layout.fill_properties.as_deref()
    )
    .fetch_all(connection)
    .await
    .doing(FILLING)?;
    let profiles = rows.into_iter().map(|row| StoredProfile {
        id: row.id,
        created_at: row.created_at,
        modified_at: row.modified_at,
        privacy_legislation: row.privacy_legislation,
        permission_level: row.permission_level,
        properties: row.properties,
        content: row.content_hash.try_into().unwrap_or([0; 16]),
    });
    Ok(Some(FillRange {
        profiles: profiles.collect(),
        until,
    }))
}

/// Locks the profiles whose content is still the one that was read, in the order of their ids, and returns these ids.
pub(crate) async fn lock_as_read(
    connection: &mut PgConnection,
    profiles: impl Iterator<Item = &StoredProfile>,
    doing: &'static str,
) -> Result<Vec<String>, Error> {
    let (ids, contents): (Vec<&str>, Vec<&[u8]>) = profiles
        .map(|one| (one.id.as_str(), one.content.as_slice()))
        .unzip();
    let lock = if distributed::is(connection).await? {
        distributed::HOLD_AS_READ
    } else {
        "select p.id from blueconic.profiles as p
         join unnest($1::text[], $2::bytea[]) as read (id, content_hash)
           on read.id = p.id and read.content_hash = p.content_hash
         order by p.id for no key update of p"
    };
    sqlx::query_scalar(lock)
        .bind(ids)
        .bind(contents)
        .fetch_all(connection)
        .await
        .doing(doing)
}

/// Writes the columns of a range: of the profiles whose content is still the one that was read. A load has written the others.
pub(crate) async fn write(
    connection: &mut PgConnection,
    lease: &Lease,
    columns: &PropertyColumns,
    range: &FillRange,
    rows: &Rows,
) -> Result<(), Error> {
    let sql = ColumnStatements::of(columns);
    if !rows.is_empty() {
        sql.prepare(connection).await?;
        sql.stage(connection, rows).await?;
    }
    let mut transaction = connection.begin().await.doing(FILLING)?;
    let opened = load_lock::begin(&mut transaction).await?;
    let moved = sqlx::query!(
        "update sync.column_layout set fill_after = $2::text,
           fill_properties = case when $2::text is null then null else fill_properties end
         where version = $1 and is_on and fill_after is not null and ($2::text is null or fill_after < $2::text)",
        columns.version,
        range.until
    )
    .execute(&mut *transaction)
    .await
    .doing(FILLING)?;
    if moved.rows_affected() == 0 {
        return transaction.rollback().await.doing(FILLING);
    }
    let same = lock_as_read(&mut transaction, range.profiles.iter(), FILLING).await?;
    let same: Vec<&str> = same.iter().map(String::as_str).collect();
    if !same.is_empty() {
        sql.merge(&mut transaction, &same, opened.now).await?;
    }
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("columns/fill", FILLING, transaction.commit()).await?;
    if rows.is_empty() {
        return Ok(());
    }
    sql.clear(connection, true).await
}
