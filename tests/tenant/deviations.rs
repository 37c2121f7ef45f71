//! What the document leaves open about a tenant, each by a setting: a probe has to find it.

use std::time::Duration;

use bytes::Bytes;
use simulated_tenant::faults::RetryAfter;
use simulated_tenant::settings::{AbsentBody, Busy, OpenApi, Settings};

use super::asker::{Asker, body, elements, fixed, iso, text};

const PROFILES: &str = "/segments/allvisitors/profiles";

#[tokio::test]
async fn the_tenants_own_document_needs_no_token() {
    for (openapi, expected) in [
        (OpenApi::Release("103.0".into()), Some("103.0")),
        (OpenApi::Release("99.2".into()), Some("99.2")),
        (
            OpenApi::Document(Bytes::from(r#"{"info":{"version":"89"}}"#)),
            Some("89"),
        ),
        (OpenApi::Absent, None),
    ] {
        let asker = Asker::new(Settings { openapi, ..fixed() }).await;
        let answer = asker
            .client
            .get(asker.address("/openapi.json"))
            .send()
            .await
            .unwrap();
        match expected {
            Some(version) => assert_eq!(body(answer).await["info"]["version"], version),
            None => assert_eq!(answer.status(), 404),
        }
    }
}

#[tokio::test]
async fn audit_events_may_be_late_and_may_tell_of_tokens() {
    let mut asker = Asker::new(Settings {
        audit_events: 0,
        audit_lag: Duration::from_mins(5),
        audit_tokens: true,
        ..fixed()
    })
    .await;
    let from = iso(asker.tenant.now() - 60_000);
    let query = [("fromDate", from.as_str())];
    assert_eq!(asker.events(&query).await.len(), 0, "five minutes late");
    asker.tenant.advance(Duration::from_mins(6));
    let page = asker.json("/auditEvents", &query).await;
    let events = page["auditEvents"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["objectType"], &events[0]["operation"]),
        (&"OAUTH_TOKEN".into(), &"CREATE".into())
    );
    asker.renew().await;
    assert_eq!(asker.tenant.audit_events().len(), 2);
}

#[tokio::test]
async fn a_cursor_may_die_of_age() {
    let asker = Asker::new(Settings {
        cursor_life: Some(Duration::from_mins(10)),
        refused_cursor: 410,
        ..fixed()
    })
    .await;
    let cursor = text(&asker.json(PROFILES, &[("count", "10")]).await["nextCursor"]);
    let next = [("count", "10"), ("cursor", cursor.as_str())];
    asker.tenant.advance(Duration::from_mins(9));
    assert_eq!(asker.status(PROFILES, &next).await, 200);
    asker.tenant.advance(Duration::from_mins(2));
    assert_eq!(asker.status(PROFILES, &next).await, 410);
    asker.json(PROFILES, &[("count", "10")]).await;
    assert_eq!(asker.status(PROFILES, &next).await, 200, "given out once more");
}

#[tokio::test]
async fn a_page_may_hold_fewer_than_were_asked_for() {
    let asker = Asker::new(Settings {
        count_ceiling: Some(250),
        groups: 300,
        ..fixed()
    })
    .await;
    let pages = asker.walk("allvisitors", &[("count", "1000")]).await;
    assert_eq!(
        pages.iter().map(|page| elements(page).len()).collect::<Vec<_>>(),
        [250; 4]
    );
    assert_eq!(pages[0]["itemsPerPage"], 250);
    let groups = asker.json("/groups/company", &[("count", "1000")]).await;
    assert_eq!(groups["groups"].as_array().unwrap().len(), 250);
}

#[tokio::test]
async fn replaces_may_be_incomplete() {
    let asker = Asker::new(Settings {
        replaces_most: Some(1),
        merged_per_thousand: 200,
        ..fixed()
    })
    .await;
    let winner = asker
        .tenant
        .profiles()
        .find(|profile| profile.replaces.len() > 1)
        .unwrap();
    let listed = asker
        .walk(
            "allvisitors",
            &[("expand", "profiles.profile.replace"), ("count", "1000")],
        )
        .await;
    let element = &elements(&listed[0])[usize::try_from(winner.position).unwrap()];
    assert_eq!(element["replaces"].as_array().unwrap().len(), 1);
    let alone = asker.json(&format!("/profiles/{}", winner.id), &[]).await;
    assert_eq!(alone["replaces"], element["replaces"]);
    assert_eq!(
        asker
            .status(&format!("/profiles/{}", winner.replaces[1]), &[])
            .await,
        200
    );
}

#[tokio::test]
async fn a_404_may_have_any_body() {
    for (absent_body, expected) in [
        (AbsentBody::Json, "{"),
        (AbsentBody::Empty, ""),
        (AbsentBody::Html, "<html>"),
    ] {
        let asker = Asker::new(Settings {
            absent_body,
            ..fixed()
        })
        .await;
        for path in ["/nothing", "/profiles/41ebc321-b02b-4e8a-a368-82995c81fb18"] {
            let answer = asker.ask(path, &[]).await;
            assert_eq!(answer.status(), 404);
            let text = answer.text().await.unwrap();
            assert!(
                text.starts_with(expected) && text.is_empty() == expected.is_empty(),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_busy_tenant_refuses_what_is_too_much_at_once() {
    let asker = Asker::new(Settings {
        latency: Duration::from_millis(200),
        busy: Some(Busy {
            at_once: 2,
            status: 503,
            retry_after: Some(RetryAfter::Seconds(7)),
        }),
        ..fixed()
    })
    .await;
    let answers = futures_util::future::join_all((0..5).map(|_| asker.ask("/segments", &[]))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status() == 503).collect();
    assert!(!refused.is_empty() && refused.len() < 5, "{}", refused.len());
    assert!(
        refused
            .iter()
            .all(|answer| answer.headers()["retry-after"] == "7")
    );
    assert_eq!(asker.status("/segments", &[]).await, 200);
}

/// Profiles have values of a property that the catalogue lacks, and the catalogue has one without values.
#[tokio::test]
async fn profiles_and_catalogue_may_differ() {
    let asker = Asker::new(fixed()).await;
    let mut unused = asker.tenant.properties().remove(5);
    unused.id = "never_used".into();
    asker.tenant.add_property(unused);
    assert!(asker.tenant.remove_property("email"));
    let catalogue = asker.json("/profileProperties", &[("count", "1000")]).await;
    let has = |id: &str| {
        let listed = catalogue["profileProperties"].as_array().unwrap();
        listed.iter().any(|property| property["id"] == id)
    };
    assert!(has("never_used") && !has("email"));
    assert!(
        asker
            .tenant
            .profiles()
            .any(|profile| profile.values("email").is_some())
    );
}
