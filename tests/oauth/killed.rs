//! Death and standstill at each commit around a token that `tests/torture` does not reach: signing in, holding a claim,
//! signing out, changing the key.

use std::time::Duration;

use nix::sys::signal::Signal;
use simulated_tenant::faults::{Fault, Kind, Route, When};

use crate::support::database::Database;
use crate::support::eventually;
use crate::support::oauth::opened::opened;
use crate::support::oauth::scenario::{address, sign_in};
use crate::support::oauth::server::{AuthorizationServer as _, KEY, Simulated};
use crate::support::program::{LONG, Program};

const OTHER_KEY: &str = "MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

async fn scene() -> (Simulated, Database, Program) {
    let server = Simulated::start().await;
    let database = Database::empty().await;
    let program = server.program(&database);
    (server, database, program)
}

/// A holder that stood still before its request left does not send a refresh token that another has used up: the
/// authorization lives on.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_does_not_leave_after_its_turn_has_lapsed() {
    let (server, database, program) = scene().await;
    sign_in(&server, &program).await;
    database
        .run("update sync.tokens set expires_at = sync.clock()")
        .await;
    let before = server.token_requests();
    let stopped = program
        .with("FAILPOINTS", "token/claim/after=return(stop)")
        .start(&["backfill", "segments"]);
    eventually("it has the turn", LONG, async || {
        let claimed = "sync.tokens where refreshing_by is not null";
        (database.count(claimed).await == 1).then_some(())
    })
    .await;
    program.run(&["backfill", "segments"]).await.expect(0);
    let held = opened(&database, KEY).await;
    stopped.signal(Signal::SIGCONT);
    let ended = stopped.ended(LONG).await;
    ended.expect(0);
    ended.tells(&["was paused"]);
    assert_eq!(server.token_requests() - before, 1);
    assert_eq!(opened(&database, KEY).await, held);
    assert_eq!(server.tenant.valid_refresh_tokens(), 1);
}

/// The claim of a slow request is held: nobody else asks meanwhile, and a holder that dies while it holds keeps the next
/// waiting for seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_keeps_its_turn_until_its_holder_dies() {
    let (server, database, program) = scene().await;
    let slow = || Fault {
        limit: Some(1),
        ..Fault::at(Route::Token, When::Always, Kind::Delay(Duration::from_secs(8)))
    };
    let machine = program.set("tenant.grant", "client_credentials");
    machine.expect(0, &["migrate"]).await;
    server.tenant.faults().push(slow());
    let first = machine.start(&["backfill", "segments"]);
    eventually("it asks", LONG, async || {
        (server.token_requests() == 1).then_some(())
    })
    .await;
    let second = machine.run(&["backfill", "profile_properties"]).await;
    second.expect(0);
    first.ended(LONG).await.expect(0);
    assert_eq!(server.token_requests(), 1);

    for (side, order) in [
        ("before", "token/extend/before=return(kill)"),
        ("after", "token/extend/after=return(kill)"),
    ] {
        database
            .run("update sync.tokens set expires_at = sync.clock()")
            .await;
        server.tenant.faults().push(slow());
        let before = server.token_requests();
        let dying = machine
            .with("FAILPOINTS", order)
            .run(&["backfill", "segments"])
            .await;
        assert_eq!(dying.code(), 137, "{side}:\n{}", dying.stderr);
        let next = machine.run(&["backfill", "segments"]).await;
        next.expect(0);
        assert!(next.took < Duration::from_secs(10), "{side}: {:?}", next.took);
        assert_eq!(server.token_requests() - before, 2, "{side}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_dies_is_done_or_not() {
    for (order, signed_in) in [
        ("token/grant/before=return(kill)", false),
        ("token/grant/after=return(kill)", true),
    ] {
        let (server, database, program) = scene().await;
        let mut running = program
            .with("FAILPOINTS", order)
            .start(&["login", "--no-browser"]);
        let page = eventually("the consent page", LONG, async || {
            address(&running.stderr()).filter(|_| !running.has_ended())
        })
        .await;
        let redirect = server.consent(&page, true).await;
        let browser = reqwest::Client::builder().no_proxy().build().unwrap();
        // Nobody is left to answer.
        assert!(browser.get(&redirect).send().await.is_err());
        assert_eq!(running.ended(LONG).await.code(), 137);
        let code = if signed_in { 0 } else { 4 };
        program.run(&["backfill", "segments"]).await.expect(code);
        sign_in(&server, &program).await;
        program.expect(0, &["backfill", "segments"]).await;
        assert_eq!(database.count("sync.tokens where status = 'valid'").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_that_dies_is_finished_by_the_next() {
    for side in ["before", "after"] {
        let (server, database, program) = scene().await;
        sign_in(&server, &program).await;
        let order = format!("token/remove/{side}=return(kill)");
        let dying = program.with("FAILPOINTS", &order);
        assert_eq!(dying.run(&["logout", "--yes"]).await.code(), 137);
        program.expect(0, &["logout", "--yes"]).await;
        assert_eq!(database.count("sync.tokens").await, 0);
        assert_eq!(
            (server.tenant.valid_tokens(), server.tenant.valid_refresh_tokens()),
            (0, 0)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_key_that_dies_is_done_or_not() {
    let (server, database, program) = scene().await;
    sign_in(&server, &program).await;
    let held = opened(&database, KEY).await;
    let rotation = program
        .with("BLUECONIC_SYNC_KEY", OTHER_KEY)
        .with("BLUECONIC_SYNC_OLD_KEY", KEY);
    for (side, key) in [("before", KEY), ("after", OTHER_KEY)] {
        let order = format!("token/reseal/{side}=return(kill)");
        let dying = rotation.with("FAILPOINTS", &order);
        assert_eq!(dying.run(&["rotate-key"]).await.code(), 137);
        assert_eq!(opened(&database, key).await, held);
    }
    let done = rotation.expect(0, &["rotate-key"]).await;
    assert!(done.stdout.contains("nothing to do"), "{}", done.stdout);
}
