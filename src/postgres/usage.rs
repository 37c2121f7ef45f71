//! `sync.usage`: the ledger by month of what was sent to the tenant and received from it, and what runs cost by `sync.runs`.

use sqlx::{PgConnection, PgPool};

use crate::model::fault::Outcome;
use crate::model::overview::MonthOfUsage;
use crate::model::ports::UsageStore;
use crate::model::position::Slot;
use crate::model::usage::{Measure, MonthTotals, SlotCost, Usage, Used};
use crate::postgres::bigint::{from_count, to_count};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const ADDING: &str = "writing the usage of the month";
const READING: &str = "reading the usage of the month";
/// The runs of a slot whose cost counts: the last ones, so that a tenant that grows is seen within days.
const RUNS: i64 = 30;

impl UsageStore for PostgresStore {
    async fn add_usage(&self, more: &Used) -> Outcome<(u64, u64)> {
        Ok(self.moment(ADDING, add(self.control(), more)).await?)
    }
}

impl PostgresStore {
    /// The month so far, without forecasts and limits.
    pub async fn usage(&self) -> Result<Usage, Error> {
        let read = async {
            let mut connection = self.control().acquire().await.doing(READING)?;
            read(&mut connection, self.slots()).await
        };
        self.moment(READING, read).await
    }
}

async fn add(pool: &PgPool, more: &Used) -> Result<(u64, u64), Error> {
    let adding = sqlx::query!(
        "insert into sync.usage as u
           (month, requests, bytes_received, bytes_unpacked, profiles_read, first_at, last_at)
         select date_trunc('month', now.at at time zone 'UTC')::date, $1, $2, $3, $4, now.at, now.at
         from (select sync.clock() as at) as now
         on conflict (month) do update set
           requests = u.requests + excluded.requests,
           bytes_received = u.bytes_received + excluded.bytes_received,
           bytes_unpacked = u.bytes_unpacked + excluded.bytes_unpacked,
           profiles_read = u.profiles_read + excluded.profiles_read,
           last_at = greatest(u.last_at, excluded.last_at)
         returning requests, bytes_received",
        from_count(more.requests),
        from_count(more.received),
        from_count(more.unpacked),
        from_count(more.profiles)
    )
    .fetch_one(pool);
    let month = boundary::cross("usage", ADDING, adding).await?;
    Ok((to_count(month.requests), to_count(month.bytes_received)))
}

/// Reads the month so far, and what runs of these slots cost.
pub(super) async fn read(connection: &mut PgConnection, slots: &[Slot]) -> Result<Usage, Error> {
    let month = sqlx::query!(
        r#"select now.month at time zone 'UTC' as "starts_at!",
             (now.month + interval '1 month') at time zone 'UTC' as "ends_at!",
             coalesce(u.requests, 0) as "requests!", coalesce(u.bytes_received, 0) as "bytes_received!",
             coalesce(u.bytes_unpacked, 0) as "bytes_unpacked!", coalesce(u.profiles_read, 0) as "profiles_read!",
             l.requests as "last_requests?", l.bytes_received as "last_bytes_received?", l.profiles_read as "last_profiles_read?"
           from (select date_trunc('month', sync.clock() at time zone 'UTC') as month) as now
           left join sync.usage as u on u.month = now.month::date
           left join sync.usage as l on l.month = (now.month - interval '1 month')::date"#
    )
    .fetch_one(&mut *connection)
    .await
    .doing(READING)?;
    let used = |used| Measure {
        used,
        ..Measure::default()
    };
    let last = (
        month.last_requests,
        month.last_bytes_received,
        month.last_profiles_read,
    );
    Ok(Usage {
        starts_at: month.starts_at,
        ends_at: month.ends_at,
        requests: used(month.requests),
        bytes_received: used(month.bytes_received),
        bytes_unpacked: month.bytes_unpacked,
        profiles_read: month.profiles_read,
        last_month: match last {
            (Some(requests), Some(bytes_received), Some(profiles_read)) => Some(MonthTotals {
                requests,
                bytes_received,
                profiles_read,
            }),
            _ => None,
        },
        costs: costs(connection, slots).await?,
        put_off: Vec::new(),
    })
}

/// The last twelve months, the current one included.
pub(super) async fn months(pool: &PgPool) -> Result<Vec<MonthOfUsage>, Error> {
    sqlx::query_as!(
        MonthOfUsage,
        "select month, requests, bytes_received, profiles_read from sync.usage
         where month > (sync.clock() at time zone 'UTC') - interval '12 months'
         order by month"
    )
    .fetch_all(pool)
    .await
    .doing(READING)
}

/// A walk that waits for an approval reads nothing more, and so is not open. A walk may take several runs, and some runs fail: all of their requests count, divided by the runs that came to their end.
async fn costs(connection: &mut PgConnection, slots: &[Slot]) -> Result<Vec<SlotCost>, Error> {
    let resources: Vec<String> = slots.iter().map(|slot| slot.resource.to_owned()).collect();
    let scopes: Vec<String> = slots.iter().map(|slot| slot.scope.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select s.place as "place!", t.runs as "runs!", t.requests as "requests!", t.bytes as "bytes!", t.seconds as "seconds!",
             t.last_started_at as "last_started_at!", t.last_ended_at as "last_ended_at?",
             c.position is not null and c.position #>> '{finished,awaits_approval}' is distinct from 'true' as "is_open!",
             c.watermark is not null as "was_complete!"
           from unnest($1::text[], $2::text[]) with ordinality as s (resource, scope, place)
           cross join lateral (
             select count(*) filter (where r.is_whole) as runs,
               (sum(r.requests) / greatest(count(*) filter (where r.is_whole), 1))::float8 as requests,
               (sum(r.bytes_read) / greatest(count(*) filter (where r.is_whole), 1))::float8 as bytes,
               (extract(epoch from coalesce(sum(r.finished_at - r.started_at), '0')) / greatest(count(*) filter (where r.is_whole), 1))::float8
                 as seconds,
               max(r.started_at) as last_started_at,
               max(r.finished_at) filter (where r.is_whole) as last_ended_at
             from (
               select l.started_at, l.finished_at, l.requests, l.bytes_read,
                 l.status in ('succeeded', 'partial', 'needs_approval', 'skipped') as is_whole
               from sync.runs as l
               where l.resource = s.resource and l.mode = s.scope and l.status <> 'running'
               order by l.started_at desc limit $3
             ) as r
           ) as t
           left join sync.cursors as c on c.resource = s.resource and c.scope = s.scope
           where t.last_started_at is not null
           order by s.place"#,
        &resources,
        &scopes,
        RUNS
    )
    .fetch_all(connection)
    .await
    .doing(READING)?;
    let costs = rows.into_iter().filter_map(|row| {
        let slot = slots.get(usize::try_from(row.place).ok()?.checked_sub(1)?)?;
        Some(SlotCost {
            resource: slot.resource.to_owned(),
            scope: slot.scope,
            runs: row.runs,
            requests: row.requests,
            bytes_unpacked: row.bytes,
            seconds: row.seconds,
            last_started_at: row.last_started_at,
            last_ended_at: row.last_ended_at,
            is_open: row.is_open,
            was_complete: row.was_complete,
        })
    });
    Ok(costs.collect())
}
