//! `serve` dies at each commit around a message. What was claimed and not recorded is sent again, once, after the end of the claim; nothing
//! is lost, and what was recorded is not repeated.

use futures_util::{StreamExt as _, stream};
use nix::sys::signal::Signal;

use crate::support::eventually;
use crate::support::hook::Hook;
use crate::support::ports::free;
use crate::support::program::{LONG, Program};
use crate::support::{Scene, scene, small};

/// Each place, what is told twice when it dies there, and what is told once. A message tells of several things, so that what stood in the
/// same message and was not recorded yet may be told twice, too.
const PLACES: [(&str, &[&str], &[&str]); 12] = [
    ("notify/judge/before", &[], &[BEGAN, ENDED]),
    ("notify/judge/after", &[], &[BEGAN, ENDED]),
    ("notify/claim/before", &[], &[BEGAN, ENDED]),
    ("notify/claim/after", &[], &[BEGAN, ENDED]),
    ("notify/sent/before", &[BEGAN], &[]),
    ("notify/sent/after", &[], &[BEGAN]),
    ("notify/ended/before", &[ENDED], &[BEGAN]),
    ("notify/ended/after", &[], &[BEGAN, ENDED]),
    ("notify/unsent/before", &[], &[BEGAN, ENDED]),
    ("notify/unsent/after", &[], &[BEGAN, ENDED]),
    ("notify/heartbeat/before", &[], &[BEGAN, ENDED]),
    ("notify/heartbeat/after", &[], &[BEGAN, ENDED]),
];

const BEGAN: &str = "began gap_for_good audit_events/- 1";
const ENDED: &str = "ended failed segments/full 1";

fn service(program: &Program, hook: &Hook) -> Program {
    program
        .set("web.bind", &free().to_string())
        .set("schedule.heartbeat", "1s")
        .set("schedule.drift", "")
        .set("resources.profiles.enabled", "false")
        .set("resources.audit_events.enabled", "false")
        .with("BLUECONIC_SYNC_WEBHOOK_URL", &format!("{}/hook", hook.url))
        .with("BLUECONIC_SYNC_HEARTBEAT_URL", &format!("{}/beat", hook.url))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_repeats_a_message_once_at_the_most_and_loses_none() {
    let deaths = stream::iter(PLACES).map(|(place, twice, once)| dies(place, twice, once));
    let _: Vec<()> = deaths.buffer_unordered(3).collect().await;
}

async fn dies(place: &str, twice: &[&str], once: &[&str]) {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(small(1)).await;
    let hook = Hook::start().await;
    let program = service(&program, &hook);
    program.expect(0, &["migrate"]).await;
    // A gap that no scan can close is told; the end of a failure that was told is told, once segments are read.
    database
        .run(
            "insert into sync.gaps (resource, from_at, to_at, reason, run_id, noticed_at)
             values ('audit_events', now() - interval '2 h', now() - interval '1 h', 'retention', gen_random_uuid(), now());
             insert into sync.notifications (concern, resource, scope, amount, told_amount, began_at, sent, last_sent_at, next_at)
             values ('failed', 'segments', 'full', 1, 1, now(), 1, now(), now() + interval '1 day')",
        )
        .await;
    if place.starts_with("notify/unsent") {
        hook.answer(503);
    }
    let dying = program.with("FAILPOINTS", &format!("{place}=return(kill)"));
    let ended = dying.start(&["serve"]).ended(LONG).await;
    assert_eq!(ended.code(), 128 + 9, "{place}: {}", ended.stderr);
    if place.starts_with("notify/unsent") {
        assert!(!hook.told().is_empty(), "{place}");
        hook.answer(200);
        hook.forget();
    }
    // The claim of the dead process ends.
    database
        .run(
            "update sync.notifications set claimed_until = now() where claimed_until is not null;
             update sync.notifications set next_at = now() where failed > 0;
             update sync.heartbeat set next_at = now()",
        )
        .await;
    let beats = || {
        let arrived = hook.arrived().into_iter();
        arrived.filter(|it| it.path == "/beat").count()
    };
    let beats_before = beats();
    let mut running = program.start(&["serve"]);
    // A sign of life ends a round.
    eventually("all is told, and a round has ended", LONG, async || {
        assert!(!running.has_ended(), "{place}:\n{}", running.stderr());
        let left = database
            .texts("select concern || coalesce(next_at::text, '') from sync.notifications")
            .await;
        (left == ["gap_for_good"] && beats() > beats_before).then_some(())
    })
    .await;
    running.signal(Signal::SIGTERM);
    running.ended(LONG).await.expect(0);
    let told: Vec<String> = hook.told().concat();
    let count = |wanted: &str| told.iter().filter(|told| *told == wanted).count();
    for event in [BEGAN, ENDED] {
        assert!((1..=2).contains(&count(event)), "{place}: {event}: {told:?}");
    }
    assert!(twice.iter().all(|event| count(event) == 2), "{place}: {told:?}");
    assert!(once.iter().all(|event| count(event) == 1), "{place}: {told:?}");
}
