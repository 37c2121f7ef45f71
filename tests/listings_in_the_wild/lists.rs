//! Lists that lack something, name too much, or do not end; what a run keeps of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::scripted::{list, scripted};

use super::{at, is, last, one, profiles};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_segments_that_blinks_removes_nobody() {
    // How many readings in a row lack the segment: one is read over, for the others the walk removes nothing.
    for blink in [1, 1_000] {
        let left = Arc::new(AtomicUsize::new(0));
        let blinks = Arc::clone(&left);
        let tenant = scripted(move |asked| {
            if let Some(one) = one(asked) {
                return one;
            }
            let all = [
                json!({"id": "allvisitors", "profileCount": 400}),
                json!({"id": "some", "profileCount": 380}),
            ];
            if asked.path == "/segments" {
                let took = blinks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                let listed = if took.is_ok() { &all[1..] } else { &all[..] };
                return list("segments", asked, listed, 1000, &listed.len().into());
            }
            let of = if asked.path.contains("/some/") { 380 } else { 400 };
            let (page, end) = profiles(asked, of);
            (200, json!({"totalResults": of, "profiles": page, "nextCursor": (end < of).then(|| end.to_string())}))
        })
        .await;
        let (database, program) = at(&tenant).await;
        program.expect(0, &["backfill", "--full", "profiles"]).await;
        let watermark =
            "select watermark::text from sync.cursors where resource = 'profiles' and scope = 'full'";
        let before: String = database.one(watermark).await;
        left.store(blink, Ordering::SeqCst);
        let ended = program.run(&["backfill", "--full", "profiles"]).await;
        assert_eq!(database.count("blueconic.profiles").await, 400, "{blink}");
        assert_eq!(database.count("blueconic.profile_tombstones").await, 0, "{blink}");
        if blink == 1 {
            ended.expect(0);
            continue;
        }
        ended.expect(3);
        ended.tells(&["resources.profiles.segment", "`some`", "`allvisitors`"]);
        assert_eq!(database.one::<String>(watermark).await, before);
        // An increment over it moves nothing either.
        program.expect(3, &["backfill", "profiles"]).await;
        left.store(0, Ordering::SeqCst);
        program.expect(0, &["backfill", "--full", "profiles"]).await;
        is(&last(&database).await, "full", "succeeded");
        // A person may mean it: who is not in the named segment leaves.
        let named = program.set("resources.profiles.segment", "some");
        named.run(&["backfill", "--full", "profiles"]).await;
        assert_ne!(last(&database).await.1, "failed");
    }
}

fn properties(numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers
        .map(|number| json!({"id": format!("x{number}"), "name": "N", "filterType": "SELECT"}))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_is_none_is_no_proof() {
    let totals = [
        Value::Null,
        json!(-1),
        json!(131.0),
        json!("131"),
        json!("many"),
        json!(144),
        json!(100),
        json!(0),
    ];
    for reported in totals {
        // At most 100 a page; later the tenant does not heed where a page is to begin.
        let stuck = Arc::new(AtomicBool::new(false));
        let is_stuck = Arc::clone(&stuck);
        let total = reported.clone();
        let tenant = scripted(move |asked| {
            if is_stuck.load(Ordering::SeqCst) {
                let all = properties(0..131);
                return (
                    200,
                    json!({"totalResults": total, "profileProperties": all[..100]}),
                );
            }
            list("profileProperties", asked, &properties(0..131), 100, &total)
        })
        .await;
        let (database, program) = at(&tenant).await;
        program.run(&["backfill", "profile_properties"]).await;
        let rows = database.count("blueconic.profile_properties").await;
        // A total that is reached with the first page hides the rest: nothing shows that it is wrong.
        let hidden = reported == json!(100);
        assert_eq!(rows, if hidden { 100 } else { 131 }, "{reported}");
        stuck.store(true, Ordering::SeqCst);
        program.run(&["backfill", "profile_properties"]).await;
        assert_eq!(
            database.count("blueconic.profile_properties").await,
            rows,
            "{reported}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_without_end_stop_and_rejects_have_a_ceiling() {
    let tenant = scripted(|asked| {
        let start = asked.number("startIndex");
        (
            200,
            json!({"totalResults": 50, "profileProperties": properties(start..start + 500)}),
        )
    })
    .await;
    let (database, program) = at(&tenant).await;
    program.expect(3, &["backfill", "profile_properties"]).await;
    let last_run = last(&database).await;
    assert!(last_run.2.contains("does not end"), "{last_run:?}");
    assert!(database.count("blueconic.profile_properties").await < 2_000);

    let tenant = scripted(|asked| {
        let start = asked.number("startIndex");
        let broken: Vec<Value> = (start..(start + 1_000).min(12_000))
            .map(|number| json!({"no": number}))
            .collect();
        (200, json!({"totalResults": 12_000, "profileProperties": broken}))
    })
    .await;
    let (database, program) = at(&tenant).await;
    let ended = program.expect(3, &["backfill", "profile_properties"]).await;
    ended.tells(&["takes no more"]);
    assert_eq!(database.count("sync.rejects").await, 10_000);
    let rejected: i64 = database.one("select rows_rejected from sync.runs").await;
    assert_eq!(rejected, 12_000);
}

/// Resolved rejects go where a run would find no room, open ones never; a death in between changes nothing of it.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn resolved_rejects_make_room_also_after_a_death() {
    let tenant = scripted(|_| (200, json!({"totalResults": 1, "profileProperties": [{"no": 1}]}))).await;
    let (database, program) = at(&tenant).await;
    program.expect(3, &["backfill", "profile_properties"]).await;
    database
        .run(
            "insert into sync.rejects (resource, reason, detail, raw, raw_bytes, sha256, run_id, noticed_at, resolved_at)
             select resource, reason, detail, raw, raw_bytes, sha256, run_id, noticed_at, noticed_at
             from sync.rejects, generate_series(1, 99999)",
        )
        .await;
    for place in ["rejects/room/before", "rejects/room/after"] {
        let dying = program.with("FAILPOINTS", &format!("{place}=return(kill)"));
        assert_eq!(
            dying.run(&["backfill", "profile_properties"]).await.code(),
            137,
            "{place}"
        );
        assert_eq!(
            database.count("sync.rejects where resolved_at is null").await,
            1,
            "{place}"
        );
    }
    program.expect(3, &["backfill", "profile_properties"]).await;
    assert_eq!(database.count("sync.rejects where resolved_at is null").await, 1);
    assert!(database.count("sync.rejects").await <= 90_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_no_address_can_hold_is_reported_and_the_others_are_counted() {
    let tenant = scripted(|asked| {
        let odd = [".", "..", "a/b", "%2F", "a?b#c", "tab\tid", ";", "allvisitors"];
        let all: Vec<Value> = odd
            .iter()
            .map(|id| json!({"id": id, "name": "N", "profileCount": 0}))
            .collect();
        if asked.path == "/segments" {
            return list("segments", asked, &all, 1000, &all.len().into());
        }
        if asked.path == "/profileProperties" {
            return list("profileProperties", asked, &[], 1000, &0.into());
        }
        if asked.path.contains("a%2Fb") {
            return (400, json!({"message": "ambiguous path"}));
        }
        if asked.path.ends_with("/profiles") {
            return (200, json!({"totalResults": 0, "profiles": []}));
        }
        (404, json!({"message": "no such resource"}))
    })
    .await;
    let (_database, program) = at(&tenant).await;
    program
        .expect(0, &["backfill", "segments", "profile_properties", "profiles"])
        .await;
    let ended = program.expect(0, &["status", "--verify"]).await;
    let reported = format!("{}{}", ended.stdout, ended.stderr);
    for word in ["cannot be counted", "`.`", "`..`", "`a/b`"] {
        assert!(reported.contains(word), "`{word}` is not in\n{reported}");
    }
}
