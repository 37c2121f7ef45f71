//! Traces: what a collector gets of a backfill, and what happens without one.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::support::{scene, small};

/// A collector of traces, which answers with a status.
struct Collector {
    address: SocketAddr,
    got: Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>,
}

impl Collector {
    async fn start(status: StatusCode) -> Self {
        let got: Arc<Mutex<Vec<_>>> = Arc::default();
        let take = async move |State(got): State<Arc<Mutex<Vec<_>>>>, headers: HeaderMap, body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            got.lock().unwrap().push((headers, request));
            status
        };
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&got));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, got }
    }

    fn url(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().unwrap();
        let resources = got.iter().flat_map(|(_, request)| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<&str, String> {
    all.iter().map(|one| (one.key.as_str(), text(one))).collect()
}

fn text(attribute: &KeyValue) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_a_span_for_each_run_page_and_batch() {
    let scene = scene(small(300)).await;
    let collector = Collector::start(StatusCode::OK).await;
    let traced = scene
        .program
        .set("resources.profiles.page_size", "100")
        .set("log.traces_url", &collector.url())
        .with("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary-of-traces")
        // What is logged has nothing to do with it.
        .with("RUST_LOG", "error");
    let ended = traced
        .start(&["backfill", "profiles"])
        .ended(Duration::from_mins(1))
        .await;
    ended.expect(0);
    assert_eq!(ended.stderr, "");

    let spans = collector.spans();
    let runs: Vec<&Span> = spans
        .iter()
        .filter(|span| span.name.starts_with("run "))
        .collect();
    assert_eq!(runs.len(), 1, "{spans:#?}");
    assert_eq!(runs[0].name, "run profiles/full");
    let facts = attributes(&runs[0].attributes);
    assert_eq!(facts["resource"], "profiles");
    assert_eq!(facts["status"], "succeeded");
    assert_eq!(facts["rows_inserted"], "300");
    let run_id: String = scene.database.one("select id::text from sync.runs").await;
    assert_eq!(facts["run_id"], run_id);
    // Everything else happened within it.
    let parents: HashSet<&[u8]> = spans.iter().map(|span| span.parent_span_id.as_slice()).collect();
    assert_eq!(parents, HashSet::from([&[][..], &runs[0].span_id[..]]));
    let pages = spans
        .iter()
        .filter(|span| span.kind == 3 && span.name.ends_with("/profiles"));
    let pages: Vec<_> = pages.map(|page| attributes(&page.attributes)).collect();
    let elements = pages.iter().filter_map(|page| page.get("elements"));
    let elements: u64 = elements.map(|count| count.parse::<u64>().unwrap()).sum();
    assert!(pages.len() >= 3, "{pages:?}");
    // Some elements are profiles that have lost a merge.
    assert_eq!(elements.to_string(), facts["rows_read"]);
    let batches = spans.iter().filter(|span| span.name == "batch of profiles");
    let inserted = batches.map(|batch| attributes(&batch.attributes)["inserted"].parse::<u64>().unwrap());
    assert_eq!(inserted.sum::<u64>(), 300);

    let got = collector.got.lock().unwrap();
    let (headers, request) = &got[0];
    assert_eq!(headers["authorization"], "canary-of-traces");
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attributes(&resource.attributes)["service.name"], "blueconic-sync");
    // Nothing of a person, and no secret.
    let all = format!("{got:?}");
    assert!(!all.contains(&scene.tenant.id(7)));
    for (name, secret) in traced.variables() {
        assert!(
            !name.contains("SECRET") || !all.contains(secret.as_str()),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_or_is_not_there_is_told_once_and_holds_nothing_up() {
    let scene = scene(small(50)).await;
    let refuses = Collector::start(StatusCode::FORBIDDEN).await;
    let away = format!("http://{}/v1/traces", crate::support::ports::free());
    for (url, why) in [(refuses.url(), "HTTP 403"), (away, "refuses the connection")] {
        let program = scene.program.set("log.traces_url", &url);
        let ended = program
            .start(&["backfill", "segments"])
            .ended(Duration::from_mins(1))
            .await;
        ended.expect(0);
        ended.tells(&["traces cannot be sent (`log.traces_url`)", why]);
        assert_eq!(
            ended.stderr.matches("traces cannot be sent").count(),
            1,
            "{ended:?}"
        );
    }
    for (address, why) in [
        (
            "collector:4318",
            "such as http://collector.example:4318/v1/traces",
        ),
        (
            "http://me:hunter2@collector.example/v1/traces",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
    ] {
        let wrong = scene
            .program
            .set("log.traces_url", address)
            .expect(2, &["status"])
            .await;
        wrong.tells(&["log.traces_url", why]);
        assert!(!wrong.stderr.contains("hunter2"), "{wrong:?}");
    }
}
