//! Bounds every wait on the database. During long work, another connection asks the server for the session's state: it
//! works, waits for a lock or a standby, or waits for this client, which means that the network delivers nothing.
//! Knows no table.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, sleep_until, timeout};

use crate::model::Time;
use crate::postgres::blocker::Blocker;
use crate::postgres::error::Error;
use crate::postgres::session::{self, Purpose};

/// The time between two observations; nearly all work ends before the first.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long an observation may take, its connection included.
const LOOK: Duration = Duration::from_secs(3);
/// How long the server may wait for this client before the connection counts as silent. Several observations long, so
/// that a busy machine that is late with its next statement is not taken for a dead network.
const SILENT: Duration = Duration::from_secs(9);
/// How long the server may be unreachable for observations before the work counts as lost.
const AWAY: Duration = Duration::from_secs(15);
/// How long the server may wait for another session's lock or for a standby.
const BLOCKED: Duration = Duration::from_mins(1);
/// The longest description of the blocking sessions, in characters.
const LONGEST_NAME: usize = 300;

/// The longest time that work may take, whatever the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitLimit {
    /// A short statement.
    Short,
    /// A batch, or a command that a person waits for.
    Minutes,
    /// An index, statistics, a count over millions of rows: as long as the server works on it.
    None,
}

impl WaitLimit {
    const fn time(self) -> Option<Duration> {
        match self {
            Self::Short => Some(Duration::from_secs(30)),
            Self::Minutes => Some(Duration::from_mins(5)),
            Self::None => None,
        }
    }
}

/// Asks the server about sessions of this process.
#[derive(Debug, Clone)]
pub(crate) struct SessionMonitor {
    options: PgConnectOptions,
    /// The name of the sessions of this process.
    session: Arc<str>,
    /// Why loading has failed since the last successful load.
    trouble: Arc<Mutex<Option<String>>>,
    /// The server process ids of sessions whose work was dropped before it ended.
    abandoned: Arc<Mutex<Vec<i32>>>,
}

impl SessionMonitor {
    /// A monitor of the sessions that `options` names.
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        let session = options.get_application_name().unwrap_or_default().into();
        Self {
            options,
            session,
            trouble: Arc::default(),
            abandoned: Arc::default(),
        }
    }

    /// Why nothing can be loaded at present.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Notes a session whose work was dropped before it ended, for [`SessionMonitor::end_abandoned`].
    pub(crate) fn abandon(&self, pid: i32) {
        self.abandoned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pid);
    }

    /// Ends the sessions whose work was dropped, in bounded time. Their connections are closed on this side; where the network
    /// no longer delivers anything, the server does not learn of that. A session in the middle of a COPY then keeps its locks
    /// until the server's keepalives give it up, and no other limit of the server applies.
    pub(crate) async fn end_abandoned(&self) {
        let pids = {
            let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *abandoned)
        };
        if pids.is_empty() {
            return;
        }
        let opening = Box::pin(session::open(&self.options, Purpose::Looking));
        match timeout(LOOK, opening).await {
            Ok(Ok(connection)) => Box::pin(self.end(&mut Some(connection), &pids)).await,
            Ok(Err(error)) => tracing::debug!(?pids, %error, "sessions of dropped work could not be ended"),
            Err(_late) => tracing::debug!(?pids, "sessions of dropped work could not be ended in time"),
        }
    }

    /// Waits for work of an unknown session of this process.
    pub(crate) fn wait<T>(
        &self,
        doing: &'static str,
        limit: WaitLimit,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        self.watch(doing, limit, None, work)
    }

    /// Waits for work of a session, by its process id if that is known. The future is boxed, since futures of statements are large
    /// and this one wraps each of them.
    pub(crate) fn watch<T>(
        &self,
        doing: &'static str,
        limit: WaitLimit,
        pid: Option<i32>,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        self.wait_observed(doing, limit, pid, Box::pin(work))
    }

    /// The loop that observes the work. Work that is given up is dropped and its session is ended, since it may hold
    /// locks that the next attempt needs.
    async fn wait_observed<T>(
        &self,
        doing: &'static str,
        limit: WaitLimit,
        pid: Option<i32>,
        mut work: impl Future<Output = Result<T, Error>> + Unpin,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let deadline = limit.time().map(|time| began + time);
        let mut observations = Observations::default();
        let mut connection_slot = None;
        let blocker = loop {
            let next = Instant::now() + LOOK_EVERY;
            let next = deadline.map_or(next, |deadline| deadline.min(next));
            tokio::select! {
                biased;
                done = &mut work => return done.map_err(|error| observations.explain(error, doing, began)),
                () = sleep_until(next) => {}
            }
            let look = tokio::select! {
                biased;
                done = &mut work => return done.map_err(|error| observations.explain(error, doing, began)),
                look = Box::pin(self.look(&mut connection_slot, pid)) => look,
            };
            observations.take(look, doing);
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if let Some(blocker) = observations.verdict(pid.is_some(), late) {
                break blocker;
            }
        };
        drop(work);
        if let Some(pid) = pid {
            Box::pin(self.end(&mut connection_slot, &[pid])).await;
        }
        Err(Error::Waited {
            doing,
            seconds: began.elapsed().as_secs(),
            blocker,
        })
    }

    /// Observes once, in bounded time. A failed connection is not used again.
    async fn look(
        &self,
        connection_slot: &mut Option<PgConnection>,
        pid: Option<i32>,
    ) -> Option<Observation> {
        let looking = async {
            let mut connection = match connection_slot.take() {
                Some(connection) => connection,
                None => session::open(&self.options, Purpose::Looking).await.ok()?,
            };
            let look = look(&mut connection, &self.session, pid).await.ok()?;
            *connection_slot = Some(connection);
            Some(look)
        };
        timeout(LOOK, looking).await.ok().flatten()
    }

    /// Ends sessions of this process on the server.
    async fn end(&self, connection_slot: &mut Option<PgConnection>, pids: &[i32]) {
        let Some(mut connection) = connection_slot.take() else {
            return;
        };
        let ended = sqlx::query_scalar!(
            r#"select pg_catalog.pg_terminate_backend(pid) as "ended!" from pg_catalog.pg_stat_activity
               where pid = any($1) and application_name = $2"#,
            pids,
            &*self.session
        )
        .fetch_all(&mut connection);
        match timeout(LOOK, ended).await {
            Ok(Ok(_)) => tracing::debug!(?pids, "ended the sessions of work that was given up"),
            Ok(Err(error)) => tracing::debug!(?pids, %error, "sessions could not be ended"),
            Err(_late) => tracing::debug!(?pids, "sessions could not be ended in time"),
        }
    }
}

/// The state of a session, or of the session of this process that waits.
#[derive(Debug, PartialEq, Eq)]
struct Observation {
    /// None: the session no longer exists.
    session: Option<SessionState>,
}

#[derive(Debug, PartialEq, Eq)]
struct SessionState {
    waits: WaitingFor,
    /// Changes with each statement and each message of a COPY.
    mark: (Option<Time>, Option<i64>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum WaitingFor {
    /// The server works.
    No,
    /// For our next message.
    ForUs,
    /// For a lock, and who has it.
    ForLock(String),
    /// For a synchronous standby.
    ForStandby,
}

async fn look(
    connection: &mut PgConnection,
    session: &str,
    pid: Option<i32>,
) -> Result<Observation, sqlx::Error> {
    let row = sqlx::query!(
        r#"select a.state, a.wait_event_type, a.wait_event, a.state_change, copy.bytes_processed as "copied?",
             case when a.wait_event_type = 'Lock' then (
               select string_agg(
                 concat_ws(', ',
                   'session ' || b.pid, 'user ' || b.usename, 'application `' || nullif(b.application_name, '') || '`',
                   nullif(b.backend_type, 'client backend'), b.state,
                   'its transaction open since ' || to_char(b.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'),
                 '; ' order by b.xact_start)
               from pg_catalog.pg_stat_activity as b where b.pid = any (pg_catalog.pg_blocking_pids(a.pid))
             ) end as blockers
           from pg_catalog.pg_stat_activity as a
           left join pg_catalog.pg_stat_progress_copy as copy on copy.pid = a.pid
           where a.application_name = $1 and a.datname = current_database() and a.pid <> pg_backend_pid()
             and ($2::integer is null or a.pid = $2)
           order by coalesce(a.wait_event_type = 'Lock' or a.wait_event = 'SyncRep', false) desc
           limit 1"#,
        session,
        pid
    )
    .fetch_optional(connection)
    .await?;
    Ok(Observation {
        session: row.map(|row| SessionState {
            waits: match (row.wait_event_type.as_deref(), row.wait_event.as_deref()) {
                (Some("Lock"), _) => WaitingFor::ForLock(presentable(row.blockers)),
                (_, Some("SyncRep")) => WaitingFor::ForStandby,
                (Some("Client"), _) => WaitingFor::ForUs,
                _ if row.state.is_some_and(|state| state.starts_with("idle")) => WaitingFor::ForUs,
                _ => WaitingFor::No,
            },
            mark: (row.state_change, row.copied),
        }),
    })
}

/// Other users choose these names: control characters are removed.
fn presentable(blockers: Option<String>) -> String {
    let Some(blockers) = blockers else {
        return "somebody whose session cannot be seen (a prepared transaction, perhaps)".to_owned();
    };
    let is_plain = |one: &char| {
        !one.is_control()
            && !matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    blockers.chars().filter(is_plain).take(LONGEST_NAME).collect()
}

/// The observations of one piece of work.
#[derive(Debug, Default)]
struct Observations {
    last: Option<Observation>,
    /// The time since which observations are the same, or fail.
    since: Option<Instant>,
    failed: bool,
    /// The last blocker, for an error that comes later.
    blocker: Option<Blocker>,
}

impl Observations {
    fn take(&mut self, look: Option<Observation>, doing: &str) {
        let Some(look) = look else {
            if !std::mem::replace(&mut self.failed, true) {
                self.since = Some(Instant::now());
            }
            return;
        };
        let waits = |look: &Observation| look.session.as_ref().map(|session| session.waits.clone());
        let same = match waits(&look) {
            // The blocking sessions may change during the wait, and messages sent in between must not count as silence.
            Some(WaitingFor::ForLock(_)) => {
                matches!(self.last.as_ref().and_then(waits), Some(WaitingFor::ForLock(_)))
            }
            _ => self.last.as_ref() == Some(&look),
        };
        if self.failed || !same {
            self.since = Some(Instant::now());
        }
        self.failed = false;
        let blocker = match waits(&look) {
            Some(WaitingFor::ForLock(who)) => Some(Blocker::Session(who)),
            Some(WaitingFor::ForStandby) => Some(Blocker::Standby),
            _ => None,
        };
        if let Some(blocker) = blocker {
            if self.blocker.as_ref() != Some(&blocker) {
                tracing::warn!("still {doing}: {blocker}");
            }
            self.blocker = Some(blocker);
        }
        self.last = Some(look);
    }

    /// Whether to give up the work, and why. For an unknown session only the deadline counts.
    fn verdict(&self, is_known: bool, late: bool) -> Option<Blocker> {
        let lasting = self.since.map(|since| since.elapsed()).unwrap_or_default();
        let waits = self
            .last
            .as_ref()
            .filter(|_| !self.failed)
            .map(|look| look.session.as_ref().map(|session| &session.waits));
        if is_known {
            match waits {
                None if self.failed && lasting >= AWAY => return Some(Blocker::Away),
                Some(None | Some(WaitingFor::ForUs)) if lasting >= SILENT => return Some(Blocker::Silence),
                Some(Some(WaitingFor::ForLock(_) | WaitingFor::ForStandby)) if lasting >= BLOCKED => {
                    return self.blocker.clone();
                }
                _ => {}
            }
        }
        let away = if self.failed {
            Blocker::Away
        } else {
            Blocker::Nobody
        };
        late.then(|| self.blocker.clone().unwrap_or(away))
    }

    /// Adds the blocker to the error of a lock that was not obtained in time.
    fn explain(&self, error: Error, doing: &'static str, began: Instant) -> Error {
        match &self.blocker {
            Some(blocker) if error.is_lock_not_had() => Error::Waited {
                doing,
                seconds: began.elapsed().as_secs(),
                blocker: blocker.clone(),
            },
            _ => error,
        }
    }
}

impl SessionMonitor {
    /// Records a failure to open a loading connection. A success proves nothing about loading yet.
    pub(crate) fn note_opening<T>(&self, opened: &Result<T, Error>) {
        if opened.is_err() {
            self.note_load(opened);
        }
    }

    /// Records whether loading succeeded.
    pub(crate) fn note_load<T>(&self, done: &Result<T, Error>) {
        match done {
            Ok(_) => self.note(None),
            Err(error) if error.is_transient() && !error.is_conflict() => self.note(Some(error.to_string())),
            Err(_) => {}
        }
    }
}
