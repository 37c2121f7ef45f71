//! Prometheus' own tool on the metrics of a real run, on the alerts and on their tests; and every metric that an alert or a panel names is one
//! that a run produces.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use simulated_tenant::settings::{OpenApi, Settings};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::hook::Hook;
use crate::support::ports::free;
use crate::support::program::LONG;
use crate::support::sources::root;
use crate::support::{Scene, eventually, scene, small};

const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const TESTS: &str = "deploy/prometheus/alerts.test.yaml";
const DASHBOARD: &str = "deploy/grafana/dashboard.json";
const RUNBOOK: &str = "https://github.com/blueconic-sync/blueconic-sync/blob/main/docs/operations.md#";

async fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}: run script/bootstrap --third-party"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

#[track_caller]
fn assert_content(output: &Output) {
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // A warning does not fail every command.
    for line in said.lines() {
        assert!(!line.contains("should") && !line.contains("must"), "{said}");
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The names of this program's metrics, and of the process's, in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_word = |one: char| one.is_ascii_alphanumeric() || one == '_';
    text.split(|one| !is_word(one))
        .filter(|word| word.starts_with("blueconic_sync_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// The metrics of a service that has read everything, in both formats.
async fn metrics() -> (String, String) {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(Settings {
        openapi: OpenApi::Release("26.1".into()),
        ..small(50)
    })
    .await;
    let hook = Hook::start().await;
    let address = free();
    let program = program
        .set("web.bind", &address.to_string())
        .set("schedule.heartbeat", "1s")
        .set("resources.profiles.fresh_within", "1h")
        .set("limits.requests_per_month", "1000000")
        .set("limits.traffic_per_month", "1TiB")
        .with("BLUECONIC_SYNC_HEARTBEAT_URL", &hook.url);
    // This learns the tenant's document, and leaves every job to the service.
    program.expect(0, &["backfill", "segments"]).await;
    let mut running = program.start(&["serve"]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |accept: &str| -> Option<String> {
        let request = client.get(format!("http://{address}/metrics"));
        let answer = request.header("accept", accept).send().await.ok()?;
        answer.text().await.ok()
    };
    let pages = eventually("all have run, and a sign of life was sent", LONG, async || {
        assert!(!running.has_ended(), "{}", running.stderr());
        let open = get("application/openmetrics-text;version=1.0.0").await?;
        let classic = get("text/plain").await?;
        let has_run = |page: &str| {
            page.contains("runs_total{resource=\"profiles\",scope=\"full\",status=\"succeeded\"} 1")
                && page.contains("runs_total{resource=\"audit_events\"")
                && page.contains("messages_total{outcome=\"sent\"} 1")
        };
        (has_run(&open) && has_run(&classic)).then_some((classic, open))
    })
    .await;
    assert!(database.count("sync.runs").await > 0);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.ended(LONG).await.expect(0);
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_has_nothing_to_say_against_the_metrics_and_they_are_all_that_is_asked_for() {
    let (classic, open) = metrics().await;
    assert_content(&promtool(&["check", "metrics"], &classic).await);
    assert!(open.ends_with("# EOF\n") && !classic.contains("# EOF"), "{open}");
    assert!(open.contains("# TYPE blueconic_sync_requests counter\nblueconic_sync_requests_total{"));
    let produced = names(&classic);
    for path in [ALERTS, DASHBOARD, "docs/operations.md"] {
        let asked = names(&text(path));
        assert!(path.starts_with("docs") || asked.len() > 10, "{path}: {asked:?}");
        // Of a tenant that answers oldest first, a page is never too full; without late rows there is no lateness.
        let missing: Vec<&String> = asked.difference(&produced).collect();
        assert!(missing.is_empty(), "{path} asks for {missing:?}");
    }
    // Each has its samples, except what only trouble brings.
    for name in names(&(text(ALERTS) + &text(DASHBOARD))) {
        let has_sample = classic.lines().any(|line| {
            line.strip_prefix(&name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let by_trouble = ["last_run_late_seconds", "last_run_page_fill_percent"];
        assert!(
            has_sample || by_trouble.iter().any(|known| name.ends_with(known)),
            "`{name}` has no sample"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_alert_fires_where_it_should_and_is_silent_otherwise() {
    assert_content(&promtool(&["check", "rules", ALERTS], "").await);
    assert_content(&promtool(&["test", "rules", TESTS], "").await);
    let (alerts, tests) = (text(ALERTS), text(TESTS));
    let named: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(named.len() > 10, "{named:?}");
    for alert in &named {
        let of_alert: Vec<&str> = tests
            .split("  - name: ")
            .filter(|test| test.contains(&format!("alertname: {alert}\n")))
            .collect();
        let (silent, fires): (Vec<&str>, Vec<&str>) = of_alert
            .into_iter()
            .partition(|test| test.contains("exp_alerts: []"));
        assert!(
            !silent.is_empty() && !fires.is_empty(),
            "{alert} has no test of each kind"
        );
    }
    let operations = text("docs/operations.md");
    let anchors: BTreeSet<String> = operations
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|one| one.is_alphanumeric() || " -_".contains(*one));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect();
    let runbooks: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook_url: "))
        .collect();
    assert_eq!(runbooks.len(), named.len());
    for runbook in runbooks {
        let anchor = runbook.strip_prefix(RUNBOOK).unwrap();
        assert!(anchors.contains(anchor), "{runbook} leads nowhere: {anchors:?}");
    }
}

/// A test of an alert that can only succeed would show nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_says_the_opposite_fails_its_test() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: String| {
        let name = Path::new(path).file_name().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let turned = text(ALERTS).replace("> 0", "< 0").replace("== 1", "== 2");
    assert_ne!(turned, text(ALERTS));
    write(ALERTS, turned);
    let tests = write(TESTS, text(TESTS));
    let output = promtool(&["test", "rules", tests.to_str().unwrap()], "").await;
    assert!(!output.status.success());
}

#[test]
fn the_dashboard_is_one_that_grafana_reads() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut queries = 0;
    for panel in panels {
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "an id comes twice: {panel}"
        );
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            assert!(!names(query).is_empty(), "{query}");
            assert!(query.contains("job=\"$job\""), "{query}");
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries}");
    assert_eq!(dashboard["templating"]["list"][1]["name"], "job");
}
