//! The probe beside the vendor's document: every request that it sends is one that the document knows, and of a mock server that
//! follows the document it tells that it is none of the tenants that are assumed.

use std::time::Duration;

use serde_json::Value;
use simulated_tenant::read_paths::ReadPaths;
use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant;

use super::document::Document;
use super::judge::judge;
use super::prism::Prism;
use super::recorder::Recorder;
use super::service::Service;
use super::support::registry;

const API: &str = "/rest/v2";

fn found<'a>(report: &'a Value, question: &str) -> (&'a str, &'a str) {
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|one| one["question"] == question).unwrap();
    let said = finding["found"].as_str().or(finding["follows"].as_str());
    (finding["state"].as_str().unwrap(), said.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_probe_is_one_that_the_document_knows() {
    let document = Document::load();
    let settings = Settings {
        profiles: 400,
        audit_events: 300,
        audit_order: AuditOrder::OldestFirst,
        merged_per_thousand: 200,
        index_lag: Duration::from_secs(2),
        read_paths: Some(ReadPaths::default()),
        ..Settings::default()
    }
    .with_lists(registry::lists());
    let tenant = tenant::start(settings).await.unwrap();
    assert!(tenant.set_modified(3, tenant.now()));
    let recorder = Recorder::before(tenant.url()).await;
    let service = Service::before(&recorder.url).await;
    service.run(&["probe", "--patience", "4s"]).await.expect(0);
    service.stop().await;
    let requests = recorder.all();
    assert!(requests.len() > 40, "{}", requests.len());
    for request in &requests {
        let verdict = judge(&document, API, request);
        assert!(verdict.objections.is_empty(), "{verdict:?} in {request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mock_server_of_the_document_is_told_to_be_odd() {
    let document = Document::load();
    let prism = Prism::start(&document).await;
    let mut service = Service::before(&prism.url).await;
    service.set("BLUECONIC_SYNC__TENANT__API_PATH", "");
    service.run(&["migrate"]).await.expect(0);
    let ended = service.run(&["probe", "--json", "--patience", "1s"]).await;
    let report = ended.expect(0).json();
    assert!(report["requests"].as_u64().unwrap() < 200, "{report:#}");
    // It has no document of its own, and every cursor leads to the one example.
    assert_eq!(found(&report, "release").0, "unanswered", "{report:#}");
    assert_eq!(found(&report, "refused_cursor").0, "differs", "{report:#}");
    assert_eq!(found(&report, "count").0, "differs", "{report:#}");
    let kept: i64 = sqlx::query_scalar("select count(*) from sync.probe")
        .fetch_one(&service.database)
        .await
        .unwrap();
    assert_eq!(kept, 1);
    service.stop().await;
}
