//! Signing in: what is refused before anybody is asked, pasted addresses, a person who says no, one who does not come.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::database::Database;
use crate::support::eventually;
use crate::support::oauth::server::{AuthorizationServer as _, Simulated};
use crate::support::program::{LONG, Program, Running};

async fn scene() -> (Simulated, Database, Program) {
    let server = Simulated::start().await;
    let database = Database::empty().await;
    let program = server.program(&database);
    (server, database, program)
}

async fn page(running: &mut Running) -> String {
    eventually("the consent page", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let said = running.stderr();
        let line = said.lines().find(|line| line.contains("/oauth/authorize?"))?;
        let waits = said.contains("Waiting") || said.contains("Paste");
        waits.then(|| line.trim().to_owned())
    })
    .await
}

async fn browse(address: &str) -> (u16, String) {
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = browser.get(address).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_before_anybody_is_asked() {
    let (server, database, program) = scene().await;
    let keyless = program.without("BLUECONIC_SYNC_KEY");
    keyless
        .expect(2, &["login"])
        .await
        .tells(&["BLUECONIC_SYNC_KEY", "openssl rand"]);
    for command in [&["backfill"][..], &["check"]] {
        let ended = keyless.expect(2, command).await;
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(all.contains("BLUECONIC_SYNC_KEY"), "{all}");
    }
    let machine = program.set("tenant.grant", "client_credentials");
    machine
        .expect(2, &["login"])
        .await
        .tells(&["`tenant.grant`", "authorization_code"]);
    for (value, why) in [
        ("http://example.com/callback", "https is expected"),
        ("nowhere", "http://127.0.0.1"),
        ("https://x/#y", "without `#`"),
    ] {
        let ended = program
            .set("tenant.redirect_url", value)
            .expect(2, &["login"])
            .await;
        ended.tells(&["tenant.redirect_url", why]);
    }
    // Nothing has been made yet, which is no other case for a person.
    let unsigned = program.expect(4, &["check"]).await;
    unsigned.tells(&["token: run `blueconic-sync login`"]);
    program.expect(0, &["migrate"]).await;
    let unsigned = program.run(&["backfill", "segments"]).await;
    unsigned.expect(4);
    unsigned.tells(&["nobody has signed in", "blueconic-sync login"]);
    let status = program.expect(0, &["status"]).await;
    assert!(
        status.stdout.contains("run `blueconic-sync login`"),
        "{}",
        status.stdout
    );
    assert_eq!(server.token_requests(), 0);
    assert_eq!(database.count("sync.tokens").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_can_be_pasted() {
    let (server, _database, program) = scene().await;
    let mut running = program.start_reading(&["login", "--no-browser"]);
    let page = page(&mut running).await;
    let redirect = server.consent(&page, true).await;
    // First one of an earlier try, then nothing, then the right one.
    running
        .write("http://127.0.0.1/callback?code=c&state=other\n\n")
        .await;
    eventually("it says what is wrong", LONG, async || {
        let said = running.stderr();
        (said.contains("another's") && said.contains("Still waiting")).then_some(())
    })
    .await;
    // However many there are, the terminal stays readable.
    running
        .write(&"http://127.0.0.1/callback?code=c&state=other\n".repeat(1000))
        .await;
    running.write(&format!("  {redirect}\n")).await;
    let ended = running.ended(LONG).await;
    ended.expect(0);
    // Lines of the log beside: each migration is one.
    let lines = ended.stderr.lines().filter(|line| !line.starts_with('{'));
    assert!(lines.count() < 25, "{}", ended.stderr);
    program.expect(0, &["backfill", "segments"]).await;

    // The application leads to a page on the web: nothing listens here.
    let elsewhere = program.set("tenant.redirect_url", "https://rest.example/receiver.html");
    let mut running = elsewhere.start_reading(&["login", "--no-browser"]);
    eventually("it asks", LONG, async || {
        running.stderr().contains("Paste").then_some(())
    })
    .await;
    assert!(
        running
            .stderr()
            .contains("\n  https://rest.example/receiver.html\n")
    );
    running.write("nothing useful\n").await;
    // Waiting for its end closes its stdin.
    let ended = running.ended(LONG).await;
    ended.expect(1);
    ended.tells(&["no `state`", "stdin has ended", "tenant.redirect_url"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_waited_for_without_end() {
    let (server, database, program) = scene().await;
    let ended = program.run(&["login", "--no-browser", "--timeout", "1s"]).await;
    ended.expect(1);
    ended.tells(&[
        "nobody has signed in within 1s",
        "--timeout",
        &server.redirect_url,
    ]);
    assert_eq!(database.count("sync.tokens").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_consent_ends_with_a_kind_message() {
    let (server, database, program) = scene().await;
    let mut running = program.start(&["login", "--no-browser"]);
    let page = page(&mut running).await;
    // Somebody else's answer does not end it.
    let (status, shown) = browse(&format!("{}?code=c&state=forged", server.redirect_url)).await;
    assert_eq!(status, 400);
    assert!(shown.contains("not the answer to this sign-in"), "{shown}");
    let redirect = server.consent(&page, false).await;
    let (status, shown) = browse(&redirect).await;
    assert_eq!(status, 400);
    assert!(
        shown.contains("You are not signed in") && shown.contains("The user denied access"),
        "{shown}"
    );
    let ended = running.ended(LONG).await;
    ended.expect(1);
    ended.tells(&["access_denied", "Authorize Applications"]);
    assert_eq!(server.token_requests(), 0);
    assert_eq!(database.count("sync.tokens").await, 0);
    assert_eq!(database.count("sync.tenant").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_refused_is_reported_in_the_browser_too() {
    let (server, database, program) = scene().await;
    let wrong = program.with("BLUECONIC_CLIENT_SECRET", "a wrong secret");
    let mut running = wrong.start(&["login", "--no-browser"]);
    let page = page(&mut running).await;
    let (status, shown) = browse(&server.consent(&page, true).await).await;
    assert_eq!(status, 400);
    assert!(
        shown.contains("invalid_client") && shown.contains("Settings &gt; Access management"),
        "{shown}"
    );
    let ended = running.ended(LONG).await;
    ended.expect(1);
    assert!(!ended.stderr.contains("a wrong secret") && !shown.contains("a wrong secret"));
    assert_eq!(database.count("sync.tokens").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_leaves_the_pasting() {
    let (server, _database, program) = scene().await;
    let port = server.redirect_url.rsplit(':').next().unwrap();
    let port: u16 = port.split('/').next().unwrap().parse().unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let ended = program.run(&["login", "--no-browser"]).await;
    ended.expect(1);
    ended.tells(&["nothing can listen at", "tenant.redirect_url"]);
    let mut running = program.start_reading(&["login", "--no-browser"]);
    let page = page(&mut running).await;
    let redirect = server.consent(&page, true).await;
    running.write(&format!("{redirect}\n")).await;
    running.ended(Duration::from_mins(1)).await.expect(0);
}
