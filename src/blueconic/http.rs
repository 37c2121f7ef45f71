//! The HTTP connection to one tenant: time-outs, compression, and reading answers. It knows neither the requests nor the
//! meaning of answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::{RequestBuilder, Response};
use url::Url;

use crate::blueconic::address::Address;
use crate::blueconic::error::ClientError;
use crate::blueconic::incoming::{Bounds, Incoming};
use crate::config::network::Network;
use crate::config::settings::Tenant;
use crate::model::metrics::Traffic;
use crate::network::error::RouteError;
use crate::network::route::{Route, Target};

/// What `unpack` understands.
const PACKED: HeaderValue = HeaderValue::from_static("gzip, zstd, br");
const PLAIN: HeaderValue = HeaderValue::from_static("identity");

/// The most headers of an answer. Gateways add their own, so hyper's limit of 100 is too low.
const MOST_HEADERS: usize = 1000;

/// Makes requests to one tenant and reads their answers. Clones share connections.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    bounds: Bounds,
    accept_encoding: Option<HeaderValue>,
    route: Arc<Route>,
    proven: Arc<AtomicBool>,
    traffic: Arc<Traffic>,
}

impl Http {
    /// Sends nothing yet.
    pub(super) fn new(tenant: &Tenant, network: &Network, address: &Address) -> Result<Self, ClientError> {
        let local = address.is_loopback();
        let url = tenant.address()?;
        let target = Target {
            what: "the tenant",
            url: &url,
            is_shown: true,
        };
        let route = Route::to(target, network, tenant.connect_timeout)?;
        let builder = route
            .client()?
            .read_timeout(tenant.read_timeout)
            .https_only(!local)
            .http1_max_headers(MOST_HEADERS);
        let client = builder
            .build()
            .map_err(|error| RouteError::Client(error.without_url()))?;
        // Compressing costs on one machine what it saves on a network.
        let accept_encoding = match tenant.compression {
            Some(true) => Some(PACKED),
            Some(false) => Some(PLAIN),
            None => (!local).then_some(PACKED),
        };
        Ok(Self {
            client,
            bounds: Bounds::of(tenant),
            accept_encoding,
            route: Arc::new(route),
            proven: Arc::default(),
            traffic: Arc::default(),
        })
    }

    /// The same connections with other counters.
    pub(super) fn counting(self, traffic: Arc<Traffic>) -> Self {
        Self { traffic, ..self }
    }

    /// The same connections for another endpoint, which has not answered yet.
    pub(super) fn aside(&self) -> Self {
        Self {
            proven: Arc::default(),
            ..self.clone()
        }
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.prepared(self.client.get(url))
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.prepared(self.client.post(url))
    }

    fn prepared(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.accept_encoding {
            Some(accepted) => request.header(ACCEPT_ENCODING, accepted.clone()),
            None => request,
        }
    }

    /// Reads the body of an answer.
    pub(super) fn incoming(&self, response: Response) -> Incoming {
        Incoming::new(response, self.bounds, Arc::clone(&self.traffic))
    }

    /// What is counted of all requests.
    pub(super) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// The error of a request that brought no answer.
    pub(super) async fn unanswered(&self, call: &str, error: reqwest::Error) -> ClientError {
        match self.route.explain(&error).await {
            Some(failure) => ClientError::unconnected(call, failure, self.is_proven()),
            None => ClientError::transport(call, error),
        }
    }

    /// Whether the tenant itself has answered on this address. A foreign answer after that is treated as temporary.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// The tenant itself has answered.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }
}
