//! The pages in a real Chromium, judged by axe-core: with no run, one, and ten thousand, with hostile texts, on a phone and on a screen,
//! in light and dark. `PAGES_SCREENSHOTS=FOLDER` keeps what it saw and how long pages took.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blueconic_sync::config::load::load;
use blueconic_sync::model::concern::Goals;
use blueconic_sync::model::fault::Outcome;
use blueconic_sync::model::liveness::Liveness;
use blueconic_sync::model::overview::{Overview, RunDetail, RunList, RunQuery};
use blueconic_sync::model::ports::{Observer, RunHistory};
use blueconic_sync::model::position::Slot;
use blueconic_sync::model::status::Status;
use blueconic_sync::postgres::pool::Limits;
use blueconic_sync::postgres::store::PostgresStore;
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::schedule::forecast::Forecast;
use blueconic_sync::web::metrics::Measured;
use blueconic_sync::web::server::{Health, WebServer};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::sources::root;

const MIGRATION: &str = include_str!("../../migrations/0048_run_days.sql");
/// Where Chromium is; each system has a name of its own for it.
const CHROMIUMS: [&str; 5] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

fn chromium() -> PathBuf {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let found = named.or_else(|| {
        CHROMIUMS
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())
    });
    found.unwrap_or_else(|| {
        panic!("Chromium is not installed: script/bootstrap --third-party does that, or name it in CHROMIUM")
    })
}

/// The database with the starts of its jobs, as `serve` has them.
struct Foretold(PostgresStore);

impl Observer for Foretold {
    async fn ready(&self) -> Outcome<()> {
        self.0.ready().await
    }

    async fn status(&self) -> Outcome<Status> {
        self.0.status().await
    }
}

impl RunHistory for Foretold {
    async fn overview(&self) -> Outcome<Overview> {
        let mut overview = self.0.overview().await?;
        Forecast::default().fill(&mut overview.jobs, chrono::Utc::now());
        Ok(overview)
    }

    async fn run_list(&self, query: &RunQuery) -> Outcome<Option<RunList>> {
        self.0.run_list(query).await
    }

    async fn run_detail(&self, id: Uuid) -> Outcome<Option<RunDetail>> {
        self.0.run_detail(id).await
    }
}

/// The pages over a database of their own, in this process.
struct Served {
    database: Database,
    url: String,
    stop: CancellationToken,
}

impl Served {
    async fn start() -> Self {
        let database = Database::empty().await;
        let limits = Limits {
            max_connections: 4,
            load_connections: 2,
            lease_ttl: Duration::from_secs(30),
            retention: Duration::from_hours(30 * 24),
            changes_kept: None,
            rejects_kept: Duration::from_hours(30 * 24),
        };
        let slots: Vec<Slot> = RESOURCES
            .iter()
            .filter(|one| one.is_by_default())
            .flat_map(|one| one.slots().collect::<Vec<_>>())
            .collect();
        let options = Cluster::shared().options.clone().database(&database.name);
        let store = PostgresStore::connect(options, limits, slots).await.unwrap();
        store.record_resources(RESOURCES).await.unwrap();
        let mut settings = load(None, &BTreeMap::default(), RESOURCES).unwrap().web;
        settings.bind.set_port(0);
        let goals = Goals::from([
            ("profiles", Duration::from_hours(1)),
            ("segments", Duration::from_hours(48)),
        ]);
        let measured = Measured::default();
        measured.goals.set(goals);
        let server = WebServer::open(&settings).await.unwrap().measuring(measured);
        let (url, stop) = (format!("http://{}", server.address()), CancellationToken::new());
        let health = Health::new(Liveness::new(), Duration::from_secs(5));
        let source = Arc::new(Foretold(store));
        tokio::spawn(server.serve(source, RESOURCES, health, stop.clone().cancelled_owned()));
        Self { database, url, stop }
    }

    /// Runs of every slot over 29 days; one in forty did not succeed, and its error is `error`.
    async fn runs(&self, each: u32, error: &str) {
        let (_, rest) = MIGRATION.split_once("\ninsert into sync.run_days").unwrap();
        let filling = rest.split(';').next().unwrap();
        let sql = format!(
            "insert into sync.runs (id, resource, mode, status, started_at, finished_at, source_total, rows_read, rows_inserted,
               rows_updated, rows_unchanged, rows_rejected, rows_removed, pages, requests, bytes_read, error, hint, cause)
             select gen_random_uuid(), slot.resource, slot.mode, status, at, at + took, 148201, read, read / 100, read / 20,
               read - read / 100 - read / 20 - rejected, rejected, read / 500, 1 + read / 1000, 2 + read / 1000, read * 3100,
               case when status <> 'succeeded' then $error${error}$error$ end,
               case when status <> 'succeeded' then 'look at the run''s rejects: `select reason, detail from sync.rejects`' end, 'schedule'
             from (select resource, mode, row_number() over (order by resource, mode) as place
                   from (values {}) as named (resource, mode)) as slot
             cross join generate_series(0, {each} - 1) as number
             cross join lateral (
               select sync.clock() - interval '3 minutes' - place * interval '7 seconds' - number * interval '29 days' / {each} as at,
                 interval '1 second' * (1 + (number * 37 + place * 11) % 240) as took,
                 1000 + (number * 7919 + place * 104729) % 90000 as read,
                 case when (number + place) % 40 = 0 then 3 else 0 end as rejected,
                 case when (number + place) % 90 = 0 then 'failed' when (number + place) % 40 = 0 then 'partial'
                   when (number + place) % 71 = 0 then 'interrupted' else 'succeeded' end as status
             ) as made;
             insert into sync.run_days{filling};
             analyze sync.runs",
            slots()
        );
        self.database.run(&sql).await;
    }

    /// Gaps, rejects, jobs, tables: what stands beside the runs.
    async fn beside(&self, name: &str) {
        let sql = format!(
            "insert into sync.gaps (resource, from_at, to_at, reason, run_id, noticed_at)
             select 'audit_events', sync.clock() - interval '1 day' * ago, sync.clock() - interval '1 day' * ago + interval '1 hour' * hours,
               reason, gen_random_uuid(), now()
             from (values (2, 3, 'unreachable'), (9, 30, 'unreachable'), (40, 20, 'retention'), (41, 1, 'saturated')) as gap (ago, hours, reason);
             insert into sync.rejects (resource, element_id, reason, detail, raw, raw_bytes, sha256, run_id, noticed_at)
             select r.resource, n::text, reason, '`creationDate` is not a date: ' || n, '', 1, '', r.id, now()
             from (select id, resource from sync.runs where status = 'failed' order by started_at desc limit 3) as r
             cross join generate_series(1, 40) as n cross join (values ('wrong_shape'), ('too_large')) as why (reason)
             on conflict do nothing;
             insert into sync.schedule (job, resource, scope, cron, time_zone, next_run_at)
             select job, 'segments', 'full', cron, 'Europe/Berlin', sync.clock() + interval '1 minute' * minutes
             from (values ('audit_events', '*/5 * * * *', 4), ('profiles/full', '0 2 * * *', 300), ($job${name}$job$, '0 */6 * * *', -1))
               as job (job, cron, minutes);
             insert into sync.usage (month, requests, bytes_received, bytes_unpacked, profiles_read, first_at, last_at)
             select (date_trunc('month', sync.clock() at time zone 'UTC') - interval '1 month' * ago)::date, 20000 + 3000 * (ago * 7 % 5),
               (20000 + 3000 * (ago * 7 % 5)) * 61000::bigint, 1, 2600000 + 1000 * ago, now(), now()
             from generate_series(0, 8) as ago where ago <> 4
             on conflict do nothing;
             insert into sync.leases (name, holder, fence, expires_at) values ('segments/full', $holder${name}$holder$, 1, now() + interval '1 h')"
        );
        self.database.run(&sql).await;
    }

    /// How long the status page takes, and how large it is.
    async fn measured(&self) -> String {
        const TIMES: u32 = 20;
        let mut bytes = 0;
        let began = std::time::Instant::now();
        for _ in 0..TIMES {
            bytes = reqwest::get(&self.url).await.unwrap().text().await.unwrap().len();
        }
        format!("{:?} a page of {bytes} bytes", began.elapsed() / TIMES)
    }

    /// The id of the latest run that failed.
    async fn failed(&self) -> String {
        self.database
            .one("select id::text from sync.runs where status = 'failed' order by started_at desc limit 1")
            .await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn slots() -> String {
    let all = RESOURCES.iter().filter(|one| one.is_by_default());
    let named = all.flat_map(|one| one.slots().collect::<Vec<_>>());
    let rows: Vec<String> = named
        .map(|slot| format!("('{}', '{}')", slot.resource, slot.scope.as_str()))
        .collect();
    rows.join(", ")
}

async fn look(urls: &Value) -> Vec<Value> {
    let folder = root().join("tests/third-party");
    assert!(
        folder.join("node_modules/puppeteer-core").exists() && folder.join("node_modules/axe-core").exists(),
        "puppeteer-core and axe-core are not installed: script/test --third-party does that"
    );
    let request = json!({"urls": urls, "screenshots": std::env::var("PAGES_SCREENSHOTS").ok()});
    let output = tokio::process::Command::new("node")
        .arg(folder.join("pages.mjs"))
        .arg(chromium())
        .arg(request.to_string())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_core_finds_nothing_in_a_real_browser() {
    let (none, one, many, hostile) =
        tokio::join!(Served::start(), Served::start(), Served::start(), Served::start());
    one.runs(1, "it failed").await;
    // Ten thousand runs in all.
    many.runs(500, "3 elements were rejected").await;
    many.beside("housekeeping").await;
    let script = "<script>document.title='owned'</script>\"'>\u{5d0}\u{5d1}\u{5d2} \u{202E}sdrawkcab";
    hostile.runs(90, &format!("{script} {}", "W".repeat(5_000))).await;
    hostile
        .beside(&format!("{script} {}", "long_name_".repeat(40)))
        .await;
    let runs = many.database.count("sync.runs").await;
    assert!(runs >= 10_000, "{runs}");
    let urls = json!({
        "none": none.url,
        "one": one.url,
        "many": many.url,
        "hostile": hostile.url,
        "run": format!("{}/runs/{}", many.url, many.failed().await),
        "hostile-run": format!("{}/runs/{}", hostile.url, hostile.failed().await),
        "runs": format!("{}/runs?resource=profiles&scope=increment", many.url),
        "all-runs": format!("{}/runs", many.url),
    });
    let looks = look(&urls).await;
    if let Some(folder) = std::env::var_os("PAGES_SCREENSHOTS").map(PathBuf::from) {
        none.runs(4, "it failed").await;
        none.beside("housekeeping").await;
        let times = [
            ("100 runs", none.measured().await),
            ("10,000 runs", many.measured().await),
        ];
        std::fs::write(folder.join("times.txt"), format!("{times:#?}")).unwrap();
    }
    assert!(looks.len() >= 10, "{} looks", looks.len());
    for look in &looks {
        assert_eq!(look["status"], 200, "{look}");
        assert_eq!(look["found"], json!([]), "{look:#}");
        assert!(
            look["passed"].as_i64().unwrap() > 10,
            "axe judged next to nothing: {look}"
        );
        assert_eq!(look["refused"], json!([]), "{look}");
        assert_eq!(
            (&look["scripts"], &look["overflow"]),
            (&json!(0), &json!(0)),
            "{look}"
        );
        if look["width"] == 360 {
            assert_eq!(look["keyboard"]["tried"], look["keyboard"]["visible"], "{look}");
            assert!(look["keyboard"]["tried"].as_i64().unwrap() > 4, "{look}");
        }
    }
}
