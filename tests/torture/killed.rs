//! kill -9 at random moments: the next process goes on where the last one stood, and in the end the tables are those of
//! a backfill that nobody disturbed.

use std::time::Duration;

use nix::sys::signal::Signal;
use simulated_tenant::faults::Route;
use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant::start;

use super::business::Business;
use super::interrupted::InterruptedBackfill;
use super::table::{Case, in_full, tries};
use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::small;

/// What is killed, and how often.
struct Plan {
    name: &'static str,
    settings: Settings,
    page_size: (&'static str, &'static str),
    arguments: &'static [&'static str],
    route: Route,
    kills: u32,
    kills_each: u32,
    /// The longest that a process lives from its first page on.
    within: Duration,
    /// Pages that a process may ask for again: the unfinished one, the one before it, and the one that was asked for
    /// ahead and not read.
    repeats: usize,
}

async fn kill(plan: Plan) {
    let tenant = start(plan.settings).await.unwrap();
    let reference = Database::bare().await;
    let (key, value) = plan.page_size;
    let program = Program::new(tenant.url(), &reference.url).set(key, value);
    program.expect(0, plan.arguments).await;
    let pages = tenant.requests().count(plan.route);
    let expected = Business::of(&reference).await;
    let mut case = Case::new(plan.name);
    let (mut killed, mut resumed, mut worst) = (0, 0, 0);
    while killed < plan.kills {
        let mut backfill = InterruptedBackfill::new(&tenant, &program, plan.arguments, plan.route).await;
        let (mut here, mut ended_by_itself) = (0, false);
        while here < plan.kills_each && killed < plan.kills && !ended_by_itself {
            let signalled = if here == 0 {
                backfill.end_once_stored(Signal::SIGKILL).await
            } else {
                backfill.end(Signal::SIGKILL, plan.within).await
            };
            let ended = signalled.ended;
            ended_by_itself = ended.code() == 0;
            if !ended_by_itself {
                ended.expect(137);
                here += 1;
                killed += 1;
            }
        }
        case.recovered(backfill.finish().await);
        assert!(
            backfill.most_repeated <= plan.repeats,
            "{} pages were asked for again after one kill",
            backfill.most_repeated
        );
        if !ended_by_itself {
            let most = pages + usize::try_from(here).unwrap() * plan.repeats;
            assert!(
                backfill.requests <= most,
                "{} requests for {pages} pages and {here} kills",
                backfill.requests
            );
        }
        worst = worst.max(backfill.most_repeated);
        resumed += backfill
            .database
            .count("sync.runs where position_from is not null")
            .await;
        let interrupted = backfill.database.count("sync.runs where status = 'interrupted'");
        assert!(interrupted.await <= i64::from(here));
        backfill.judge(&expected, &mut case).await;
    }
    assert!(resumed > 0, "no run went on from a position");
    case.tried(u64::from(killed));
    case.note(format!(
        "{resumed} runs resumed, at most {worst} pages asked for again"
    ));
    case.report();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill() {
    let full = in_full();
    kill(Plan {
        name: "kill -9 in a backfill",
        settings: if full {
            Settings {
                rendered: true,
                ..small(100_000)
            }
        } else {
            Settings {
                latency: Duration::from_millis(25),
                ..small(4_000)
            }
        },
        page_size: ("resources.profiles.page_size", if full { "2000" } else { "100" }),
        arguments: &["backfill"],
        route: Route::Profiles,
        kills: tries(5, 200),
        kills_each: tries(5, 10),
        within: Duration::from_millis(if full { 4_000 } else { 400 }),
        repeats: 3,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_walk() {
    let full = in_full();
    kill(Plan {
        name: "kill -9 in an audit walk",
        settings: Settings {
            audit_events: if full { 60_000 } else { 12_000 },
            audit_order: AuditOrder::OldestFirst,
            latency: Duration::from_millis(5),
            ..small(10)
        },
        page_size: ("resources.audit_events.page_size", "200"),
        arguments: &["backfill", "audit_events"],
        route: Route::AuditEvents,
        kills: tries(4, 200),
        kills_each: tries(4, 8),
        within: Duration::from_millis(if full { 1_200 } else { 300 }),
        repeats: 2,
    })
    .await;
}
