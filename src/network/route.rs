//! The way to one server: the HTTP client for it, and the explanation of a connection that did not come about.

use std::sync::Arc;
use std::time::Duration;

use reqwest::ClientBuilder;
use rustls::ClientConfig;
use url::Url;

use super::error::RouteError;
use super::failure::{Cause, Failure, Hop};
use super::reading::{self, Reading};
use super::{tls, tunnel};
use crate::config::network::Network;
use crate::config::proxy::Proxy;

/// How long a proxy is asked at the most, once a connection has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is at the end of a way.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// How messages call it: "the tenant".
    pub what: &'static str,
    /// Where it is.
    pub url: &'a Url,
    /// Whether messages may name its host.
    pub is_shown: bool,
}

/// The way to one server, by the settings.
#[derive(Debug, Clone)]
pub struct Route {
    what: &'static str,
    /// Its host and port.
    server: String,
    is_shown: bool,
    proxy: Option<Proxy>,
    tls: Arc<ClientConfig>,
    patience: Duration,
}

impl Route {
    /// Finds the way. Sends nothing. `patience` is how long a connection may take to open.
    pub fn to(target: Target<'_>, network: &Network, patience: Duration) -> Result<Self, RouteError> {
        let url = target.url;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        Ok(Self {
            what: target.what,
            server: format!("{host}:{port}"),
            is_shown: target.is_shown,
            proxy: network.proxies.to(url)?,
            tls: Arc::new(tls::trusting(&network.authorities)?),
            patience,
        })
    }

    /// A client that goes this way, follows no redirect and repeats nothing.
    pub fn client(&self) -> Result<ClientBuilder, RouteError> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("blueconic-sync/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.patience)
            .tls_backend_preconfigured((*self.tls).clone())
            // Which proxy is used is decided by the settings alone.
            .no_proxy()
            .retry(reqwest::retry::never());
        Ok(match &self.proxy {
            Some(proxy) => {
                let proxy = reqwest::Proxy::all(proxy.address.expose());
                builder.proxy(proxy.map_err(|error| RouteError::Client(error.without_url()))?)
            }
            None => builder,
        })
    }

    /// Why a request of the client brought no connection; none if there was one.
    pub async fn explain(&self, error: &reqwest::Error) -> Option<Failure> {
        if !error.is_connect() {
            return None;
        }
        let (read, detail) = {
            let causes = reading::causes(error);
            let read = reading::read(&causes, error.is_timeout(), self.proxy.is_some());
            (read, causes.last().map(ToString::to_string))
        };
        let (hop, cause) = match (read, &self.proxy) {
            (Reading::Told(hop, cause), _) => (hop, cause),
            (Reading::AskProxy, Some(proxy)) => {
                let asked = tunnel::ask(proxy, &self.server, &self.tls, self.patience.min(PATIENCE));
                asked
                    .await
                    .unwrap_or((Hop::Server, reading::unknown(error.is_timeout())))
            }
            (Reading::AskProxy, None) => (Hop::Server, reading::unknown(error.is_timeout())),
        };
        Some(Failure {
            hop,
            cause,
            what: self.what,
            address: self.is_shown.then(|| self.server.clone()),
            proxy: self
                .proxy
                .as_ref()
                .map(|proxy| format!("{} ({})", proxy.shown, proxy.named_by)),
            // A certificate that is for another host brings the name of the expected one.
            detail: detail.filter(|_| self.is_shown || !matches!(cause, Cause::Certificate(_))),
        })
    }
}
