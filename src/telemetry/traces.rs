//! Traces over OTLP (HTTP, protobuf): the spans of [`crate::model::spans`], sent by the OpenTelemetry library in the background.
//! Standard variables add to it: `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::config::network::Network;
use crate::model::spans;
use crate::network::error::RouteError;
use crate::network::route::{Route, Target};

/// How long one request to the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of the program waits until the last spans are sent.
const FAREWELL: Duration = Duration::from_secs(2);

/// Sends spans to a collector.
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
}

impl Exporter {
    /// An exporter to the address, whose requests run on the runtime. Sends nothing yet.
    pub fn start(url: &Url, network: &Network, runtime: &Handle) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(url, network, runtime)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url.as_str())
            .with_timeout(PATIENCE)
            .build()
            .map_err(setup)?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("blueconic-sync");
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.with_attribute(version).build())
            .build();
        Ok(Self { provider })
    }

    /// The layer that takes the spans.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("blueconic-sync"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(spans::TARGET, LevelFilter::TRACE))
    }

    /// Sends what is left. Called outside of the runtime, which has to be there still.
    pub fn finish(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FAREWELL) {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

/// Traces cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to `log.traces_url`: {why}")]
pub struct TracesError {
    why: String,
}

impl TracesError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        "correct `log.traces_url`, or leave it out to send none"
    }
}

fn setup(why: impl Error) -> TracesError {
    let mut line = why.to_string();
    let mut source = why.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    TracesError { why: line }
}

/// The HTTP client of the exporter, which calls it from a thread of its own.
struct Collector {
    client: reqwest::Client,
    route: Arc<Route>,
    runtime: Handle,
    /// Whether the last request failed, so that an outage is logged once.
    fails: AtomicBool,
}

impl Collector {
    fn new(url: &Url, network: &Network, runtime: &Handle) -> Result<Self, TracesError> {
        let target = Target {
            what: "the collector of traces",
            url,
            is_shown: true,
        };
        let route = Route::to(target, network, PATIENCE).map_err(setup)?;
        let client = route.client().map_err(setup)?.timeout(PATIENCE).build();
        Ok(Self {
            client: client.map_err(|error| setup(RouteError::Client(error.without_url())))?,
            route: Arc::new(route),
            runtime: runtime.clone(),
            fails: AtomicBool::new(false),
        })
    }

    /// Logs the first failure of an outage, and its end.
    fn note(&self, failure: Option<&str>) {
        let failed = self.fails.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(why) if !failed => tracing::warn!("traces cannot be sent (`log.traces_url`): {why}"),
            None if failed => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

impl fmt::Debug for Collector {
    /// Without its address and headers, which may hold a secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Collector").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, route) = (self.client.clone(), Arc::clone(&self.route));
        let request = reqwest::Request::try_from(request)?;
        let sending = self.runtime.spawn(async move {
            // Nobody reads what a collector says.
            match client.execute(request).await {
                Ok(answer) => Ok(answer.status()),
                Err(error) => Err(match route.explain(&error).await {
                    Some(failure) => failure.to_string(),
                    None => error.without_url().to_string(),
                }),
            }
        });
        let status = match sending.await {
            Ok(Ok(status)) => status,
            Ok(Err(why)) => {
                self.note(Some(&why));
                return Err(why.into());
            }
            // The runtime has ended.
            Err(error) => return Err(error.into()),
        };
        let refusal = (!status.is_success()).then(|| format!("the collector answers with HTTP {status}"));
        self.note(refusal.as_deref());
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        Ok(response)
    }
}
