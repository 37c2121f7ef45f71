//! Tokens at rest: the key that seals them, its change, and rows that somebody has tampered with. A clear error each time.

use simulated_tenant::faults::{Fault, Kind, Route, When};

use crate::support::oauth::opened::opened;
use crate::support::oauth::server::KEY;
use crate::support::program::Program;
use crate::support::{Scene, scene, small};

const OTHER_KEY: &str = "MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

async fn signed_in() -> (Scene, Program) {
    let scene = scene(small(20)).await;
    let program = scene.program.with("BLUECONIC_SYNC_KEY", KEY);
    program.expect(0, &["backfill", "segments"]).await;
    (scene, program)
}

/// Makes the row an authorization, as far as the tests below look at it: bound to its own name, so it does not open.
async fn as_authorization(scene: &Scene) {
    scene
        .database
        .run("update sync.tokens set grant_type = 'authorization_code'")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_in_one_go() {
    let (scene, program) = signed_in().await;
    let held = opened(&scene.database, KEY).await;
    assert!(!held.access.is_empty() && held.refresh.is_none());
    let rotation = program
        .with("BLUECONIC_SYNC_KEY", OTHER_KEY)
        .with("BLUECONIC_SYNC_OLD_KEY", KEY);
    let done = rotation.expect(0, &["rotate-key"]).await;
    assert!(
        done.stdout.starts_with("1 row(s) of sync.tokens"),
        "{}",
        done.stdout
    );
    assert_eq!(opened(&scene.database, OTHER_KEY).await, held);
    rotation.expect(0, &["backfill", "segments"]).await;
    assert_eq!(scene.tenant.requests().count(Route::Token), 1);
    let again = rotation.expect(0, &["rotate-key"]).await;
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);

    for (old, new, says) in [
        (None, Some(KEY), "BLUECONIC_SYNC_OLD_KEY is not set"),
        (Some(KEY), None, "BLUECONIC_SYNC_KEY is not set"),
        (Some(KEY), Some(KEY), "the same key"),
        (
            Some("short"),
            Some(KEY),
            "`BLUECONIC_SYNC_OLD_KEY` cannot be used",
        ),
    ] {
        let mut wrong = program.without("BLUECONIC_SYNC_KEY");
        for (name, value) in [("BLUECONIC_SYNC_OLD_KEY", old), ("BLUECONIC_SYNC_KEY", new)] {
            if let Some(value) = value {
                wrong = wrong.with(name, value);
            }
        }
        wrong.expect(2, &["rotate-key"]).await.tells(&[says]);
    }
    // Sealed with neither: nothing changes.
    let third = "MjEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let wrong = program
        .with("BLUECONIC_SYNC_KEY", third)
        .with("BLUECONIC_SYNC_OLD_KEY", KEY);
    wrong
        .expect(2, &["rotate-key"])
        .await
        .tells(&["do not open with BLUECONIC_SYNC_OLD_KEY", "nothing was changed"]);
    assert_eq!(opened(&scene.database, OTHER_KEY).await, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_key_waits_for_a_request_that_is_under_way() {
    let (scene, program) = signed_in().await;
    let rotation = program
        .with("BLUECONIC_SYNC_KEY", OTHER_KEY)
        .with("BLUECONIC_SYNC_OLD_KEY", KEY);
    let busy = "update sync.tokens set refreshing_by = 'somebody', refreshing_until = sync.clock() + interval '3 seconds'";
    scene.database.run(busy).await;
    let done = rotation.expect(0, &["rotate-key"]).await;
    assert!(done.took.as_secs() >= 2, "{:?}", done.took);
    opened(&scene.database, OTHER_KEY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_does_not_open_is_asked_for_anew() {
    let (scene, program) = signed_in().await;
    for (what, says) in [
        (
            "key_id = 'deadbeef', ciphertext = set_byte(ciphertext, 30, get_byte(ciphertext, 30) # 1)",
            "another key",
        ),
        ("ciphertext = substring(ciphertext for 40)", "cannot be opened"),
        ("ciphertext = substring(ciphertext for 3)", "truncated"),
        ("ciphertext = ''", "truncated"),
    ] {
        scene
            .database
            .run(&format!("update sync.tokens set {what}"))
            .await;
        let ended = program.expect(0, &["backfill", "segments"]).await;
        ended.tells(&[says]);
        assert!(!ended.stderr.contains("panicked"));
        opened(&scene.database, KEY).await;
    }
    let other = program.with("BLUECONIC_SYNC_KEY", OTHER_KEY);
    other
        .expect(0, &["backfill", "segments"])
        .await
        .tells(&["another key"]);
    opened(&scene.database, OTHER_KEY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_that_does_not_open_is_a_clear_error_and_stays() {
    let (scene, program) = signed_in().await;
    as_authorization(&scene).await;
    let program = program.set("tenant.grant", "authorization_code");
    let before: Vec<u8> = scene.database.one("select ciphertext from sync.tokens").await;
    // Another row's: bound to another name.
    let swapped = program.run(&["backfill", "segments"]).await;
    swapped.expect(4);
    swapped.tells(&["cannot be opened", "blueconic-sync login"]);
    let other = program.with("BLUECONIC_SYNC_KEY", OTHER_KEY);
    let ended = other.run(&["backfill", "segments"]).await;
    ended.expect(2);
    ended.tells(&["sealed with another key", "rotate-key"]);
    // What cannot be opened cannot be revoked; it can be forgotten.
    other
        .expect(2, &["logout", "--yes"])
        .await
        .tells(&["sealed with another key"]);
    assert_eq!(
        scene
            .database
            .one::<Vec<u8>>("select ciphertext from sync.tokens")
            .await,
        before
    );
    scene
        .database
        .run("update sync.tokens set ciphertext = substring(ciphertext for 20)")
        .await;
    let truncated = program.run(&["backfill", "segments"]).await;
    truncated.expect(4);
    truncated.tells(&["truncated"]);
    program.expect(0, &["logout", "--yes", "--forget"]).await;
    assert_eq!(scene.database.count("sync.tokens").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_every_grant_of_the_client_with_all() {
    let (scene, program) = signed_in().await;
    let authorized = program.set("tenant.grant", "authorization_code");
    let none = authorized.expect(0, &["logout", "--yes"]).await;
    assert!(none.stdout.contains("nothing to end"), "{}", none.stdout);
    assert_eq!(scene.tenant.valid_tokens(), 1);
    // The tenant is busy: it is told again.
    scene.tenant.faults().push(Fault {
        limit: Some(2),
        ..Fault::at(
            Route::Revoke,
            When::Always,
            Kind::Status {
                status: 503,
                retry_after: None,
            },
        )
    });
    let all = authorized.expect(0, &["logout", "--yes", "--all"]).await;
    assert!(
        all.stdout.contains("client_credentials: 1 token(s) revoked"),
        "{}",
        all.stdout
    );
    assert_eq!(scene.tenant.valid_tokens(), 0);
    assert_eq!(scene.tenant.requests().count(Route::Revoke), 3);
    assert_eq!(scene.database.count("sync.tokens").await, 0);
}
