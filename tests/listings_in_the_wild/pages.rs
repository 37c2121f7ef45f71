//! Pages of profiles: empty, endless, too large, lost; cursors that die.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::scripted::{Scripted, profile, scripted, segments};

use super::{at, is, last, profiles};

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
        if !asked.path.ends_with("/profiles") {
            return (404, json!({}));
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
        ended.tells(&[
            "the listing is read again from its start",
            "what the walk has covered is kept",
        ]);
        assert_eq!(database.count("blueconic.profiles").await, 400, "{status}");
        // A final answer at once, what may pass by the second run.
        if status >= 500 || matches!(status, 400 | 404 | 410 | 422) {
            assert_eq!(runs.len(), if status >= 500 { 2 } else { 1 }, "{status}");
        }
    }
}

/// A listing that is read again may leave out what it had listed before. What either reading brought is kept.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_walk_covered_before_its_cursor_died_stays_covered() {
    let walks = AtomicUsize::new(0);
    let tenant = scripted(move |asked| {
        if asked.path == "/segments" {
            return segments(asked);
        }
        if asked.path.starts_with("/profiles/") {
            return (404, json!({"message": "no such profile"}));
        }
        let cursor = asked.text("cursor");
        let (walk, start) = match cursor.split_once(':') {
            // What asks whether the tenant answers at all reads one profile.
            None if asked.number("count") < 100 => (0, 0),
            None => (walks.fetch_add(1, Ordering::SeqCst), 0),
            Some((of, start)) => (of.parse().unwrap(), start.parse::<usize>().unwrap()),
        };
        if walk == 1 && start >= 200 {
            return (410, json!({"message": "the cursor mark is not valid any more"}));
        }
        let end = (start + asked.number("count")).min(400);
        let left_out = |number: &usize| walk == 2 && *number < 5;
        let page: Vec<Value> = (start..end)
            .filter(|number| !left_out(number))
            .map(profile)
            .collect();
        let next = (end < 400).then(|| format!("{walk}:{end}"));
        (
            200,
            json!({"totalResults": 400, "profiles": page, "nextCursor": next}),
        )
    })
    .await;
    let (database, program) = at(&tenant).await;
    program.expect(0, &["backfill", "profiles"]).await;
    let ended = program.expect(0, &["backfill", "--full", "profiles"]).await;
    ended.tells(&["the listing is read again from its start"]);
    assert_eq!(database.count("blueconic.profiles").await, 400);
    let (distinct, looked_up): (i64, i64) =
        sqlx::query_as("select rows_distinct, rows_missed from sync.runs order by started_at desc limit 1")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!(
        (distinct, looked_up),
        (200, 0),
        "those that the second reading brought anew"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_never_comes_begins_the_walk_anew_once_and_is_reported() {
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
