//! Sizes by day: `blueconic.daily_segment_sizes`, `daily_profile_counts` and `daily_property_fill`. All is read first, without a lock
//! that others wait for. One short transaction then writes the few rows, since the feed of changes waits for transactions that write.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::Time;
use crate::model::lease::Lease;
use crate::postgres::bigint::from_count;
use crate::postgres::columns::statements::table_name;
use crate::postgres::error::{Doing, Error};
use crate::postgres::sql::quoted;
use crate::postgres::{boundary, counts, leases};

const MEASURING: &str = "measuring sizes by day";

/// The profiles of one kind.
struct Kind {
    is_known: Option<bool>,
    privacy_legislation: Option<String>,
    permission_level: Option<String>,
    profiles: i64,
}

/// What is measured at once.
struct Facts {
    segments: Vec<(String, i64)>,
    kinds: Vec<Kind>,
    /// The profiles that have each property; empty while typed columns are off or are being filled.
    fill: BTreeMap<String, i64>,
}

/// Measures, unless that was done within the last hour of the same day.
pub(crate) async fn measure(connection: &mut PgConnection, lease: &Lease) -> Result<(), Error> {
    let moment = sqlx::query!(
        r#"select c.now as "now!", (c.now at time zone 'UTC')::date as "day!",
             exists (
               select from blueconic.daily_profile_counts as d
               where d.day = (c.now at time zone 'UTC')::date
                 and d.measured_at > c.now - interval '1 hour' and d.measured_at <= c.now
             ) as "is_measured!",
             (select l.is_on and l.fill_after is null from sync.column_layout as l) as "are_typed!"
           from (select sync.clock() as now) as c"#
    )
    .fetch_one(&mut *connection)
    .await
    .doing(MEASURING)?;
    if moment.is_measured {
        return Ok(());
    }
    let facts = read(connection, moment.are_typed).await?;
    write(connection, lease, (moment.day, moment.now), &facts).await
}

async fn read(connection: &mut PgConnection, are_typed: bool) -> Result<Facts, Error> {
    let segments = counts::memberships(connection).await?.into_iter();
    let segments = segments
        .map(|(id, profiles)| (id, from_count(profiles)))
        .collect();
    let kinds = sqlx::query_as!(
        Kind,
        r#"select case when $1 then i.profile_id is not null end as is_known,
             p.privacy_legislation, p.permission_level, count(*) as "profiles!"
           from blueconic.profiles as p
           left join (
             select distinct one.profile_id from blueconic.profile_identifiers as one where $1
           ) as i on i.profile_id = p.id
           group by 1, 2, 3"#,
        are_typed
    )
    .fetch_all(&mut *connection)
    .await
    .doing(MEASURING)?;
    let fill = if are_typed {
        fill(connection).await?
    } else {
        BTreeMap::new()
    };
    Ok(Facts {
        segments,
        kinds,
        fill,
    })
}

/// How many profiles have a value in the columns of each listed property. Of a property that had another type before, the column with
/// the most values counts.
async fn fill(connection: &mut PgConnection) -> Result<BTreeMap<String, i64>, Error> {
    let columns = sqlx::query!(
        "select table_number, column_name, property_id from sync.property_columns
         where is_listed and not is_all order by table_number, place"
    )
    .fetch_all(&mut *connection)
    .await
    .doing(MEASURING)?;
    let mut tables: BTreeMap<i32, Vec<(String, String)>> = BTreeMap::new();
    for column in columns {
        let of_table = tables.entry(column.table_number).or_default();
        of_table.push((column.column_name, column.property_id));
    }
    let mut fill: BTreeMap<String, i64> = BTreeMap::new();
    for (number, columns) in tables {
        let counted: Vec<String> = columns
            .iter()
            .map(|(name, _)| format!("count({})", quoted(name)))
            .collect();
        let table = table_name(usize::try_from(number).unwrap_or(1));
        let counts: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select array[{}] from {table}",
            counted.join(", ")
        )))
        .fetch_one(&mut *connection)
        .await
        .doing(MEASURING)?;
        for ((_, property), profiles) in columns.into_iter().zip(counts) {
            let most = fill.entry(property).or_default();
            *most = profiles.max(*most);
        }
    }
    Ok(fill)
}

/// Writes the rows of the day. What an earlier measurement of the day had and this one has not leaves.
async fn write(
    connection: &mut PgConnection,
    lease: &Lease,
    (day, now): (NaiveDate, Time),
    facts: &Facts,
) -> Result<(), Error> {
    let mut transaction = connection.begin().await.doing(MEASURING)?;
    let (segments, sizes): (Vec<&str>, Vec<i64>) = facts
        .segments
        .iter()
        .map(|(id, profiles)| (id.as_str(), *profiles))
        .unzip();
    sqlx::query!(
        "with gone as (
           delete from blueconic.daily_segment_sizes as d where d.day = $1 and d.segment_id <> all ($2)
         )
         insert into blueconic.daily_segment_sizes (day, segment_id, profiles, measured_at)
         select $1, m.segment_id, m.profiles, $4 from unnest($2::text[], $3::bigint[]) as m (segment_id, profiles)
         order by m.segment_id collate \"C\"
         on conflict (day, segment_id) do update set
           profiles = excluded.profiles, measured_at = excluded.measured_at",
        day,
        &segments as &[&str],
        &sizes,
        now
    )
    .execute(&mut *transaction)
    .await
    .doing(MEASURING)?;
    write_kinds(&mut transaction, (day, now), &facts.kinds).await?;
    let (properties, filled): (Vec<&str>, Vec<i64>) = facts
        .fill
        .iter()
        .map(|(id, profiles)| (id.as_str(), *profiles))
        .unzip();
    sqlx::query!(
        "with gone as (
           delete from blueconic.daily_property_fill as d where d.day = $1 and d.property_id <> all ($2)
         )
         insert into blueconic.daily_property_fill (day, property_id, profiles, measured_at)
         select $1, m.property_id, m.profiles, $4 from unnest($2::text[], $3::bigint[]) as m (property_id, profiles)
         order by m.property_id collate \"C\"
         on conflict (day, property_id) do update set
           profiles = excluded.profiles, measured_at = excluded.measured_at",
        day,
        &properties as &[&str],
        &filled,
        now
    )
    .execute(&mut *transaction)
    .await
    .doing(MEASURING)?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("facts", MEASURING, transaction.commit()).await
}

async fn write_kinds(
    connection: &mut PgConnection,
    (day, now): (NaiveDate, Time),
    kinds: &[Kind],
) -> Result<(), Error> {
    let known: Vec<Option<bool>> = kinds.iter().map(|kind| kind.is_known).collect();
    let legislations = kinds.iter().map(|kind| kind.privacy_legislation.as_deref());
    let levels = kinds.iter().map(|kind| kind.permission_level.as_deref());
    let profiles: Vec<i64> = kinds.iter().map(|kind| kind.profiles).collect();
    sqlx::query!(
        "insert into blueconic.daily_profile_counts
           (day, is_known, privacy_legislation, permission_level, profiles, measured_at)
         select $1, m.is_known, m.privacy_legislation, m.permission_level, m.profiles, $6
         from unnest($2::boolean[], $3::text[], $4::text[], $5::bigint[])
           as m (is_known, privacy_legislation, permission_level, profiles)
         order by m.is_known, m.privacy_legislation, m.permission_level
         on conflict (
           day, (coalesce(is_known::text, '')), (coalesce(privacy_legislation, '')), (coalesce(permission_level, ''))
         ) do update set profiles = excluded.profiles, measured_at = excluded.measured_at",
        day,
        &known as &[Option<bool>],
        &legislations.collect::<Vec<_>>() as &[Option<&str>],
        &levels.collect::<Vec<_>>() as &[Option<&str>],
        &profiles,
        now
    )
    .execute(&mut *connection)
    .await
    .doing(MEASURING)?;
    sqlx::query!(
        "delete from blueconic.daily_profile_counts where day = $1 and measured_at < $2",
        day,
        now
    )
    .execute(connection)
    .await
    .doing(MEASURING)?;
    Ok(())
}
