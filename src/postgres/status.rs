//! Reads the state of the service over one connection: one query for all slots, and one or two for each of the other parts. The page and
//! whoever watches the metrics read it every few seconds.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::types::Json;
use sqlx::{Decode, PgConnection, Postgres, Type};

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::Observer;
use crate::model::status::{AuditRename, Lease, ResourceStatus, Run, Status, Timelines, Token, TokenStatus};
use crate::model::timetable::{JobStatus, Pause};
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;
use crate::postgres::store::PostgresStore;
use crate::postgres::{columns, drift, migrate, probe, services, session, sizes, tenant, usage};

const DOING: &str = "reading the status";
const CONNECTING: &str = "connecting to the database";
/// The hint after an authorization has ended.
const SIGN_IN: &str =
    "run `blueconic-sync login`: the authorization has ended, and only a person can renew it";

impl Observer for PostgresStore {
    async fn ready(&self) -> Outcome<()> {
        self.verify_schema().await?;
        self.verify_writable().await?;
        // The database answers; the last attempt shows whether it can be loaded.
        match self.trouble() {
            Some(trouble) => Err(Fault::new(Kind::Transient, "nothing can be loaded").because(trouble)),
            None => Ok(()),
        }
    }

    async fn status(&self) -> Outcome<Status> {
        Ok(self.minutes(DOING, read(self)).await?)
    }
}

impl PostgresStore {
    /// A fault unless the database answers and its schema is this program's.
    pub async fn verify_schema(&self) -> Result<(), Error> {
        let verify = async {
            let mut connection = self.control().acquire().await.doing(CONNECTING)?;
            migrate::verify(&mut connection).await
        };
        self.moment(CONNECTING, verify).await
    }
}

impl PostgresStore {
    async fn verify_writable(&self) -> Result<(), Error> {
        let look = async {
            let mut connection = self.control().acquire().await.doing(CONNECTING)?;
            session::refuse_unwritable(&mut connection, &self.control().connect_options()).await
        };
        self.moment(CONNECTING, look).await
    }
}

/// Reads everything.
pub async fn read(store: &PostgresStore) -> Result<Status, Error> {
    let mut connection = store.control().acquire().await.doing(CONNECTING)?;
    let connection: &mut PgConnection = &mut connection;
    Ok(Status {
        tenant: tenant::read(&mut *connection).await?.map(|tenant| tenant.url),
        resources: resources(connection, store).await?,
        token: token(connection).await?,
        tables: sizes::read(connection).await?,
        typed_columns: columns::status::read(connection).await?,
        audit_renames: audit_renames(connection).await?,
        drift: drift::status(connection).await?,
        probe: probe::last(connection).await?,
        services: services::read(&mut *connection).await?,
        usage: Some(usage::read(connection, store.slots()).await?),
    })
}

/// The status of each slot. A gap is lasting if no scan can close it: by its reason, or because the tenant's retention has passed it.
async fn resources(
    connection: &mut PgConnection,
    store: &PostgresStore,
) -> Result<Vec<ResourceStatus>, Error> {
    let slots = store.slots();
    let names: Vec<String> = slots.iter().map(|slot| slot.resource.to_owned()).collect();
    let scopes: Vec<String> = slots.iter().map(|slot| slot.scope.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select
             f.complete_as_of as "complete_as_of?",
             coalesce(f.open_gaps, 0) as "open_gaps!",
             (select count(*) from blueconic.gaps as g
              where g.resource = slot.resource
                and (g.reason in ('retention', 'saturated') or g.to_at < sync.clock() - $3::interval)
             ) as "lasting_gaps!",
             (select count(*) from sync.rejects as e
              where e.resource = slot.resource and e.resolved_at is null) as "open_rejects!",
             (select count(*) from sync.walk_missing as m
              where m.resource = slot.resource and slot.scope = 'full') as "sweep_backlog!",
             (select jsonb_build_object(
                'complete_as_of', t.complete_as_of, 'profiles_with_gaps', t.open_gaps)
              from blueconic.freshness as t
              where t.resource = 'timeline_events' and slot.resource = 'profiles' and slot.scope = 'full'
             ) as "timelines?: Json<Timelines>",
             extract(epoch from sync.clock() - f.complete_as_of)::float8 as lag_seconds,
             case when c.watermark <= sync.clock() + interval '1 minute' then least(c.watermark, sync.clock()) end
               as watermark,
             case when c.watermark > sync.clock() + interval '1 minute'
               then extract(epoch from c.watermark - sync.clock())::float8 end as watermark_ahead_seconds,
             c.position as "position?",
             (select to_jsonb(r) from sync.runs as r
              where r.resource = slot.resource and r.mode = slot.scope
              order by r.started_at desc, r.id desc limit 1) as "last_run?: Json<Run>",
             (select jsonb_build_object(
                'holder', l.holder, 'fence', l.fence, 'expires_at', l.expires_at, 'run_id', l.run_id,
                'held', l.expires_at > sync.clock())
              from sync.leases as l where l.name = slot.resource || '/' || slot.scope) as "lease?: Json<Lease>",
             (select min(least(s.next_run_at, s.requested_at)) from sync.schedule as s
              where s.resource = slot.resource and s.scope = slot.scope) as next_run_at,
             (select jsonb_agg(jsonb_build_object(
                'job', s.job, 'cron', s.cron, 'time_zone', s.time_zone, 'next_run_at', s.next_run_at,
                'last_run_at', s.last_run_at, 'requested_at', s.requested_at,
                'running_by', case when s.claimed_until > sync.clock() then s.claimed_by end) order by s.job)
              from sync.schedule as s
              where s.resource = slot.resource and s.scope = slot.scope) as "jobs?: Json<Vec<JobStatus>>",
             (select jsonb_build_object('since', p.paused_at, 'ends_at', p.ends_at, 'by', p.paused_by)
              from sync.pauses as p
              where p.resource = slot.resource and (p.ends_at is null or p.ends_at > sync.clock())) as "pause?: Json<Pause>"
           from unnest($1::text[], $2::text[]) with ordinality as slot (resource, scope, place)
           left join blueconic.freshness as f on f.resource = slot.resource
           left join sync.cursors as c on c.resource = slot.resource and c.scope = slot.scope
           order by slot.place"#,
        &names,
        &scopes,
        interval(store.retention())
    )
    .fetch_all(connection)
    .await
    .doing(DOING)?;
    let resources = slots.iter().zip(rows).map(|(slot, row)| ResourceStatus {
        resource: slot.resource.to_owned(),
        scope: slot.scope,
        watermark: row.watermark,
        watermark_ahead_seconds: row.watermark_ahead_seconds,
        complete_as_of: row.complete_as_of,
        position: row.position,
        last_run: row.last_run.map(|Json(run)| run),
        lag_seconds: row.lag_seconds,
        open_gaps: row.open_gaps,
        lasting_gaps: row.lasting_gaps,
        open_rejects: row.open_rejects,
        sweep_backlog: row.sweep_backlog,
        timelines: row.timelines.map(|Json(timelines)| timelines),
        lease: row.lease.map(|Json(lease)| lease),
        next_run_at: row.next_run_at,
        jobs: row.jobs.map(|Json(jobs)| jobs).unwrap_or_default(),
        pause: row.pause.map(|Json(pause)| pause),
    });
    Ok(resources.collect())
}

/// Values of audit events that the tenant renamed; those that may name a person are withheld.
async fn audit_renames(connection: &mut PgConnection) -> Result<Vec<AuditRename>, Error> {
    sqlx::query_as!(
        AuditRename,
        "select field, noticed_at,
           case when field not in ('user_name', 'ip_address') then old_value end as old_value,
           case when field not in ('user_name', 'ip_address') then new_value end as new_value
         from sync.audit_renames
         order by noticed_at, field, new_value"
    )
    .fetch_all(connection)
    .await
    .doing(DOING)
}

/// The token that was requested last.
async fn token(connection: &mut PgConnection) -> Result<Option<Token>, Error> {
    let row = sqlx::query!(
        r#"select grant_type, status as "status: TokenStatus", expires_at, issued_at, last_error from sync.tokens
           order by issued_at desc nulls last limit 1"#
    )
    .fetch_optional(connection)
    .await
    .doing(DOING)?;
    Ok(row.map(|row| Token {
        grant_type: row.grant_type,
        status: row.status,
        expires_at: row.expires_at,
        issued_at: row.issued_at,
        last_error: row.last_error,
        hint: (row.status == TokenStatus::ReauthRequired).then(|| SIGN_IN.to_owned()),
    }))
}

impl Type<Postgres> for TokenStatus {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }

    fn compatible(given: &PgTypeInfo) -> bool {
        <str as Type<Postgres>>::compatible(given)
    }
}

impl<'r> Decode<'r, Postgres> for TokenStatus {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let word = <&str as Decode<Postgres>>::decode(value)?;
        Self::of(word)
            .ok_or_else(|| format!("`{word}` is no state of a token that this program knows").into())
    }
}
