//! `oidc-provider`, an authorization server with a certification that nobody here wrote: the very scenarios of the
//! simulated tenant (`tests/oauth/scenario.rs`) against it. It has no API, so what is asked of that ends in an error; the
//! tokens come before.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use crate::support::database::Database;
use crate::support::oauth::browser::Browser;
use crate::support::oauth::opened::opened;
use crate::support::oauth::scenario;
use crate::support::oauth::server::{AuthorizationServer, KEY, is_active, program, redirect_url};
use crate::support::program::Program;

struct Oidc {
    url: String,
    redirect_url: String,
    process: Process,
    _folder: TempDir,
}

impl Oidc {
    async fn start() -> Self {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party");
        assert!(
            scripts.join("node_modules/oidc-provider").exists(),
            "oidc-provider is not installed: script/test --third-party does that"
        );
        let script = scripts.join("authorization-server.mjs");
        let folder = TempDir::new().unwrap();
        let redirect_url = redirect_url();
        let command = ["node", script.to_str().unwrap(), &redirect_url];
        let process = Process::start(&command, folder.path(), &folder.path().join("log"));
        let url = process.wait_for("oidc-provider", listening).await;
        Self {
            url,
            redirect_url,
            process,
            _folder: folder,
        }
    }

    /// Without a scope this server shows no consent page.
    fn program(&self, database: &Database) -> Program {
        program(&self.url, &self.redirect_url, database).set("tenant.scopes", "read:segments,read:profiles")
    }
}

fn lines(said: &str) -> impl Iterator<Item = Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn listening(said: &str) -> Option<String> {
    lines(said).find_map(|line| Some(line["listening"].as_str()?.to_owned()))
}

impl AuthorizationServer for Oidc {
    fn url(&self) -> &str {
        &self.url
    }

    async fn consent(&self, address: &str, allow: bool) -> String {
        assert!(allow, "its page for tests has no way to say no");
        let person = [("login", "somebody"), ("password", "something")];
        Browser::new().consent(address, &person).await
    }

    fn token_requests(&self) -> usize {
        let said = self.process.said();
        let errors: Vec<Value> = lines(&said)
            .filter(|line| line["server_error"].is_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        lines(&said)
            .filter(|line| line["token_request"].is_string())
            .count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_is_renewed_fifty_times_and_signed_out() {
    let server = Oidc::start().await;
    let database = Database::bare().await;
    let program = server.program(&database);
    scenario::wants_s256(&server, &server.redirect_url).await;
    scenario::sign_in(&server, &program).await;
    scenario::rotates(&server, &program, &database).await;
    scenario::survives_a_kill_after_the_commit(&server, &program, &database).await;
    scenario::signs_out(&server, &program, &database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_ends_in_one_retry_and_then_a_person() {
    let server = Oidc::start().await;
    let database = Database::bare().await;
    let program = server.program(&database);
    scenario::sign_in(&server, &program).await;
    scenario::ends_after_a_lost_answer(&server, &program, &database).await;
    scenario::sign_in(&server, &program).await;
    scenario::a_holder_that_stood_still_stores_nothing(&server, &program, &database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_are_given_and_revoked() {
    let server = Oidc::start().await;
    let database = Database::bare().await;
    let machine = server
        .program(&database)
        .set("tenant.grant", "client_credentials");
    machine.expect(0, &["migrate"]).await;
    // There is no API: the token is what comes.
    machine.run(&["backfill", "segments"]).await.expect(1);
    let held = opened(&database, KEY).await;
    assert!(is_active(&server, &held.access).await);
    machine.expect(0, &["logout", "--yes"]).await;
    assert!(!is_active(&server, &held.access).await);
}
