//! What the status page says, and what it never lets through.

use blueconic_sync::model::status::{RunStatus, Status};

use crate::web::states::{Running, approval, away, expensive, fresh, hostile, troubled, well};

async fn page(state: Status) -> String {
    let (code, html) = Running::with(Ok(state)).await.get("/").await;
    assert_eq!(code, 200);
    html
}

fn assert_in_order(html: &str, parts: &[&str]) {
    let mut rest = html;
    for part in parts {
        let position = rest.find(part);
        assert!(
            position.is_some(),
            "`{part}` is missing, or not after what was before it, in:\n{html}"
        );
        rest = &rest[position.unwrap_or_default() + part.len()..];
    }
}

#[tokio::test]
async fn a_fresh_service_says_that_nothing_has_run() {
    let html = page(fresh()).await;
    assert_in_order(
        &html,
        &[
            "Nothing has run yet",
            "Segments",
            "Never ran",
            "Next run",
            "Audit events",
        ],
    );
    assert!(!html.contains("Token"));
}

#[tokio::test]
async fn when_all_is_well_it_says_so_with_the_numbers() {
    let html = page(well()).await;
    assert_in_order(
        &html,
        &[
            "example.blueconic.net",
            "All is well",
            "Token valid, expires in 48 min",
            "Profiles",
            "everything",
        ],
    );
    assert_in_order(
        &html,
        &[
            "everything",
            "Succeeded",
            "Ended ",
            "3 min ago",
            "took 1 min 20 s",
            "148,201",
            "1,204",
            "3,811",
            ">97<",
            "none",
        ],
    );
}

#[tokio::test]
async fn what_the_month_costs_stands_beside_its_limit_and_what_waits() {
    let html = page(expensive()).await;
    assert_in_order(
        &html,
        &[
            "Usage ",
            "81% used",
            "profiles/full",
            " is put off to ",
            "&lt;b&gt;too much",
            "810 of 1,000",
            "about 1,200 by the end of the month",
            "3.0 GiB",
            "5,000,000",
        ],
    );
    assert!(!page(well()).await.contains("Usage "));
}

#[tokio::test]
async fn trouble_comes_with_its_sentence_and_what_to_do() {
    let html = page(troubled()).await;
    assert_in_order(
        &html,
        &[
            "1 of 5 resources needs a person",
            "Failed",
            "the scope read:profile-properties is missing",
            "add the scope `read:profile-properties`",
            "Running",
            "<progress max=\"148201\" value=\"92400\"",
            "92,400 of 148,201 read",
            "Held by",
            "sync-1:4711:9f3a",
            "Interrupted",
            "Partial",
            "sync.rejects where resource = 'audit_events'",
            "Open gaps",
            ">3<",
        ],
    );
}

/// A page that takes the reader's place away is one that was asked to; while something runs it looks again soon.
#[tokio::test]
async fn the_page_reloads_itself_only_where_it_is_asked_to() {
    for (state, link, refresh) in [
        (
            well(),
            "Reload every 30 s",
            "http-equiv=\"refresh\" content=\"30\"",
        ),
        (
            troubled(),
            "Reload every 5 s",
            "http-equiv=\"refresh\" content=\"5\"",
        ),
    ] {
        let running = Running::with(Ok(state)).await;
        let still = running.get("/").await.1;
        assert!(still.contains(link) && !still.contains("http-equiv"));
        let reloading = running.get("/?reload").await.1;
        assert!(reloading.contains("Stop reloading") && reloading.contains(refresh));
    }
}

#[tokio::test]
async fn a_count_says_what_it_counts() {
    let mut state = well();
    state.resources[0].open_gaps = 1;
    let one = page(state.clone()).await;
    assert_in_order(&one, &["1 of 5 resources needs attention"]);
    state.resources[1].open_gaps = 1;
    let two = page(state.clone()).await;
    assert_in_order(&two, &["2 of 5 resources need attention"]);
    state.resources.truncate(1);
    let only = page(state.clone()).await;
    assert_in_order(&only, &["1 of 1 resource needs attention"]);
    let mut state = well();
    state.resources[0].last_run.as_mut().unwrap().status = RunStatus::Running;
    let running = page(state).await;
    assert_in_order(&running, &["1 of 5 resources running"]);
}

/// A gap that no scan can close is told and is nothing to watch.
#[tokio::test]
async fn gaps_for_good_do_not_look_like_a_fault() {
    let calm = page(well()).await;
    let mut state = well();
    state.resources[0].open_gaps = 2;
    let watched = page(state.clone()).await;
    state.resources[0].lasting_gaps = 2;
    let reported = page(state).await;
    assert_in_order(&reported, &["Open gaps", ">2 for good<"]);
    let moods =
        |html: &str| html.matches("dd class=\"attention\"").count() + html.matches("card attention").count();
    assert!(moods(&watched) > moods(&calm));
    assert_eq!(moods(&reported), moods(&calm));
}

#[tokio::test]
async fn what_needs_a_person_says_which_command() {
    let html = page(approval()).await;
    assert_in_order(
        &html,
        &[
            "1 of 2 resources needs a person",
            "authorized again by a person, expired 1 h 6 min ago",
            "Needs approval",
            "--approve-removals 27193",
        ],
    );
}

#[tokio::test]
async fn hostile_names_stay_text() {
    let html = page(hostile()).await;
    for markup in [
        "<script",
        "<img",
        "<b>",
        "onerror=alert(1)>",
        "\u{202E}",
        "\u{0}",
        "*{display:none}</style>",
    ] {
        assert!(!html.contains(markup), "`{markup}` came through");
    }
    assert_eq!(html.matches("<style>").count(), 1);
    assert!(html.contains("&lt;script&gt;"));
    assert!(html.len() < 40_000, "{} bytes: long texts are cut", html.len());
    assert!(html.ends_with("</html>"));
}

#[tokio::test]
async fn a_database_that_is_away_is_reported_with_what_to_do() {
    let (code, html) = Running::with(Err(away())).await.get("/").await;
    assert_eq!(code, 503);
    assert_in_order(
        &html,
        &[
            "The state cannot be read",
            "db.example:5432",
            "set DATABASE_URL to another one",
        ],
    );
}
