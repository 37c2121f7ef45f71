//! What the status page shows besides the state. Each read is bounded: days by their totals, gaps and runs by a limit, rejects by their
//! quota. No id and no value of an element is read.

use sqlx::types::Json;
use uuid::Uuid;

use crate::model::fault::Outcome;
use crate::model::overview::{
    OpenGap, OpenRejects, Overview, PlannedJob, RunDetail, RunList, RunQuery, RunRejects, RunSummary,
};
use crate::model::ports::RunHistory;
use crate::model::position::Scope;
use crate::model::status::Run;
use crate::model::timetable::Pause;
use crate::postgres::bigint::{from_count, from_length};
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;
use crate::postgres::run_days;
use crate::postgres::store::PostgresStore;
use crate::postgres::usage;

const OVERVIEW: &str = "reading the overview";
const RUNS: &str = "reading runs";
const RUN: &str = "reading a run";
/// The runs of one page.
const AT_ONCE: usize = 50;

impl RunHistory for PostgresStore {
    async fn overview(&self) -> Outcome<Overview> {
        Ok(self.moment(OVERVIEW, overview(self)).await?)
    }

    async fn run_list(&self, query: &RunQuery) -> Outcome<Option<RunList>> {
        Ok(self.moment(RUNS, runs(self, query)).await?)
    }

    async fn run_detail(&self, id: Uuid) -> Outcome<Option<RunDetail>> {
        Ok(self.moment(RUN, run(self, id)).await?)
    }
}

async fn overview(store: &PostgresStore) -> Result<Overview, Error> {
    Ok(Overview {
        days: run_days::read(store.control()).await?,
        jobs: jobs(store).await?,
        gaps: gaps(store).await?,
        rejects: rejects(store).await?,
        months: usage::months(store.control()).await?,
    })
}

async fn jobs(store: &PostgresStore) -> Result<Vec<PlannedJob>, Error> {
    let rows = sqlx::query!(
        r#"select s.job, s.cron, s.time_zone, s.next_run_at,
             coalesce(s.claimed_until > sync.clock(), false) as "is_running!",
             s.requested_at is not null as "is_requested!",
             case when p.resource is not null
               then jsonb_build_object('since', p.paused_at, 'ends_at', p.ends_at, 'by', p.paused_by) end as "pause?: Json<Pause>"
           from sync.schedule as s
           left join sync.pauses as p on p.resource = s.resource and (p.ends_at is null or p.ends_at > sync.clock())
           order by s.job"#
    );
    let rows = rows.fetch_all(store.control()).await.doing(OVERVIEW)?;
    let jobs = rows.into_iter().map(|row| PlannedJob {
        job: row.job,
        cron: row.cron,
        time_zone: row.time_zone,
        next_run_at: row.next_run_at,
        is_running: row.is_running,
        is_requested: row.is_requested,
        pause: row.pause.map(|Json(pause)| pause),
        starts: None,
    });
    Ok(jobs.collect())
}

async fn gaps(store: &PostgresStore) -> Result<Vec<OpenGap>, Error> {
    sqlx::query_as!(
        OpenGap,
        r#"select resource, from_at as "from", to_at as "to", reason,
             (reason in ('retention', 'saturated') or to_at < (select sync.clock()) - $1::interval) as "is_lasting!"
           from sync.gaps where closed_at is null
           order by to_at desc, from_at desc, id desc limit 100"#,
        interval(store.retention())
    )
    .fetch_all(store.control())
    .await
    .doing(OVERVIEW)
}

async fn rejects(store: &PostgresStore) -> Result<Vec<OpenRejects>, Error> {
    sqlx::query_as!(
        OpenRejects,
        r#"select resource, reason, count(*) as "count!" from sync.rejects where resolved_at is null
           group by resource, reason order by resource, reason"#
    )
    .fetch_all(store.control())
    .await
    .doing(OVERVIEW)
}

/// The runs of the wanted slots, by the index of each slot; none if the run before which they began is not known.
async fn runs(store: &PostgresStore, query: &RunQuery) -> Result<Option<RunList>, Error> {
    let before = match query.before {
        None => None,
        Some(id) => {
            let before = sqlx::query_scalar!("select started_at from sync.runs where id = $1", id);
            let Some(before) = before.fetch_optional(store.control()).await.doing(RUNS)? else {
                return Ok(None);
            };
            Some(before)
        }
    };
    let is_wanted = |resource: &str, scope: Scope| {
        query.resource.as_deref().is_none_or(|one| one == resource)
            && query.scope.is_none_or(|one| one == scope)
    };
    let slots = store.slots().iter();
    let (resources, modes): (Vec<String>, Vec<String>) = slots
        .filter(|slot| is_wanted(slot.resource, slot.scope))
        .map(|slot| (slot.resource.to_owned(), slot.scope.as_str().to_owned()))
        .unzip();
    let rows = sqlx::query_scalar!(
        r#"select jsonb_build_object(
             'id', r.id, 'resource', r.resource, 'mode', r.mode, 'status', r.status, 'started_at', r.started_at,
             'finished_at', r.finished_at, 'rows_read', r.rows_read, 'rows_written', r.rows_inserted + r.rows_updated,
             'rows_removed', r.rows_removed, 'rows_rejected', r.rows_rejected) as "run!: Json<RunSummary>"
           from unnest($1::text[], $2::text[]) as slot (resource, mode)
           cross join lateral (
             select * from sync.runs as one
             where one.resource = slot.resource and one.mode = slot.mode
               and one.started_at <= coalesce($3::timestamptz, 'infinity')
               and (one.started_at, one.id)
                 < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             order by one.started_at desc, one.id desc limit $5
           ) as r
           order by r.started_at desc, r.id desc limit $5"#,
        &resources,
        &modes,
        before,
        query.before,
        from_count(from_length(AT_ONCE + 1))
    );
    let rows = rows.fetch_all(store.control()).await.doing(RUNS)?;
    let has_older = rows.len() > AT_ONCE;
    let runs = rows.into_iter().take(AT_ONCE).map(|Json(run)| run);
    Ok(Some(RunList {
        runs: runs.collect(),
        has_older,
    }))
}

async fn run(store: &PostgresStore, id: Uuid) -> Result<Option<RunDetail>, Error> {
    let row = sqlx::query_scalar!(
        r#"select to_jsonb(r) as "run!: Json<Run>" from sync.runs as r where r.id = $1"#,
        id
    );
    let Some(Json(run)) = row.fetch_optional(store.control()).await.doing(RUN)? else {
        return Ok(None);
    };
    // A detail that is about a field begins with its name; a value may follow, and is not read.
    let rejects = sqlx::query_as!(
        RunRejects,
        r#"select reason, substring(detail from '^`([A-Za-z][A-Za-z0-9_.]{0,63})` (?:is|has) ') as field,
             count(*) as "count!", count(*) filter (where resolved_at is not null) as "resolved!"
           from sync.rejects where run_id = $1
           group by 1, 2 order by 3 desc, 1, 2 limit 50"#,
        id
    );
    let rejects = rejects.fetch_all(store.control()).await.doing(RUN)?;
    Ok(Some(RunDetail { run, rejects }))
}
