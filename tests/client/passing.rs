//! Faults that look final and pass: statuses of gateways, a firewall's refusals, redirects, a token that is too new.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::model::page::Meter;
use blueconic_sync::model::ports::Source;

use crate::support::client::{
    Tenant, TestClock, bearer, granted, html, json, listing, read_on, status, with_header,
};

const DENIED: &str = r#"{"code":403,"message":"no right"}"#;

async fn refused(tenant: &Tenant, cursor: &str) -> Fault {
    let client = tenant.client(&TestClock::new(), &[]);
    client
        .open(&listing("/p", cursor), 0, &Meter::default())
        .await
        .err()
        .unwrap()
}

#[tokio::test]
async fn every_status_of_trouble_passes_at_a_page_and_at_the_token() {
    for code in (500..600).chain([408, 421, 423, 424, 425, 429, 420, 449, 499]) {
        let tenant = Tenant::start().await;
        tenant.then(move |_| html(code)).then(move |_| status(code, ""));
        tenant.tokens(move |number| {
            if number == 1 {
                html(code)
            } else {
                granted(number, 3600)
            }
        });
        let client = tenant.client(&TestClock::new(), &[]);
        let meter = Meter::default();
        read_on(&client, &listing("/p", "abc"), &meter).await.unwrap();
        assert_eq!((tenant.token_requests(), meter.read().0), (2, 3), "{code}");
    }
}

#[tokio::test]
async fn a_firewalls_refusal_is_waited_out_and_never_reported_as_a_scope() {
    for make in [
        (|| html(403)) as fn() -> axum::response::Response,
        || status(403, ""),
        || status(403, "Sorry, you have been blocked"),
        || html(401),
        || with_header(status(403, DENIED), "content-type", "application/problem+json"),
        || with_header(status(403, DENIED), "cf-mitigated", "challenge"),
    ] {
        let tenant = Tenant::start().await;
        tenant.then(move |_| make());
        let client = tenant.client(&TestClock::new(), &[]);
        let meter = Meter::default();
        read_on(&client, &listing("/p", "abc"), &meter).await.unwrap();
        assert_eq!(meter.read().0, 2);
        tenant.always(move |_| make());
        let fault = refused(&tenant, "*").await;
        assert_eq!(fault.kind, Kind::Transient, "{fault}");
        let reported = format!("{} {}", fault.sentence(), fault.hint.unwrap());
        assert!(
            reported.contains("not from the tenant's API") && reported.contains("gave up after"),
            "{reported}"
        );
        assert!(
            reported.contains("in front of the tenant") && !reported.contains("scope"),
            "{reported}"
        );
    }
    // The API's own word is final at once.
    let tenant = Tenant::start().await;
    tenant.always(|_| status(403, DENIED));
    let fault = refused(&tenant, "*").await;
    assert!(matches!(fault.kind, Kind::Denied { .. }), "{fault}");
    assert_eq!(tenant.requests(), 1);
}

#[tokio::test]
async fn what_answers_in_the_tenants_place_is_an_accident_once_the_tenant_has_answered() {
    let elsewhere = |code| with_header(status(code, ""), "location", "https://login.example/");
    for make in [
        Arc::new(move || elsewhere(302)) as Arc<dyn Fn() -> axum::response::Response + Send + Sync>,
        Arc::new(move || elsewhere(307)),
        Arc::new(|| html(404)),
        Arc::new(|| html(405)),
        Arc::new(|| html(200)),
        Arc::new(|| status(202, "")),
        Arc::new(|| status(304, "")),
    ] {
        let tenant = Tenant::start().await;
        let client = tenant.client(&TestClock::new(), &[]);
        let meter = Meter::default();
        read_on(&client, &listing("/p", "*"), &meter).await.unwrap();
        // More often than an answer of something else is believed to be an accident at first.
        for _ in 0..8 {
            let make = Arc::clone(&make);
            tenant.then(move |_| make());
        }
        read_on(&client, &listing("/p", "next"), &meter).await.unwrap();
        assert_eq!(meter.read().0, 10);
        // Before it has answered, an address is more likely to be wrong.
        let again = Arc::clone(&make);
        tenant.always(move |_| again());
        let before = tenant.requests();
        let fault = refused(&tenant, "*").await;
        assert!(matches!(fault.kind, Kind::Final | Kind::Settings), "{fault}");
        assert!(tenant.requests() - before <= 4, "{fault}");
        assert!(fault.hint.unwrap().contains("BLUECONIC_URL"));
    }
}

#[tokio::test]
async fn the_token_endpoint_behind_a_gateway_passes_and_its_own_word_is_final() {
    let clock = TestClock::new();
    let tenant = Tenant::start().await;
    tenant.tokens(|number| match number {
        1..=5 => html(403),
        6 => status(520, ""),
        7 => html(401),
        8 => html(404),
        _ => status(
            201,
            r#"{"access_token":"t","expires_in":"3600.0","token_type":"bearer"}"#,
        ),
    });
    tenant.client(&clock, &[]).sign_in().await.unwrap();
    assert_eq!(tenant.token_requests(), 9);
    for (code, body) in [
        (
            200,
            r#"{"error":"invalid_client","error_description":"Unknown client"}"#,
        ),
        (
            401,
            r#"{"error":"invalid_client","error_description":"Unknown client"}"#,
        ),
        (
            403,
            r#"{"error":"invalid_client","error_description":"Unknown client"}"#,
        ),
    ] {
        let tenant = Tenant::start().await;
        tenant.tokens(move |_| status(code, body));
        let fault = tenant.client(&clock, &[]).sign_in().await.err().unwrap();
        assert_eq!(fault.kind, Kind::Final);
        let expected = format!("the tenant gives no token (invalid_client, HTTP {code}): Unknown client");
        assert_eq!(fault.sentence(), expected);
        assert!(fault.hint.unwrap().contains("BLUECONIC_CLIENT_SECRET"));
        assert_eq!(tenant.token_requests(), 1);
    }
    let tenant = Tenant::start().await;
    tenant.tokens(|number| match number {
        1 => json(r#"{"error":"temporarily_unavailable"}"#),
        _ => granted(number, 3600),
    });
    tenant.client(&clock, &[]).sign_in().await.unwrap();
    assert_eq!(tenant.token_requests(), 2);
}

#[tokio::test]
async fn a_new_token_gets_a_few_seconds_before_it_is_replaced() {
    let tenant = Tenant::start().await;
    let clock = TestClock::new();
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&tries);
    // A node that learns of the first token at the fourth try.
    tenant.always(move |headers| {
        assert_eq!(bearer(headers), "Bearer canary-token-1");
        match seen.fetch_add(1, Ordering::SeqCst) {
            0..3 => status(401, r#"{"message":"unknown token"}"#),
            _ => json(r#"{"profiles":[]}"#),
        }
    });
    let client = tenant.client(&clock, &[]);
    read_on(&client, &listing("/p", "*"), &Meter::default())
        .await
        .unwrap();
    assert_eq!((tenant.token_requests(), tries.load(Ordering::SeqCst)), (1, 4));
    assert!(clock.slept() < Duration::from_secs(5), "{:?}", clock.slept());
}

#[tokio::test]
async fn a_401_that_names_the_scope_is_believed_at_once() {
    let tenant = Tenant::start().await;
    let challenge = r#"Bearer error="insufficient_scope", scope="read:profiles""#;
    tenant.always(move |_| with_header(status(401, DENIED), "www-authenticate", challenge));
    let fault = refused(&tenant, "*").await;
    assert!(matches!(fault.kind, Kind::Denied { .. }), "{fault}");
    assert_eq!((tenant.token_requests(), tenant.requests()), (1, 1));
}
