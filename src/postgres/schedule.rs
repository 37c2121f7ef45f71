//! `sync.schedule`: the time of each job's next run, its claim, and the request for a run.

use std::time::Duration;

use sqlx::PgConnection;

use crate::model::Time;
use crate::model::fault::Outcome;
use crate::model::job::{DRIFT, HOUSEKEEPING, Job, JobClaim, StoredJob};
use crate::model::ports::JobStore;
use crate::model::position::Slot;
use crate::postgres::clock;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;
use crate::postgres::store::PostgresStore;
use crate::postgres::{boundary, services};

impl JobStore for PostgresStore {
    async fn now(&self) -> Outcome<Time> {
        Ok(self
            .moment(clock::READING, clock::now(self.control(), clock::READING))
            .await?)
    }

    async fn beat(&self, holder: &str, heartbeat: Duration) -> Outcome<(Time, Vec<StoredJob>)> {
        const DOING: &str = "recording a heartbeat";
        // One connection for both: at rest this is most of what the service does.
        let work = async {
            let mut connection = self.control().acquire().await.doing(DOING)?;
            let now = services::beat(&mut connection, holder, heartbeat).await?;
            Ok::<_, Error>((now, self.jobs(&mut connection).await?))
        };
        Ok(self.moment(DOING, work).await?)
    }

    async fn leave(&self, holder: &str) -> Outcome<()> {
        Ok(self
            .moment(
                "leaving the list of services",
                services::leave(self.control(), holder),
            )
            .await?)
    }

    async fn put(&self, job: &Job, next_run_at: Time) -> Outcome<()> {
        Ok(self
            .moment("writing the schedule", self.put_job(job, next_run_at))
            .await?)
    }

    async fn keep_only(&self, names: &[String]) -> Outcome<()> {
        Ok(self
            .moment("removing jobs from the schedule", self.keep_jobs(names))
            .await?)
    }

    async fn claim(&self, name: &str, holder: &str, hold: Duration) -> Outcome<Option<JobClaim>> {
        Ok(self
            .moment("claiming a job", self.claim_job(name, holder, hold))
            .await?)
    }

    async fn extend(&self, name: &str, holder: &str, hold: Duration) -> Outcome<()> {
        Ok(self
            .moment(
                "extending the claim on a job",
                self.extend_job(name, holder, hold),
            )
            .await?)
    }

    async fn done(&self, name: &str, holder: &str, next_run_at: Time) -> Outcome<()> {
        Ok(self
            .moment("releasing a job", self.job_done(name, holder, next_run_at))
            .await?)
    }
}

impl PostgresStore {
    /// The stored jobs. Jobs of slots that this program does not know are left out.
    async fn jobs(&self, connection: &mut PgConnection) -> Result<Vec<StoredJob>, Error> {
        let rows = sqlx::query!(
            r#"select s.job, s.resource, s.scope, s.cron, s.time_zone, s.next_run_at,
                 s.requested_at is not null as "is_requested!",
                 exists (
                   select from sync.pauses as p
                   where p.resource = s.resource and (p.ends_at is null or p.ends_at > sync.clock())
                 ) as "is_paused!"
               from sync.schedule as s
               order by s.job"#
        )
        .fetch_all(connection)
        .await
        .doing("reading the schedule")?;
        let known = rows.into_iter().filter_map(|row| {
            let job = Job {
                slot: self.slot(&row.resource, &row.scope)?,
                name: row.job,
                cron: row.cron,
                time_zone: row.time_zone,
            };
            Some(StoredJob {
                job,
                next_run_at: row.next_run_at,
                is_requested: row.is_requested,
                is_paused: row.is_paused,
            })
        });
        Ok(known.collect())
    }

    fn slot(&self, resource: &str, scope: &str) -> Option<Slot> {
        self.slots()
            .iter()
            .copied()
            .chain([DRIFT, HOUSEKEEPING])
            .find(|slot| slot.resource == resource && slot.scope.as_str() == scope)
    }

    async fn put_job(&self, job: &Job, next_run_at: Time) -> Result<(), Error> {
        let statement = sqlx::query!(
            "insert into sync.schedule (job, resource, scope, cron, time_zone, next_run_at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (job) do update set
               resource = excluded.resource, scope = excluded.scope, cron = excluded.cron,
               time_zone = excluded.time_zone, next_run_at = excluded.next_run_at",
            job.name,
            job.slot.resource,
            job.slot.scope.as_str(),
            job.cron,
            job.time_zone,
            next_run_at
        )
        .execute(self.control());
        boundary::cross("schedule/put", "writing the schedule", statement).await?;
        Ok(())
    }

    async fn keep_jobs(&self, names: &[String]) -> Result<(), Error> {
        let statement =
            sqlx::query!("delete from sync.schedule where job <> all ($1)", names).execute(self.control());
        boundary::cross("schedule/keep", "removing jobs from the schedule", statement).await?;
        Ok(())
    }

    async fn claim_job(&self, name: &str, holder: &str, hold: Duration) -> Result<Option<JobClaim>, Error> {
        let statement = sqlx::query_as!(
            JobClaim,
            r#"update sync.schedule as s set
                 claimed_by = $2, claimed_until = sync.clock() + $3, last_run_at = sync.clock()
               where s.job = $1
                 and (s.next_run_at <= sync.clock() or s.requested_at is not null)
                 and (s.claimed_until is null or s.claimed_until <= sync.clock())
                 and not exists (
                   select from sync.pauses as p
                   where p.resource = s.resource and (p.ends_at is null or p.ends_at > sync.clock())
                 )
               returning s.requested_at is not null as "is_requested!""#,
            name,
            holder,
            interval(hold)
        )
        .fetch_optional(self.control());
        boundary::cross("schedule/claim", "claiming a job", statement).await
    }

    async fn extend_job(&self, name: &str, holder: &str, hold: Duration) -> Result<(), Error> {
        let statement = sqlx::query!(
            "update sync.schedule set claimed_until = sync.clock() + $3 where job = $1 and claimed_by = $2",
            name,
            holder,
            interval(hold)
        )
        .execute(self.control());
        let extended = boundary::cross("schedule/extend", "extending the claim on a job", statement).await?;
        match extended.rows_affected() {
            0 => Err(Error::Fenced {
                name: name.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    async fn job_done(&self, name: &str, holder: &str, next_run_at: Time) -> Result<(), Error> {
        let statement = sqlx::query!(
            "update sync.schedule set
               next_run_at = $3, claimed_by = null, claimed_until = null,
               requested_at = case when requested_at > last_run_at then requested_at end
             where job = $1 and claimed_by = $2",
            name,
            holder,
            next_run_at
        )
        .execute(self.control());
        boundary::cross("schedule/done", "releasing a job", statement).await?;
        Ok(())
    }
}
