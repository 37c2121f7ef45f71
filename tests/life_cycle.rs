//! A service that lives on: it starts before its database, outlives it, and takes other settings without a restart.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use simulated_tenant::tenant::{Tenant, start};

use crate::support::cluster::{Cluster, Restart};
use crate::support::database::Database;
use crate::support::ports::free;
use crate::support::program::{LONG, Program, Running};
use crate::support::registry::list_names;
use crate::support::{eventually, small};

async fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let answer = reqwest::get(format!("http://{address}{path}")).await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

async fn answers(running: &mut Running, address: SocketAddr, path: &str, code: u16) -> String {
    eventually(&format!("{path} answers {code}"), LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let (found, text) = get(address, path).await?;
        (found == code).then_some(text)
    })
    .await
}

async fn logged(running: &mut Running, words: &str) {
    eventually(&format!("`{words}` is logged"), LONG, async || {
        let said = running.stderr();
        assert!(!running.has_ended(), "it has ended:\n{said}");
        said.contains(words).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_before_its_database_and_outlives_it() {
    let tenant = start(small(30)).await.unwrap();
    let cluster = Cluster::start();
    let database = Database::on(&cluster).await;
    let address = free();
    let program = Program::new(tenant.url(), &database.url)
        .set("web.bind", &address.to_string())
        .set("schedule.heartbeat", "1s")
        .set("resources.segments.schedule", "* * * * * *");
    tokio::task::block_in_place(|| cluster.crash());
    let mut running = program.start(&["serve"]);
    let why = eventually("it says what it waits for", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let (code, text) = get(address, "/readyz").await?;
        assert_eq!(code, 503, "{text}");
        (!text.contains("is starting")).then_some(text)
    })
    .await;
    assert!(why.contains("database"), "{why}");
    logged(&mut running, "waiting for the database").await;
    assert_eq!(
        get(address, "/healthz").await.unwrap().0,
        200,
        "a restart would not help"
    );
    let (code, page) = get(address, "/").await.unwrap();
    assert!(code == 503 && page.contains("The state cannot be read"), "{page}");
    assert!(tenant.requests().all().is_empty());

    tokio::task::block_in_place(|| cluster.restart(Restart::Immediate));
    answers(&mut running, address, "/readyz", 200).await;
    let succeeded = "sync.runs where resource = 'segments' and status = 'succeeded'";
    let reads = async |running: &mut Running, more_than: i64| {
        eventually("it reads", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            let tables: bool = database.one("select to_regclass('sync.runs') is not null").await;
            (tables && database.count(succeeded).await > more_than).then_some(())
        })
        .await;
    };
    reads(&mut running, 0).await;

    tokio::task::block_in_place(|| cluster.crash());
    answers(&mut running, address, "/readyz", 503).await;
    tokio::task::block_in_place(|| cluster.restart(Restart::Immediate));
    answers(&mut running, address, "/readyz", 200).await;
    let before = database.count(succeeded).await;
    reads(&mut running, before).await;
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_waits_for_its_database_it_ends_when_asked() {
    let program = Program::new("http://127.0.0.1:9", "postgres://u:hunter2@127.0.0.1:9/x");
    let mut running = program.start(&["serve", "--bind", "127.0.0.1:0"]);
    logged(&mut running, "waiting for the database").await;
    running.signal(Signal::SIGTERM);
    let ended = running.ended(Duration::from_secs(5)).await;
    ended.expect(0);
    ended.tells(&["127.0.0.1:9", "start PostgreSQL"]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

/// A service with a file of settings and a file for its secret.
struct Filed {
    tenant: Tenant,
    database: Database,
    address: SocketAddr,
    folder: tempfile::TempDir,
    running: Running,
}

fn settings(text: &str) -> String {
    format!("[schedule]\nheartbeat = \"1s\"\ndrift = \"\"\n{text}")
}

impl Filed {
    async fn start() -> Self {
        let tenant = start(small(30)).await.unwrap();
        let database = Database::empty().await;
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (folder.path().join("own.toml"), folder.path().join("secret"));
        std::fs::write(&file, settings("")).unwrap();
        std::fs::write(&secret, "simulated-secret\n").unwrap();
        let address = free();
        let program = Program::new(tenant.url(), &database.url)
            .without("BLUECONIC_CLIENT_SECRET")
            .with("BLUECONIC_CLIENT_SECRET_FILE", secret.to_str().unwrap())
            .without("RUST_LOG");
        let bind = address.to_string();
        let arguments = ["--config", file.to_str().unwrap(), "serve", "--bind", &bind];
        let running = program.start(&arguments);
        let mut filed = Self {
            tenant,
            database,
            address,
            folder,
            running,
        };
        filed.is_idle().await;
        filed
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.file(name), text);
        self.running.signal(Signal::SIGHUP);
    }

    async fn is_idle(&mut self) {
        answers(&mut self.running, self.address, "/readyz", 200).await;
        let (running, database) = (&mut self.running, &self.database);
        eventually("every job has run", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            let due = "sync.schedule where claimed_by is not null or next_run_at <= sync.clock()";
            (database.count("sync.schedule").await > 0 && database.count(due).await == 0).then_some(())
        })
        .await;
    }

    async fn runs(&self, resource: &str, status: &str) -> i64 {
        let of = format!("sync.runs where resource = '{resource}' and status = '{status}'");
        self.database.count(&of).await
    }

    async fn runs_more(&mut self, resource: &str, status: &str) {
        let before = self.runs(resource, status).await;
        eventually(&format!("{resource} ends as {status}"), LONG, async || {
            assert!(
                !self.running.has_ended(),
                "it has ended:\n{}",
                self.running.stderr()
            );
            (self.runs(resource, status).await > before).then_some(())
        })
        .await;
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

const EACH_SECOND: &str = "[resources.segments]\nschedule = \"* * * * * *\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn sighup_applies_other_settings_and_says_what_needs_a_restart() {
    let mut filed = Filed::start().await;
    filed.write("own.toml", &settings(EACH_SECOND));
    logged(&mut filed.running, "the changed settings are in use").await;
    filed.runs_more("segments", "succeeded").await;
    filed.runs_more("segments", "succeeded").await;
    assert_eq!(
        filed.database.count("sync.services").await,
        1,
        "one process, one row"
    );
    assert!(!filed.running.stderr().contains("job `segments` started"));

    // More is logged, the port stays, and the other job is no more.
    let last = list_names().pop().unwrap();
    let more = format!(
        "[log]\nfilter = \"info,blueconic_sync=debug\"\n[web]\nhosts = [\"elsewhere\"]\n[resources.{last}]\nenabled = false\n"
    );
    let goal = "blueconic_sync_fresh_within_seconds{resource=\"segments\"}";
    assert!(
        !answers(&mut filed.running, filed.address, "/metrics", 200)
            .await
            .contains(goal)
    );
    filed.write(
        "own.toml",
        &settings(&format!("{EACH_SECOND}fresh_within = \"2h\"\n{more}")),
    );
    logged(&mut filed.running, "restart the service to apply `web.hosts`").await;
    logged(&mut filed.running, "job `segments` started").await;
    eventually("the job is gone", LONG, async || {
        let left = filed
            .database
            .count(&format!("sync.schedule where resource = '{last}'"))
            .await;
        (left == 0).then_some(())
    })
    .await;

    let metrics = answers(&mut filed.running, filed.address, "/metrics", 200).await;
    assert!(metrics.contains(&format!("{goal} 7200\n")), "{metrics}");

    // What is wrong, or the same, changes nothing.
    filed.write("own.toml", &settings("[limits]\nbursts = 1\n"));
    logged(&mut filed.running, "the former settings stay").await;
    filed.runs_more("segments", "succeeded").await;
    filed.write(
        "own.toml",
        &settings(&format!("{EACH_SECOND}fresh_within = \"2h\"\n{more}")),
    );
    logged(&mut filed.running, "the settings are as they were").await;
    filed.running.signal(Signal::SIGTERM);
    filed.running.ended(Duration::from_secs(10)).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_changed_at_the_tenant_needs_no_restart() {
    let mut filed = Filed::start().await;
    filed.write("own.toml", &settings(EACH_SECOND));
    filed.runs_more("segments", "succeeded").await;
    filed.tenant.rotate_secret("another-secret");
    filed.runs_more("segments", "failed").await;
    filed.write("secret", "another-secret\n");
    filed.runs_more("segments", "succeeded").await;
    assert!(!filed.running.stderr().contains("another-secret"));
    filed.running.signal(Signal::SIGTERM);
    filed.running.ended(Duration::from_secs(10)).await.expect(0);
}

/// A walk that is under way stops at a safe point, and goes on with the other settings.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_after_a_change_of_settings() {
    let tenant = start(simulated_tenant::settings::Settings {
        latency: Duration::from_millis(100),
        ..small(3_000)
    })
    .await
    .unwrap();
    let database = Database::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    let of = |page_size: u32| format!("[resources.profiles]\npage_size = {page_size}\n");
    write(&file, &of(100));
    let program = Program::new(tenant.url(), &database.url);
    let mut running = program.start(&[
        "--config",
        file.to_str().unwrap(),
        "serve",
        "--bind",
        "127.0.0.1:0",
    ]);
    let pages = |tenant: &Tenant| tenant.requests().count(simulated_tenant::faults::Route::Profiles);
    eventually("the walk is under way", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (pages(&tenant) > 5).then_some(())
    })
    .await;
    write(&file, &of(150));
    running.signal(Signal::SIGHUP);
    eventually("the walk ends", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let full = "sync.runs where resource = 'profiles' and mode = 'full' and status = ";
        let interrupted = database.count(&format!("{full} 'interrupted'")).await;
        let succeeded = database.count(&format!("{full} 'succeeded'")).await;
        ((interrupted, succeeded) == (1, 1)).then_some(())
    })
    .await;
    assert_eq!(database.count("blueconic.profiles").await, 3_000);
    assert!(pages(&tenant) < 50, "it did not begin anew: {}", pages(&tenant));
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
}
