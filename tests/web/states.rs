//! States of the service, and an observer that has one of them.

use std::sync::Arc;
use std::time::Duration;

use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Web;
use blueconic_sync::model::Time;
use blueconic_sync::model::concern::Goals;
use blueconic_sync::model::fault::{Fault, Kind, Outcome};
use blueconic_sync::model::liveness::Liveness;
use blueconic_sync::model::overview::{Overview, RunDetail, RunList, RunQuery};
use blueconic_sync::model::ports::{Observer, RunHistory};
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::status::{
    Cause, Lease, ResourceStatus, Run, RunStatus, Status, Token, TokenStatus,
};
use blueconic_sync::model::usage::{Measure, PutOff, Usage};
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::web::error::WebError;
use blueconic_sync::web::metrics::Measured;
use blueconic_sync::web::server::{Health, PageSource, WebServer};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// So many seconds from now.
pub(crate) fn at(seconds: i64) -> Time {
    chrono::Utc::now() + chrono::Duration::seconds(seconds)
}

pub(crate) fn run(status: RunStatus, counts: [i64; 5], error: Option<&str>, hint: Option<&str>) -> Run {
    let [read, inserted, updated, removed, rejected] = counts;
    Run {
        id: uuid::uuid!("0198a1b2-0000-7000-8000-000000000001"),
        resource: String::new(),
        mode: Scope::Full,
        status,
        started_at: at(-260),
        finished_at: (status != RunStatus::Running).then(|| at(-180)),
        source_total: Some(148_201),
        rows_read: read,
        rows_distinct: read,
        rows_inserted: inserted,
        rows_updated: updated,
        rows_unchanged: read.saturating_sub(inserted).saturating_sub(updated),
        rows_removed: removed,
        rows_rejected: rejected,
        rows_rehashed: 0,
        rows_suppressed: 0,
        rows_repeated: 0,
        rows_elsewhere: 0,
        rows_missed: 0,
        rows_late: 0,
        late_by_seconds: None,
        replaced_characters: 0,
        unexplained: None,
        page_fill_percent: None,
        pages: 15,
        requests: 17,
        retries: 1,
        bytes_read: 459_000_000,
        position_from: None,
        position_to: None,
        error: error.map(str::to_owned),
        hint: hint.map(str::to_owned),
        tenant_release: None,
        cause: Some(Cause::Schedule),
    }
}

fn resource(name: &str, scope: Scope, last_run: Run) -> ResourceStatus {
    ResourceStatus {
        resource: name.to_owned(),
        scope,
        watermark: Some(at(-190)),
        watermark_ahead_seconds: None,
        complete_as_of: Some(at(-190)),
        position: None,
        last_run: Some(last_run),
        lag_seconds: Some(190.4),
        open_gaps: 0,
        lasting_gaps: 0,
        open_rejects: 0,
        sweep_backlog: 0,
        timelines: None,
        lease: None,
        next_run_at: Some(at(420)),
        jobs: Vec::new(),
        pause: None,
    }
}

fn held_by(holder: &str, until: i64) -> Lease {
    Lease {
        holder: holder.to_owned(),
        fence: 7,
        expires_at: at(until),
        run_id: None,
        held: until > 0,
    }
}

fn token(status: TokenStatus, expires_in: i64) -> Token {
    Token {
        grant_type: "client_credentials".to_owned(),
        status,
        expires_at: Some(at(expires_in)),
        issued_at: None,
        last_error: None,
        hint: None,
    }
}

fn all(resources: Vec<ResourceStatus>) -> Status {
    Status {
        tenant: Some("https://example.blueconic.net".to_owned()),
        resources,
        token: Some(token(TokenStatus::Valid, 2900)),
        ..Status::default()
    }
}

pub(crate) fn fresh() -> Status {
    let never = |name: &str, scope| ResourceStatus {
        resource: name.to_owned(),
        scope,
        watermark: None,
        watermark_ahead_seconds: None,
        complete_as_of: None,
        position: None,
        last_run: None,
        lag_seconds: None,
        open_gaps: 0,
        lasting_gaps: 0,
        open_rejects: 0,
        sweep_backlog: 0,
        timelines: None,
        lease: None,
        next_run_at: Some(at(2)),
        jobs: Vec::new(),
        pause: None,
    };
    Status {
        resources: vec![
            never("segments", Scope::Full),
            never("profile_properties", Scope::Full),
            never("profiles", Scope::Full),
            never("profiles", Scope::Increment),
            never("audit_events", Scope::Increment),
        ],
        ..Status::default()
    }
}

fn succeeded(name: &str, scope: Scope, counts: [i64; 5]) -> ResourceStatus {
    resource(name, scope, run(RunStatus::Succeeded, counts, None, None))
}

pub(crate) fn well() -> Status {
    all(vec![
        succeeded("segments", Scope::Full, [48, 0, 1, 0, 0]),
        succeeded("profile_properties", Scope::Full, [312, 2, 0, 0, 0]),
        succeeded("profiles", Scope::Full, [148_201, 1_204, 3_811, 97, 0]),
        succeeded("profiles", Scope::Increment, [611, 40, 571, 0, 0]),
        succeeded("audit_events", Scope::Increment, [17, 3, 0, 0, 0]),
    ])
}

/// A month of which most is used, and a walk that waits.
pub(crate) fn expensive() -> Status {
    let measure = |used, forecast, limit| Measure {
        used,
        forecast,
        limit,
    };
    Status {
        usage: Some(Usage {
            starts_at: at(-1_000_000),
            ends_at: at(1_000_000),
            requests: measure(810, Some(1_200), Some(1000)),
            bytes_received: measure(3 << 30, None, None),
            bytes_unpacked: 12 << 30,
            profiles_read: 5_000_000,
            last_month: None,
            costs: Vec::new(),
            put_off: vec![PutOff {
                job: "profiles/full".to_owned(),
                until: at(500_000),
                why: "<b>too much</b>".to_owned(),
            }],
        }),
        ..well()
    }
}

pub(crate) fn troubled() -> Status {
    let denied = run(
        RunStatus::Failed,
        [0, 0, 0, 0, 0],
        Some("the tenant denies profile_properties: the scope read:profile-properties is missing"),
        Some(
            "add the scope `read:profile-properties` to the application in BlueConic under Settings > Access management > Applications",
        ),
    );
    let walk = ResourceStatus {
        lease: Some(held_by("sync-1:4711:9f3a", 25)),
        ..resource(
            "profiles",
            Scope::Full,
            Run {
                started_at: at(-95),
                ..run(RunStatus::Running, [92_400, 51_000, 3_811, 0, 0], None, None)
            },
        )
    };
    let increment = run(
        RunStatus::Interrupted,
        [611, 40, 571, 0, 0],
        None,
        Some("the next run goes on"),
    );
    let events = run(
        RunStatus::Partial,
        [17_403_112, 3_000_411, 0, 0, 2],
        Some("2 events could not be loaded: wrong_shape"),
        Some("select reason, detail from sync.rejects where resource = 'audit_events'"),
    );
    all(vec![
        succeeded("segments", Scope::Full, [48, 0, 1, 0, 0]),
        resource("profile_properties", Scope::Full, denied),
        walk,
        ResourceStatus {
            lease: Some(held_by("sync-2:4712:lapsed", -25)),
            ..resource("profiles", Scope::Increment, increment)
        },
        ResourceStatus {
            open_gaps: 3,
            ..resource("audit_events", Scope::Increment, events)
        },
    ])
}

pub(crate) fn approval() -> Status {
    let walk = run(
        RunStatus::NeedsApproval,
        [121_008, 12, 390, 0, 0],
        Some("27,193 of 148,201 stored profiles were not seen by a complete walk; nothing was removed"),
        Some(
            "if that is right: blueconic-sync backfill profiles --approve-removals 27193, before 2025-06-11 02:41 UTC",
        ),
    );
    Status {
        token: Some(token(TokenStatus::ReauthRequired, -4000)),
        ..all(vec![
            succeeded("segments", Scope::Full, [48, 0, 1, 0, 0]),
            resource("profiles", Scope::Full, walk),
        ])
    }
}

/// What a tenant, or somebody who can name things in it, might try.
pub(crate) fn hostile() -> Status {
    let script = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'><style>*{display:none}</style>";
    let turned = "\u{202E}sdrawkcab\u{202C}\u{0}";
    let long = "W".repeat(4000);
    let numbers = [i64::MAX, i64::MIN, 1_000_000_000_000, 0, 7];
    Status {
        tenant: Some(format!("\"><b>bold</b>{turned}")),
        token: Some(Token {
            hint: Some(script.to_owned()),
            last_error: Some(script.to_owned()),
            ..token(TokenStatus::Failed, -1)
        }),
        ..all(vec![
            ResourceStatus {
                lag_seconds: Some(-5.0),
                open_gaps: 2,
                lease: Some(held_by(script, 25)),
                ..resource(
                    script,
                    Scope::Full,
                    run(RunStatus::Failed, numbers, Some(script), Some(&long)),
                )
            },
            resource(
                &format!("</p>failed\n{turned}"),
                Scope::Increment,
                run(
                    RunStatus::Partial,
                    [1, 0, 0, 0, 0],
                    Some(&"<".repeat(9000)),
                    Some(turned),
                ),
            ),
            resource(&long, Scope::Full, run(RunStatus::Partial, numbers, None, None)),
        ])
    }
}

/// An observer with a state, or with a fault. It knows of no run.
pub(crate) struct Fixed(pub(crate) Result<Status, Fault>);

impl RunHistory for Fixed {
    async fn overview(&self) -> Outcome<Overview> {
        self.0.clone().map(|_| Overview::default())
    }

    async fn run_list(&self, query: &RunQuery) -> Outcome<Option<RunList>> {
        let known = query.before.is_none().then(RunList::default);
        self.0.clone().map(|_| known)
    }

    async fn run_detail(&self, _: Uuid) -> Outcome<Option<RunDetail>> {
        self.0.clone().map(|_| None)
    }
}

/// An observer with all that the pages show.
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) overview: Outcome<Overview>,
    pub(crate) list: RunList,
    pub(crate) detail: RunDetail,
}

impl Observer for Told {
    async fn ready(&self) -> Outcome<()> {
        Ok(())
    }

    async fn status(&self) -> Outcome<Status> {
        Ok(self.status.clone())
    }
}

impl RunHistory for Told {
    async fn overview(&self) -> Outcome<Overview> {
        self.overview.clone()
    }

    async fn run_list(&self, _: &RunQuery) -> Outcome<Option<RunList>> {
        Ok(Some(self.list.clone()))
    }

    async fn run_detail(&self, id: Uuid) -> Outcome<Option<RunDetail>> {
        Ok((id == self.detail.run.id).then(|| self.detail.clone()))
    }
}

impl Observer for Fixed {
    async fn ready(&self) -> Outcome<()> {
        self.0.clone().map(|_| ())
    }

    async fn status(&self) -> Outcome<Status> {
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
    pub(crate) async fn with(state: Result<Status, Fault>) -> Self {
        Self::start(&settings(0), Fixed(state), Liveness::new()).await
    }

    /// Of a source with goals for its tables.
    pub(crate) async fn told(told: Told, goals: Goals) -> Self {
        let server = WebServer::open(&settings(0)).await.unwrap();
        let measured = Measured::default();
        measured.goals.set(goals);
        Self::serving(server.measuring(measured), told, Liveness::new())
    }

    /// Of a process that has counted something, without a database.
    pub(crate) async fn measuring(measured: Measured) -> Self {
        let server = WebServer::open(&settings(0)).await.unwrap();
        Self::serving(server.measuring(measured), Fixed(Err(away())), Liveness::new())
    }

    pub(crate) async fn start<O: PageSource>(settings: &Web, observer: O, liveness: Liveness) -> Self {
        Self::serving(WebServer::open(settings).await.unwrap(), observer, liveness)
    }

    fn serving<O: PageSource>(server: WebServer, observer: O, liveness: Liveness) -> Self {
        let (url, stop) = (format!("http://{}", server.address()), CancellationToken::new());
        let health = Health::new(liveness, Duration::from_secs(5));
        let handle = tokio::spawn(server.serve(
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
