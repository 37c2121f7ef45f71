//! The metrics, read back line by line as Prometheus would.

use std::collections::{BTreeMap, BTreeSet};

use blueconic_sync::model::status::Status;

use crate::web::states::{Running, away, hostile, troubled, well};

/// Samples by name and labels; checks the format on the way.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let (mut family, mut closed) = (String::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("# TYPE ") {
            let (name, kind) = heading.split_once(' ').unwrap();
            assert_eq!(kind, "gauge");
            assert!(closed.insert(name.to_owned()), "the family {name} comes twice");
            name.clone_into(&mut family);
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(
                series.split('{').next().unwrap(),
                family,
                "a sample outside of its family"
            );
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
