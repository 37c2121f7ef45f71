//! The service as a user runs it: the real binary in an environment of its own, on a fresh database of a private
//! cluster.

use std::time::Duration;

use blueconic_sync::postgres::embedded::CONFIG;
use embedded_postgres::Cluster;
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;

/// Far beyond what any of these commands takes, also where everything else runs at once.
const LONGEST: Duration = Duration::from_mins(5);

/// A database and the settings that lead to it and to a tenant.
pub(crate) struct Service {
    cluster: Cluster,
    pub(crate) database: PgPool,
    variables: Vec<(String, String)>,
    home: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Service {
    /// A fresh database for the tenant at `url`.
    pub(crate) async fn before(url: &str) -> Self {
        let cluster = Cluster::temporary(&CONFIG).await.unwrap();
        let database = PgPool::connect(&cluster.url()).await.unwrap();
        let mut service = Self {
            cluster,
            database,
            variables: Vec::new(),
            home: TempDir::new().unwrap(),
        };
        let url_of_database = service.cluster.url();
        for (name, value) in [
            ("BLUECONIC_URL", url),
            ("BLUECONIC_CLIENT_ID", "simulated-client"),
            ("BLUECONIC_CLIENT_SECRET", "simulated-secret"),
            ("DATABASE_URL", &url_of_database),
            ("BLUECONIC_SYNC__LIMITS__REQUESTS_PER_SECOND", "1000"),
            ("BLUECONIC_SYNC__LIMITS__BURST", "1000"),
            ("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "20s"),
        ] {
            service.set(name, value);
        }
        service
    }

    /// The address of the database.
    pub(crate) fn address(&self) -> String {
        self.cluster.url()
    }

    /// Sets a variable for the commands to come.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_blueconic-sync"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LONGEST, output).await.unwrap().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Lets go of the database and waits until its cluster is gone.
    pub(crate) async fn stop(self) {
        self.database.close().await;
        self.cluster.stop().await.unwrap();
    }
}

impl Ended {
    /// Makes sure of the exit code, or shows all that was said.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// What `--json` printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The run of a resource in what `backfill --json` printed.
    pub(crate) fn run_of(&self, resource: &str) -> Value {
        let summary = self.json();
        let runs = summary["runs"].as_array().unwrap().clone();
        let mut found = runs.into_iter().filter(|run| run["resource"] == resource);
        let run = found.next().unwrap();
        assert!(found.next().is_none(), "{resource} ran twice: {summary}");
        run
    }
}
