//! Analysts' own tools on the tables: dbt builds and tests the package in `dbt/` and the sources that `docs` writes, pandas writes every
//! table and view as JSON, `DuckDB` attaches the database.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::Tenant;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use crate::support::cluster::Cluster;
use crate::support::sources::root;
use crate::support::{Scene, eventually, scene, small};

/// Relations whose bytes or UUIDs pandas cannot write as JSON: each has a view `NAME_plain`.
const WITH_BYTES: [&str; 6] = [
    "activity",
    "audit_events",
    "audit_events_named",
    "consent_history",
    "profile_tombstones",
    "profiles",
];

/// A program of the virtual environment that `script/test --third-party` makes.
pub(super) fn tool(name: &str) -> PathBuf {
    let path = root().join("tests/third-party/venv/bin").join(name);
    assert!(
        path.exists(),
        "{} is missing: run script/test --third-party",
        path.display()
    );
    path
}

async fn loaded() -> Scene {
    let scene = scene(Settings {
        properties: Settings::default().properties,
        odd_values_per_thousand: 30,
        ..small(400)
    })
    .await;
    scene.program.expect(0, &["backfill"]).await;
    scene
}

/// Where the database is, for a tool's own settings.
fn options(scene: &Scene) -> PgConnectOptions {
    Cluster::shared().options.clone().database(&scene.database.name)
}

fn host(options: &PgConnectOptions) -> String {
    let socket = options
        .get_socket()
        .map(|path| path.to_string_lossy().into_owned());
    socket.unwrap_or_else(|| options.get_host().to_owned())
}

/// dbt in a project folder, with its profile and all that it writes in a folder of the test.
struct Dbt {
    project: PathBuf,
    scratch: TempDir,
}

impl Dbt {
    fn new(project: &Path, options: &PgConnectOptions) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let profile = json!({"blueconic": {"target": "test", "outputs": {"test": {
            "type": "postgres", "host": host(options), "port": options.get_port(), "user": options.get_username(),
            "password": "", "dbname": options.get_database().unwrap(), "schema": "marts", "threads": 2,
        }}}});
        std::fs::write(scratch.path().join("profiles.yml"), profile.to_string()).unwrap();
        Self {
            project: project.to_owned(),
            scratch,
        }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        tokio::process::Command::new(tool("dbt"))
            .args(arguments)
            .env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
            .env("DBT_PROFILES_DIR", self.scratch.path())
            .env("DBT_TARGET_PATH", self.scratch.path().join("target"))
            .env("DBT_LOG_PATH", self.scratch.path().join("logs"))
            .env("DBT_USE_COLORS", "false")
            .current_dir(&self.project)
            .output()
            .await
            .unwrap()
    }

    async fn expect(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "dbt {arguments:?}:\n{said}");
        assert!(!said.contains("WARN=") || said.contains("WARN=0 "), "{said}");
        said
    }
}

/// How many rows of the model differ from the profiles.
const DIFFERENCES: &str = "(select id, modified_at, segment_ids from marts.blueconic_profiles) as m
    full join (select p.id, p.modified_at, array(select unnest(p.segment_ids) order by 1) as segment_ids from blueconic.profiles as p) as p
      on p.id = m.id
    where p.id is null or m.id is null or (p.modified_at, p.segment_ids) is distinct from (m.modified_at, m.segment_ids)";

fn change(tenant: &Tenant) {
    assert!(tenant.touch(3, "visits", &["77"]));
    assert!(tenant.merge(4, 5));
    tenant.add_profiles(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn dbt_builds_the_package_and_follows_the_changes() {
    let scene = loaded().await;
    let dbt = Dbt::new(&root().join("dbt"), &options(&scene));
    dbt.expect(&["build"]).await;
    let count = scene.database.count("marts.blueconic_profiles").await;
    assert_eq!(count, 400);
    assert_eq!(scene.database.count(DIFFERENCES).await, 0);
    let segments = scene.database.count("marts.stg_blueconic__segment_members").await;
    assert_eq!(segments, scene.database.count("blueconic.profile_segments").await);

    // A row that the feed does not name is not read again.
    scene
        .database
        .run("update marts.blueconic_profiles set permission_level = 'touched'")
        .await;
    change(&scene.tenant);
    scene.program.expect(0, &["backfill", "--full", "profiles"]).await;
    let changed = "marts.blueconic_profiles where permission_level is distinct from 'touched'";
    eventually(
        "the model follows",
        std::time::Duration::from_mins(2),
        async || {
            dbt.expect(&["build", "--select", "blueconic_profiles"]).await;
            (scene.database.count(DIFFERENCES).await == 0).then_some(())
        },
    )
    .await;
    let changed = scene.database.count(changed).await;
    assert_eq!(
        changed, 4,
        "the touched one, the winner, and two new ones were read"
    );
    dbt.expect(&["source", "freshness"]).await;
}

/// The written sources are a project's own: dbt parses them, tests the keys, and reads the freshness.
#[tokio::test(flavor = "multi_thread")]
async fn dbt_takes_the_sources_that_docs_writes() {
    let scene = loaded().await;
    let project = tempfile::tempdir().unwrap();
    let written = project.path().join("written");
    scene
        .program
        .expect(
            0,
            &["docs", "--format", "dbt", "--output", written.to_str().unwrap()],
        )
        .await;
    std::fs::write(
        project.path().join("dbt_project.yml"),
        "name: own\nversion: 1.0.0\nconfig-version: 2\nprofile: blueconic\nmodel-paths: [written]\n",
    )
    .unwrap();
    let dbt = Dbt::new(project.path(), &options(&scene));
    let listed = dbt.expect(&["--quiet", "ls", "--resource-type", "source"]).await;
    let relations = scene
        .database
        .count("(select distinct relation from blueconic.data_dictionary) as r")
        .await;
    assert_eq!(
        i64::try_from(listed.lines().count()).unwrap(),
        relations,
        "{listed}"
    );
    let tests = dbt.expect(&["test", "--select", "source:blueconic"]).await;
    assert!(
        tests.contains("ERROR=0") && tests.contains("unique_blueconic_segments_id"),
        "{tests}"
    );
    let fresh = dbt.expect(&["source", "freshness"]).await;
    assert!(fresh.contains("PASS freshness of blueconic.profiles"), "{fresh}");

    // Freshness is the service's, not that of the newest row.
    scene
        .database
        .run("update sync.cursors set watermark = watermark - interval '3 days'")
        .await;
    let stale = dbt
        .run(&["source", "freshness", "--select", "source:blueconic.profiles"])
        .await;
    assert!(
        !stale.status.success(),
        "{}",
        String::from_utf8_lossy(&stale.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pandas_and_duckdb_read_the_views() {
    let scene = loaded().await;
    let options = options(&scene);
    let relations = scene
        .database
        .texts("select distinct relation from blueconic.data_dictionary order by 1")
        .await;
    let relations: Vec<&str> = relations
        .iter()
        .map(String::as_str)
        .filter(|one| !WITH_BYTES.contains(one))
        .collect();
    for name in WITH_BYTES {
        assert!(
            relations.contains(&format!("{name}_plain").as_str()),
            "{name} has no plain view"
        );
    }
    let (host, port) = (host(&options), options.get_port().to_string());
    let mut arguments = vec![
        &*host,
        &*port,
        options.get_username(),
        options.get_database().unwrap(),
    ];
    arguments.extend(&relations);
    let output = tokio::process::Command::new(tool("python"))
        .arg(root().join("tests/third-party/reads.py"))
        .args(arguments)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in relations {
        let rows = &read["pandas"][name];
        assert_eq!(rows["rows"], rows["json"], "{name}");
    }
    let profiles = scene.tenant.profile_count();
    for name in ["profiles_wide", "profiles_plain"] {
        assert_eq!(read["pandas"][name]["rows"], profiles, "{name}");
    }
    let visits: i64 = scene
        .database
        .one("select sum(visits)::bigint from blueconic.profiles_wide")
        .await;
    assert_eq!(read["duckdb"], json!({"rows": profiles, "visits": visits}));
}
