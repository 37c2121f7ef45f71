//! A walk in a process of its own, which dies at a failpoint. The process is the test binary itself, since the program knows nothing
//! of what a test describes.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use tokio::process::Command;

use super::program::LONG;

/// Set for a process that walks once: the tenant's address, and the database's.
const TENANT: &str = "WALK_APART_TENANT";
const DATABASE: &str = "WALK_APART_DATABASE";

/// The tenant and the database of this process, if it walks.
pub(crate) fn given() -> Option<(String, String)> {
    Some((std::env::var(TENANT).ok()?, std::env::var(DATABASE).ok()?))
}

/// Runs the test `worker` in a process of its own, which ends well or dies where `orders` say.
pub(crate) async fn walk_apart(worker: &str, tenant: &str, database: &str, orders: &str) -> ExitStatus {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", worker, "--test-threads=1"])
        .env(TENANT, tenant)
        .env(DATABASE, database)
        .env("FAILPOINTS", orders)
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(LONG, ended).await.unwrap().unwrap();
    assert!(
        ended.status.success() || ended.status.signal() == Some(9),
        "{}",
        String::from_utf8_lossy(&ended.stdout)
    );
    ended.status
}
