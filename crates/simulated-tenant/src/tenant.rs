//! A running simulated tenant: starts, stops and observes it. `mutators` changes its data.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;
use crate::lists::{self, ServedList};
use crate::read_paths::ReadPaths;
use crate::requests::Requests;
use crate::server::serve;
pub use crate::settings::Settings;
use crate::shape::Shape;
use crate::state::State;

/// A running tenant. Dropping it stops it.
pub struct Tenant {
    pub(crate) state: Arc<State>,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Starts a tenant on the loopback address, in tasks of the current runtime.
///
/// Making a tenant of five million profiles takes about a second: its members are counted.
pub async fn start(settings: Settings) -> io::Result<Tenant> {
    settings.check()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
    let address = listener.local_addr()?;
    let state = Arc::new(State::new(settings, format!("http://{address}")));
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, Arc::clone(&state), stop.clone()));
    Ok(Tenant {
        state,
        address,
        stop,
        task,
    })
}

impl Tenant {
    /// `http://127.0.0.1:PORT`, without the API's path.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The faults, to order new ones.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// The log of requests.
    pub fn requests(&self) -> &Requests {
        &self.state.requests
    }

    /// The tenant's time in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.state.clock.now()
    }

    /// Advances the tenant's clock: tokens expire, and old audit events leave the retention time.
    pub fn advance(&self, time: Duration) {
        self.state.clock.advance(time);
    }

    /// The form of answers from the next request on.
    pub fn set_shape(&self, shape: Shape) {
        self.state.set_shape(shape);
    }

    /// The read paths from the next request on, of a tenant that was started with read paths.
    pub fn set_read_paths(&self, read_paths: ReadPaths) {
        self.state.set_read_paths(read_paths);
    }

    /// Revokes every access token.
    pub fn revoke_tokens(&self) {
        self.state.oauth.revoke_all();
    }

    /// Ends every authorization: its refresh tokens and its access tokens.
    pub fn revoke_authorizations(&self) {
        self.state.oauth.revoke_authorizations();
    }

    /// The number of valid refresh tokens.
    pub fn valid_refresh_tokens(&self) -> usize {
        self.state.oauth.valid_refresh_tokens()
    }

    /// The number of active access tokens.
    pub fn valid_tokens(&self) -> usize {
        self.state.oauth.valid_tokens(self.now())
    }

    /// Switches the application on or off. Off, its tokens are revoked and it gets no new ones.
    pub fn switch_application(&self, enabled: bool) {
        self.state.oauth.switch(enabled);
    }

    /// Sets a new secret of the application and revokes the tokens of the old one.
    pub fn rotate_secret(&self, secret: impl Into<SecretString>) {
        self.state.oauth.rotate_secret(secret.into());
    }

    /// Sets the scopes of the application, also for active tokens.
    pub fn set_scopes(&self, scopes: &[String]) {
        self.state.oauth.set_scopes(scopes);
    }

    /// The elements of a given list, by its path, or the tenant's own group types or groups. An element of a list with parents has its
    /// parent's id as the member `parent`.
    pub fn listed(&self, path: &str) -> Vec<serde_json::Value> {
        if self.state.group_types_at(path).is_some() {
            let types = self.state.world().groups.type_nodes();
            return types.iter().map(lists::json_of).collect();
        }
        let own: Vec<serde_json::Value> = self.state.world().groups.listed(path);
        if !own.is_empty() {
            return own;
        }
        self.listed_by(|served| served.list.path == path && !served.is_of_texts(), &[])
    }

    /// The elements of a given list, by its path, whose parents may be any texts: those of these texts, each as the member `parent`.
    pub fn listed_about(&self, path: &str, texts: &[String]) -> Vec<serde_json::Value> {
        self.listed_by(|served| served.list.path == path && served.is_of_texts(), texts)
    }

    /// The elements of a given list by day, by its path: those of these parents and this day, as a request names it.
    pub fn listed_on(&self, path: &str, parents: &[String], day: &str) -> Vec<serde_json::Value> {
        let served = self.state.lists.iter().find(|served| served.list.path == path);
        served.map_or_else(Vec::new, |served| served.values_of_day(parents, day))
    }

    fn listed_by(&self, is_wanted: impl Fn(&ServedList) -> bool, texts: &[String]) -> Vec<serde_json::Value> {
        let served = self.state.lists.iter().find(|served| is_wanted(served));
        served.map_or_else(Vec::new, |served| served.values(texts))
    }

    /// Drops all connections and frees the port.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the simulated tenant did not end by itself");
        }
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
