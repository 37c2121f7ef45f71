//! Health, headers, the token, addresses that are taken, and an end in time.

use std::io::Write;
use std::time::{Duration, Instant};

use blueconic_sync::model::fault::Outcome;
use blueconic_sync::model::liveness::Liveness;
use blueconic_sync::model::overview::{Overview, RunDetail, RunList, RunQuery};
use blueconic_sync::model::ports::{Observer, RunHistory};
use blueconic_sync::model::status::Status;
use blueconic_sync::web::error::WebError;
use blueconic_sync::web::server::WebServer;
use serde_json::Value;
use uuid::Uuid;

use crate::web::states::{Fixed, Running, away, settings, well};

#[tokio::test]
async fn a_process_whose_schedule_goes_round_is_healthy() {
    let running = Running::with(Err(away())).await;
    assert_eq!(
        running.get("/healthz").await,
        (200, "ok\n".to_owned()),
        "also without a database"
    );
    let Some(long_ago) = Instant::now().checked_sub(Duration::from_secs(61)) else {
        return; // a machine that started less than a minute ago cannot show it
    };
    let stuck = Running::start(&settings(0), Fixed(Ok(well())), Liveness::since(long_ago)).await;
    let (code, reason) = stuck.get("/healthz").await;
    assert_eq!(code, 503);
    assert!(
        reason.starts_with("the schedule has not come round for 61 s"),
        "{reason}"
    );
}

#[tokio::test]
async fn readiness_is_the_databases_with_a_reason_of_one_line() {
    assert_eq!(
        Running::with(Ok(well())).await.get("/readyz").await,
        (200, "ready\n".to_owned())
    );
    let (code, reason) = Running::with(Err(away())).await.get("/readyz").await;
    assert_eq!(code, 503);
    assert_eq!(
        reason,
        "cannot reach the database at db.example:5432: connection refused (os error 111)\n"
    );
}

#[tokio::test]
async fn the_state_is_handed_on_as_it_is() {
    let state = well();
    let (code, text) = Running::with(Ok(state.clone())).await.get("/status.json").await;
    assert_eq!(
        (code, serde_json::from_str::<Value>(&text).unwrap()),
        (200, serde_json::to_value(state).unwrap())
    );
    let (code, text) = Running::with(Err(away())).await.get("/status.json").await;
    let reported: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 503);
    assert_eq!(reported["hint"], "start it, or set DATABASE_URL to another one");
}

#[tokio::test]
async fn every_page_forbids_what_it_does_not_need() {
    let running = Running::with(Ok(well())).await;
    for path in ["/", "/runs", "/runs/nobody", "/healthz", "/metrics", "/nowhere"] {
        let response = reqwest::get(format!("{}{path}", running.url)).await.unwrap();
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"));
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
    }
    assert_eq!(running.get("/nowhere").await.0, 404);
    let posted = reqwest::Client::new().post(&running.url).send().await.unwrap();
    assert_eq!(posted.status(), 405);
}

#[tokio::test]
async fn with_a_token_only_the_health_checks_are_open() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "s3cret-Token").unwrap();
    let mut web = settings(0);
    web.token_file = Some(file.path().to_owned());
    let running = Running::start(&web, Fixed(Ok(well())), Liveness::new()).await;
    for (path, code) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/", 401),
        ("/runs", 401),
        ("/runs/0198a1b2-0000-7000-8000-000000000001", 401),
        ("/metrics", 401),
        ("/status.json", 401),
    ] {
        assert_eq!(running.get(path).await.0, code, "{path}");
    }
    let client = reqwest::Client::new();
    for (given, code) in [
        ("Bearer s3cret-Token", 200),
        ("bearer s3cret-Token", 200),
        ("Bearer s3cret-Toke", 401),
        ("Bearer s3cret-Token2", 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        ("Basic s3cret-Token", 401),
        ("s3cret-Token", 401),
    ] {
        for path in ["/", "/metrics", "/status.json"] {
            let request = client
                .get(format!("{}{path}", running.url))
                .header("authorization", given);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), code, "{path} with `{given}`");
            assert_eq!(response.headers().contains_key("www-authenticate"), code == 401);
            assert!(code == 200 || !response.text().await.unwrap().contains("s3cret"));
        }
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_reported_at_the_start() {
    let mut web = settings(0);
    web.token_file = Some("/nowhere/token".into());
    let error = WebServer::open(&web).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/token"), "{error}");
    assert!(error.to_string().contains("`web.token_file`"), "{error}");
    let empty = tempfile::NamedTempFile::new().unwrap();
    web.token_file = Some(empty.path().to_owned());
    let error = WebServer::open(&web).await.unwrap_err();
    assert!(matches!(error, WebError::NoToken { .. }), "{error}");
    assert!(error.hint().contains("openssl rand -hex 32"));
}

#[tokio::test]
async fn an_address_that_is_taken_names_who_has_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = WebServer::open(&settings(address.port())).await.unwrap_err();
    let reported = error.to_string();
    assert!(reported.contains(&address.to_string()), "{reported}");
    if cfg!(target_os = "linux") {
        assert!(
            reported.ends_with(&format!("(process {})", std::process::id())),
            "{reported}"
        );
    }
    assert!(error.hint().contains("--bind"), "{}", error.hint());
    let mut elsewhere = settings(0);
    elsewhere.bind = "192.0.2.1:0".parse().unwrap();
    let error = WebServer::open(&elsewhere).await.unwrap_err();
    assert!(
        error.hint().contains("this machine has no address 192.0.2.1"),
        "{}",
        error.hint()
    );
}

/// An observer that never answers.
struct Silent;

impl Observer for Silent {
    async fn ready(&self) -> Outcome<()> {
        std::future::pending().await
    }

    async fn status(&self) -> Outcome<Status> {
        std::future::pending().await
    }
}

impl RunHistory for Silent {
    async fn overview(&self) -> Outcome<Overview> {
        std::future::pending().await
    }

    async fn run_list(&self, _: &RunQuery) -> Outcome<Option<RunList>> {
        std::future::pending().await
    }

    async fn run_detail(&self, _: Uuid) -> Outcome<Option<RunDetail>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_database_that_never_answers_is_not_waited_for() {
    let running = Running::start(&settings(0), Silent, Liveness::new()).await;
    let (code, reason) = running.get("/readyz").await;
    assert_eq!(code, 503);
    assert_eq!(reason, "the database did not answer within 5 s\n");
}

#[tokio::test]
async fn a_shutdown_takes_two_seconds_at_most() {
    let running = Running::start(&settings(0), Silent, Liveness::new()).await;
    let url = format!("{}/readyz", running.url);
    let hanging = tokio::spawn(reqwest::get(url));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = Instant::now();
    running.stop.cancel();
    running.handle.await.unwrap().unwrap();
    let took = before.elapsed();
    assert!(
        took > Duration::from_secs(1) && took < Duration::from_secs(3),
        "{took:?}"
    );
    hanging.abort();
    let idle = Running::with(Ok(well())).await;
    idle.get("/").await;
    let before = Instant::now();
    idle.stop.cancel();
    idle.handle.await.unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_millis(2500));
}
