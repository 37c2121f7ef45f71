//! Three replicas in processes of their own, two hundred callers in each: how many token requests that costs, also when
//! the one that asks dies or stands still.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use blueconic_sync::app::Database as Opened;
use blueconic_sync::blueconic::client::Client;
use blueconic_sync::clock::SystemClock;
use blueconic_sync::config::load::load;
use blueconic_sync::resources::registry::RESOURCES;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::tenant::Tenant;
use tokio::process::{Child, Command};

use crate::support::database::Database;
use crate::support::eventually;
use crate::support::oauth::server::KEY;
use crate::support::program::LONG;
use crate::support::{Scene, scene, small};

const CALLERS: usize = 200;
/// Set for the processes that call.
const ROLE: &str = "BLUECONIC_SYNC_TEST_CALLER";

/// Not a test: what each of the processes does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in the processes that the tests below start"]
async fn caller() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let settings = load(
        None,
        &variables.collect::<BTreeMap<String, OsString>>(),
        RESOURCES,
    )
    .unwrap();
    let database = Opened::open(&settings).await.unwrap();
    let store = database.store(&settings).await.unwrap();
    let client = Arc::new(Client::new(&settings, store, Arc::new(SystemClock)).unwrap());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let client = Arc::clone(&client);
        callers.spawn(async move { client.sign_in().await });
    }
    for outcome in callers.join_all().await {
        outcome.unwrap();
    }
}

fn replica(tenant: &Tenant, database: &Database) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "oauth::claims::caller", "--ignored"])
        .env_clear()
        .envs([
            (ROLE, "1"),
            ("BLUECONIC_URL", tenant.url()),
            ("BLUECONIC_CLIENT_ID", "simulated-client"),
            ("BLUECONIC_CLIENT_SECRET", "simulated-secret"),
            ("BLUECONIC_SYNC_KEY", KEY),
            ("DATABASE_URL", &database.url),
        ])
        .kill_on_drop(true)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

async fn cold_start() -> (Tenant, Database, Vec<Child>) {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(10)).await;
    program.expect(0, &["migrate"]).await;
    // Long enough for the signals to come in the middle.
    tenant.faults().push(Fault {
        limit: Some(1),
        ..Fault::at(Route::Token, When::Always, Kind::Delay(Duration::from_secs(3)))
    });
    let replicas = (0..3).map(|_| replica(&tenant, &database)).collect();
    (tenant, database, replicas)
}

/// The process that asks, once its request is at the tenant.
async fn asking(tenant: &Tenant, database: &Database) -> u32 {
    eventually("somebody asks", LONG, async || {
        (tenant.requests().count(Route::Token) == 1).then_some(())
    })
    .await;
    let holder: String = database.one("select refreshing_by from sync.tokens").await;
    // Host, process and a random part.
    let parts: Vec<&str> = holder.split(':').collect();
    parts[parts.len() - 2].parse().unwrap()
}

fn signal(process: u32, signal: Signal) {
    kill(Pid::from_raw(process.try_into().unwrap()), signal).unwrap();
}

async fn ended(mut replica: Child) -> bool {
    tokio::time::timeout(LONG, replica.wait())
        .await
        .unwrap()
        .unwrap()
        .success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_costs_one_token_request() {
    let (tenant, _database, replicas) = cold_start().await;
    for replica in replicas {
        assert!(ended(replica).await);
    }
    assert_eq!(tenant.requests().count(Route::Token), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_killed_while_it_asks_costs_one_more() {
    let (tenant, database, replicas) = cold_start().await;
    let victim = asking(&tenant, &database).await;
    signal(victim, Signal::SIGKILL);
    let mut died = 0;
    for replica in replicas {
        died += usize::from(!ended(replica).await);
    }
    assert_eq!((died, tenant.requests().count(Route::Token)), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stands_still_while_it_asks_costs_one_more_and_stores_nothing() {
    let (tenant, database, replicas) = cold_start().await;
    let victim = asking(&tenant, &database).await;
    signal(victim, Signal::SIGSTOP);
    let (stopped, others): (Vec<Child>, Vec<Child>) = replicas
        .into_iter()
        .partition(|replica| replica.id() == Some(victim));
    for replica in others {
        assert!(ended(replica).await);
    }
    let state = "select version || ' ' || fence || ' ' || encode(ciphertext, 'hex') from sync.tokens";
    let settled: String = database.one(state).await;
    signal(victim, Signal::SIGCONT);
    for replica in stopped {
        assert!(ended(replica).await, "it goes on with the others' token");
    }
    assert_eq!(database.one::<String>(state).await, settled);
    assert_eq!(tenant.requests().count(Route::Token), 2);
}
