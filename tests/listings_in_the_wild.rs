//! Listings as gateways and indexes really give them: empty pages, totals that are none, pages that are too large for
//! something in between, cursors that die, lists that lack for a moment what is there, and listings without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::scripted::{Answer, Asked, Scripted, list, profile, scripted, segments};

/// The database and the program for a tenant.
async fn at(tenant: &Scripted) -> (Database, Program) {
    let database = Database::empty().await;
    let program = Program::new(&tenant.url, &database.url)
        .set("resources.profiles.page_size", "100")
        .set("retry.give_up_after", "1s");
    (database, program)
}

async fn last(database: &Database) -> (String, String, String) {
    database
        .rows(
            "select mode, status, coalesce(error, '') || ' / ' || coalesce(hint, '')
             from sync.runs order by started_at desc limit 1",
        )
        .await
        .remove(0)
}

fn is(last: &(String, String, String), mode: &str, status: &str) {
    assert_eq!((last.0.as_str(), last.1.as_str()), (mode, status), "{last:?}");
}

/// A page of `count` profiles of `of`, from where the cursor says.
fn profiles(asked: &Asked, of: usize) -> (Vec<Value>, usize) {
    let start = asked.text("cursor").parse().unwrap_or(0);
    let end = (start + asked.number("count")).min(of).max(start);
    ((start..end).map(profile).collect(), end)
}

fn one(asked: &Asked) -> Option<Answer> {
    let id = asked.path.strip_prefix("/profiles/p")?;
    Some((200, profile(id.parse().ok()?)))
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_pages_behind_the_last_and_in_the_middle_are_no_repetition() {
    // Every page tells a cursor; in the middle of the walk five are empty.
    let tenant = scripted(|asked| {
        if asked.path == "/segments" {
            return segments(asked);
        }
        if !asked.text("refinement").is_empty() {
            return (200, json!({"totalResults": 0, "profiles": []}));
        }
        let (page, hole) = asked
            .text("cursor")
            .split_once('.')
            .unwrap_or((asked.text("cursor"), "0"));
        let (start, hole): (usize, usize) = (page.parse().unwrap_or(0), hole.parse().unwrap());
        if start == 100 && hole < 5 {
            return (
                200,
                json!({"totalResults": 250, "profiles": [], "nextCursor": format!("100.{}", hole + 1)}),
            );
        }
        let end = (start + 100).min(250).max(start);
        let page: Vec<Value> = (start..end).map(profile).collect();
        (
            200,
            json!({"totalResults": 250, "profiles": page, "nextCursor": (start + 100).to_string()}),
        )
    })
    .await;
    let (database, program) = at(&tenant).await;
    program.expect(0, &["backfill", "profiles"]).await;
    is(&last(&database).await, "full", "succeeded");
    assert_eq!(database.count("blueconic.profiles").await, 250);
    // 3 pages, 5 holes, and the three empty ones at the end.
    let pages = tenant.asked("/profiles").len();
    assert!((11..=12).contains(&pages), "{pages} pages");
    program.expect(0, &["backfill", "profiles"]).await;
    is(&last(&database).await, "increment", "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_end_stops_beyond_twice_its_total() {
    for empty in [false, true] {
        let tenant = scripted(move |asked| {
            if asked.path == "/segments" {
                return segments(asked);
            }
            let start: usize = asked.text("cursor").parse().unwrap_or(0);
            let end = if empty && start > 0 { start } else { start + 2_000 };
            let page: Vec<Value> = (start..end).map(profile).collect();
            (
                200,
                json!({"totalResults": 4_000, "profiles": page, "nextCursor": (start + 2_000).to_string()}),
            )
        })
        .await;
        let (database, program) = at(&tenant).await;
        let program = program.set("resources.profiles.page_size", "2000");
        program.expect(3, &["backfill", "profiles"]).await;
        let last = last(&database).await;
        is(&last, "full", "partial");
        assert!(last.2.contains("does not end"), "{last:?}");
        let rows = database.count("blueconic.profiles").await;
        let expected = if empty { 2_000..=2_000 } else { 8_000..=20_000 };
        assert!(expected.contains(&rows), "{rows} rows");
        assert!(tenant.asked("/profiles").len() <= 110);
    }
}

/// Cursors are of a generation: those of the first one die half way, with a status.
async fn dying(status: u16) -> Scripted {
    let generation = AtomicUsize::new(0);
    scripted(move |asked| {
        if asked.path == "/segments" {
            return segments(asked);
        }
        let cursor = asked.text("cursor");
        let (generation, start) = match cursor.split_once(':') {
            None => (generation.fetch_add(1, Ordering::SeqCst), 0),
            Some((of, start)) => (of.parse().unwrap(), start.parse::<usize>().unwrap()),
        };
        if generation == 0 && start >= 200 {
            return (
                status,
                json!({"message": "the cursor mark is not valid any more"}),
            );
        }
        let end = (start + asked.number("count")).min(400);
        let page: Vec<Value> = (start..end).map(profile).collect();
        let next = (end < 400).then(|| format!("{generation}:{end}"));
        (
            200,
            json!({"totalResults": 400, "profiles": page, "nextCursor": next}),
        )
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cursor_ends_its_walk_and_not_the_service() {
    for status in [400, 404, 410, 422, 403, 302, 500, 503] {
        let tenant = dying(status).await;
        let (database, program) = at(&tenant).await;
        let mut runs = vec![program.run(&["backfill", "profiles"]).await];
        if runs[0].code() != 0 {
            runs.push(program.run(&["backfill", "profiles"]).await);
        }
        let ended = runs.last().unwrap();
        assert_eq!(ended.code(), 0, "{status}: {}", ended.stderr);
        ended.tells(&["the walk starts over"]);
        assert_eq!(database.count("blueconic.profiles").await, 400, "{status}");
        // A final answer at once, what may pass by the second run.
        if status >= 500 || matches!(status, 400 | 404 | 410 | 422) {
            assert_eq!(runs.len(), if status >= 500 { 2 } else { 1 }, "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_never_comes_begins_the_walk_anew_once_and_is_told() {
    for status in [410, 500] {
        let tenant = scripted(move |asked| {
            if asked.path == "/segments" {
                return segments(asked);
            }
            let (page, end) = profiles(asked, 400);
            if asked.text("cursor") == "200" {
                return (status, json!({"message": "no"}));
            }
            (
                200,
                json!({"totalResults": 400, "profiles": page, "nextCursor": end.to_string()}),
            )
        })
        .await;
        let (database, program) = at(&tenant).await;
        for _ in 0..4 {
            program.expect(1, &["backfill", "profiles"]).await;
        }
        let starts = tenant.asked("/profiles");
        // The probe asks for the first page as well, in few.
        let starts = starts
            .iter()
            .filter(|asked| asked.text("cursor") == "*" && asked.number("count") == 100);
        assert_eq!(starts.count(), 2, "{status}");
        let last = last(&database).await;
        is(&last, "full", "failed");
        for word in ["got no further", "page_size", "reset profiles"] {
            assert!(last.2.contains(word), "{last:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_does_not_end_a_walk() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let tenant = scripted(move |asked| {
        if asked.text("cursor") == "200" && asked.number("count") == 100 {
            // From here on, until somebody brings it up again.
            let was_up = asked.path.ends_with("/profiles") && !is_down.load(Ordering::SeqCst);
            if was_up && !is_down.swap(true, Ordering::SeqCst) {
                return (503, json!({}));
            }
        }
        if is_down.load(Ordering::SeqCst) {
            return (503, json!({}));
        }
        if asked.path == "/segments" {
            return segments(asked);
        }
        let (page, end) = profiles(asked, 400);
        (200, json!({"totalResults": 400, "profiles": page, "nextCursor": (end < 400).then(|| end.to_string())}))
    })
    .await;
    let (database, program) = at(&tenant).await;
    for _ in 0..3 {
        program.expect(1, &["backfill", "profiles"]).await;
    }
    let read: i64 = database
        .one("select (position ->> 'read')::bigint from sync.cursors where resource = 'profiles' and scope = 'full'")
        .await;
    assert_eq!(read, 200, "the walk keeps its position");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_too_large_shrink_and_grow_again() {
    for status in [413, 500, 502, 504, 408] {
        let large = AtomicUsize::new(0);
        let tenant = scripted(move |asked| {
            if asked.path == "/segments" {
                return segments(asked);
            }
            // The gateway gives up on large pages, and is mended later.
            if asked.number("count") > 60 && large.fetch_add(1, Ordering::SeqCst) < 6 {
                return (status, json!({}));
            }
            let (page, end) = profiles(asked, 2_000);
            (200, json!({"totalResults": 2_000, "profiles": page, "nextCursor": (end < 2_000).then(|| end.to_string())}))
        })
        .await;
        let (database, program) = at(&tenant).await;
        let program = program
            .set("resources.profiles.page_size", "400")
            .set("retry.give_up_after", "20s");
        let ended = program.expect(0, &["backfill", "profiles"]).await;
        ended.tells(&["page_size"]);
        assert_eq!(database.count("blueconic.profiles").await, 2_000, "{status}");
        let counts: Vec<usize> = tenant
            .asked("/profiles")
            .iter()
            .map(|asked| asked.number("count"))
            .collect();
        assert!(
            counts.contains(&50) && *counts.last().unwrap() > 50,
            "{status}: {counts:?}"
        );
    }
}

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
    for told in totals {
        // At most 100 a page; later the tenant does not heed where a page is to begin.
        let stuck = Arc::new(AtomicBool::new(false));
        let is_stuck = Arc::clone(&stuck);
        let total = told.clone();
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
        let hidden = told == json!(100);
        assert_eq!(rows, if hidden { 100 } else { 131 }, "{told}");
        stuck.store(true, Ordering::SeqCst);
        program.run(&["backfill", "profile_properties"]).await;
        assert_eq!(
            database.count("blueconic.profile_properties").await,
            rows,
            "{told}"
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
async fn a_segment_that_no_address_can_hold_is_told_and_the_others_are_counted() {
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
        (200, json!({"totalResults": 0, "profiles": []}))
    })
    .await;
    let (_database, program) = at(&tenant).await;
    program
        .expect(0, &["backfill", "segments", "profile_properties", "profiles"])
        .await;
    let ended = program.expect(0, &["status", "--verify"]).await;
    let told = format!("{}{}", ended.stdout, ended.stderr);
    for word in ["cannot be counted", "`.`", "`..`", "`a/b`"] {
        assert!(told.contains(word), "`{word}` is not in\n{told}");
    }
}
