//! The answers for three tenants, question by question, and the settings that follow.

use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Order;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::Value;

use super::tenants::{Subject, as_assumed, newer, older};

/// The most requests that are promised.
const MOST: usize = 200;

const YES: &str = "as_assumed";
const NO: &str = "differs";
const NONE: &str = "unanswered";

/// A question, the kind of the answer, and what it says (or why there is none).
type Expected = (&'static str, &'static str, &'static str);

/// Probes, and compares every answer. Gives back the proposals.
async fn answers(subject: &Subject, patience: &str, expected: &[Expected]) -> String {
    subject.tenant.requests().forget();
    let ended = subject
        .program
        .expect(0, &["probe", "--json", "--patience", patience])
        .await;
    let report = ended.json();
    let requests = subject.tenant.requests().all();
    assert!(requests.len() <= MOST, "{} requests", requests.len());
    let reads = requests.iter().filter(|one| one.method == "GET").count();
    assert_eq!(report["requests"], reads, "{report:#}");
    assert!(
        requests
            .iter()
            .all(|one| one.method == "GET" || one.path.ends_with("/oauth/token")),
        "it only reads"
    );
    let found = |finding: &Value| {
        let said = finding["found"].as_str().or(finding["follows"].as_str());
        (finding["state"].clone(), said.unwrap().to_owned())
    };
    let findings = report["findings"].as_array().unwrap();
    let mut wrong = Vec::new();
    for (question, state, words) in expected {
        let finding = findings.iter().find(|one| one["question"] == *question);
        let (is, said) = found(finding.unwrap_or_else(|| panic!("no `{question}`")));
        if is != *state || !said.contains(words) {
            wrong.push(format!("{question}: {is}: {said}\n  instead of {state}: {words}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{report:#}", wrong.join("\n"));
    assert_eq!(findings.len(), expected.len(), "every question is compared");
    for finding in findings {
        assert!(!finding["follows"].as_str().unwrap().is_empty(), "{finding}");
    }
    let kept = subject
        .database
        .one::<Value>("select report from sync.probe order by started_at desc limit 1")
        .await;
    assert_eq!(kept, report);
    let status = subject.program.expect(0, &["status", "--json"]).await.json();
    assert_eq!(status["probe"], report);
    report["settings"].as_str().unwrap().to_owned()
}

/// Loads the proposals as a settings file.
fn loaded(proposals: &str) -> blueconic_sync::config::settings::Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, proposals).unwrap();
    load(Some(&file), &Variables::new(), RESOURCES).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_as_assumed_is_told_to_be_so() {
    let subject = as_assumed().await;
    let proposals = answers(
        &subject,
        "3s",
        &[
            ("release", YES, "103.0"),
            ("segment", YES, "that one, with 1,500 profiles"),
            ("audit_order", YES, "newest first"),
            ("audit_fullness", YES, "1,000 of 1,000 came, and 500 of 500"),
            ("audit_from_date", YES, "yes"),
            (
                "cursor_of_scan",
                YES,
                "hexadecimal of 24 characters; the same page",
            ),
            (
                "cursor_of_index",
                YES,
                "begins like Solr's cursorMark; the same page",
            ),
            (
                "refused_cursor",
                YES,
                "HTTP 400; a cursor of the other read path: HTTP 400",
            ),
            (
                "count",
                YES,
                "profiles 7 of 7, segments 2 of 2, audit events 3 of 3",
            ),
            ("page_size", YES, "1,500 of 10,000"),
            (
                "total_results",
                YES,
                "scan of the store: 1,500 came, `totalResults` 1,500, `profileCount` 1,500; search index:",
            ),
            (
                "properties",
                YES,
                "0 came that the catalogue lacks, 0 of the catalogue did not come",
            ),
            ("replaces", YES, "the longest list has"),
            ("merged_lookup", YES, "its id and `replacedBy` (4)"),
            ("scopes", YES, "work"),
            ("denied_status", NONE, "no scope is missing"),
            ("absent_body", YES, "HTTP 404 with a JSON object"),
            ("overload", YES, "4 of 4 requests at once were answered"),
            ("index_lateness", YES, "no later than"),
            ("audit_delay", YES, "no later than"),
            ("audit_tokens", YES, "no event of a token appeared"),
            ("cursor_life", YES, "scan of the store: accepted after"),
            ("clock", YES, "behind ours"),
            ("compression", YES, "gzip"),
        ],
    )
    .await;
    assert_eq!(proposals, "[resources.audit_events]\norder = \"newest_first\"\n");
    assert_eq!(
        loaded(&proposals).resources.audit_events.order,
        Order::NewestFirst
    );
    let shown = subject.program.expect(0, &["status"]).await.stdout;
    assert!(
        shown.contains("23 as assumed, 0 differ, 1 without an answer"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_tenant_is_told_with_the_settings_that_suit_it() {
    let subject = older().await;
    let proposals = answers(
        &subject,
        "8s",
        &[
            ("release", NO, "99.0"),
            ("segment", NO, "there is none of that id; the largest of"),
            ("audit_order", NO, "oldest first"),
            (
                "audit_fullness",
                NO,
                "100 of 1,000 came, and 50 of 50; after the last one of the short answer 100 follow",
            ),
            ("audit_from_date", YES, "yes"),
            ("cursor_of_scan", YES, "begins like Solr's cursorMark"),
            ("cursor_of_index", YES, "begins like Solr's cursorMark"),
            ("refused_cursor", NO, "HTTP 410"),
            ("count", YES, "profiles 7 of 7"),
            ("page_size", NO, "no page holds more than 300"),
            ("total_results", NO, "came, `totalResults`"),
            ("properties", NO, "1 came that the catalogue lacks"),
            ("replaces", NO, "the longest list has 1 id(s)"),
            ("merged_lookup", NO, "the profile that it was merged into (4)"),
            ("scopes", NO, "missing: read:users"),
            ("denied_status", YES, "HTTP 401"),
            ("absent_body", NO, "HTTP 404 with a web page"),
            ("overload", NO, "with Retry-After of 1.0 s"),
            // "No later than", where the index had shown the change before it was looked for.
            ("index_lateness", YES, "late"),
            ("audit_delay", YES, "late by at least"),
            ("audit_tokens", YES, "yes: "),
            ("cursor_life", NO, "refused with HTTP 410"),
            ("clock", NO, "no answer has a `Date`"),
            ("compression", NO, "plain"),
        ],
    )
    .await;
    let settings = loaded(&proposals);
    assert_eq!(settings.resources.audit_events.order, Order::OldestFirst);
    assert_eq!(settings.resources.audit_events.page_size.get(), 100);
    assert_eq!(settings.resources.profiles.page_size.get(), 300);
    assert!(settings.limits.concurrent_requests.get() < 4, "{proposals}");
    assert!(proposals.contains("segment = "), "{proposals}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_tenant_is_told_to_need_a_longer_overlap() {
    let subject = newer().await;
    let proposals = answers(
        &subject,
        "5s",
        &[
            ("release", NONE, "the tenant has no such document"),
            ("segment", YES, "that one, with 800 profiles"),
            ("audit_order", NO, "no order"),
            ("audit_fullness", NO, "came, and"),
            ("audit_from_date", YES, "yes"),
            ("cursor_of_scan", YES, "hexadecimal of 24 characters"),
            ("cursor_of_index", YES, "begins like Solr's cursorMark"),
            (
                "refused_cursor",
                NO,
                "HTTP 404; a cursor of the other read path is taken",
            ),
            ("count", NO, "profiles 5 of 7"),
            ("page_size", NO, "no page holds more than 5"),
            (
                "total_results",
                NONE,
                "no segment with a count has at most 50 profiles",
            ),
            ("properties", YES, "0 came that the catalogue lacks"),
            ("replaces", NONE, "too few to tell"),
            ("merged_lookup", NO, "HTTP 404 (4)"),
            ("scopes", NO, "missing: read:models"),
            ("denied_status", YES, "HTTP 403"),
            ("absent_body", YES, "HTTP 404 with no body"),
            ("overload", NO, "without Retry-After"),
            ("index_lateness", NO, "late by at least 2"),
            ("audit_delay", NONE, "no event happened"),
            ("audit_tokens", YES, "no event of a token appeared"),
            ("cursor_life", NO, "refused with HTTP 404"),
            ("clock", NO, "1 min 2"),
            ("compression", YES, "gzip"),
        ],
    )
    .await;
    let settings = loaded(&proposals);
    let minutes = settings.resources.profiles.overlap.as_secs() / 60;
    assert!((60..=70).contains(&minutes), "{proposals}");
    assert_eq!(settings.resources.profiles.page_size.get(), 5);
}
