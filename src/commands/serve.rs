//! `serve`: the long-running service. The pages are served from the start. Behind them the schedule is kept with the settings of the
//! moment: SIGHUP ends its runs at a safe point, and it goes on with the new ones.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::cli::Serve;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::job::ScheduledJob;
use crate::model::liveness::Liveness;
use crate::model::metrics::EndedRuns;
use crate::model::ports::RunStore;
use crate::notify::sender::Sender;
use crate::postgres::store::PostgresStore;
use crate::schedule::budget::Plan;
use crate::schedule::forecast::Forecast;
use crate::schedule::heartbeat::Heartbeat;
use crate::schedule::jobs::jobs;
use crate::schedule::scheduler::{self, SchedulerOptions};
use crate::shutdown::Shutdown;
use crate::telemetry::Terminal;
use crate::web::metrics::Measured;
use crate::web::server::{Health, WebServer};

use super::{backfill, progress};

mod observed;
mod patience;
mod reload;
mod runs;
mod telling;

use observed::{Observed, Seen};
use reload::Reloads;
use runs::Runs;

/// The wait between attempts to read the schedule at the start.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// How long a shutdown waits for current batches. Orchestrators kill after ten seconds, and closing silent connections
/// takes up to one more.
const FAREWELL: Duration = Duration::from_secs(7);
/// How long the shutdown then waits for a token request.
const TOKEN_ON_ITS_WAY: Duration = Duration::from_millis(500);

/// Runs the command. `file` holds the settings, for SIGHUP. A service that is asked to end has succeeded, even if it had not started
/// yet.
pub async fn run(
    arguments: &Serve,
    settings: Settings,
    file: Option<PathBuf>,
    terminal: &Terminal,
) -> Outcome<Exit> {
    match Box::pin(serve(arguments, settings, file, terminal)).await {
        Err(fault) if fault.kind == Kind::Interrupted => Ok(Exit::Done),
        ended => ended,
    }
}

async fn serve(
    arguments: &Serve,
    mut settings: Settings,
    file: Option<PathBuf>,
    terminal: &Terminal,
) -> Outcome<Exit> {
    if let Some(bind) = arguments.bind {
        settings.web.bind = bind;
    }
    let shutdown = backfill::listen()?;
    let reloads = Reloads::listen(file, arguments.bind, terminal.clone())?;
    let server = WebServer::open(&settings.web)
        .await
        .map_err(|error| web_fault(&error))?;
    let sender = Sender::new(&settings.notify, &settings.network)?;
    let liveness = Liveness::new();
    let measured = Measured::default();
    measured.goals.set(settings.goals());
    let service = Service {
        observed: Arc::new(Observed::starting()),
        measured: measured.clone(),
        liveness: liveness.clone(),
        shutdown: shutdown.clone(),
        pages: server.address().to_string(),
    };
    let page = server.measuring(measured).serve(
        Arc::clone(&service.observed),
        settings.registry,
        Health::new(liveness, settings.schedule.heartbeat),
        shutdown.requested(),
    );
    let work = async {
        let worked = service.work(settings, sender, reloads).await;
        // The pages end with the work, also if that could not start.
        shutdown.request();
        worked
    };
    let (page, worked) = tokio::join!(page, Box::pin(work));
    worked?;
    page.map_err(|error| web_fault(&error))?;
    tracing::info!("ended");
    Ok(Exit::Done)
}

/// What outlives a change of the settings.
struct Service {
    observed: Arc<Observed>,
    /// What is counted, which only grows.
    measured: Measured,
    liveness: Liveness,
    shutdown: Shutdown,
    /// The address of the pages.
    pages: String,
}

impl Service {
    async fn work(&self, settings: Settings, sender: Sender, reloads: Reloads) -> Outcome<()> {
        let start = async || App::start_counting(&settings, Arc::clone(&self.measured.traffic)).await;
        let mut app = self.patiently(start).await?;
        if settings.key.is_none() {
            tracing::info!(
                "without BLUECONIC_SYNC_KEY the token lives in this process alone; sync.tokens holds only its state"
            );
        }
        tracing::info!(
            tenant = %app.url,
            database = app.database.address(),
            address = self.pages,
            "serving: status page at http://{}/", self.pages
        );
        let kept = Box::pin(self.keep(&mut app, settings, sender, reloads)).await;
        app.close_within(TOKEN_ON_ITS_WAY).await?;
        kept
    }

    /// Waits for a database that is away; the pages tell of it.
    async fn patiently<T>(&self, attempt: impl AsyncFnMut() -> Outcome<T>) -> Outcome<T> {
        let note = |fault: &Fault| self.observed.set(Err(fault.clone()));
        Box::pin(patience::attempt(&self.liveness, &self.shutdown, note, attempt)).await
    }

    /// Keeps the schedule until the end, with the settings of the moment.
    async fn keep(
        &self,
        app: &mut App,
        mut settings: Settings,
        mut sender: Sender,
        mut reloads: Reloads,
    ) -> Outcome<()> {
        loop {
            app.client.watch_for_outages();
            let seen = Seen {
                store: app.store.clone(),
                forecast: Forecast::of(&jobs(&settings)),
                settings: Arc::new(settings.clone()),
            };
            self.observed.set(Ok(seen));
            let working = self.until_changed(app, &settings, sender.clone(), &mut reloads);
            let Some(changed) = working.await? else {
                return Ok(());
            };
            let renew = async || {
                let sender = Sender::new(&changed.notify, &changed.network)?;
                app.renew(&changed).await.map(|()| sender)
            };
            match self.patiently(renew).await {
                Ok(changed_sender) => {
                    tracing::info!("SIGHUP: the changed settings are in use");
                    self.measured.goals.set(changed.goals());
                    (settings, sender) = (changed, changed_sender);
                }
                Err(fault) if fault.kind == Kind::Interrupted => return Err(fault),
                Err(fault) => {
                    let hint = fault.hint.as_deref().unwrap_or_default();
                    tracing::error!(hint, "SIGHUP: the former settings stay: {fault}");
                }
            }
        }
    }

    /// Keeps the schedule until the end (none), or until the settings change; its runs then stop at a safe point.
    async fn until_changed(
        &self,
        app: &App,
        settings: &Settings,
        sender: Sender,
        reloads: &mut Reloads,
    ) -> Outcome<Option<Settings>> {
        // A separate task refreshes the token, so that no request waits for it while the schedule is busy or idle.
        let client = Arc::clone(&app.client);
        let _keeper = AbortOnDropHandle::new(tokio::spawn(async move { client.keep_token().await }));
        let stop = self.shutdown.child();
        let scheduled = async {
            let (liveness, runs) = (self.liveness.clone(), &self.measured.runs);
            let ended = schedule(settings, app, liveness, runs, stop.clone()).await;
            stop.cancel();
            ended
        };
        let own = (&self.liveness, &self.measured.messages);
        let telling = telling::tell(settings, app, sender, own, stop.clone());
        let telling = joined(tokio::spawn(telling));
        let telling = self.shutdown.farewell(FAREWELL, telling);
        let working = async { tokio::join!(scheduled, telling).0 };
        let mut working = Box::pin(working);
        let changed = tokio::select! {
            biased;
            ended = &mut working => return ended.map(|()| None),
            changed = reloads.next(settings) => changed,
        };
        tracing::info!(
            "SIGHUP: the settings have changed; runs that are under way stop at a safe point and go on with the new ones"
        );
        stop.cancel();
        working.await?;
        Ok((!self.shutdown.is_requested()).then_some(changed))
    }
}

async fn schedule(
    settings: &Settings,
    app: &App,
    liveness: Liveness,
    ended: &Arc<EndedRuns>,
    shutdown: CancellationToken,
) -> Outcome<()> {
    let failed = |error: crate::schedule::error::ScheduleError| {
        Fault::new(Kind::Settings, error.to_string()).hint("correct the cron expression that is named")
    };
    let heartbeat = Heartbeat::every(settings.schedule.heartbeat)
        .await
        .map_err(failed)?;
    let runner = Arc::new(Runs {
        engine: app.engine(settings, None, Arc::new(progress::Lines::default())),
        entries: app.entries.clone(),
        settings: settings.clone(),
        store: app.store.clone(),
        waited: Mutex::default(),
        skipped: Mutex::default(),
        ended: Arc::clone(ended),
        plan: Plan::new(jobs(settings).into_iter().map(|job| job.job), settings.registry).map_err(failed)?,
        put_off: Mutex::default(),
    });
    let options = SchedulerOptions {
        holder: app.store.holder().to_owned(),
        hold: settings.schedule.lease_ttl,
        heartbeat: settings.schedule.heartbeat,
        liveness,
    };
    let store: Arc<PostgresStore> = Arc::new(app.store.clone());
    let jobs = tokio::select! {
        jobs = due_jobs_patiently(settings, app) => jobs?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let running = scheduler::run(store, jobs, runner, heartbeat, options, shutdown.clone());
    let running = joined(tokio::spawn(running));
    tokio::pin!(running);
    let ended = tokio::select! {
        ended = &mut running => Some(ended),
        () = shutdown.cancelled() => None,
    };
    let farewell = async {
        match ended {
            Some(ended) => Ok(ended),
            None => tokio::time::timeout(FAREWELL, running).await,
        }
    };
    // A token request has the same time, even if no run was open.
    let (ended, _stored) = tokio::join!(farewell, app.client.finish_token(FAREWELL));
    if let Ok(ended) = ended {
        ended.map_err(failed)
    } else {
        tracing::warn!(
            "a run did not reach a safe point in time; its position is stored as of its last page"
        );
        Ok(())
    }
}

/// The result of a task, which ends with whoever waits for it. Work that goes on for years is a task of its own. Otherwise each answer of the
/// database would wake two threads: the one that received it, and the one that waits for this command.
fn joined<T>(task: JoinHandle<T>) -> impl Future<Output = T> {
    let task = AbortOnDropHandle::new(task);
    async {
        match task.await {
            Ok(done) => done,
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    }
}

/// Waits, like the schedule, for a database that has become unreachable since the start.
async fn due_jobs_patiently(settings: &Settings, app: &App) -> Outcome<Vec<ScheduledJob>> {
    loop {
        match due_jobs(settings, app).await {
            Err(fault) if fault.is_transient() => {
                tracing::warn!(%fault, "the schedule cannot be read yet; trying again");
                tokio::time::sleep(READ_AGAIN).await;
            }
            done => return done,
        }
    }
}

/// The jobs. A full walk does not run at once if a backfill has already done one.
async fn due_jobs(settings: &Settings, app: &App) -> Outcome<Vec<ScheduledJob>> {
    let mut due = jobs(settings);
    for job in &mut due {
        if job.job.name == "profiles/full" {
            let cursor = app.store.cursor(job.job.slot).await?;
            job.at_once &= cursor.watermark.is_none() || cursor.position.is_some();
        }
    }
    Ok(due)
}

fn web_fault(error: &crate::web::error::WebError) -> Fault {
    Fault::new(Kind::Final, error.to_string())
        .because_of(error)
        .hint(error.hint())
}
