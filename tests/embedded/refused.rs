//! What cannot be made or started says why, and leaves nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use blueconic_sync::postgres::embedded::{CONFIG, hint};
use embedded_postgres::{Cluster, Error};
use nix::unistd::geteuid;

use super::holder::{HOLD, folder, number};

#[tokio::test]
async fn a_path_too_long_for_a_socket_gets_a_short_one() {
    let folder = folder();
    let data_dir = folder.path().join("long-".repeat(30)).join("and, with a comma");
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(number(&cluster.url(), "select 1").await, 1);
    let run = cluster.socket_dir().to_owned();
    assert!(
        run.starts_with("/tmp") && run.to_str().unwrap().len() < 60,
        "{run:?}"
    );
    assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o700);
    let joined = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(joined.url(), cluster.url());
    joined.stop().await.unwrap();
    cluster.stop().await.unwrap();
    assert!(!run.exists());
}

#[tokio::test]
async fn a_folder_with_other_things_is_left_alone() {
    let folder = folder();
    fs::write(folder.path().join("thesis.tex"), "…").unwrap();
    let error = Cluster::start(&CONFIG, folder.path()).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn data_of_another_version_are_named_with_both_versions() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    Cluster::start(&CONFIG, &data_dir)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    fs::write(data_dir.join("pgdata/PG_VERSION"), "14\n").unwrap();
    let error = Cluster::start(&CONFIG, &data_dir).await.unwrap_err();
    assert!(
        matches!(&error, Error::OtherVersion { made_by, .. } if made_by == "14"),
        "{error}"
    );
    assert!(hint(&error).contains("install PostgreSQL 14"), "{}", hint(&error));
}

#[tokio::test]
async fn a_server_that_does_not_start_is_quoted() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    Cluster::start(&CONFIG, &data_dir)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    fs::write(data_dir.join("pgdata/postgresql.conf"), "shared_bufers = 1\n").unwrap();
    let error = Cluster::start(&CONFIG, &data_dir).await.unwrap_err();
    assert!(matches!(error, Error::Ended { what: "start", .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("unrecognized configuration parameter \"shared_bufers\""),
        "{error}"
    );
}

#[test]
fn a_temporary_cluster_that_cannot_be_made_says_why_and_leaves_nothing() {
    let folder = folder();
    let script = "printf '#!/bin/sh\\n' | tee psql postgres initdb >/dev/null &&
        echo 'echo \"postgres (PostgreSQL) 17.0\"' >> postgres &&
        echo 'echo no more space >&2; exit 1' >> initdb && chmod 755 psql postgres initdb";
    let (programs, temporary) = (folder.path().join("bin"), folder.path().join("tmp"));
    fs::create_dir(&programs).unwrap();
    fs::create_dir(&temporary).unwrap();
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(&programs)
        .status()
        .unwrap();
    assert!(status.success());

    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "embedded::holder::hold_until_killed",
        "--ignored",
        "--nocapture",
    ]);
    command
        .env(HOLD, "")
        .env("PGBIN", &programs)
        .env("TMPDIR", &temporary);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("no more space"),
        "{text}"
    );
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[tokio::test]
async fn root_does_not_put_data_where_the_server_cannot_go() {
    if !geteuid().is_root() {
        return;
    }
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = Cluster::start(&CONFIG, &folder.path().join("data"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::OutOfReach { blocker, .. } if blocker == folder.path()),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
