//! Every request that the service sends is one that the vendor's document knows: judged by code of its own, and sent
//! once more to a mock server that follows the document.

use std::collections::{BTreeMap, BTreeSet};

use blueconic_sync::resources::registry::RESOURCES;
use bytes::Bytes;
use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant;

use super::document::Document;
use super::judge::judge;
use super::lists;
use super::prism::Prism;
use super::recorder::{Recorded, Recorder, plain_client};
use super::service::Service;
use super::support::registry;

const API: &str = "/rest/v2";

/// Drives every kind of run against a simulated tenant and gives back all that was asked.
async fn all_that_is_asked() -> Vec<Recorded> {
    let settings = Settings {
        profiles: 300,
        audit_events: 120,
        audit_order: AuditOrder::OldestFirst,
        group_properties_listed: true,
        groups: 6,
        ..Settings::default()
    }
    .with_lists(registry::lists());
    let tenant = tenant::start(settings).await.unwrap();
    let recorder = Recorder::before(tenant.url()).await;
    let mut service = Service::before(&recorder.url).await;
    lists::enable_all(&mut service, "4");
    service.set("BLUECONIC_SYNC__RESOURCES__CONSENT_HISTORY__ENABLED", "true");
    service.set("BLUECONIC_SYNC__RESOURCES__CONSENT_HISTORY__PAGE_SIZE", "2");
    service.set("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "90");
    service.set("BLUECONIC_SYNC__RESOURCES__AUDIT_EVENTS__PAGE_SIZE", "50");

    service.run(&["migrate"]).await.expect(0);
    service.run(&["check"]).await.expect(0);
    service.run(&["backfill", "--full"]).await.expect(0);
    // An increment, with a refinement.
    assert!(tenant.touch(7, "email", &["new@mail.example"]));
    service.run(&["backfill"]).await.expect(0);
    // A full walk that asks for what is gone by its id.
    for position in 20..25 {
        assert!(tenant.delete(position));
    }
    assert!(tenant.merge(30, 31));
    let group = tenant.groups("company").remove(0).id;
    assert!(tenant.delete_group("company", &group));
    service.run(&["backfill", "--full"]).await.expect(0);
    // Named properties, a person's own date, and a token that dies.
    tenant.revoke_tokens();
    service.set("BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES", "email,visits");
    service.run(&["backfill", "profiles", "--full"]).await.expect(0);
    let since = ["backfill", "--since", "2026-01-02T03:04:05.678901+02:00"];
    service.run(&since).await.expect(0);
    service.stop().await;
    recorder.all()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_one_that_the_document_knows() {
    let document = Document::load();
    let requests = all_that_is_asked().await;
    let mut operations: BTreeMap<String, usize> = BTreeMap::new();
    let mut parameters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in &requests {
        let verdict = judge(&document, API, request);
        assert!(verdict.objections.is_empty(), "{verdict:?} in {request:?}");
        let operation = verdict.operation.unwrap();
        *operations.entry(operation.clone()).or_insert(0) += 1;
        let query = url::form_urlencoded::parse(request.query.as_bytes());
        let given = parameters.entry(operation).or_default();
        given.extend(query.map(|(name, _)| name.into_owned()));
    }
    let used: BTreeSet<&str> = operations.keys().map(String::as_str).collect();
    let lists: Vec<(&str, bool)> = RESOURCES
        .lists()
        .map(|(list, how)| {
            let operation = &document.value["paths"][lists::path_in(&document, list)]["get"]["operationId"];
            (operation.as_str().unwrap(), how.paged && !how.by_cursor)
        })
        .collect();
    let others = [
        "getAuditEvents",
        "getOneGroupOfGroupType",
        "getOneProfile",
        "getProfileEvents",
        "getProfilesInSegment",
        "getToken",
    ];
    let named = lists.iter().map(|(list, _)| *list);
    assert_eq!(used, others.into_iter().chain(named).collect());
    // Every list with pages is read in pages: profile properties with their start, and those of groups as well.
    for (list, _) in lists.iter().filter(|(_, paged)| *paged) {
        let given = &parameters[*list];
        assert!(
            given.contains("startIndex") && given.contains("count"),
            "{list}: {given:?}"
        );
    }
    // The five that were deleted, two witnesses before and after them, and the one that `check` makes up. The winner of the
    // merge names its loser.
    assert_eq!(operations["getOneProfile"], 5 + 2 * 2 + 1);
    for parameter in ["cursor", "expand", "fromDate", "profileProperty", "refinement"] {
        assert!(
            parameters.values().any(|given| given.contains(parameter)),
            "no request had `{parameter}`: {parameters:?}"
        );
    }
    prism_answers_them_all(&document, &requests).await;
}

/// What it refuses in `refusals` shows that it looks.
async fn prism_answers_them_all(document: &Document, requests: &[Recorded]) {
    let prism = Prism::start(document).await;
    let mut asked = BTreeSet::new();
    for request in requests {
        let call = (&request.method, &request.path, &request.query);
        if asked.insert(call) {
            assert_eq!(repeat(&prism, request).await, 200, "{request:?}");
        }
    }
    for (what, broken) in refusals() {
        // Neither the JSON in `refinement`, nor parameters that are not declared, are its business.
        if !what.contains("refinement") && !what.contains("declared") && !what.contains("expand") {
            let status = repeat(&prism, &broken).await;
            assert!((400..500).contains(&status), "{what}: {status}");
        }
    }
}

/// Sends a request again, with a token of no meaning where it had one.
async fn repeat(prism: &Prism, request: &Recorded) -> u16 {
    let path = request.path.strip_prefix(API).unwrap();
    let url = format!("{}{path}?{}", prism.url, request.query);
    let mut again = plain_client()
        .request(request.method.parse().unwrap(), url)
        .header("accept", "application/json")
        .body(request.body.clone());
    if let Some(content_type) = &request.content_type {
        again = again.header("content-type", content_type);
    }
    if let Some(scheme) = &request.scheme {
        again = again.header("authorization", format!("{scheme} x"));
    }
    again.send().await.unwrap().status().as_u16()
}

/// Requests that the document does not allow, and why.
fn refusals() -> Vec<(&'static str, Recorded)> {
    let get = |path: &str, query: &str| Recorded {
        method: "GET".to_owned(),
        path: format!("{API}{path}"),
        query: query.to_owned(),
        content_type: None,
        accept: Some("application/json".to_owned()),
        scheme: Some("Bearer".to_owned()),
        body: Bytes::new(),
        status: 0,
    };
    let profiles = |query: &str| get("/segments/allvisitors/profiles", query);
    let token = |body: &'static str| Recorded {
        method: "POST".to_owned(),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        scheme: None,
        body: Bytes::from_static(body.as_bytes()),
        ..get("/oauth/token", "")
    };
    vec![
        ("no such path", get("/segment", "")),
        (
            "no token",
            Recorded {
                scheme: None,
                ..get("/segments", "")
            },
        ),
        ("a count in words", get("/segments", "count=many")),
        ("no secret", token("grant_type=client_credentials&client_id=a")),
        (
            "no such grant",
            token("grant_type=password&client_id=a&client_secret=b"),
        ),
        (
            "a parameter that is not declared",
            get("/auditEvents", "toDate=2026-01-01T00:00:00.000Z"),
        ),
        ("an expand of no meaning", profiles("expand=profile.segments")),
        (
            "a refinement that is no JSON",
            profiles("refinement=lastmodifieddate"),
        ),
        (
            "a refinement with an unknown key",
            profiles("refinement=%7B%22operator%22:%22IN_LAST_DAYS%22,%22days%22:3%7D"),
        ),
        (
            "a refinement with an unknown operator",
            profiles("refinement=%7B%22operator%22:%22BETWEEN%22,%22property%22:%22visits%22%7D"),
        ),
        (
            "a refinement with a number for a date",
            profiles("refinement=%7B%22operator%22:%22IN_RANGE%22,%22fromDate%22:1679913371990%7D"),
        ),
    ]
}

#[test]
fn what_the_document_does_not_allow_is_noticed() {
    let document = Document::load();
    for (what, request) in refusals() {
        let verdict = judge(&document, API, &request);
        assert!(!verdict.objections.is_empty(), "{what}: {request:?}");
    }
}
