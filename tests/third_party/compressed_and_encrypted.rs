//! A tenant behind other people's servers: compressed, encrypted, chunked and buffered in their way. What arrives in the
//! tables must be what the tenant holds, and a certificate that is not right must end everything before a secret is sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use simulated_tenant::faults::{Fault, Kind as FaultKind, Route, When};
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::{self, Tenant};

use super::certificates::{Authority, HOST};
use super::front::{Front, Kind};
use super::service::Service;

async fn tenant() -> Tenant {
    let settings = Settings {
        profiles: 1_500,
        ..Settings::default()
    };
    tenant::start(settings).await.unwrap()
}

/// A backfill through a server that compresses, with one body cut on the tenant's side of it.
async fn arrives_whole(kind: Kind, encoding: &str) {
    let tenant = tenant().await;
    let authority = Authority::new("own");
    let front = Front::start(kind, tenant.url(), &authority.issue(HOST, 2)).await;
    let mut service = Service::before(&front.url).await;
    service.set("SSL_CERT_FILE", &authority.file());
    service.set("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "100");
    let cut = Fault::at(Route::Profiles, When::Request(3), FaultKind::CutAfter(100_000));
    let cut = tenant.faults().push(cut);

    let ended = service.run(&["backfill", "--full", "--json"]).await.expect(0);
    assert_eq!(tenant.faults().given_of(cut), 1);
    assert_eq!(ended.run_of("profiles")["retries"], 1, "{}", ended.stderr);
    assert_eq!(stored(&service).await, held(&tenant));
    answers_were_as_ordered(&front, kind, encoding);
    service.stop().await;
}

/// What the tables hold: id → properties.
async fn stored(service: &Service) -> BTreeMap<String, Value> {
    let query = "select id, properties from blueconic.profiles";
    let rows: Vec<(String, Value)> = sqlx::query_as(query).fetch_all(&service.database).await.unwrap();
    rows.into_iter().collect()
}

/// What the tenant holds.
fn held(tenant: &Tenant) -> BTreeMap<String, Value> {
    let profiles = tenant.profiles().map(|profile| {
        let properties = profile.properties.unwrap_or_default().into_iter();
        let properties: BTreeMap<String, Vec<String>> = properties
            .map(|property| (property.id, property.values))
            .collect();
        (profile.id, json!(properties))
    });
    profiles.collect()
}

/// All bodies were compressed, on connections that were used again; nginx ended one after seven. A client that went away
/// is a 499 to nginx and a 0 to Caddy: the page that was asked for ahead is given up when the one before it breaks.
fn answers_were_as_ordered(front: &Front, kind: Kind, encoding: &str) {
    let mut answers = front.answers();
    let all = format!("{answers:?}");
    let asked = answers.len();
    let given_up = answers
        .iter()
        .filter(|answer| matches!(answer.status, 0 | 499))
        .count();
    assert!(given_up <= 1, "{all}");
    // This tenant lacks the lists beside segments and properties.
    let missing = answers.iter().filter(|answer| answer.status == 404).count();
    answers.retain(|answer| answer.status == 200);
    assert_eq!(answers.len() + given_up + missing, asked, "{all}");
    let encodings: BTreeSet<&str> = answers.iter().map(|answer| answer.encoding.as_str()).collect();
    assert_eq!(encodings, BTreeSet::from([encoding]), "{answers:?}");
    let connections: BTreeSet<&str> = answers.iter().map(|answer| answer.connection.as_str()).collect();
    assert!(connections.len() * 2 < answers.len(), "{answers:?}");
    if kind != Kind::CaddyZstd {
        assert!(connections.len() > 1, "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_through_nginx() {
    arrives_whole(Kind::NginxGzip, "gzip").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brotli_through_nginx() {
    arrives_whole(Kind::NginxBrotli, "br").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zstd_through_caddy() {
    arrives_whole(Kind::CaddyZstd, "zstd").await;
}

/// One line that says what is wrong and what to do, at once, and no request.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_is_refused_before_anything_is_sent() {
    let tenant = tenant().await;
    let authority = Authority::new("own");
    let stranger = Authority::new("stranger");
    for (what, certificate, trusted, reason, advice) in [
        (
            "not known",
            authority.issue(HOST, 2),
            stranger.file(),
            "UnknownIssuer",
            "network.ca_file",
        ),
        (
            "expired",
            authority.issue(HOST, -1),
            authority.file(),
            "has expired",
            "clock",
        ),
        (
            "another's",
            authority.issue("192.0.2.1", 2),
            authority.file(),
            "not valid for name",
            "something else answers",
        ),
    ] {
        let front = Front::start(Kind::NginxGzip, tenant.url(), &certificate).await;
        let mut service = Service::before(&front.url).await;
        service.set("SSL_CERT_FILE", &trusted);
        for command in ["backfill", "check"] {
            let ended = service.run(&[command]).await.expect(1);
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(
                said.contains("the certificate of the tenant") && said.contains("is not trusted"),
                "{what}: {said}"
            );
            assert!(said.contains(reason), "{what}: {said}");
            assert!(said.contains(advice), "{what}: {said}");
            assert!(!said.contains("gave up"), "{what}: {said}");
        }
        service.stop().await;
    }
    assert_eq!(tenant.requests().all(), []);
}
