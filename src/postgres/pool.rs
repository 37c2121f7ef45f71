//! Connection pools, and a description of the database that is safe to show. Loading has a pool of its own, so that a
//! lease can be renewed while all loading connections are busy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use url::Url;
use zeroize::Zeroizing;

use crate::postgres::address;
use crate::postgres::error::{Doing, Error};
use crate::postgres::own_session::OwnSession;
use crate::postgres::session::{self, Purpose};
use crate::postgres::waits::{SessionMonitor, WaitLimit};
use crate::postgres::watched;

/// How long an idle connection may take to answer a check. Several may be silent at once, and each is checked in turn.
const ANSWER: Duration = Duration::from_secs(2);

/// The size of the pools, and the bounds that depend on settings.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// All connections of this process.
    pub max_connections: u32,
    /// Those among them that load.
    pub load_connections: u32,
    /// A lease's time to live: a loading transaction that idles for two thirds of it is ended by the server.
    pub lease_ttl: Duration,
    /// How long the tenant keeps audit events: no scan closes a gap that lies further back.
    pub retention: Duration,
    /// How long the feed keeps changes; none: the feed is off.
    pub changes_kept: Option<Duration>,
    /// How long rejects are kept.
    pub rejects_kept: Duration,
}

/// The pools over one database.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    /// For everything short: leases, cursors, tokens, status.
    pub(crate) control: PgPool,
    /// For loaders.
    pub(crate) data: PgPool,
    /// Observes sessions whose work takes long.
    pub(crate) monitor: SessionMonitor,
}

/// Reads a connection string.
pub fn parse(url: &SecretString) -> Result<PgConnectOptions, Error> {
    let url = url.expose_secret();
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        let why = "it does not begin with postgres:// (nor is it `embedded`)";
        return Err(Error::Address(sqlx::Error::Configuration(why.into())));
    }
    if has_stray_at(url) {
        let why = "the password holds a character that must be percent-encoded (`/` as %2F, `?` as %3F, `#` as %23)";
        return Err(Error::Address(sqlx::Error::Configuration(why.into())));
    }
    address::refuse(url)?;
    let known = without_unknown(url);
    let options = known
        .as_ref()
        .map_or(url, |known| known.as_str())
        .parse()
        .map_err(Error::Address)?;
    address::complete(options, &address::pairs(url))
}

/// Whether the user information of the URL ends early at a `/`, `?` or `#` of the password: the rest would be shown as
/// a database or parameter.
fn has_stray_at(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let path = rest.split('?').next().unwrap_or_default();
    path.contains('@') || rest.contains('@') && authority.contains(':') && !authority.contains('@')
}

/// The parameters that sqlx knows.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The address without parameters that sqlx ignores, if there are any: sqlx logs their values, and a misspelled
/// password parameter would be logged.
fn without_unknown(url: &str) -> Option<Zeroizing<String>> {
    let is_known = |key: &str| PARAMETERS.contains(&key) || key.starts_with("options[");
    let mut parsed = Url::parse(url).ok()?;
    let pairs: Vec<(String, Zeroizing<String>)> = parsed
        .query_pairs()
        .map(|(key, value)| (key.into_owned(), Zeroizing::new(value.into_owned())))
        .collect();
    let (known, unknown): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| is_known(key));
    if unknown.is_empty() {
        return None;
    }
    for (key, _) in unknown.into_iter().filter(|(key, _)| !address::is_ours(key)) {
        tracing::warn!("the database's address has a parameter that is not known, and not used: `{key}`");
    }
    parsed.set_query(None);
    if !known.is_empty() {
        parsed
            .query_pairs_mut()
            .extend_pairs(known.iter().map(|(key, value)| (key, value.as_str())));
    }
    Some(Zeroizing::new(parsed.into()))
}

/// Builds the pools. Opens no connection.
pub(crate) fn pools(options: &PgConnectOptions, limits: Limits) -> Pools {
    let idle_limit = idle_limit(limits.lease_ttl);
    let load = limits.load_connections.max(1);
    let control = limits.max_connections.saturating_sub(load).max(2);
    Pools {
        monitor: SessionMonitor::new(options.clone()),
        control: pool(options, control, Purpose::Control(idle_limit)),
        data: pool(options, load, Purpose::Loading(idle_limit)),
    }
}

/// How long to wait for a connection that may be on its way back into the pool. Opening another one takes about as long.
const ON_ITS_WAY: Duration = Duration::from_millis(3);

impl Pools {
    /// Waits a moment for a control connection that is being given back: a task of the pool tests it first, and whoever asks
    /// meanwhile would open another one. The pool notifies nobody when the connection is back (`after_release` runs a round trip
    /// earlier), and a timer of this runtime is coarser than that round trip.
    pub(crate) async fn await_given_back(&self) {
        let began = Instant::now();
        while self.control.size() > 0 && self.control.num_idle() == 0 && began.elapsed() < ON_ITS_WAY {
            tokio::task::yield_now().await;
        }
    }

    /// Opens the loading connections in the background, where they are not open yet.
    pub(crate) fn open_loading(&self) {
        for _ in self.data.size()..self.data.options().get_max_connections() {
            let (pool, monitor) = (self.data.clone(), self.monitor.clone());
            tokio::spawn(async move {
                const DOING: &str = "opening a loading connection";
                let opening = async { pool.acquire().await.doing(DOING) };
                // Whoever needs it opens it again, and reports why that fails.
                if let Err(error) = monitor.wait(DOING, WaitLimit::Short, opening).await {
                    tracing::debug!(%error, "no loading connection yet");
                }
            });
        }
    }

    /// Opens a connection beside the pools, and refuses an unsuitable server. A pool would try again for seconds where an
    /// address is wrong.
    pub(crate) async fn first(
        &self,
        options: &PgConnectOptions,
        limits: Limits,
    ) -> Result<OwnSession, Error> {
        let purpose = Purpose::Control(idle_limit(limits.lease_ttl));
        OwnSession::open(options, &self.monitor, purpose).await
    }
}

/// Two thirds of the time to live: a holder that stops inside a transaction must not block its successor.
fn idle_limit(lease_ttl: Duration) -> Duration {
    (lease_ttl * 2 / 3).max(Duration::from_millis(1))
}

/// Each session is prepared when it is opened, and looked at when it is handed out again.
fn pool(options: &PgConnectOptions, size: u32, purpose: Purpose) -> PgPool {
    let at: Arc<str> = address::shown(options).into();
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(session::ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| Box::pin(session::prepare(connection, purpose, Arc::clone(&at))))
        // A connection may have stopped responding while it idled, or been given back by work that was given up.
        .test_before_acquire(false)
        .before_acquire(|connection, met| Box::pin(is_usable(connection, met.age)))
        .after_release(|connection, _| Box::pin(async { Ok(watched::answers(connection, ANSWER).await) }))
        .connect_lazy_with(options.clone())
}

/// Whether an idle connection answers in time; otherwise it is closed.
async fn is_usable(connection: &mut PgConnection, age: Duration) -> Result<bool, sqlx::Error> {
    let asked = tokio::time::timeout(ANSWER, session::is_usable(connection, age)).await;
    Ok(asked.is_ok_and(|usable| usable.unwrap_or(false)))
}

/// Refuses a database that cannot be loaded: a standby, a read-only one, or one where batches cannot be staged.
pub async fn verify_writable(options: &PgConnectOptions) -> Result<(), Error> {
    let mut connection = session::open(options, Purpose::Looking).await?;
    session::refuse_unwritable(&mut connection, options).await?;
    connection.close().await.doing("closing a connection")
}

/// Whether a transaction-mode pooler stands before the database, which would lose the staging tables. The check: a
/// second connection's transaction lands in the session of the first, idle connection.
pub async fn loses_sessions(options: &PgConnectOptions) -> Result<bool, Error> {
    const DOING: &str = "looking for a transaction-mode pooler";
    let mut first = session::open(options, Purpose::Looking).await?;
    let mut second = session::open(options, Purpose::Looking).await?;
    let before = backend(&mut first).await.doing(DOING)?;
    let mut transaction = second.begin().await.doing(DOING)?;
    let other = backend(&mut transaction).await.doing(DOING)?;
    let after = backend(&mut first).await.doing(DOING)?;
    transaction.rollback().await.doing(DOING)?;
    Ok(before == other || before != after)
}

async fn backend(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_backend_pid() as "pid!""#)
        .fetch_one(connection)
        .await
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<PgConnectOptions, Error> {
        parse(&SecretString::from(url.to_owned()))
    }

    #[test]
    fn a_parameter_that_is_not_known_goes_and_the_others_stay() {
        let url = "postgres://u:p%40ss@h:1/d?passwd=hunter2&application_name=a%26b&options[x]=y";
        let known = without_unknown(url).unwrap();
        assert!(
            !known.contains("hunter2") && known.contains("p%40ss@h:1/d?"),
            "{}",
            *known
        );
        let options = parsed(url).unwrap();
        assert_eq!(options.get_application_name(), Some("a&b"));
        assert!(without_unknown("postgres://u:p@h/d?sslmode=require").is_none());
        assert_eq!(&*without_unknown("postgres:///d?x=1").unwrap(), "postgres:///d");
    }

    #[test]
    fn a_password_that_ends_too_early_is_not_taken_for_something_else() {
        for url in [
            "postgres://u:12/hunter2@h/d",
            "postgres://u:a@b/hunter2@h/d",
            "postgres://u:12?hunter2@h/d",
            "postgres://u:12#hunter2@h/d",
        ] {
            let error = parsed(url).unwrap_err();
            let message = format!(
                "{error}: {:?}",
                std::error::Error::source(&error).map(ToString::to_string)
            );
            assert!(
                message.contains("percent-encoded") && !message.contains("hunter2"),
                "{message}"
            );
        }
        for url in [
            "postgres://u:p@h/d?application_name=a@b",
            "postgres://u:p@q@h/d",
            "postgres:///d?host=/tmp&application_name=a@b",
            "postgres://h:5432/d",
        ] {
            parsed(url).unwrap();
        }
    }
}
