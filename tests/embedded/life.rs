//! A cluster from its making to its end: who shares it, what stays, and what a killed process leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use blueconic_sync::postgres::embedded::CONFIG;
use embedded_postgres::Cluster;
use nix::unistd::geteuid;

use super::holder::{Holder, eventually, execute, folder, number, processes};

#[tokio::test]
async fn data_stay_between_runs_and_nothing_else_does() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    execute(&cluster.url(), "create table kept as select 7 as n").await;
    assert!(cluster.bin_dir().join("initdb").exists());
    let (data_dir, run) = (cluster.data_dir().to_owned(), cluster.socket_dir().to_owned());
    cluster.stop().await.unwrap();
    assert_eq!(processes(&data_dir), []);
    assert!(!run.exists());

    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(number(&cluster.url(), "select n from kept").await, 7);
    let settings = "select (current_setting('fsync')::bool and current_setting('server_encoding') = 'UTF8'
        and current_setting('listen_addresses') = '')::int";
    assert_eq!(number(&cluster.url(), settings).await, 1);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn libpq_reads_the_address_too() {
    let folder = folder();
    let cluster = Cluster::start(&CONFIG, &folder.path().join("with a blank & more"))
        .await
        .unwrap();
    let psql = cluster.bin_dir().join("psql");
    let output = Command::new(psql)
        .args([&cluster.url(), "-XAtc", "select current_database()"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "blueconic");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_process_joins_and_the_last_one_ends_the_cluster() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let mut holder = Holder::spawn(Some(&data_dir));
    let data_dir = holder.answer();
    let joined = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    execute(&joined.url(), "create table shared as select 1 as n").await;

    // The one that started it is killed; the one that joined does not notice.
    holder.kill();
    assert_eq!(number(&joined.url(), "select n from shared").await, 1);
    let mut another = Holder::spawn(Some(&data_dir));
    another.answer();
    joined.stop().await.unwrap();
    assert_ne!(processes(&data_dir), []);
    another.kill();
    eventually("the cluster ends with its last holder", || {
        processes(&data_dir).is_empty()
    });
}

#[tokio::test]
async fn a_killed_process_leaves_no_server_and_no_file() {
    let mut holder = Holder::spawn(None);
    let data_dir = holder.answer();
    assert_ne!(processes(&data_dir), []);
    holder.kill();
    eventually("the server is gone", || processes(&data_dir).is_empty());
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn a_process_killed_while_it_makes_the_cluster_leaves_nothing() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let mut holder = Holder::spawn(Some(&data_dir));
    eventually("initdb is at work", || {
        processes(&data_dir)
            .iter()
            .any(|(_, command)| command.contains("initdb"))
    });
    holder.kill();
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(number(&cluster.url(), "select 1").await, 1);
    let data_dir = cluster.data_dir().to_owned();
    cluster.stop().await.unwrap();
    assert_eq!(processes(&data_dir), []);
    let left: Vec<_> = fs::read_dir(&data_dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with("pgdata.new")),
        "{left:?}"
    );
}

#[tokio::test]
async fn temporary_clusters_are_apart_and_vanish() {
    let (first, second) = tokio::try_join!(Cluster::temporary(&CONFIG), Cluster::temporary(&CONFIG)).unwrap();
    assert_ne!(first.url(), second.url());
    let (data_dir, other) = (first.data_dir().to_owned(), second.data_dir().to_owned());
    first.stop().await.unwrap();
    assert!(!data_dir.exists());
    drop(second);
    eventually("a dropped cluster goes as well", || {
        !other.exists() && processes(&other).is_empty()
    });
}

#[tokio::test]
async fn starters_at_the_same_moment_share_one_cluster() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let mut others = [Holder::spawn(Some(&data_dir)), Holder::spawn(Some(&data_dir))];
    let (first, second) = tokio::try_join!(
        Cluster::start(&CONFIG, &data_dir),
        Cluster::start(&CONFIG, &data_dir)
    )
    .unwrap();
    for other in &mut others {
        other.answer();
    }
    assert_eq!(first.url(), second.url());
    let servers = processes(first.data_dir());
    let servers: Vec<_> = servers
        .iter()
        .filter(|(_, command)| command.contains("/postgres -D"))
        .collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    others.iter_mut().for_each(Holder::kill);
    first.stop().await.unwrap();
    assert_eq!(number(&second.url(), "select 1").await, 1);
    second.stop().await.unwrap();
}

/// The same tests once more as `nobody`, when root runs them.
#[test]
fn an_ordinary_user_has_all_of_it_too() {
    if !geteuid().is_root() {
        return;
    }
    let folder = folder();
    let program = folder.path().join("embedded");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .arg("embedded::");
    let output = command
        .env("HOME", "/nonexistent")
        .env_remove("TMPDIR")
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("test embedded::life::a_killed_process_leaves_no_server_and_no_file ... ok"),
        "{text}"
    );
}
