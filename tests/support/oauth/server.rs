//! An authorization server as the scenarios need it, and the simulated tenant as one.

use serde_json::Value;
use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::{Tenant, start};

use super::browser::Browser;
use crate::support::database::Database;
use crate::support::ports::free;
use crate::support::program::Program;
use crate::support::small;

pub(crate) const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// An authorization server with one client, `simulated-client`.
pub(crate) trait AuthorizationServer {
    /// Its address.
    fn url(&self) -> &str;
    /// A person opens the consent page and grants or refuses access; returns the target of the final redirect.
    async fn consent(&self, address: &str, allow: bool) -> String;
    /// The number of token requests so far.
    fn token_requests(&self) -> usize;
}

/// Whether a token is active, as the server reports it.
pub(crate) async fn is_active(server: &impl AuthorizationServer, token: &str) -> bool {
    let form = [
        ("token", token),
        ("client_id", "simulated-client"),
        ("client_secret", "simulated-secret"),
    ];
    let address = format!("{}/rest/v2/oauth/introspect", server.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(address).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    answer["active"].as_bool().unwrap()
}

/// An address for `login` to listen on.
pub(crate) fn redirect_url() -> String {
    format!("http://{}/callback", free())
}

/// The binary, before or after a person signed in.
pub(crate) fn program(url: &str, redirect_url: &str, database: &Database) -> Program {
    Program::new(url, &database.url)
        .with("BLUECONIC_SYNC_KEY", KEY)
        .set("tenant.grant", "authorization_code")
        .set("tenant.redirect_url", redirect_url)
}

/// The simulated tenant.
pub(crate) struct Simulated {
    pub(crate) tenant: Tenant,
    pub(crate) redirect_url: String,
}

impl Simulated {
    pub(crate) async fn start() -> Self {
        Self::with(small(50)).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let redirect_url = redirect_url();
        let settings = Settings {
            redirect_uri: redirect_url.clone(),
            ..settings
        };
        Self {
            tenant: start(settings).await.unwrap(),
            redirect_url,
        }
    }

    pub(crate) fn program(&self, database: &Database) -> Program {
        program(self.tenant.url(), &self.redirect_url, database)
    }
}

impl AuthorizationServer for Simulated {
    fn url(&self) -> &str {
        self.tenant.url()
    }

    async fn consent(&self, address: &str, allow: bool) -> String {
        let decision = if allow { "allow" } else { "deny" };
        Browser::new().consent(address, &[("decision", decision)]).await
    }

    fn token_requests(&self) -> usize {
        self.tenant.requests().count(Route::Token)
    }
}
