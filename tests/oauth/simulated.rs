//! The scenarios at the simulated tenant.
#![cfg(feature = "failpoints")]

use crate::support::database::Database;
use crate::support::oauth::opened::opened;
use crate::support::oauth::scenario;
use crate::support::oauth::server::{KEY, Simulated};

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_is_renewed_fifty_times_and_signed_out() {
    let server = Simulated::start().await;
    let database = Database::empty().await;
    let program = server.program(&database);
    scenario::wants_s256(&server, &server.redirect_url).await;
    let reported = scenario::sign_in(&server, &program).await;
    assert!(reported.stdout.contains("signed in"), "{}", reported.stdout);
    program.expect(0, &["backfill"]).await;
    scenario::rotates(&server, &program, &database).await;
    scenario::survives_a_kill_after_the_commit(&server, &program, &database).await;
    scenario::signs_out(&server, &program, &database).await;
    assert_eq!(
        (server.tenant.valid_tokens(), server.tenant.valid_refresh_tokens()),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_ends_in_one_retry_and_then_a_person() {
    let server = Simulated::start().await;
    let database = Database::empty().await;
    let program = server.program(&database);
    scenario::sign_in(&server, &program).await;
    scenario::ends_after_a_lost_answer(&server, &program, &database).await;
    // The person comes.
    scenario::sign_in(&server, &program).await;
    program.expect(0, &["backfill", "segments"]).await;
    assert!(opened(&database, KEY).await.refresh.is_some());
    scenario::a_holder_that_stood_still_stores_nothing(&server, &program, &database).await;
}
