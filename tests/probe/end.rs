//! How a probe ends: by a signal, by a missing scope, without a database, with another tenant's, and at its only commit.

use std::time::Duration;

use nix::sys::signal::Signal;
use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::start;

use super::tenants::as_assumed;
use crate::support::database::Database;
use crate::support::program::{LONG, Program};
use crate::support::{eventually, small};

/// Ctrl-C ends a probe that still waits; what it knows is told and kept, and said to be partial.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_stopped_tells_what_it_knows() {
    let subject = as_assumed().await;
    let mut running = subject.program.start(&["probe", "--patience", "15m"]);
    eventually("it asks for profiles", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (subject.tenant.requests().count(Route::Profiles) > 2).then_some(())
    })
    .await;
    running.signal(Signal::SIGINT);
    let ended = running.ended(LONG).await;
    ended.expect(130);
    for words in [
        "PARTIAL: the probe was stopped before all questions were asked",
        "release: as assumed",
        "cursor_life: no answer",
        "why not  the probe was stopped",
    ] {
        assert!(ended.stdout.contains(words), "`{words}` in\n{}", ended.stdout);
    }
    let kept =
        "select count(*) from sync.probe where is_partial and report ->> 'partial' = 'the probe was stopped'";
    assert_eq!(subject.database.one::<i64>(kept).await, 1);
    let status = subject.program.expect(0, &["status"]).await;
    assert!(status.stdout.contains("(partial)"), "{}", status.stdout);
    subject.program.expect(0, &["reset", "tenant", "--yes"]).await;
    assert_eq!(subject.database.count("sync.probe").await, 0);
}

/// What the token may not read has no answer and a reason; a wrong secret has an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_whose_scope_is_missing_says_so() {
    let tenant = start(Settings {
        scopes: vec!["read:segments".into()],
        ..small(50)
    })
    .await
    .unwrap();
    let nowhere = "postgres://u@127.0.0.1:9/x";
    let program = Program::new(tenant.url(), nowhere);
    let ended = program.expect(0, &["probe", "--json", "--patience", "0s"]).await;
    ended.tells(&["the report is not kept"]);
    let report = ended.json();
    let findings = report["findings"].as_array().unwrap();
    let said = |question: &str| {
        let finding = findings.iter().find(|one| one["question"] == question).unwrap();
        (
            finding["state"].as_str().unwrap(),
            finding["follows"].as_str().unwrap(),
        )
    };
    let missing = |scope: &str| format!("the scope `{scope}` is missing (HTTP 403)");
    for (question, scope) in [
        ("audit_order", "read:audit-events"),
        ("audit_delay", "read:audit-events"),
        ("properties", "read:profile-properties"),
        ("absent_body", "read:profiles"),
    ] {
        assert_eq!(said(question), ("unanswered", &*missing(scope)), "{question}");
    }
    assert_eq!(said("scopes").0, "differs");
    assert_eq!(said("segment").0, "as_assumed");

    let wrong = program.with("BLUECONIC_CLIENT_SECRET", "wrong");
    wrong.expect(1, &["probe"]).await;
    program.without("BLUECONIC_CLIENT_ID").expect(2, &["probe"]).await;
}

/// A database of another tenant ends a probe before any request; one that is not migrated keeps nothing.
#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_database_is_refused_and_an_empty_one_is_left_alone() {
    let (tenant, other) = (start(small(20)).await.unwrap(), start(small(20)).await.unwrap());
    let database = Database::bare().await;
    let program = Program::new(tenant.url(), &database.url);
    let ended = program.expect(0, &["probe", "--patience", "0s"]).await;
    ended.tells(&["the report is not kept", "migrations"]);
    assert_eq!(
        database
            .one::<i64>("select count(*) from pg_namespace where nspname = 'sync'")
            .await,
        0
    );
    Program::new(other.url(), &database.url)
        .expect(0, &["backfill", "segments"])
        .await;
    tenant.requests().forget();
    program.expect(2, &["probe"]).await;
    assert_eq!(tenant.requests().all().len(), 0);
}

/// A probe that dies while it keeps its report leaves either all of it or nothing, and the last twenty stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_kept_whole_or_not_at_all() {
    let tenant = start(small(20)).await.unwrap();
    let database = Database::bare().await;
    let program = Program::new(tenant.url(), &database.url);
    program.expect(0, &["migrate"]).await;
    let old = "insert into sync.probe
               select now() - n * interval '1 day', '0', null, false, 0, '{}' from generate_series(1, 25) as n";
    database.run(old).await;
    for (place, rows) in [("probe/before", 25), ("probe/after", 20)] {
        let dying = program.with("FAILPOINTS", &format!("{place}=return(kill)"));
        dying.expect(137, &["probe", "--patience", "0s"]).await;
        assert_eq!(database.count("sync.probe").await, rows, "{place}");
    }
    program.expect(0, &["probe", "--patience", "0s"]).await;
    assert_eq!(database.count("sync.probe").await, 20);
    let newest = "select max(started_at) > now() - interval '5 minutes' from sync.probe";
    assert!(database.one::<bool>(newest).await);
}

/// A tenant that is down from the second minute on costs a few attempts a question, and an answer says why there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_fails_leaves_questions_without_an_answer() {
    use simulated_tenant::faults::{Fault, Kind, When};
    let tenant = start(small(20)).await.unwrap();
    let database = Database::bare().await;
    let program = Program::new(tenant.url(), &database.url);
    for (route, kind) in [
        (Route::AuditEvents, Kind::Reset),
        (
            Route::Profiles,
            Kind::Status {
                status: 500,
                retry_after: None,
            },
        ),
        (Route::ProfileProperties, Kind::Html),
    ] {
        tenant.faults().push(Fault::at(route, When::Always, kind));
    }
    let ended = program.start(&["probe", "--json", "--patience", "0s"]);
    let report = ended.ended(Duration::from_mins(5)).await;
    let report = {
        assert!([0, 3].contains(&report.code()), "{report:?}");
        report.json()
    };
    let findings = report["findings"].as_array().unwrap();
    for (question, why) in [
        ("audit_order", "no whole answer came"),
        ("cursor_of_scan", "the tenant answers HTTP 500"),
        ("properties", "the answer is no list of properties"),
    ] {
        let finding = findings.iter().find(|one| one["question"] == question).unwrap();
        assert_eq!(finding["state"], "unanswered", "{finding}");
        assert!(finding["follows"].as_str().unwrap().contains(why), "{finding}");
    }
}
