//! A whole walk over the simulated tenant while everything goes wrong: every profile comes, no page is passed over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use blueconic_sync::blueconic::auth::memory::MemoryTokens;
use blueconic_sync::blueconic::client::Client;
use blueconic_sync::config::load::load;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::page::{Meter, Request};
use blueconic_sync::resources::registry::RESOURCES;
use secrecy::ExposeSecret;
use simulated_tenant::faults::{Fault, Kind, RetryAfter, Route, When};
use simulated_tenant::settings::Settings;
use simulated_tenant::shape::{KeyOrder, Layout, NextCursor, Shape};
use simulated_tenant::tenant::{self, Tenant};

use crate::support::client::{TestClock, read_on};

async fn troubled() -> (Tenant, Client<MemoryTokens>) {
    let settings = Settings {
        profiles: 3_000,
        ..Settings::default()
    };
    let variables: Variables = [
        ("BLUECONIC_CLIENT_ID", settings.client_id.clone()),
        (
            "BLUECONIC_CLIENT_SECRET",
            settings.client_secret.expose_secret().to_owned(),
        ),
        ("BLUECONIC_SYNC__TENANT__READ_TIMEOUT", "300ms".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    let tenant = tenant::start(settings).await.unwrap();
    let mut variables = variables;
    variables.insert("BLUECONIC_URL".to_owned(), tenant.url().into());
    let clock = TestClock::new();
    let store = MemoryTokens::new(Arc::clone(&clock) as _);
    let client = Client::new(&load(None, &variables, RESOURCES).unwrap(), store, clock).unwrap();
    (tenant, client)
}

fn order_trouble(tenant: &Tenant) {
    let status = |status, retry_after| Kind::Status { status, retry_after };
    let faults = [
        (When::Request(1), Kind::Reset),
        (When::Request(3), status(503, Some(RetryAfter::Seconds(9)))),
        (When::Every(7), Kind::CutAfter(90_000)),
        (When::Every(11), Kind::EndAfter(70_001)),
        (When::Request(9), Kind::TokensDie),
        (When::Request(13), Kind::Html),
        (When::Request(15), Kind::Empty),
        (
            When::Request(16),
            status(429, Some(RetryAfter::Date(Duration::from_secs(20)))),
        ),
        (When::Request(18), status(500, None)),
        (
            When::Request(20),
            Kind::Stall {
                after: 50_000,
                pause: Duration::from_secs(2),
            },
        ),
    ];
    for (when, kind) in faults {
        tenant.faults().push(Fault::at(Route::Profiles, when, kind));
    }
    tenant
        .faults()
        .push(Fault::at(Route::Token, When::Request(1), status(503, None)));
}

fn page(cursor: &str) -> Request {
    Request {
        path: "/segments/allvisitors/profiles".to_owned(),
        query: vec![("cursor", cursor.to_owned()), ("count", "200".to_owned())],
        arrays: &["profiles"],
        scope: "read:segments",
    }
}

#[tokio::test]
async fn a_walk_through_every_fault_brings_every_profile() {
    let (tenant, client) = troubled().await;
    order_trouble(&tenant);
    let meter = Meter::default();
    let mut ids = BTreeSet::new();
    let mut cursor = "*".to_owned();
    for number in 0.. {
        tenant.set_shape(Shape {
            layout: [Layout::Minified, Layout::Pretty, Layout::Airy][number % 3],
            key_order: [KeyOrder::Documented, KeyOrder::Reversed, KeyOrder::Shuffled][number % 3],
            next_cursor: [NextCursor::BeforeProfiles, NextCursor::AfterProfiles][number % 2],
            unknown_keys: number % 2 == 0,
            ..Shape::default()
        });
        let (elements, end) = read_on(&client, &page(&cursor), &meter).await.unwrap();
        for element in &elements {
            let profile: serde_json::Value = serde_json::from_str(element).unwrap();
            ids.insert(profile["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(end.head().total_results, Some(3_000));
        match end.head().next_cursor.clone() {
            Some(next) if next != cursor => cursor = next,
            _ => break,
        }
    }
    let expected: BTreeSet<String> = tenant.profiles().map(|profile| profile.id).collect();
    assert_eq!(ids, expected);
    assert!(
        tenant.faults().given() >= 11,
        "{} faults",
        tenant.faults().given()
    );
    assert_eq!(meter.read().0, tenant.requests().count(Route::Profiles) as u64);
    tenant.stop().await;
}
