//! How tokens are given, and how they die.

use std::time::Duration;

use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;

use super::asker::{Asker, body, fixed};

#[tokio::test]
async fn tokens_are_given_as_rfc_6749_has_it() {
    let asker = Asker::new(fixed()).await;
    let ask = async |fields: &[(&str, &str)]| {
        let answer = asker.post("/oauth/token").form(fields).send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            body(answer).await["error"].as_str().unwrap_or("none").to_owned(),
        )
    };
    let (id, secret) = (
        ("client_id", "simulated-client"),
        ("client_secret", "simulated-secret"),
    );
    let grant = ("grant_type", "client_credentials");
    assert_eq!(ask(&[grant, id, secret]).await, (200, "none".into()));
    assert_eq!(
        ask(&[grant, id, secret, ("scope", "read:segments")]).await,
        (200, "none".into())
    );
    assert_eq!(
        ask(&[grant, id, secret, ("scope", "write:all")]).await,
        (400, "invalid_scope".into())
    );
    assert_eq!(
        ask(&[grant, id, ("client_secret", "wrong")]).await,
        (401, "invalid_client".into())
    );
    assert_eq!(ask(&[grant, id]).await, (400, "invalid_request".into()));
    assert_eq!(ask(&[id, secret]).await, (400, "invalid_request".into()));
    assert_eq!(
        ask(&[grant, grant, id, secret]).await,
        (400, "invalid_request".into())
    );
    assert_eq!(
        ask(&[("grant_type", "password"), id, secret]).await,
        (400, "unsupported_grant_type".into())
    );
    let basic = asker
        .post("/oauth/token")
        .basic_auth(id.1, Some(secret.1))
        .form(&[grant])
        .send()
        .await
        .unwrap();
    assert_eq!(basic.status(), 200);
    let json = asker
        .post("/oauth/token")
        .header("content-type", "application/json")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(json.status(), 400);
    asker.tenant.switch_application(false);
    assert_eq!(ask(&[grant, id, secret]).await, (401, "invalid_client".into()));
    asker.tenant.switch_application(true);
    asker.tenant.rotate_secret("new");
    assert_eq!(ask(&[grant, id, secret]).await, (401, "invalid_client".into()));
    assert_eq!(
        ask(&[grant, id, ("client_secret", "new")]).await,
        (200, "none".into())
    );
    assert_eq!(asker.tenant.requests().count(Route::Token), 14);
}

#[tokio::test]
async fn tokens_die_in_four_ways() {
    let mut asker = Asker::new(fixed()).await;
    assert_eq!(asker.status("/segments", &[]).await, 200);
    asker.tenant.advance(Duration::from_mins(61));
    assert_eq!(asker.status("/segments", &[]).await, 401);
    asker.renew().await;
    asker.tenant.revoke_tokens();
    assert_eq!(asker.status("/segments", &[]).await, 401);
    asker.renew().await;
    let form = [
        ("token", asker.token.as_str()),
        ("client_id", "simulated-client"),
        ("client_secret", "simulated-secret"),
    ];
    for _ in 0..2 {
        assert_eq!(
            asker
                .post("/oauth/revoke")
                .form(&form)
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
    }
    assert_eq!(asker.status("/segments", &[]).await, 401);
    asker.renew().await;
    asker.tenant.switch_application(false);
    assert_eq!(asker.status("/segments", &[]).await, 401);
    assert_eq!(
        asker
            .client
            .get(asker.address("/segments"))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
}

#[tokio::test]
async fn a_missing_scope_denies_its_resource_alone() {
    let asker = Asker::new(Settings {
        scopes: vec!["read:segments".into()],
        ..fixed()
    })
    .await;
    assert_eq!(asker.status("/segments/allvisitors/profiles", &[]).await, 200);
    let profile = format!("/profiles/{}", asker.tenant.id(0));
    for path in [profile.as_str(), "/profileProperties", "/auditEvents"] {
        assert_eq!(asker.status(path, &[]).await, 403, "{path}");
    }
    let other = Asker::new(Settings {
        scopes: Vec::new(),
        missing_scope: 401,
        ..fixed()
    })
    .await;
    assert_eq!(other.status("/segments", &[]).await, 401);
}
