//! Years of the schedule, on the real store with a clock that the test moves: three replicas, one of which is killed every hour in the
//! midst of a run. Whatever was due ran once, or was made up once, also on the days on which clocks jump; and nothing grows.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueconic_sync::model::Time;
use blueconic_sync::model::job::{Again, HOUSEKEEPING, Jitter, Job, ScheduledJob};
use blueconic_sync::model::lease::Acquired;
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::liveness::Liveness;
use blueconic_sync::model::ports::{RunStore as _, Runner};
use blueconic_sync::model::position::Slot;
use blueconic_sync::model::retention::Kept;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::postgres::store::PostgresStore;
use blueconic_sync::schedule::heartbeat::{Heartbeat, ManualTicks};
use blueconic_sync::schedule::plan::next_run;
use blueconic_sync::schedule::scheduler::{self, SchedulerOptions};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::table::{Case, in_full};
use crate::support::eventually;
use crate::support::fixture::{
    AUDIT, Fixture, PROFILES_FULL, PROFILES_INCREMENT, SEGMENTS, another_store, fixture, run,
};
use crate::support::program::LONG;

const ZONE: Tz = chrono_tz::Europe::Berlin;
/// How far the clock moves at a time: as often as the most frequent job is due.
const STEP: TimeDelta = TimeDelta::minutes(5);
/// A claim and a lease lapse within a step.
const HOLD: Duration = Duration::from_secs(30);
/// How long runs are kept, so that the year shows that they leave.
const KEPT: Duration = Duration::from_hours(24 * 30);

/// The jobs with their times as the default settings have them, without the wider scans of audit events: those share a slot with their
/// resource's own job.
fn jobs() -> Vec<ScheduledJob> {
    let job = |name: &str, slot: Slot, cron: &str| ScheduledJob {
        job: Job {
            name: name.to_owned(),
            slot,
            cron: cron.to_owned(),
            time_zone: ZONE.name().to_owned(),
        },
        overlap: None,
        at_once: false,
        jitter: Jitter::default(),
    };
    vec![
        job("segments", SEGMENTS, "*/15 * * * *"),
        job("profiles/full", PROFILES_FULL, "30 2 * * *"),
        job("profiles/increment", PROFILES_INCREMENT, "*/10 * * * *"),
        job("audit_events", AUDIT, "*/5 * * * *"),
        job("housekeeping", HOUSEKEEPING, "20 3 * * *"),
    ]
}

/// The runs that ended, by job, each with the simulated time.
#[derive(Debug, Default)]
struct Ended(Mutex<BTreeMap<String, Vec<Time>>>);

/// Makes real runs: a lease, a row of `sync.runs`, the real housekeeping. After an order to hang, the replica is in the midst of its
/// runs until it is killed.
struct Recorder {
    store: PostgresStore,
    ended: Arc<Ended>,
    hangs: AtomicBool,
    hanging: AtomicUsize,
}

impl Recorder {
    async fn hang(&self) {
        if self.hangs.load(Ordering::SeqCst) {
            self.hanging.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    }

    async fn work(&self, slot: Slot) {
        if slot == HOUSEKEEPING {
            self.hang().await;
            let kept = Kept {
                runs: KEPT,
                audit_events: None,
            };
            let stop = CancellationToken::new();
            self.store.keep_house(kept, &stop).await.unwrap();
            return;
        }
        let Acquired::Lease(lease) = self.store.acquire(slot).await.unwrap() else {
            panic!("the lease of {slot:?} is held, and nobody else has the job");
        };
        self.hang().await;
        let ledger = Ledger {
            status: RunStatus::Succeeded,
            counts: Counts::default(),
            error: None,
            hint: None,
        };
        self.store.close(&lease, &ledger).await.unwrap();
    }
}

impl Runner for Recorder {
    async fn run(&self, job: &ScheduledJob, _: CancellationToken) -> Again {
        self.work(job.job.slot).await;
        let now = self.store.now().await.unwrap();
        let mut ended = self.ended.0.lock().unwrap();
        ended.entry(job.job.name.clone()).or_default().push(now);
        Again::OnTime
    }
}

/// A scheduler with a runtime of its own, so that a kill takes all its tasks and connections at once.
struct Replica {
    runtime: Runtime,
    ticks: ManualTicks,
    recorder: Arc<Recorder>,
}

impl Replica {
    async fn start(options: &PgConnectOptions, ended: &Arc<Ended>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (ticks, heartbeat) = Heartbeat::manual();
        let (options, ended) = (options.clone(), Arc::clone(ended));
        let starting = runtime.spawn(async move {
            let store = another_store(&options, HOLD).await;
            let recorder = Arc::new(Recorder {
                store: store.clone(),
                ended,
                hangs: AtomicBool::new(false),
                hanging: AtomicUsize::new(0),
            });
            let options = SchedulerOptions {
                holder: store.holder().to_owned(),
                hold: HOLD,
                heartbeat: Duration::from_secs(5),
                liveness: Liveness::new(),
            };
            let runner = Arc::clone(&recorder);
            let never = CancellationToken::new();
            tokio::spawn(scheduler::run(
                Arc::new(store),
                jobs(),
                runner,
                heartbeat,
                options,
                never,
            ));
            recorder
        });
        Self {
            recorder: starting.await.unwrap(),
            runtime,
            ticks,
        }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

struct Simulation {
    db: Fixture,
    now: Time,
    ended: Arc<Ended>,
    replicas: Vec<Replica>,
    kills: u64,
}

/// What every replica and every statement goes by.
const CLOCK: &str = "
create schema simulated;
create table simulated.clock (now timestamptz not null);
insert into simulated.clock values ('epoch');
create or replace function sync.clock() returns timestamptz
language sql volatile parallel restricted set search_path = pg_catalog, pg_temp
as $$ select now from simulated.clock $$";

impl Simulation {
    async fn at(now: Time) -> Self {
        let db = fixture().await;
        run(&mut db.look.acquire().await.unwrap(), CLOCK).await;
        let mut simulation = Self {
            db,
            now,
            ended: Arc::default(),
            replicas: Vec::new(),
            kills: 0,
        };
        simulation.set(now).await;
        for _ in 0..3 {
            let replica = Replica::start(&simulation.db.options, &simulation.ended).await;
            simulation.replicas.push(replica);
        }
        // All of them bring the schedule in line with their settings before anything is due.
        eventually("the replicas keep the schedule", LONG, async || {
            (simulation
                .db
                .one::<i64>("select count(*) from sync.services")
                .await
                == 3)
                .then_some(())
        })
        .await;
        eventually("the jobs are scheduled", LONG, async || {
            (simulation
                .db
                .one::<i64>("select count(*) from sync.schedule")
                .await
                == 5)
                .then_some(())
        })
        .await;
        simulation
    }

    async fn set(&mut self, now: Time) {
        self.now = now;
        sqlx::query("update simulated.clock set now = $1")
            .bind(now)
            .execute(&self.db.look)
            .await
            .unwrap();
    }

    /// Moves the clock, and lets everything happen that is due. At each full hour one replica is killed amid its runs.
    async fn step(&mut self) {
        self.set(self.now + STEP).await;
        let is_full_hour = self.now.timestamp() % 3600 == 0;
        let killed = if is_full_hour {
            self.kill_one().await
        } else {
            String::new()
        };
        for replica in &self.replicas {
            replica.ticks.tick();
        }
        let open = format!(
            "select count(*) from sync.schedule
             where next_run_at <= sync.clock() and claimed_by is distinct from '{killed}'
                or claimed_by is not null and claimed_by <> '{killed}' and claimed_until > sync.clock()"
        );
        eventually("all that is due has run", LONG, async || {
            (self.db.one::<i64>(&open).await == 0).then_some(())
        })
        .await;
    }

    /// One replica takes what is due now and dies in the midst of it; another one is started in its place. Returns its name.
    async fn kill_one(&mut self) -> String {
        let victim = self.replicas.swap_remove(rand::random_range(0..3));
        let holder = victim.recorder.store.holder().to_owned();
        victim.recorder.hangs.store(true, Ordering::SeqCst);
        victim.ticks.tick();
        // Another replica that is late with its last tick may have taken some.
        let own = format!("next_run_at <= sync.clock() and claimed_by = '{holder}'");
        let free = "next_run_at <= sync.clock() and (claimed_by is null or claimed_until <= sync.clock())";
        let counts = format!(
            "select array[count(*) filter (where {own}), count(*) filter (where {free})] from sync.schedule"
        );
        eventually("it is amid its runs", LONG, async || {
            let hanging = victim.recorder.hanging.load(Ordering::SeqCst);
            let taken: Vec<i64> = self.db.one(&counts).await;
            (taken == [i64::try_from(hanging).unwrap(), 0]).then_some(())
        })
        .await;
        self.kills += u64::from(victim.recorder.hanging.load(Ordering::SeqCst) > 0);
        victim.kill();
        let next = Replica::start(&self.db.options, &self.ended).await;
        self.replicas.push(next);
        holder
    }

    /// Steps until a time.
    async fn until(&mut self, end: Time) {
        while self.now < end {
            self.step().await;
        }
    }

    /// Compares the runs of each job with its times, and counts what was left out and what ran twice.
    fn judge(&self, from: Time, case: &mut Case) {
        let ended = self.ended.0.lock().unwrap();
        for job in jobs() {
            let name = &job.job.name;
            let runs = ended.get(name).map_or(&[][..], Vec::as_slice);
            let mut last = from;
            for run in runs {
                // Nothing was due since the run before it: it ran twice.
                case.doubled(u64::from(next(&job, last) > *run));
                last = *run;
            }
            let mut at = 0;
            let mut due = next(&job, from);
            // What was due in the last two steps may still be to come.
            while due <= self.now - STEP * 2 {
                while runs.get(at).is_some_and(|run| *run < due) {
                    at += 1;
                }
                // A step after it, or the one after the replica was killed that had claimed it.
                let is_made_up = runs.get(at).is_some_and(|run| *run <= due + STEP * 2);
                case.lost(u64::from(!is_made_up));
                case.tried(1);
                due = next(&job, due);
            }
        }
    }

    /// Asserts that a nightly job ran once for each night between two dates.
    fn assert_nightly(&self, job: &str, from: NaiveDate, to: NaiveDate) {
        let ended = self.ended.0.lock().unwrap();
        let nights: Vec<NaiveDate> = ended[job]
            .iter()
            .map(|run| run.with_timezone(&ZONE).date_naive())
            .collect();
        let wanted: Vec<NaiveDate> = from.iter_days().take_while(|day| *day <= to).collect();
        assert_eq!(nights, wanted, "{job}");
    }

    /// What must not grow: rows and bytes of the tables of the schedule, connections, and this process's memory and open files.
    async fn sizes(&self) -> Sizes {
        let bytes = "select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class
                     where relnamespace = 'sync'::regnamespace and relkind = 'r'";
        let connections = "select count(*) from pg_stat_activity where datname = current_database()";
        Sizes {
            runs: self.db.one("select count(*) from sync.runs").await,
            services: self.db.one("select count(*) from sync.services").await,
            bytes: self.db.one(bytes).await,
            connections: self.db.one(connections).await,
            files: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            memory: resident(),
        }
    }
}

/// What a long-running service must not let grow.
#[derive(Debug)]
struct Sizes {
    runs: i64,
    services: i64,
    bytes: i64,
    connections: i64,
    files: usize,
    /// KiB.
    memory: u64,
}

impl Sizes {
    fn assert_no_larger_than(&self, before: &Self) {
        let all = format!("before: {before:?}, now: {self:?}");
        assert!(self.runs <= before.runs * 11 / 10, "{all}");
        // Rows of processes leave after a day: 24 of them were killed, and three are alive.
        assert!(self.services <= 28, "{all}");
        assert!(self.bytes <= before.bytes * 3 / 2, "{all}");
        // Sessions of the last one that was killed may still be ending.
        assert!(self.connections <= before.connections + 10, "{all}");
        assert!(self.files <= before.files + 20, "{all}");
        assert!(self.memory <= before.memory * 3 / 2, "{all}");
    }
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn next(job: &ScheduledJob, after: Time) -> Time {
    next_run(&job.job.cron, ZONE, after).unwrap()
}

fn at(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Each name once: the same replica is never two.
fn assert_distinct(replicas: &[Replica]) {
    let names: HashSet<&str> = replicas.iter().map(|it| it.recorder.store.holder()).collect();
    assert_eq!(names.len(), replicas.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_ran_once_whoever_was_killed() {
    let mut case = Case::new("a year of three replicas, one killed every hour");
    let (first, last) = if in_full() {
        (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
    } else {
        // The day on which 02:30 does not exist, and the day on which it comes twice.
        (at("2026-03-28T21:00:00Z"), at("2026-03-29T06:00:00Z"))
    };
    let mut simulation = Simulation::at(first).await;
    assert_distinct(&simulation.replicas);
    if in_full() {
        simulation.until(at("2026-03-01T00:00:00Z")).await;
        let before = simulation.sizes().await;
        simulation.until(last).await;
        let after = simulation.sizes().await;
        after.assert_no_larger_than(&before);
        case.note(format!(
            "{} kills; after two months {before:?}, after a year {after:?}",
            simulation.kills
        ));
        for nightly in ["profiles/full", "housekeeping"] {
            simulation.assert_nightly(nightly, day("2026-01-01"), day("2026-12-31"));
        }
        simulation.judge(first, &mut case);
    } else {
        simulation.until(last).await;
        simulation.judge(first, &mut case);
        simulation.assert_nightly("profiles/full", day("2026-03-29"), day("2026-03-29"));
        // Nobody was there for a summer: each job is made up once, and autumn goes on as usual.
        let autumn = at("2026-10-24T21:05:00Z");
        // In one leap: a replica that is late with its last tick would take what is due at a time between.
        simulation.now = autumn - STEP;
        simulation.ended.0.lock().unwrap().clear();
        simulation.step().await;
        for (job, runs) in &*simulation.ended.0.lock().unwrap() {
            assert_eq!(runs.len(), 1, "{job}");
        }
        simulation.ended.0.lock().unwrap().clear();
        simulation.until(at("2026-10-25T06:00:00Z")).await;
        simulation.judge(autumn, &mut case);
        simulation.assert_nightly("profiles/full", day("2026-10-25"), day("2026-10-25"));
        case.note(format!(
            "the days on which clocks jump alone; {} kills",
            simulation.kills
        ));
    }
    case.report();
    for replica in simulation.replicas {
        replica.kill();
    }
}
