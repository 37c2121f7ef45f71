//! The metrics, read back line by line as Prometheus would.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use blueconic_sync::model::ledger::{Counts, Ledger, RunReport};
use blueconic_sync::model::position::{Scope, Slot};
use blueconic_sync::model::status::{RunStatus, Status};
use blueconic_sync::web::metrics::Measured;

use crate::web::states::{Running, away, expensive, hostile, troubled, well};

/// Samples by name and labels; checks the format on the way.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let (mut family, mut kind, mut closed) = (String::new(), String::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("# TYPE ") {
            let (name, of_kind) = heading.split_once(' ').unwrap();
            assert!(["gauge", "counter", "histogram"].contains(&of_kind), "{heading}");
            assert_eq!(name.ends_with("_total"), of_kind == "counter", "{heading}");
            assert!(closed.insert(name.to_owned()), "the family {name} comes twice");
            name.clone_into(&mut family);
            of_kind.clone_into(&mut kind);
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let suffix = name
                .strip_prefix(&*family)
                .unwrap_or_else(|| panic!("{line} is outside of {family}"));
            let allowed: &[&str] = if kind == "histogram" {
                &["_bucket", "_sum", "_count"]
            } else {
                &[""]
            };
            assert!(allowed.contains(&suffix), "{line} in {family}");
            assert!(
                series
                    .bytes()
                    .filter(|byte| *byte == b'"')
                    .count()
                    .is_multiple_of(2)
                    || series.contains("\\\"")
            );
            assert!(
                samples
                    .insert(series.to_owned(), value.parse().unwrap())
                    .is_none(),
                "{series} comes twice"
            );
        }
    }
    assert!(text.ends_with('\n'));
    samples
}

async fn metrics(state: Status) -> BTreeMap<String, f64> {
    let running = Running::with(Ok(state)).await;
    let response = reqwest::get(format!("{}/metrics", running.url)).await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    parse(&response.text().await.unwrap())
}

#[tokio::test]
async fn each_resource_has_its_numbers() {
    let samples = metrics(well()).await;
    let full = "{resource=\"profiles\",scope=\"full\"}";
    let sample = |name: &str| samples[&format!("blueconic_sync_{name}")];
    assert!((sample(&format!("lag_seconds{full}")) - 190.4).abs() < f64::EPSILON);
    assert!(sample(&format!("open_gaps{full}")).abs() < f64::EPSILON);
    let rows = "last_run_rows{resource=\"profiles\",scope=\"full\",kind=\"inserted\"}";
    assert!((sample(rows) - 1204.0).abs() < f64::EPSILON);
    #[expect(clippy::cast_precision_loss, reason = "seconds of Unix time fit into 53 bits")]
    let now = chrono::Utc::now().timestamp() as f64;
    let success = sample(&format!("last_success_timestamp_seconds{full}"));
    assert!((now - 180.0 - success).abs() < 5.0, "{success}");
    assert!((sample("token_expiry_timestamp_seconds") - now - 2900.0).abs() < 5.0);
    assert!((sample("token_status{status=\"valid\"}") - 1.0).abs() < f64::EPSILON);
    assert!((sample("database_up") - 1.0).abs() < f64::EPSILON);
    assert!((now - sample("start_time_seconds")).abs() < 5.0);
}

#[tokio::test]
async fn the_month_has_its_use_its_forecast_and_its_limits() {
    let samples = metrics(expensive()).await;
    for (name, value) in [
        ("month_requests", 810.0),
        ("month_requests_forecast", 1200.0),
        ("month_requests_limit", 1000.0),
        ("month_received_bytes", 3_221_225_472.0),
        ("month_profiles_read", 5_000_000.0),
        ("put_off_jobs", 1.0),
    ] {
        let shown = samples[&format!("blueconic_sync_{name}")];
        assert!((shown - value).abs() < 1e-9, "{name}: {shown}");
    }
    for unknown in ["month_received_bytes_forecast", "month_received_bytes_limit"] {
        assert!(
            !samples.contains_key(&format!("blueconic_sync_{unknown}")),
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn the_status_of_a_run_is_one_of_six() {
    let samples = metrics(troubled()).await;
    let ones: Vec<&String> = samples
        .iter()
        .filter(|(series, value)| series.starts_with("blueconic_sync_last_run_status{") && **value > 0.5)
        .map(|(series, _)| series)
        .collect();
    assert_eq!(ones.len(), 5, "{ones:?}");
    let failed =
        "blueconic_sync_last_run_status{resource=\"profile_properties\",scope=\"full\",status=\"failed\"}";
    assert!(ones.iter().any(|series| *series == failed));
    let success =
        "blueconic_sync_last_success_timestamp_seconds{resource=\"profile_properties\",scope=\"full\"}";
    assert!(!samples.contains_key(success), "what is not known has no sample");
}

#[tokio::test]
async fn hostile_names_do_not_break_the_format() {
    let samples = metrics(hostile()).await;
    assert!(
        samples
            .keys()
            .any(|series| series.contains("onerror=alert(1)>\\\"'>")),
        "{samples:?}"
    );
}

#[tokio::test]
async fn without_a_database_the_process_still_tells_of_itself() {
    let (code, text) = Running::with(Err(away())).await.get("/metrics").await;
    assert_eq!(code, 200);
    let samples = parse(&text);
    assert!(samples["blueconic_sync_database_up"].abs() < f64::EPSILON);
    assert!(
        samples
            .keys()
            .any(|series| series.starts_with("blueconic_sync_build_info{version="))
    );
}

/// What is counted only grows, and its buckets hold all of it.
#[tokio::test]
async fn what_the_process_counted_is_shown() {
    let measured = Measured::default();
    measured.goals.set([("profiles", Duration::from_hours(1))].into());
    measured.traffic.answered(Some(200), Duration::from_millis(30));
    measured.traffic.answered(None, Duration::from_mins(2));
    measured.traffic.throttled.add_time(Duration::from_millis(1500));
    measured.traffic.page.observe(1000);
    let now = chrono::Utc::now();
    let report = |status, inserted| RunReport {
        run_id: None,
        slot: Slot {
            resource: "profiles",
            scope: Scope::Full,
        },
        ledger: Ledger {
            status,
            counts: Counts {
                inserted,
                ..Counts::default()
            },
            error: None,
            hint: None,
        },
        fault: None,
        started_at: now - Duration::from_secs(20),
        finished_at: now,
    };
    measured.runs.add(&report(RunStatus::Succeeded, 5));
    measured.runs.add(&report(RunStatus::Failed, 2));
    let running = Running::measuring(measured).await;
    let samples = parse(&running.get("/metrics").await.1);
    let slot = "resource=\"profiles\",scope=\"full\"";
    for (series, value) in [
        ("requests_total{class=\"2xx\"}".to_owned(), 1.0),
        ("requests_total{class=\"none\"}".to_owned(), 1.0),
        ("request_duration_seconds_bucket{le=\"0.025\"}".to_owned(), 0.0),
        ("request_duration_seconds_bucket{le=\"0.05\"}".to_owned(), 1.0),
        ("request_duration_seconds_bucket{le=\"60.0\"}".to_owned(), 1.0),
        ("request_duration_seconds_bucket{le=\"+Inf\"}".to_owned(), 2.0),
        ("request_duration_seconds_count".to_owned(), 2.0),
        ("request_duration_seconds_sum".to_owned(), 120.03),
        ("throttle_wait_seconds_total".to_owned(), 1.5),
        ("page_elements_bucket{le=\"1000.0\"}".to_owned(), 1.0),
        ("page_elements_bucket{le=\"500.0\"}".to_owned(), 0.0),
        ("fresh_within_seconds{resource=\"profiles\"}".to_owned(), 3600.0),
        (format!("runs_total{{{slot},status=\"succeeded\"}}"), 1.0),
        (format!("runs_total{{{slot},status=\"failed\"}}"), 1.0),
        (format!("rows_total{{{slot},result=\"inserted\"}}"), 7.0),
        (format!("run_duration_seconds_bucket{{{slot},le=\"15.0\"}}"), 0.0),
        (format!("run_duration_seconds_bucket{{{slot},le=\"60.0\"}}"), 2.0),
    ] {
        let shown = samples[&format!("blueconic_sync_{series}")];
        assert!((shown - value).abs() < 1e-9, "{series}: {shown}");
    }
    if cfg!(target_os = "linux") {
        for name in [
            "cpu_seconds_total",
            "resident_memory_bytes",
            "virtual_memory_bytes",
            "open_fds",
            "max_fds",
            "start_time_seconds",
        ] {
            assert!(samples[&format!("process_{name}")] > 0.0, "{name}");
        }
    }
}

/// The same samples, with another heading of counters and an end.
#[tokio::test]
async fn whoever_asks_for_openmetrics_gets_it() {
    let running = Running::with(Ok(well())).await;
    let request = reqwest::Client::new().get(format!("{}/metrics", running.url));
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let response = request.header("accept", accept).send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let open = response.text().await.unwrap();
    let (_, classic) = running.get("/metrics").await;
    let samples = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .collect()
    };
    assert_eq!(samples(&open), samples(&classic));
    assert!(open.ends_with("\n# EOF\n"), "{open}");
    assert!(
        open.contains(
            "# TYPE blueconic_sync_request_retries counter\nblueconic_sync_request_retries_total 0\n"
        )
    );
    assert!(classic.contains("# TYPE blueconic_sync_request_retries_total counter\n"));
}
