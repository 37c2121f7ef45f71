//! What an administrator does to the application while it works: tokens revoked, the toggle switched OFF.

use std::time::Duration;

use nix::sys::signal::Signal;
use simulated_tenant::faults::{Fault, Kind, Route, When};

use crate::support::program::LONG;
use crate::support::truth::assert_equal;
use crate::support::{Scene, eventually, scene, small};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_in_the_middle_of_a_backfill_costs_one_more_and_no_page() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(600)).await;
    let die = Fault::at(Route::Profiles, When::Page(4), Kind::TokensDie);
    tenant.faults().push(Fault {
        limit: Some(1),
        ..die
    });
    let program = program.set("resources.profiles.page_size", "50");
    program.expect(0, &["backfill", "--full"]).await;
    assert_eq!(tenant.faults().given(), 1);
    assert_eq!(tenant.requests().count(Route::Token), 2);
    assert_equal(&database, &tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toggle_that_is_switched_off_is_one_clear_error_and_no_storm() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(50)).await;
    let program = program
        .set("web.bind", "127.0.0.1:0")
        .set("schedule.heartbeat", "1s")
        .set("resources.segments.schedule", "* * * * * *")
        .set("resources.profiles.schedule", "* * * * * *");
    let mut running = program.start(&["serve"]);
    eventually("it works", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let made: bool = database.one("select to_regclass('sync.runs') is not null").await;
        (made && database.count("sync.runs where status = 'succeeded'").await >= 8).then_some(())
    })
    .await;
    let before = tenant.requests().count(Route::Token);
    tenant.switch_application(false);
    let clear = "sync.runs where status = 'failed' and error like '%invalid_client%' and hint like '%toggle must be ON%'";
    eventually("it says so", Duration::from_mins(1), async || {
        (database.count(clear).await >= 1).then_some(())
    })
    .await;
    // Many runs later: none of them has asked again.
    eventually("others fail as well", LONG, async || {
        (database.count(clear).await >= 8).then_some(())
    })
    .await;
    let asked = tenant.requests().count(Route::Token) - before;
    assert_eq!(asked, 1, "a refusal stands for a minute");
    running.signal(Signal::SIGTERM);
    let ended = running.ended(LONG).await;
    ended.expect(0);
    // Nothing is revoked at the end: other replicas share the token.
    assert_eq!(tenant.requests().count(Route::Revoke), 0);
}
