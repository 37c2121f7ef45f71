//! `serve` with a person's authorization: it waits for one, goes on by itself when there is one again, renews without being
//! asked, and ends without losing what is on its way.

use std::time::Duration;

use blueconic_sync::resources::registry::RESOURCES;
use nix::sys::signal::Signal;
use simulated_tenant::faults::{Fault, Kind, Route, When};

use crate::support::database::Database;
use crate::support::eventually;
use crate::support::oauth::opened::opened;
use crate::support::oauth::scenario::sign_in;
use crate::support::oauth::server::{AuthorizationServer as _, KEY, Simulated};
use crate::support::program::{LONG, Program};
use crate::support::small;

fn service(program: &Program) -> Program {
    program
        .set("web.bind", "127.0.0.1:0")
        .set("schedule.heartbeat", "1s")
        .set("resources.segments.schedule", "* * * * * *")
}

const WORKS: &str = "sync.runs where resource = 'segments' and status = 'succeeded'";

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_by_itself_when_somebody_signs_in() {
    let server = Simulated::start().await;
    let database = Database::empty().await;
    let program = server.program(&database);
    program.expect(0, &["migrate"]).await;
    let mut running = service(&program).start(&["serve"]);
    let unsigned =
        "sync.runs where error like '%nobody has signed in%' and hint like '%blueconic-sync login%'";
    eventually("it says what is missing", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (database.count(unsigned).await >= 1).then_some(())
    })
    .await;
    assert_eq!(server.token_requests(), 0);
    sign_in(&server, &program).await;
    eventually("it works", LONG, async || {
        (database.count(WORKS).await >= 1).then_some(())
    })
    .await;

    server.tenant.revoke_authorizations();
    eventually("it needs a person again", LONG, async || {
        let ended = "sync.tokens where status = 'reauth_required'";
        (database.count(ended).await == 1).then_some(())
    })
    .await;
    let asked = server.token_requests();
    let over = "sync.runs where error like '%reauth required%'";
    eventually("others fail as well", LONG, async || {
        (database.count(over).await >= 4).then_some(())
    })
    .await;
    assert_eq!(server.token_requests(), asked, "nothing more is sent");
    let before = database.count(WORKS).await;
    sign_in(&server, &program).await;
    eventually("it works again", LONG, async || {
        (database.count(WORKS).await > before).then_some(())
    })
    .await;
    running.signal(Signal::SIGTERM);
    running.ended(LONG).await.expect(0);
    assert_eq!(server.tenant.requests().count(Route::Revoke), 0);
}

/// Tokens of a few seconds, and jobs that are never due: the timer alone renews.
#[tokio::test(flavor = "multi_thread")]
async fn it_renews_without_being_asked() {
    let server = Simulated::with(simulated_tenant::settings::Settings {
        token_life: Duration::from_secs(4),
        ..small(20)
    })
    .await;
    let database = Database::empty().await;
    let program = server.program(&database);
    sign_in(&server, &program).await;
    let mut idle = program.set("web.bind", "127.0.0.1:0");
    for resource in RESOURCES.names() {
        idle = idle.set(&format!("resources.{resource}.enabled"), "false");
    }
    let running = idle.start(&["serve"]);
    eventually("it renews three times", LONG, async || {
        (server.token_requests() >= 4).then_some(())
    })
    .await;
    assert_eq!(server.tenant.valid_refresh_tokens(), 1);
    running.signal(Signal::SIGTERM);
    running.ended(LONG).await.expect(0);
}

/// The tenant takes a second over the new tokens, and the process is asked to end meanwhile. It cannot be done before
/// that, however late this test comes to ask: no segments are given out.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_is_stored_before_it_ends() {
    let server = Simulated::start().await;
    let database = Database::empty().await;
    let program = server.program(&database);
    sign_in(&server, &program).await;
    for command in ["serve", "backfill"] {
        database
            .run("update sync.tokens set expires_at = sync.clock()")
            .await;
        let held = opened(&database, KEY).await;
        server.tenant.faults().push(Fault {
            limit: Some(1),
            ..Fault::at(Route::Token, When::Always, Kind::Delay(Duration::from_secs(1)))
        });
        server.tenant.faults().push(Fault::at(
            Route::Segments,
            When::Always,
            Kind::Delay(Duration::from_hours(1)),
        ));
        let before = server.token_requests();
        let running = service(&program).start(&[command]);
        eventually("it asks", LONG, async || {
            (server.token_requests() > before).then_some(())
        })
        .await;
        running.signal(Signal::SIGTERM);
        let ended = running.ended(LONG).await;
        server.tenant.faults().clear();
        ended.expect(if command == "serve" { 0 } else { 130 });
        assert_ne!(opened(&database, KEY).await, held, "{command}:\n{}", ended.stderr);
        assert_eq!(database.count("sync.tokens where status = 'valid'").await, 1);
        assert_eq!(server.tenant.valid_refresh_tokens(), 1);
    }
    program.expect(0, &["backfill", "segments"]).await;
}
