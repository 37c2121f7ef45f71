//! The life of an authorization, from sign-in to end, at any server: the simulated tenant, and a third-party
//! server.

use std::collections::HashSet;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::opened::opened;
use super::server::{AuthorizationServer, KEY, is_active};
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::program::{Ended, LONG, Program};

/// The consent page that a `login` opens.
pub(crate) fn address(said: &str) -> Option<String> {
    let line = said.lines().find(|line| line.contains("/oauth/authorize?"))?;
    Some(line.trim().to_owned())
}

/// A person signs in through a browser on this machine.
pub(crate) async fn sign_in(server: &impl AuthorizationServer, program: &Program) -> Ended {
    let mut running = program.start(&["login", "--no-browser"]);
    let page = eventually("the address of the consent page", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        address(&running.stderr()).filter(|_| running.stderr().contains("Waiting for the browser"))
    })
    .await;
    let redirect = server.consent(&page, true).await;
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = browser.get(&redirect).send().await.unwrap();
    let status = answer.status();
    let shown = answer.text().await.unwrap();
    assert!(
        status == 200 && shown.contains("You are signed in"),
        "{status}\n{shown}\n{}",
        running.stderr()
    );
    let ended = running.ended(LONG).await;
    ended.expect(0);
    ended
}

async fn expire(database: &Database) {
    database
        .run("update sync.tokens set expires_at = sync.clock()")
        .await;
}

async fn status(database: &Database) -> String {
    database.one("select status from sync.tokens").await
}

/// Signs in and renews fifty times, each time with another refresh token, and none of them twice.
pub(crate) async fn rotates(server: &impl AuthorizationServer, program: &Program, database: &Database) {
    let before = server.token_requests();
    let mut seen = HashSet::new();
    for rotation in 0..50 {
        let held = opened(database, KEY).await;
        assert!(
            seen.insert(held.refresh.unwrap()),
            "rotation {rotation}: an old one"
        );
        expire(database).await;
        // The command gets its token first, whatever the tenant answers later.
        program.run(&["check"]).await;
        assert_eq!(status(database).await, "valid", "rotation {rotation}");
    }
    assert_eq!(server.token_requests() - before, 50);
    let held = opened(database, KEY).await;
    assert!(is_active(server, &held.access).await);
    assert!(is_active(server, held.refresh.as_ref().unwrap()).await);
    for dead in seen {
        assert!(!is_active(server, &dead).await);
    }
}

/// Killed between the answer and its commit: one retry with the stored refresh token, whose second use ends the
/// authorization; then the program asks for a person and sends nothing more.
pub(crate) async fn ends_after_a_lost_answer(
    server: &impl AuthorizationServer,
    program: &Program,
    database: &Database,
) {
    let lost = opened(database, KEY).await;
    expire(database).await;
    let dying = program.with("FAILPOINTS", "token/store/before=return(kill)");
    let before = server.token_requests();
    assert_eq!(dying.run(&["backfill", "segments"]).await.code(), 137);
    assert_eq!(server.token_requests() - before, 1);
    let retry = program.run(&["backfill", "segments"]).await;
    retry.expect(4);
    retry.tells(&["reauth required", "blueconic-sync login"]);
    // The claim of the killed process is short.
    assert!(retry.took < Duration::from_secs(12), "{:?}", retry.took);
    assert_eq!(server.token_requests() - before, 2, "one retry");
    assert_eq!(status(database).await, "reauth_required");
    for token in [&lost.access, lost.refresh.as_ref().unwrap()] {
        assert!(!is_active(server, token).await, "the family is dead");
    }
    for command in [&["backfill", "segments"][..], &["check"]] {
        let ended = program.run(command).await;
        ended.expect(4);
        assert!(ended.stderr.contains("blueconic-sync login"), "{}", ended.stderr);
    }
    assert_eq!(server.token_requests() - before, 2, "and no more");
    let reported = program.expect(0, &["status"]).await;
    assert!(
        reported.stdout.contains("reauth_required") && reported.stdout.contains("blueconic-sync login"),
        "{}",
        reported.stdout
    );
    let json = program.expect(0, &["status", "--json"]).await.json();
    assert_eq!(json["token"]["status"], "reauth_required");
    assert!(json["token"]["hint"].as_str().unwrap().contains("login"));
}

/// Killed after the commit: nothing is lost.
pub(crate) async fn survives_a_kill_after_the_commit(
    server: &impl AuthorizationServer,
    program: &Program,
    database: &Database,
) {
    expire(database).await;
    let dying = program.with("FAILPOINTS", "token/store/after=return(kill)");
    let before = server.token_requests();
    assert_eq!(dying.run(&["backfill", "segments"]).await.code(), 137);
    let held = opened(database, KEY).await;
    assert!(is_active(server, &held.access).await);
    program.run(&["check"]).await;
    assert_eq!(status(database).await, "valid");
    assert_eq!(server.token_requests() - before, 1);
}

/// Stopped (SIGSTOP) with an unstored answer until another process has taken over: it stores nothing. Its answer was the only
/// one, so the authorization has ended, and both report it.
pub(crate) async fn a_holder_that_stood_still_stores_nothing(
    server: &impl AuthorizationServer,
    program: &Program,
    database: &Database,
) {
    expire(database).await;
    let stopping = program.with("FAILPOINTS", "token/store/before=return(stop)");
    let before = server.token_requests();
    let stopped = stopping.start(&["backfill", "segments"]);
    eventually("it has its answer", LONG, async || {
        (server.token_requests() - before == 1).then_some(())
    })
    .await;
    program.run(&["backfill", "segments"]).await.expect(4);
    assert_eq!(status(database).await, "reauth_required");
    let stored: Vec<u8> = database.one("select ciphertext from sync.tokens").await;
    stopped.signal(Signal::SIGCONT);
    stopped.ended(LONG).await.expect(4);
    assert_eq!(server.token_requests() - before, 2);
    assert_eq!(status(database).await, "reauth_required");
    let after: Vec<u8> = database.one("select ciphertext from sync.tokens").await;
    assert_eq!(stored, after);
}

/// Signed out: both tokens are revoked at the server, and none is stored.
pub(crate) async fn signs_out(server: &impl AuthorizationServer, program: &Program, database: &Database) {
    let held = opened(database, KEY).await;
    assert!(is_active(server, held.refresh.as_ref().unwrap()).await);
    let refused = program.expect(2, &["logout"]).await;
    refused.tells(&["--yes"]);
    program.expect(0, &["logout", "--yes"]).await;
    for token in [&held.access, held.refresh.as_ref().unwrap()] {
        assert!(!is_active(server, token).await);
    }
    assert_eq!(database.count("sync.tokens").await, 0);
    let again = program.expect(0, &["logout", "--yes"]).await;
    assert!(again.stdout.contains("nothing to end"), "{}", again.stdout);
    let before = server.token_requests();
    let ended = program.run(&["backfill", "segments"]).await;
    ended.expect(4);
    ended.tells(&["nobody has signed in", "blueconic-sync login"]);
    assert_eq!(server.token_requests(), before);
}

/// Without PKCE, or with its plain method, the server shows no consent page.
pub(crate) async fn wants_s256(server: &impl AuthorizationServer, redirect_url: &str) {
    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    for more in [
        vec![],
        vec![("code_challenge", challenge)],
        vec![("code_challenge", challenge), ("code_challenge_method", "plain")],
    ] {
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", "simulated-client"),
            ("redirect_uri", redirect_url),
            ("state", "xyz"),
        ];
        query.extend(more);
        let address = format!("{}/rest/v2/oauth/authorize", server.url());
        let answer = browser.get(address).query(&query).send().await.unwrap();
        let led = answer.headers()["location"].to_str().unwrap();
        assert!(
            led.starts_with(redirect_url) && led.contains("error=invalid_request"),
            "{led}"
        );
    }
}
