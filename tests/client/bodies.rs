//! Bodies that break off, stall, or hold somebody else up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::page::Meter;
use blueconic_sync::model::ports::{Page, Source};
use futures_util::StreamExt;

use crate::support::client::{Tenant, TestClock, cut, html, json, listing, read, read_on, with_header};

#[tokio::test]
async fn a_body_that_breaks_off_is_no_page_and_is_repeated_on_the_same_budget() {
    let tenant = Tenant::start().await;
    tenant
        .then(|_| cut(r#"{"nextCursor":"n","profiles":[{"id":"1"},"#))
        .then(|_| cut(r#"{"nextCursor":"n","profiles":[{"id":"1"}],"totalResults":1}"#))
        .then(|_| json(r#"{"nextCursor":"n","profiles":[{"id":"1"}]"#))
        .then(|_| json(r#"{"nextCursor":"n","profiles":[{"id":"1"}]}"#));
    let client = tenant.client(&TestClock::new(), &[]);
    let (request, meter) = (listing("/p", "*"), Meter::default());
    let first = client.open(&request, 0, &meter).await.unwrap();
    let fault = read(first).await.err().unwrap();
    assert_eq!(fault.kind, Kind::Transient);
    assert!(fault.what.contains("the answer broke off"), "{fault}");
    for attempt in 1..3 {
        let page = client.open(&request, attempt, &meter).await.unwrap();
        assert!(read(page).await.is_err(), "attempt {attempt}");
    }
    let page = client.open(&request, 3, &meter).await.unwrap();
    assert_eq!(read(page).await.unwrap().1.elements(), 1);
    assert_eq!((meter.read().0, meter.read().1), (4, 3));
}

#[tokio::test]
async fn bodies_that_always_break_off_use_up_the_budget() {
    let tenant = Tenant::start().await;
    tenant.always(|_| cut(r#"{"profiles":[{"id":"1"},"#));
    let clock = TestClock::new();
    let client = tenant.client(&clock, &[("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "5m")]);
    let fault = read_on(&client, &listing("/p", "*"), &Meter::default())
        .await
        .err();
    // `read_on` repeats what is transient: the give-up came from `open`, which it does not repeat.
    let fault = fault.unwrap();
    assert!(fault.sentence().contains("the answer broke off"), "{fault}");
    assert!(fault.sentence().contains("gave up after"), "{fault}");
    assert!(clock.slept() <= Duration::from_mins(5));
    assert!(
        tenant.requests() > 5 && tenant.requests() < 60,
        "{}",
        tenant.requests()
    );
}

#[tokio::test]
async fn a_smaller_page_is_still_the_same_request() {
    let tenant = Tenant::start().await;
    tenant.always(|_| cut(r#"{"profiles":["#));
    let clock = TestClock::new();
    let client = tenant.client(&clock, &[("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "2m")]);
    let mut request = listing("/p", "abc");
    let meter = Meter::default();
    let mut opened = 0;
    for attempt in 0..200 {
        request.query[1].1 = (1000 - attempt).to_string();
        let Ok(page) = client.open(&request, attempt, &meter).await else {
            break;
        };
        assert!(read(page).await.is_err());
        opened += 1;
    }
    assert!((4..60).contains(&opened), "{opened} bodies");
}

#[tokio::test]
async fn a_stalled_body_times_out() {
    let tenant = Tenant::start().await;
    tenant.then(|_| {
        let start = futures_util::stream::iter([Ok::<_, Infallible>(r#"{"profiles":["#)]);
        Body::from_stream(start.chain(futures_util::stream::pending())).into_response()
    });
    let client = tenant.client(&TestClock::new(), &[]);
    let page = client
        .open(&listing("/p", "*"), 0, &Meter::default())
        .await
        .unwrap();
    let fault = read(page).await.err().unwrap();
    assert_eq!(fault.kind, Kind::Transient);
    assert!(fault.what.contains("no answer in time"), "{fault}");
}

#[tokio::test]
async fn a_body_that_is_not_the_page_is_settled_after_a_few() {
    let tenant = Tenant::start().await;
    tenant.always(|_| json(r#"{"message":"no such page"}"#));
    let client = tenant.client(&TestClock::new(), &[]);
    let fault = read_on(&client, &listing("/p", "*"), &Meter::default())
        .await
        .err()
        .unwrap();
    assert_eq!(fault.kind, Kind::Final);
    assert!(
        fault.sentence().contains("no \"profiles\" array, but `message`"),
        "{fault}"
    );
    assert_eq!(tenant.requests(), 4);
}

#[tokio::test]
async fn a_page_holds_its_place_until_it_is_dropped() {
    let tenant = Tenant::start().await;
    let client = Arc::new(tenant.client(
        &TestClock::new(),
        &[("BLUECONIC_SYNC__LIMITS__CONCURRENT_REQUESTS", "2")],
    ));
    let meter = Meter::default();
    let mut first = client.open(&listing("/p", "1"), 0, &meter).await.unwrap();
    let second = client.open(&listing("/p", "2"), 0, &meter).await.unwrap();
    assert!(first.next().await.unwrap().is_none());
    let third = tokio::spawn({
        let (client, meter) = (Arc::clone(&client), meter.clone());
        async move { client.open(&listing("/p", "3"), 0, &meter).await.is_ok() }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(tenant.requests(), 2);
    drop(second);
    assert!(third.await.unwrap());
    assert_eq!(tenant.requests(), 3);
}

#[tokio::test]
async fn an_overload_lets_fewer_in_at_once_and_nobody_before_its_time() {
    let tenant = Tenant::start().await;
    let clock = TestClock::new();
    let client = Arc::new(tenant.client(&clock, &[]));
    tenant.then(|_| with_header(html(503), "retry-after", "7"));
    let meter = Meter::default();
    let held = client.open(&listing("/p", "1"), 0, &meter).await.unwrap();
    assert!(clock.slept() >= Duration::from_secs(7));
    // 4 at once by default; halved, one of the two is held.
    let one_more = client.open(&listing("/p", "2"), 0, &meter).await.unwrap();
    let waiting = tokio::spawn({
        let (client, meter) = (Arc::clone(&client), meter.clone());
        async move { client.open(&listing("/p", "3"), 0, &meter).await.is_ok() }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(tenant.requests(), 3);
    // A quiet spell later there is room again, although one page is still held.
    clock.advance(Duration::from_mins(1));
    drop(one_more);
    assert!(waiting.await.unwrap());
    drop(held);
}

/// A byte at a time, each well within `read_timeout`.
fn trickle() -> axum::response::Response {
    let start = futures_util::stream::iter([Ok::<_, Infallible>(r#"{"profiles":["#)]);
    let blanks = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok(" "), ()))
    });
    Body::from_stream(start.chain(blanks)).into_response()
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up_and_the_tenant_is_named() {
    for (setting, value, bound) in [
        ("BLUECONIC_SYNC__TENANT__LEAST_RATE", "256B", "tenant.least_rate"),
        (
            "BLUECONIC_SYNC__TENANT__PAGE_TIMEOUT",
            "300ms",
            "tenant.page_timeout",
        ),
    ] {
        let tenant = Tenant::start().await;
        tenant.then(|_| trickle()).then(|_| trickle());
        let client = tenant.client(&TestClock::new(), &[(setting, value)]);
        let meter = Meter::default();
        let began = std::time::Instant::now();
        let page = client.open(&listing("/p", "*"), 0, &meter).await.unwrap();
        let fault = read(page).await.err().unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(fault.kind, Kind::Transient);
        assert_eq!(fault.what, "GET /p: the tenant's answer comes too slowly");
        assert!(fault.why.unwrap().contains(bound), "{bound}");
        // A look-up as well: it is repeated, and then found.
        tenant.then(|_| json(r#"{"id":"1"}"#));
        let request = blueconic_sync::model::page::Request {
            arrays: &[],
            ..listing("/profiles/1", "*")
        };
        let found = client.one(&request, &meter).await;
        assert!(matches!(found, blueconic_sync::model::page::Lookup::Found(_)));
        assert_eq!(meter.read(), (3, 1, meter.read().2));
    }
}

/// What waits is ourselves: a reader that takes its time is not the tenant's fault.
#[tokio::test]
async fn time_that_is_not_spent_reading_counts_for_nobody() {
    let tenant = Tenant::start().await;
    let page = format!(
        r#"{{"profiles":[{}{{"id":"1"}}]}}"#,
        r#"{"id":"0"},"#.repeat(200_000)
    );
    tenant.then(move |_| json(&page));
    let settings = [
        ("BLUECONIC_SYNC__TENANT__PAGE_TIMEOUT", "3s"),
        ("BLUECONIC_SYNC__TENANT__LEAST_RATE", "64KiB"),
        ("BLUECONIC_SYNC__TENANT__READ_TIMEOUT", "1s"),
    ];
    let client = tenant.client(&TestClock::new(), &settings);
    let mut page = client
        .open(&listing("/p", "*"), 0, &Meter::default())
        .await
        .unwrap();
    let mut slept = 0;
    while page.next().await.unwrap().is_some() {
        if slept < 8 {
            slept += 1;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    assert!(slept >= 7, "longer in all than a page may take");
    assert_eq!(page.finish().await.unwrap().elements(), 200_001);
}

#[tokio::test]
async fn a_bomb_is_a_clear_fault_and_not_repeated() {
    let tenant = Tenant::start().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, br#"{"profiles":["#).unwrap();
    for _ in 0..200 {
        std::io::Write::write_all(&mut encoder, &vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    tenant.always(move |_| ([("content-encoding", "gzip")], bomb.clone()).into_response());
    // Unoptimized, and on one thread with the tenant, it takes longer than a tenant may be silent.
    let slow = ("BLUECONIC_SYNC__TENANT__READ_TIMEOUT", "60s");
    let client = tenant.client(&TestClock::new(), &[slow]);
    let page = client
        .open(&listing("/p", "*"), 0, &Meter::default())
        .await
        .unwrap();
    let fault = read(page).await.err().unwrap();
    assert_eq!(fault.kind, Kind::Final);
    assert!(
        fault.sentence().contains("decompress to more than 100 times"),
        "{fault}"
    );
    assert!(fault.hint.unwrap().contains("tenant.compression"));
    assert_eq!(tenant.requests(), 1);
}
