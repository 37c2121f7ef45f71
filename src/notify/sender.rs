//! Sends to the webhook and to the dead-man switch: the only place that knows their addresses. Each request has an end, follows no
//! redirect, and takes the same way as requests to the tenant.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder};

use super::error::NotifyError;
use super::message::Message;
use crate::config::network::Network;
use crate::config::notify::{MessageFormat, Notify, SecretUrl};
use crate::model::notification::Notification;
use crate::network::error::RouteError;
use crate::network::route::{Route, Target};

/// How long one request may take in all.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// One address that is asked.
#[derive(Clone)]
struct Endpoint {
    what: &'static str,
    client: Client,
    route: Arc<Route>,
    url: SecretUrl,
}

/// Sends messages and signs of life.
#[derive(Clone)]
pub struct Sender {
    webhook: Option<Endpoint>,
    heartbeat: Option<Endpoint>,
    format: MessageFormat,
}

impl Sender {
    /// A sender for the addresses of the settings. Sends nothing yet.
    pub fn new(settings: &Notify, network: &Network) -> Result<Self, NotifyError> {
        let endpoint = |what, url: &Option<SecretUrl>| {
            let url = url.clone();
            url.map(|url| Endpoint::new(what, url, network)).transpose()
        };
        Ok(Self {
            webhook: endpoint("the webhook", &settings.webhook_url)?,
            heartbeat: endpoint("the dead-man switch", &settings.heartbeat_url)?,
            format: settings.format,
        })
    }

    /// Whether messages have an address.
    pub fn has_webhook(&self) -> bool {
        self.webhook.is_some()
    }

    /// Whether a dead-man switch has one.
    pub fn has_heartbeat(&self) -> bool {
        self.heartbeat.is_some()
    }

    /// Sends one message about everything that is due. Without an address nothing is sent.
    pub async fn tell(&self, due: &[Notification], tenant: Option<&str>) -> Result<(), NotifyError> {
        self.post(&Message::Due(due), tenant).await
    }

    /// Sends a test message. Without an address nothing is sent.
    pub async fn test(&self, tenant: Option<&str>) -> Result<(), NotifyError> {
        self.post(&Message::Test, tenant).await
    }

    /// Sends a sign of life. Without an address nothing is sent.
    pub async fn beat(&self) -> Result<(), NotifyError> {
        let Some(heartbeat) = &self.heartbeat else {
            return Ok(());
        };
        heartbeat.send(heartbeat.client.get(heartbeat.url.expose())).await
    }

    async fn post(&self, message: &Message<'_>, tenant: Option<&str>) -> Result<(), NotifyError> {
        let Some(webhook) = &self.webhook else {
            return Ok(());
        };
        let body = message.body(self.format, tenant).to_string();
        let request = webhook
            .client
            .post(webhook.url.expose())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        webhook.send(request).await
    }
}

impl Endpoint {
    fn new(what: &'static str, url: SecretUrl, network: &Network) -> Result<Self, NotifyError> {
        let setup = |error: RouteError| match error {
            RouteError::Settings(error) => NotifyError::Settings(error),
            source => NotifyError::Setup { what, source },
        };
        let target = Target {
            what,
            url: url.origin(),
            is_shown: false,
        };
        let route = Route::to(target, network, PATIENCE).map_err(setup)?;
        let builder = route.client().map_err(setup)?.timeout(PATIENCE);
        let client = builder
            .build()
            .map_err(|error| setup(RouteError::Client(error.without_url())))?;
        Ok(Self {
            what,
            client,
            route: Arc::new(route),
            url,
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<(), NotifyError> {
        let what = self.what;
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                return Err(match self.route.explain(&error).await {
                    Some(failure) => NotifyError::Unconnected(failure),
                    None => NotifyError::Unanswered {
                        what,
                        source: error.without_url(),
                    },
                });
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        Err(NotifyError::Refused {
            what,
            status: status.as_u16(),
        })
    }
}
