//! Statuses and what follows from them.

use std::time::Duration;

use axum::response::IntoResponse as _;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::page::{Lookup, Meter, Request};
use blueconic_sync::model::ports::{Clock, Source};
use futures_util::StreamExt as _;

use crate::support::client::{Tenant, TestClock, html, json, listing, read_on, status, with_header};

#[tokio::test]
async fn a_request_carries_its_query_as_it_was_meant_and_is_counted() {
    let tenant = Tenant::start().await;
    let body = r#"{"nextCursor":"n","totalResults":2,"profiles":[{"id":"1"},{"id":"2"}]}"#;
    tenant.then(move |_| json(body));
    let client = tenant.client(&TestClock::new(), &[]);
    let mut request = listing("/segments/all%20visitors/profiles", "A+b/=&ä *");
    request
        .query
        .push(("refinement", r#"{"operator":"AND"}"#.to_owned()));
    let meter = Meter::default();
    let (elements, end) = read_on(&client, &request, &meter).await.unwrap();
    assert_eq!(elements, [r#"{"id":"1"}"#, r#"{"id":"2"}"#]);
    assert_eq!(end.head().next_cursor.as_deref(), Some("n"));
    assert!(end.head().server_time.is_some());
    assert_eq!((end.elements(), meter.read()), (2, (1, 0, body.len() as u64)));
    let seen = tenant.script.seen.lock().unwrap();
    assert_eq!(
        seen[0].0,
        "/rest/v2/segments/all%20visitors/profiles?cursor=A%2Bb%2F%3D%26%C3%A4%20*&count=1000&refinement=%7B%22operator%22%3A%22AND%22%7D"
    );
    let header = |name: &str| seen[0].1.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("authorization"), Some("Bearer canary-token-1"));
    assert_eq!(header("accept"), Some("application/json"));
    assert_eq!(header("accept-encoding"), None);
    assert_eq!(
        header("user-agent"),
        Some(concat!("blueconic-sync/", env!("CARGO_PKG_VERSION")))
    );
}

#[tokio::test]
async fn overload_is_waited_out_as_long_as_the_tenant_asks() {
    let tenant = Tenant::start().await;
    let clock = TestClock::new();
    let date = httpdate::fmt_http_date((clock.now() + Duration::from_secs(40)).into());
    tenant
        .then(|_| with_header(status(503, "{}"), "retry-after", "30"))
        .then(move |_| with_header(status(429, "{}"), "retry-after", &date))
        .then(|_| status(500, ""))
        .then(|_| html(502));
    let client = tenant.client(&clock, &[]);
    let meter = Meter::default();
    read_on(&client, &listing("/p", "*"), &meter).await.unwrap();
    assert_eq!(meter.read().0, 5);
    assert_eq!(meter.read().1, 4);
    // 30 s, then what was left of the 40 s, then two short delays.
    let slept = clock.slept();
    assert!(
        slept >= Duration::from_secs(39) && slept < Duration::from_secs(50),
        "{slept:?}"
    );
}

#[tokio::test]
async fn an_outage_ends_in_one_sentence_with_what_was_tried() {
    let tenant = Tenant::start().await;
    tenant.always(|_| status(503, r#"{"message":"Too busy"}"#));
    let clock = TestClock::new();
    let client = tenant.client(&clock, &[("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "10m")]);
    let fault = client
        .open(&listing("/p", "*"), 0, &Meter::default())
        .await
        .err()
        .unwrap();
    assert_eq!(fault.kind, Kind::Transient);
    assert!(
        fault
            .sentence()
            .starts_with("GET /p: HTTP 503: Too busy; gave up after "),
        "{fault}"
    );
    assert!(fault.hint.unwrap().contains("limits.requests_per_second"));
    assert!(clock.slept() <= Duration::from_mins(10) && clock.slept() > Duration::from_mins(8));
    // Full jitter up to a minute: some twenty tries, not hundreds.
    assert!(
        (10..80).contains(&tenant.requests()),
        "{} requests",
        tenant.requests()
    );
}

#[tokio::test]
async fn final_answers_are_not_repeated() {
    let cases = [
        (400, "*", Kind::Final, "HTTP 400"),
        (400, "AoE", Kind::CursorRefused, "refuses the cursor"),
        (404, "*", Kind::Absent, "no such resource"),
        (405, "*", Kind::Final, "HTTP 405"),
        (
            403,
            "*",
            Kind::Denied {
                scope: "read:profiles".to_owned(),
            },
            "denies it (HTTP 403)",
        ),
    ];
    for (code, cursor, kind, words) in cases {
        let tenant = Tenant::start().await;
        tenant.always(move |_| status(code, r#"{"errors":[{"message":"because"}]}"#));
        let client = tenant.client(&TestClock::new(), &[]);
        let fault = client
            .open(&listing("/p", cursor), 0, &Meter::default())
            .await
            .err()
            .unwrap();
        assert_eq!(fault.kind, kind);
        assert!(fault.what.contains(words), "{fault}");
        assert_eq!(fault.why.as_deref(), Some("because"));
        assert_eq!(tenant.requests(), 1);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_where_it_points() {
    let elsewhere = Tenant::start().await;
    let tenant = Tenant::start().await;
    let location = format!("http://{}/login?session=private", elsewhere.address);
    tenant.always(move |_| with_header(status(302, ""), "location", &location));
    let client = tenant.client(&TestClock::new(), &[]);
    let fault = client
        .open(&listing("/p", "*"), 0, &Meter::default())
        .await
        .err()
        .unwrap();
    assert_eq!(fault.kind, Kind::Settings);
    assert!(
        fault
            .what
            .ends_with(&format!("points to http://{}/login", elsewhere.address)),
        "{fault}"
    );
    assert_eq!((tenant.requests(), elsewhere.requests()), (1, 0));
}

#[tokio::test]
async fn a_web_page_under_a_200_is_repeated_a_few_times() {
    let tenant = Tenant::start().await;
    tenant.then(|_| html(200)).then(|_| html(200)).then(|_| json(""));
    let client = tenant.client(&TestClock::new(), &[]);
    let meter = Meter::default();
    read_on(&client, &listing("/p", "*"), &meter).await.unwrap();
    assert_eq!(meter.read().0, 4);
    tenant.always(|_| html(200));
    // Another client, which the tenant has not answered yet.
    let client = tenant.client(&TestClock::new(), &[]);
    let fault = client.open(&listing("/p", "*"), 0, &meter).await.err().unwrap();
    assert_eq!(fault.kind, Kind::Final);
    let why = fault.why.unwrap();
    assert_eq!(
        why,
        "the answer (text/html) is not a JSON object: <html><body>Be right back</body></html>"
    );
    assert_eq!(meter.read().0, 8);
}

#[tokio::test]
async fn no_server_is_an_error_that_names_the_call() {
    let tenant = Tenant::start().await;
    let client = tenant.client(&TestClock::new(), &[("BLUECONIC_URL", "http://127.0.0.1:9")]);
    let fault = client.sign_in().await.err().unwrap();
    assert_eq!(fault.kind, Kind::Transient);
    assert!(
        fault
            .sentence()
            .starts_with("POST /oauth/token: the tenant (127.0.0.1:9) refuses the connection: "),
        "{fault}"
    );
    assert!(fault.sentence().contains("gave up after"), "{fault}");
}

#[tokio::test]
async fn an_object_is_found_gone_or_unclear() {
    let tenant = Tenant::start().await;
    let client = tenant.client(
        &TestClock::new(),
        &[("BLUECONIC_SYNC__LIMITS__ELEMENT_SIZE", "1KiB")],
    );
    let request = Request {
        arrays: &[],
        ..listing("/profiles/1", "*")
    };
    let meter = Meter::default();
    tenant.then(|_| json(r#" {"id":"1"} "#));
    let Lookup::Found(body) = client.one(&request, &meter).await else {
        panic!("not found");
    };
    assert_eq!(&body[..], br#" {"id":"1"} "#);
    tenant.then(|_| status(404, r#"{"message":"gone"}"#));
    assert!(matches!(client.one(&request, &meter).await, Lookup::Gone));
    // A proxy's page says nothing about a profile.
    for _ in 0..4 {
        tenant.then(|_| html(404));
    }
    assert!(
        matches!(client.one(&request, &meter).await, Lookup::Unclear(fault) if fault.kind == Kind::Final)
    );
    tenant.then(|_| json(&format!(r#"{{"id":"{}"}}"#, "1".repeat(1024))));
    let Lookup::Unclear(fault) = client.one(&request, &meter).await else {
        panic!("too large");
    };
    assert!(
        fault
            .what
            .contains("larger than `limits.element_size` (1024 bytes)"),
        "{fault}"
    );
    tenant.then(|_| status(403, "{}"));
    assert!(matches!(client.one(&request, &meter).await, Lookup::Unclear(_)));
    tenant
        .then(|_| crate::support::client::cut(r#"{"id":"#))
        .then(|_| json(r#"{"id":"2"}"#));
    assert!(matches!(client.one(&request, &meter).await, Lookup::Found(_)));
}

#[tokio::test]
async fn an_id_cannot_lead_out_of_the_api() {
    let tenant = Tenant::start().await;
    let client = tenant.client(&TestClock::new(), &[]);
    for path in [
        "/profiles/..",
        "/profiles/%2e%2E",
        "/profiles/a?b",
        "/profiles/a#b",
        "/profiles/../../x",
    ] {
        let found = client.one(&listing(path, "*"), &Meter::default()).await;
        assert!(matches!(found, Lookup::Unclear(_)), "{path}");
    }
    assert_eq!(tenant.requests(), 0);
}

#[tokio::test]
async fn many_headers_and_a_byte_order_mark_are_no_reason_to_give_up() {
    let tenant = Tenant::start().await;
    let client = tenant.client(&TestClock::new(), &[]);
    let request = listing("/segments/all/profiles", "*");
    let meter = Meter::default();
    let body = r#"{"totalResults":1,"profiles":[{"id":"1"}]}"#;
    tenant.then(move |_| {
        let mut response = json(body);
        for number in 0..300_u32 {
            let name = axum::http::HeaderName::try_from(format!("x-front-{number}")).unwrap();
            response.headers_mut().insert(name, number.into());
        }
        response
    });
    assert_eq!(
        read_on(&client, &request, &meter).await.unwrap().0,
        [r#"{"id":"1"}"#]
    );
    tenant.then(move |_| json(&format!("\u{feff} {body}")));
    assert_eq!(
        read_on(&client, &request, &meter).await.unwrap().0,
        [r#"{"id":"1"}"#]
    );
    // The mark comes in parts, as bytes may.
    tenant.then(move |_| {
        let parts: [&[u8]; 4] = [b"\xef", b"\xbb", b"\xbf\r\n", body.as_bytes()];
        let parts = futures_util::stream::iter(parts).then(|part| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, std::io::Error>(part)
        });
        axum::body::Body::from_stream(parts).into_response()
    });
    assert_eq!(
        read_on(&client, &request, &meter).await.unwrap().0,
        [r#"{"id":"1"}"#]
    );
    tenant.then(|_| json("\u{feff}{\"id\":\"1\"}"));
    let Lookup::Found(found) = client.one(&listing("/profiles/1", "*"), &meter).await else {
        panic!("not found");
    };
    assert_eq!(&found[..], br#"{"id":"1"}"#);
    assert_eq!(meter.read().1, 0, "nothing was repeated");
}
