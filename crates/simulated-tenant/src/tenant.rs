//! A running simulated tenant: how it is started, asked and stopped. What can be done to its data is in `mutators`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;
use crate::lists::ServedList;
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Faults to order.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// What it was asked.
    pub fn requests(&self) -> &Requests {
        &self.state.requests
    }

    /// The tenant's time in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.state.clock.now()
    }

    /// Puts the tenant's clock forward: tokens expire, audit events fall out of retention.
    pub fn advance(&self, time: Duration) {
        self.state.clock.advance(time);
    }

    /// The form of answers from the next request on.
    pub fn set_shape(&self, shape: Shape) {
        self.state.set_shape(shape);
    }

    /// Kills every access token.
    pub fn revoke_tokens(&self) {
        self.state.oauth.revoke_all();
    }

    /// Ends every authorization: its refresh tokens and its access tokens.
    pub fn revoke_authorizations(&self) {
        self.state.oauth.revoke_authorizations();
    }

    /// How many refresh tokens would be taken.
    pub fn valid_refresh_tokens(&self) -> usize {
        self.state.oauth.valid_refresh_tokens()
    }

    /// How many access tokens live.
    pub fn valid_tokens(&self) -> usize {
        self.state.oauth.valid_tokens(self.now())
    }

    /// Switches the application on or off; off, its tokens die and it gets none.
    pub fn switch_application(&self, enabled: bool) {
        self.state.oauth.switch(enabled);
    }

    /// Gives the application a new secret; the tokens of the old one die.
    pub fn rotate_secret(&self, secret: impl Into<SecretString>) {
        self.state.oauth.rotate_secret(secret.into());
    }

    /// The scopes of the application, also for tokens that live.
    pub fn set_scopes(&self, scopes: &[String]) {
        self.state.oauth.set_scopes(scopes);
    }

    /// The elements of a list that it was given, by its path.
    pub fn listed(&self, path: &str) -> Vec<serde_json::Value> {
        let served = self.state.lists.iter().find(|served| served.list.path == path);
        served.map_or_else(Vec::new, ServedList::values)
    }

    /// Ends all connections as they stand and frees the port.
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
