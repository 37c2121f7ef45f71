//! What goes wrong goes wrong as ordered, and is counted.

use std::time::{Duration, Instant};

use reqwest::Response;
use simulated_tenant::faults::{Fault, Inconsistency, Kind, RetryAfter, Route, When};
use simulated_tenant::settings::Settings;

use super::asker::{Asker, fixed};

#[tokio::test]
async fn statuses_come_as_ordered() {
    let asker = Asker::new(fixed()).await;
    let faults = asker.tenant.faults();
    let status = |status, retry_after| Kind::Status { status, retry_after };
    let busy = faults.push(Fault {
        limit: Some(2),
        ..Fault::at(
            Route::Segments,
            When::Always,
            status(503, Some(RetryAfter::Seconds(7))),
        )
    });
    for _ in 0..2 {
        let answer = asker.ask("/segments", &[]).await;
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers()["retry-after"].to_str().unwrap()
            ),
            (503, "7")
        );
    }
    assert_eq!(asker.status("/segments", &[]).await, 200);
    assert_eq!(faults.given_of(busy), 2);
    faults.push(Fault::at(
        Route::AuditEvents,
        When::Request(2),
        status(429, Some(RetryAfter::Date(Duration::from_secs(30)))),
    ));
    assert_eq!(asker.status("/auditEvents", &[]).await, 200);
    let answer = asker.ask("/auditEvents", &[]).await;
    let header = |name: &str| httpdate::parse_http_date(answer.headers()[name].to_str().unwrap()).unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(
        header("retry-after").duration_since(header("date")).unwrap(),
        Duration::from_secs(30)
    );
    faults.push(Fault::at(Route::ProfileProperties, When::Always, Kind::Html));
    let answer = asker.ask("/profileProperties", &[]).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().starts_with("<html>"));
    faults.push(Fault::at(Route::Profile, When::Always, Kind::Empty));
    let answer = asker.ask(&format!("/profiles/{}", asker.tenant.id(0)), &[]).await;
    assert_eq!(
        (answer.status().as_u16(), answer.bytes().await.unwrap().len()),
        (200, 0)
    );
    faults.push(Fault {
        limit: Some(1),
        ..Fault::at(Route::Profiles, When::Always, Kind::TokensDie)
    });
    assert_eq!(asker.status("/segments/allvisitors/profiles", &[]).await, 401);
    assert_eq!(faults.given(), 6);
}

#[tokio::test]
async fn a_body_is_cut_at_the_byte_and_only_there() {
    let asker = Asker::new(Settings {
        profiles: 2_000,
        ..fixed()
    })
    .await;
    let (chunked, with_length) = ("/segments/allvisitors/profiles", "/profileProperties");
    for (path, after, kind) in [
        (chunked, 300_001, Kind::CutAfter(300_001)),
        (chunked, 0, Kind::CutAfter(0)),
        (chunked, 70_000, Kind::EndAfter(70_000)),
        (with_length, 1_234, Kind::CutAfter(1_234)),
        (with_length, 1_234, Kind::EndAfter(1_234)),
    ] {
        let query = [("count", "2000")];
        asker.tenant.faults().clear();
        let whole = asker.ask(path, &query).await;
        assert_eq!(whole.content_length().is_some(), path == with_length);
        let whole = whole.bytes().await.unwrap();
        let ends = matches!(kind, Kind::EndAfter(_));
        asker.tenant.faults().push(Fault {
            route: None,
            when: When::Page(1),
            kind,
            limit: None,
        });
        let (bytes, ended) = as_far_as_it_comes(asker.ask(path, &query).await).await;
        assert_eq!(ended, ends);
        assert_eq!(bytes.len(), after);
        assert_eq!(bytes, whole[..after]);
    }
}

/// The bytes that came, and whether the body ended as it should.
async fn as_far_as_it_comes(mut answer: Response) -> (Vec<u8>, bool) {
    assert_eq!(answer.status(), 200);
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, true),
            Err(_) => return (bytes, false),
        }
    }
}

#[tokio::test]
async fn connections_are_reset_before_any_header() {
    let asker = Asker::new(fixed()).await;
    asker.tenant.faults().push(Fault {
        limit: Some(1),
        ..Fault::at(Route::Segments, When::Always, Kind::Reset)
    });
    let error = asker.get("/segments", &[]).send().await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_status(), "{error:?}");
    assert_eq!(asker.status("/segments", &[]).await, 200);
    let log = asker.tenant.requests().of(Route::Segments);
    assert_eq!(
        log.iter().map(|request| request.status).collect::<Vec<_>>(),
        [None, Some(200)]
    );
}

#[tokio::test]
async fn slow_bodies_take_their_time() {
    let asker = Asker::new(fixed()).await;
    let faults = asker.tenant.faults();
    let whole = asker.ask("/segments", &[]).await.bytes().await.unwrap();
    let half_a_second = whole.len() as u64 * 2;
    faults.push(Fault::at(
        Route::Segments,
        When::Request(1),
        Kind::Slow {
            bytes_per_second: half_a_second,
        },
    ));
    let pause = Duration::from_millis(300);
    faults.push(Fault::at(
        Route::Segments,
        When::Request(2),
        Kind::Stall { after: 100, pause },
    ));
    faults.push(Fault::at(Route::Segments, When::Request(3), Kind::Delay(pause)));
    for least in [400, 300, 300] {
        let begun = Instant::now();
        assert_eq!(asker.ask("/segments", &[]).await.bytes().await.unwrap(), whole);
        assert!(
            begun.elapsed() >= Duration::from_millis(least),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn requests_are_logged_and_counted() {
    let asker = Asker::new(Settings {
        latency: Duration::from_millis(500),
        ..fixed()
    })
    .await;
    asker.tenant.requests().forget();
    let requests = (0..6).map(|_| asker.status("/segments", &[("count", "5")]));
    assert!(
        futures_util::future::join_all(requests)
            .await
            .iter()
            .all(|status| *status == 200)
    );
    let log = asker.tenant.requests();
    assert_eq!(
        (
            log.count(Route::Segments),
            log.most_at_once_of(Route::Segments),
            log.most_at_once()
        ),
        (6, 6, 6)
    );
    assert_eq!(log.most_at_once_of(Route::Profiles), 0);
    let first = &log.all()[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str()),
        ("GET", "/rest/v2/segments")
    );
    assert_eq!((first.query.as_str(), first.status), ("count=5", Some(200)));
}

#[tokio::test]
async fn a_tenant_that_stops_drops_its_connections() {
    let asker = Asker::new(fixed()).await;
    let address = asker.tenant.address();
    let stall = Kind::Stall {
        after: 10,
        pause: Duration::from_hours(1),
    };
    asker
        .tenant
        .faults()
        .push(Fault::at(Route::Segments, When::Always, stall));
    let answer = asker.ask("/segments", &[]).await;
    asker.tenant.stop().await;
    assert!(answer.bytes().await.is_err(), "the body never ended");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn pages_can_be_whole_and_not_true() {
    let asker = Asker::new(Settings {
        profiles: 50,
        ..fixed()
    })
    .await;
    let path = "/segments/allvisitors/profiles";
    let faults = asker.tenant.faults();
    let inconsistent = |short_by, total_off, no_next| {
        Kind::Inconsistent(Inconsistency {
            short_by,
            total_off,
            no_next,
            ..Inconsistency::default()
        })
    };
    let first = asker.json(path, &[("count", "20")]).await;
    faults.push(Fault::at(
        Route::Profiles,
        When::Request(1),
        inconsistent(3, -7, true),
    ));
    let page = asker.json(path, &[("count", "20")]).await;
    assert_eq!(page["profiles"].as_array().unwrap().len(), 17);
    assert_eq!(page["totalResults"], 43);
    assert!(page.get("nextCursor").is_none());

    // The page before comes once more, whatever is asked for.
    faults.clear();
    faults.push(Fault::at(Route::Profiles, When::Request(1), Kind::Stale));
    let next = first["nextCursor"].as_str().unwrap();
    let query = [("count", "20"), ("cursor", next)];
    assert_eq!(asker.json(path, &query).await, first);
    assert_ne!(asker.json(path, &query).await, first);

    // So does another profile than the one that was asked for.
    let profile = |position| format!("/profiles/{}", asker.tenant.id(position));
    let before = asker.json(&profile(1), &[]).await;
    faults.push(Fault::at(Route::Profile, When::Request(1), Kind::Stale));
    assert_eq!(asker.json(&profile(2), &[]).await, before);
    assert_ne!(asker.json(&profile(2), &[]).await, before);

    faults.push(Fault::at(
        Route::Profile,
        When::Request(1),
        Kind::Foreign {
            status: 404,
            content_type: "text/plain",
            body: "default backend - 404",
        },
    ));
    let answer = asker.ask(&profile(2), &[]).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (404, &"text/plain".parse().unwrap())
    );
    assert_eq!(answer.text().await.unwrap(), "default backend - 404");
}
