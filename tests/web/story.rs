//! What the pages tell besides the state: the last 30 days, the next day, gaps, rejects, and single runs.

use std::time::Duration;

use blueconic_sync::model::concern::Goals;
use blueconic_sync::model::overview::{
    MonthOfUsage, OpenGap, OpenRejects, Overview, PlannedJob, RunDay, RunDetail, RunList, RunRejects,
    RunSummary, Starts,
};
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::status::{RunStatus, TableSize};
use chrono::Datelike as _;
use uuid::Uuid;

use crate::web::states::{Running, Told, at, away, expensive, hostile, run, well};

/// So many runs of a slot that ended in one way, some days ago.
fn day(slot: (&str, Scope), ago: i64, status: RunStatus, runs: i64) -> RunDay {
    RunDay {
        resource: slot.0.to_owned(),
        mode: slot.1,
        day: at(-ago * 86_400).date_naive(),
        status,
        runs,
        seconds: 12.0,
        longest_seconds: 125.0,
        rows_read: 1_000,
        rows_written: 100,
        rows_removed: 5,
        rows_rejected: 1,
    }
}

const PROFILES: (&str, Scope) = ("profiles", Scope::Full);

fn overview() -> Overview {
    let job = |job: &str, starts: Option<Starts>| PlannedJob {
        job: job.to_owned(),
        cron: "0 */6 * * *".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        next_run_at: at(3_600),
        is_running: false,
        is_requested: false,
        pause: None,
        starts,
    };
    Overview {
        days: vec![
            day(PROFILES, 29, RunStatus::Succeeded, 1),
            day(PROFILES, 3, RunStatus::Succeeded, 11),
            day(PROFILES, 3, RunStatus::Failed, 1),
            day(("segments", Scope::Full), 0, RunStatus::Succeeded, 2),
        ],
        jobs: vec![
            job("audit_events", None),
            job(
                "profiles/full",
                Some(Starts {
                    times: vec![at(3_600), at(25_200)],
                    and_more: false,
                }),
            ),
        ],
        gaps: vec![OpenGap {
            resource: "audit_events".to_owned(),
            from: at(-90_000),
            to: at(-86_400),
            reason: "retention".to_owned(),
            is_lasting: true,
        }],
        rejects: vec![OpenRejects {
            resource: "profiles".to_owned(),
            reason: "too_large".to_owned(),
            count: 1_200,
        }],
        months: vec![MonthOfUsage {
            month: at(0).date_naive().with_day(1).unwrap(),
            requests: 4_321,
            bytes_received: 3 << 20,
            profiles_read: 99_000,
        }],
    }
}

fn told() -> Told {
    let mut ended = run(
        RunStatus::Partial,
        [1_000, 600, 300, 7, 40],
        Some("40 elements were rejected"),
        Some("raise `limits.element_size`"),
    );
    "profiles".clone_into(&mut ended.resource);
    ended.rows_unchanged = 60;
    let listed = RunSummary {
        id: ended.id,
        resource: ended.resource.clone(),
        mode: ended.mode,
        status: ended.status,
        started_at: ended.started_at,
        finished_at: ended.finished_at,
        rows_read: 1_000,
        rows_written: 900,
        rows_removed: 7,
        rows_rejected: 40,
    };
    let rejects = RunRejects {
        reason: "wrong_shape".to_owned(),
        field: Some("creationDate".to_owned()),
        count: 30,
        resolved: 2,
    };
    let mut status = well();
    status.usage = expensive().usage;
    status.tables = ["profiles", "segments"]
        .map(|name| TableSize {
            name: name.to_owned(),
            rows_estimated: Some(148_201),
            bytes: 5 * 1024 * 1024,
            index_bytes: 1024 * 1024,
        })
        .to_vec();
    Told {
        status,
        overview: Ok(overview()),
        list: RunList {
            runs: vec![listed],
            has_older: true,
        },
        detail: RunDetail {
            run: ended,
            rejects: vec![rejects],
        },
    }
}

async fn running(told: Told) -> Running {
    let goals = Goals::from([
        ("profiles", Duration::from_mins(2)),
        ("segments", Duration::from_hours(1)),
    ]);
    Running::told(told, goals).await
}

#[track_caller]
fn assert_in_order(html: &str, parts: &[&str]) {
    let mut rest = html;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("`{part}` is missing, or not after what was before it, in:\n{html}");
        };
        rest = after;
    }
}

#[tokio::test]
async fn the_page_tells_of_thirty_days_and_of_the_next_one() {
    let html = running(told()).await.get("/").await.1;
    assert_in_order(
        &html,
        &[
            "2 runs: 2 succeeded",
            "No day had a run that did not succeed.",
            "Lag",
            "within its goal of 1 h",
            "Profile properties",
            "No run has ended in the last 30 days.",
            "Outcomes of the last 30 days: Profiles, everything",
            "13 runs: 12 succeeded, 1 failed",
            "Days with other outcomes:",
            "11 succeeded, 1 failed",
            "Longest run",
            "2 min 5 s",
            "Rows written",
            ">300<",
            "beyond its goal of 2 min",
            "Requests by month",
            ": 4,321<",
            "Traffic by month",
            ": 3.0 MiB<",
            "99,000",
            "Next 24 hours",
            "audit_events",
            "not known",
            "profiles/full",
            "Europe/Berlin",
            "Starts of profiles/full within a day: 2, from",
            "Gaps of Audit events on a time line",
            "1 gap, 1 of them for good",
            "the tenant no longer had the events",
            "never",
            "larger than limits.element_size",
            "1,200",
            "10.0 MiB",
            "50% of the space of all tables",
        ],
    );
    assert_eq!(html.matches("<h1").count(), 1);
    for element in ["<svg", "<table"] {
        let (named, name) = if element == "<svg" {
            ("role=\"img\"", "<title>")
        } else {
            ("<table", "<caption>")
        };
        for part in html
            .split(element)
            .skip(1)
            .filter(|part| !part.starts_with(" class=\"sample\""))
        {
            assert!(element != "<svg" || part[..200].contains(named), "{part}");
            assert!(part[..200].contains(name), "{part}");
        }
    }
    assert!(!html.contains("style="), "the policy forbids inline styles");
}

/// The state is there also while the rest is not.
#[tokio::test]
async fn what_cannot_be_read_is_missing_alone() {
    let (code, html) = running(Told {
        overview: Err(away()),
        ..told()
    })
    .await
    .get("/")
    .await;
    assert_eq!(code, 200);
    assert_in_order(
        &html,
        &[
            "All is well",
            "148,201",
            "could not be read",
            "db.example:5432",
            "set DATABASE_URL",
        ],
    );
}

#[tokio::test]
async fn a_run_has_a_page_with_its_ledger_and_what_to_do() {
    let running = running(told()).await;
    let (code, html) = running.get("/runs/0198a1b2-0000-7000-8000-000000000001").await;
    assert_eq!(code, 200);
    assert_in_order(
        &html,
        &[
            "href=\"../\"",
            "href=\"../runs?resource=profiles&amp;scope=full\"",
            "Run of",
            "Profiles, everything",
            "Partial",
            "took 1 min 20 s",
            "Started by a job of the schedule",
            "What went wrong",
            "40 elements were rejected",
            "What to do",
            "raise `limits.element_size`",
            "inserted",
            ">600<",
            "read",
            ">1,000<",
            "requests",
            ">17<",
            "a field has another type",
            "creationDate",
            ">30<",
            ">2<",
            "30 of 40 are on record for this run",
        ],
    );
    assert!(!html.contains("in no count"), "the ledger adds up");
    let mut lost = told();
    lost.detail.run.rows_unchanged -= 3;
    let html = Running::told(lost, Goals::new())
        .await
        .get("/runs/0198a1b2-0000-7000-8000-000000000001")
        .await
        .1;
    assert_in_order(&html, &["in no count", ">3<"]);
    let unknown = running.get(&format!("/runs/{}", Uuid::nil())).await;
    assert_eq!(unknown.0, 404);
    assert!(unknown.1.starts_with("there is no such run"), "{}", unknown.1);
    let wrong = running.get("/runs/12%20or%201").await;
    assert_eq!(wrong.0, 400);
    assert!(wrong.1.starts_with("the id of a run is a UUID"), "{}", wrong.1);
}

#[tokio::test]
async fn runs_are_listed_with_their_days_and_lead_to_older_ones() {
    let running = running(told()).await;
    let (code, html) = running.get("/runs?resource=profiles&scope=full").await;
    assert_eq!(code, 200);
    assert_in_order(
        &html,
        &[
            "Runs of",
            "Profiles, everything",
            "13 runs",
            "Runs by the day",
            "11 succeeded, 1 failed",
            "href=\"runs/0198a1b2-0000-7000-8000-000000000001\"",
            "Partial",
            ">900<",
            "40 rejected",
            "href=\"runs?resource=profiles&amp;scope=full&amp;before=0198a1b2-0000-7000-8000-000000000001\"",
        ],
    );
    let (code, html) = running.get("/runs").await;
    assert_eq!(code, 200);
    assert_in_order(
        &html,
        &[
            "Runs of",
            "all resources",
            "Profiles, everything",
            "href=\"runs?before=",
        ],
    );
    for (query, code, words) in [
        ("resource=nobody", 404, "there is no such resource"),
        ("scope=half", 400, "`scope` is"),
        ("before=1", 400, "the id of a run is a UUID"),
        ("sort=up", 400, "the query may have"),
    ] {
        let answer = running.get(&format!("/runs?{query}")).await;
        assert_eq!(answer.0, code, "{query}");
        assert!(answer.1.starts_with(words), "{}", answer.1);
    }
    let nobody = Running::with(Ok(well())).await;
    assert_eq!(nobody.get(&format!("/runs?before={}", Uuid::nil())).await.0, 404);
}

#[tokio::test]
async fn hostile_texts_stay_text_on_every_page() {
    let status = hostile();
    let script = status.resources[0].resource.clone();
    let mut told = told();
    told.detail.run.resource.clone_from(&script);
    told.detail.run.error = Some(format!("{script}\u{202E}{}", "W".repeat(5_000)));
    told.detail.run.hint = Some(script.clone());
    told.detail.run.tenant_release = Some(script.clone());
    told.detail.rejects[0].reason.clone_from(&script);
    told.detail.rejects[0].field = Some(script.clone());
    told.list.runs[0].resource.clone_from(&script);
    let mut overview = overview();
    overview.gaps[0].resource.clone_from(&script);
    overview.gaps[0].reason.clone_from(&script);
    overview.rejects[0].reason.clone_from(&script);
    overview.rejects[0].resource.clone_from(&script);
    overview.days[0].resource.clone_from(&script);
    for job in &mut overview.jobs {
        job.job.clone_from(&script);
        job.cron.clone_from(&script);
        job.time_zone.clone_from(&script);
    }
    told.overview = Ok(overview);
    told.status = status;
    told.status.tables = vec![TableSize {
        name: script.clone(),
        rows_estimated: None,
        bytes: i64::MAX,
        index_bytes: i64::MIN,
    }];
    let running = Running::told(told, Goals::new()).await;
    for path in ["/", "/runs", "/runs/0198a1b2-0000-7000-8000-000000000001"] {
        let (code, html) = running.get(path).await;
        assert_eq!(code, 200);
        assert!(html.contains("&lt;script&gt;"), "{path}");
        for markup in [
            "<script",
            "<img",
            "onerror=alert(1)>",
            "\u{202E}",
            "*{display:none}</style>",
        ] {
            assert!(!html.contains(markup), "`{markup}` came through on {path}");
        }
        assert_eq!(html.matches("<style>").count(), 1);
    }
}
