//! What is sent to the token endpoint by each setting, and what each of its answers leads to.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blueconic_sync::blueconic::auth::memory::MemoryTokens;
use blueconic_sync::blueconic::client::Client;
use blueconic_sync::clock::SystemClock;
use blueconic_sync::model::fault::Fault;
use blueconic_sync::model::ports::Clock;
use blueconic_sync::model::ports::TokenStore as _;
use blueconic_sync::model::tokens::TokenName;

use crate::support::client::{SECRET, Tenant, TestClock, html, json, status};
use crate::support::oauth::server::KEY;

fn form(body: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect()
}

#[tokio::test]
async fn id_and_secret_go_in_the_form_or_by_basic_and_scopes_as_they_are_set() {
    let tenant = Tenant::start().await;
    let odd = "a b:c+ü&%=";
    for more in [
        vec![],
        vec![
            ("BLUECONIC_SYNC__TENANT__CLIENT_AUTH", "basic"),
            ("BLUECONIC_SYNC__TENANT__SCOPES", "read:segments, read:profiles"),
            ("BLUECONIC_CLIENT_ID", odd),
        ],
    ] {
        tenant.client(&TestClock::new(), &more).sign_in().await.unwrap();
    }
    let forms = tenant.script.forms.lock().unwrap().clone();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (headers, body) = &forms[0];
    assert!(!headers.contains_key("authorization"));
    // The body is not chunked: some proxies refuse that.
    assert_eq!(headers["content-length"], body.len().to_string().as_str());
    assert_eq!(
        form(body),
        [
            pair("grant_type", "client_credentials"),
            pair("client_id", "app"),
            pair("client_secret", SECRET)
        ]
    );
    let (headers, body) = &forms[1];
    let basic = headers["authorization"]
        .to_str()
        .unwrap()
        .strip_prefix("Basic ")
        .unwrap();
    let basic = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
    assert_eq!(basic, format!("a+b%3Ac%2B%C3%BC%26%25%3D:{SECRET}"));
    assert_eq!(
        form(body),
        [
            pair("grant_type", "client_credentials"),
            pair("scope", "read:segments read:profiles"),
            pair("client_id", odd)
        ]
    );
    assert!(!body.contains(SECRET));
}

async fn refused(tenant: &Tenant) -> Fault {
    let quick = ("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "1s");
    tenant
        .client(&TestClock::new(), &[quick])
        .sign_in()
        .await
        .err()
        .unwrap()
}

#[tokio::test]
async fn every_answer_that_is_no_token_is_reported_with_what_to_do() {
    type Make = fn(u64) -> axum::response::Response;
    let cases: [(Make, &str, &str); 11] = [
        (
            |_| status(401, r#"{"error":"invalid_client"}"#),
            "invalid_client",
            "toggle must be ON",
        ),
        (
            |_| status(400, r#"{"error":"unauthorized_client"}"#),
            "unauthorized_client",
            "allowed IP addresses",
        ),
        (
            |_| status(400, r#"{"error":"invalid_grant"}"#),
            "invalid_grant",
            "blueconic-sync login",
        ),
        (
            |_| status(400, r#"{"error":"invalid_scope"}"#),
            "invalid_scope",
            "`tenant.scopes`",
        ),
        (
            |_| status(400, r#"{"error":"unsupported_grant_type"}"#),
            "unsupported_grant_type",
            "`tenant.grant`",
        ),
        (
            |_| status(403, r#"{"error":"access_denied"}"#),
            "access_denied",
            "allowed IP addresses",
        ),
        (|_| html(403), "not from the tenant's API", "allowed IP addresses"),
        (|_| status(503, ""), "HTTP 503", "overloaded"),
        (|_| html(200), "not an answer of the API", "tenant.api_path"),
        (|_| json(""), "not an answer of the API", "tenant.api_path"),
        (
            |_| json(r#"{"access_token":"a","token_type":"DPoP","expires_in":60}"#),
            "`DPoP`, not `Bearer`",
            "token endpoint",
        ),
    ];
    for (answer, says, hints) in cases {
        let tenant = Tenant::start().await;
        tenant.tokens(answer);
        let fault = refused(&tenant).await;
        let hint = fault.hint.clone().unwrap_or_default();
        assert!(fault.sentence().contains(says), "{says}: {}", fault.sentence());
        assert!(hint.contains(hints), "{says}: {hint}");
    }
}

/// One store, three names: whoever is another client, or at another tenant, gets nothing of the first's.
#[tokio::test]
async fn nobody_uses_the_token_of_another_client_or_tenant() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = MemoryTokens::new(Arc::clone(&clock));
    let (one, two) = (Tenant::start().await, Tenant::start().await);
    let key = ("BLUECONIC_SYNC_KEY", KEY);
    let client = |tenant: &Tenant, more: &[(&str, &str)]| {
        let more: Vec<_> = more.iter().copied().chain([key]).collect();
        Client::new(&tenant.settings(&more), store.clone(), Arc::clone(&clock)).unwrap()
    };
    client(&one, &[]).sign_in().await.unwrap();
    client(&one, &[]).sign_in().await.unwrap();
    assert_eq!(one.token_requests(), 1);
    client(&one, &[("BLUECONIC_CLIENT_ID", "another")])
        .sign_in()
        .await
        .unwrap();
    assert_eq!(one.token_requests(), 2);
    client(&two, &[]).sign_in().await.unwrap();
    assert_eq!(two.token_requests(), 1);

    // Also where somebody moves what is sealed.
    let name = |tenant: &Tenant, id: &str| TokenName {
        tenant: tenant.address.to_string(),
        client_id: id.to_owned(),
        grant_type: "client_credentials".to_owned(),
    };
    let row = store.read(&name(&one, "app")).await.unwrap().unwrap();
    let sealed = (row.key_id.unwrap(), row.ciphertext.unwrap());
    let life = std::time::Duration::from_hours(1);
    store.grant(&name(&two, "third"), life, sealed).await.unwrap();
    client(&two, &[("BLUECONIC_CLIENT_ID", "third")])
        .sign_in()
        .await
        .unwrap();
    assert_eq!(two.token_requests(), 2);
}
