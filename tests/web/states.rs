//! States of the service as `status --json` prints them, and an observer that has one of them.

use std::sync::Arc;
use std::time::Duration;

use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Web;
use blueconic_sync::model::fault::{Fault, Kind, Outcome};
use blueconic_sync::model::ports::Observer;
use blueconic_sync::model::pulse::Pulse;
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::web::error::WebError;
use blueconic_sync::web::server::{Door, Health};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// So many seconds from now, as the database prints a time.
pub(crate) fn at(seconds: i64) -> String {
    (chrono::Utc::now() + chrono::Duration::seconds(seconds)).to_rfc3339()
}

fn run(status: &str, counts: [i64; 5], error: Option<&str>, hint: Option<&str>) -> Value {
    let [read, inserted, updated, removed, rejected] = counts;
    json!({
        "id": "0198a1b2-0000-7000-8000-000000000001", "resource": "", "mode": "full", "status": status,
        "started_at": at(-260), "finished_at": (status != "running").then(|| at(-180)),
        "source_total": 148_201, "rows_read": read, "rows_distinct": read, "rows_inserted": inserted,
        "rows_updated": updated, "rows_unchanged": read.saturating_sub(inserted).saturating_sub(updated), "rows_removed": removed,
        "rows_rejected": rejected, "rows_rehashed": 0, "rows_suppressed": 0, "unexplained": null,
        "pages": 15, "requests": 17, "retries": 1, "bytes_read": 459_000_000, "position_from": null,
        "position_to": null, "error": error, "hint": hint,
    })
}

fn resource(name: &str, scope: &str, last_run: &Value) -> Value {
    json!({
        "resource": name, "scope": scope, "watermark": at(-190), "complete_as_of": at(-190), "last_run": last_run,
        "lag_seconds": 190.4, "open_gaps": 0, "lease": null, "next_run_at": at(420),
    })
}

fn all(resources: &[Value]) -> Value {
    json!({
        "tenant": "https://example.blueconic.net",
        "resources": resources,
        "token": { "status": "valid", "expires_at": at(2900) },
    })
}

fn changed(mut value: Value, key: &str, to: Value) -> Value {
    value[key] = to;
    value
}

pub(crate) fn fresh() -> Value {
    let never = |name, scope| {
        json!({ "resource": name, "scope": scope, "watermark": null, "complete_as_of": null, "last_run": null,
                "lag_seconds": null, "open_gaps": 0, "lease": null, "next_run_at": at(2) })
    };
    json!({
        "tenant": null,
        "resources": [
            never("segments", "full"), never("profile_properties", "full"), never("profiles", "full"),
            never("profiles", "increment"), never("audit_events", "increment"),
        ],
        "token": null,
    })
}

pub(crate) fn well() -> Value {
    all(&[
        resource(
            "segments",
            "full",
            &run("succeeded", [48, 0, 1, 0, 0], None, None),
        ),
        resource(
            "profile_properties",
            "full",
            &run("succeeded", [312, 2, 0, 0, 0], None, None),
        ),
        resource(
            "profiles",
            "full",
            &run("succeeded", [148_201, 1_204, 3_811, 97, 0], None, None),
        ),
        resource(
            "profiles",
            "increment",
            &run("succeeded", [611, 40, 571, 0, 0], None, None),
        ),
        resource(
            "audit_events",
            "increment",
            &run("succeeded", [17, 3, 0, 0, 0], None, None),
        ),
    ])
}

pub(crate) fn troubled() -> Value {
    let walk = changed(
        run("running", [92_400, 51_000, 3_811, 0, 0], None, None),
        "started_at",
        json!(at(-95)),
    );
    let walk = changed(
        resource("profiles", "full", &walk),
        "lease",
        json!({ "holder": "sync-1:4711:9f3a", "expires_at": at(25) }),
    );
    let events = run(
        "partial",
        [17_403_112, 3_000_411, 0, 0, 2],
        Some("2 events could not be loaded: wrong_shape"),
        Some("select reason, detail from sync.rejects where resource = 'audit_events'"),
    );
    let events = changed(
        resource("audit_events", "increment", &events),
        "open_gaps",
        json!(3),
    );
    all(&[
        resource(
            "segments",
            "full",
            &run("succeeded", [48, 0, 1, 0, 0], None, None),
        ),
        resource(
            "profile_properties",
            "full",
            &run(
                "failed",
                [0, 0, 0, 0, 0],
                Some("the tenant denies profile_properties: the scope read:profile-properties is missing"),
                Some(
                    "add the scope `read:profile-properties` to the application in BlueConic under Settings > Access management > Applications",
                ),
            ),
        ),
        walk,
        resource(
            "profiles",
            "increment",
            &run(
                "interrupted",
                [611, 40, 571, 0, 0],
                None,
                Some("the next run goes on"),
            ),
        ),
        events,
    ])
}

pub(crate) fn approval() -> Value {
    let walk = run(
        "needs_approval",
        [121_008, 12, 390, 0, 0],
        Some("27,193 of 148,201 stored profiles were not seen by a complete walk; nothing was removed"),
        Some(
            "if that is right: blueconic-sync backfill profiles --approve-removals 27193, before 2025-06-11 02:41 UTC",
        ),
    );
    let mut state = all(&[
        resource(
            "segments",
            "full",
            &run("succeeded", [48, 0, 1, 0, 0], None, None),
        ),
        resource("profiles", "full", &walk),
    ]);
    state["token"] = json!({ "status": "reauth_required", "expires_at": at(-4000) });
    state
}

/// What a tenant, or somebody who can name things in it, might try.
pub(crate) fn hostile() -> Value {
    let script = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'><style>*{display:none}</style>";
    let long = "W".repeat(4000);
    all(&[
        json!({ "resource": script, "scope": "\"><b>bold</b>", "last_run": changed(
            run("failed", [i64::MAX, i64::MIN, 1_000_000_000_000, 0, 7], Some(script), Some(&long)),
            "started_at", json!("not a time")) , "lag_seconds": -5.0, "open_gaps": [{}, {}], "lease": { "holder": script } }),
        resource(
            "profiles",
            "\u{202E}sdrawkcab\u{202C}",
            &run(
                "</p>failed\n\u{0}",
                [1, 0, 0, 0, 0],
                Some(&"<".repeat(9000)),
                None,
            ),
        ),
        json!({ "resource": long, "scope": 7, "last_run": [], "lag_seconds": "much", "open_gaps": {}, "lease": 1 }),
        json!(null),
        json!("text"),
    ])
}

/// An observer with a state, or with a fault.
pub(crate) struct Fixed(pub(crate) Result<Value, Fault>);

impl Observer for Fixed {
    async fn ready(&self) -> Outcome<()> {
        self.0.clone().map(|_| ())
    }

    async fn status(&self) -> Outcome<Value> {
        self.0.clone()
    }
}

pub(crate) fn away() -> Fault {
    Fault::new(Kind::Transient, "cannot reach the database at db.example:5432")
        .because("connection refused\n(os error 111)")
        .hint("start it, or set DATABASE_URL to another one")
}

/// A server on a port of its own.
pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) stop: CancellationToken,
    pub(crate) handle: JoinHandle<Result<(), WebError>>,
}

pub(crate) fn settings(port: u16) -> Web {
    let mut web = load(None, &std::collections::BTreeMap::default(), RESOURCES)
        .unwrap()
        .web;
    web.bind.set_port(port);
    web
}

impl Running {
    pub(crate) async fn with(state: Result<Value, Fault>) -> Self {
        Self::start(&settings(0), Fixed(state), Pulse::new()).await
    }

    pub(crate) async fn start<O: Observer>(settings: &Web, observer: O, pulse: Pulse) -> Self {
        let door = Door::open(settings).await.unwrap();
        let (url, stop) = (format!("http://{}", door.address()), CancellationToken::new());
        let health = Health::new(pulse, Duration::from_secs(5));
        let handle = tokio::spawn(door.serve(
            Arc::new(observer),
            RESOURCES,
            health,
            stop.clone().cancelled_owned(),
        ));
        Self { url, stop, handle }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}
