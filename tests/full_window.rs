//! Full walks read only within `resources.profiles.full_window`: one that is under way stops at its end with its position, and goes on
//! when the window opens again, be it a week later.

use std::time::Duration;

use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;

use crate::support::database::Database;
use crate::support::program::LONG;
use crate::support::truth::assert_equal;
use crate::support::{eventually, scene, small};

/// Lets the database's clock go on from this time of the day, so many days ahead.
async fn set_clock(database: &Database, days: u32, time: &str) {
    database
        .run(&format!(
            "create or replace function sync.clock() returns timestamptz language plpgsql volatile as $$
             begin
               return pg_catalog.clock_timestamp()
                 + ((date_trunc('day', timestamptz '{began}' at time zone 'UTC') + interval '{days} days' + interval '{time}')
                    at time zone 'UTC' - timestamptz '{began}');
             end $$",
            began = database.one::<String>("select pg_catalog.clock_timestamp()::text").await,
        ))
        .await;
}

const OPEN_WALK: &str =
    "sync.cursors where resource = 'profiles' and scope = 'full' and position is not null";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_walk_stops_at_the_end_of_its_window_and_goes_on_a_week_later() {
    let mut scene = scene(Settings {
        latency: Duration::from_millis(60),
        ..small(2_000)
    })
    .await;
    scene.program = scene
        .program
        .set("resources.profiles.page_size", "50")
        .set("resources.profiles.full_window", "22:00-06:00")
        .set("schedule.time_zone", "UTC");
    let (program, database, tenant) = (&scene.program, &scene.database, &scene.tenant);
    program.expect(0, &["migrate"]).await;

    // Outside of the window not even a walk begins.
    set_clock(database, 1, "12:00").await;
    let ended = program.expect(130, &["backfill", "profiles"]).await;
    ended.tells(&[
        "resources.profiles.full_window",
        "22:00-06:00 UTC",
        "opens at",
        "22:00 UTC",
    ]);
    assert_eq!(tenant.requests().count(Route::Profiles), 0);
    assert_eq!(database.count(OPEN_WALK).await, 0);

    set_clock(database, 1, "23:00").await;
    let mut running = program.start(&["backfill", "profiles"]);
    eventually("the walk is under way", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let far = format!("{OPEN_WALK} and (position ->> 'pages')::int >= 4");
        (database.count(&far).await == 1).then_some(())
    })
    .await;
    set_clock(database, 2, "06:00").await;
    let ended = running.ended(LONG).await;
    ended.expect(130);
    ended.tells(&["resources.profiles.full_window", "continues from there"]);
    let status: String = database
        .one("select status from sync.runs order by started_at desc limit 1")
        .await;
    let read = "select (position ->> 'read')::bigint from sync.cursors where resource = 'profiles' and scope = 'full'";
    let read: i64 = database.one(read).await;
    assert_eq!(status, "interrupted");
    let stored = database.count("blueconic.profiles").await;
    assert!(
        read >= 200 && read == stored,
        "each page that was read is stored: {read}, {stored}"
    );
    assert!(
        read < 2_000,
        "it stopped at the end of the listing, not of the window"
    );

    set_clock(database, 9, "22:30").await;
    let before = tenant.requests().count(Route::Profiles);
    program.expect(0, &["backfill"]).await;
    let pages = i64::try_from(tenant.requests().count(Route::Profiles) - before).unwrap();
    assert!(
        pages <= (2_000 - read) / 50 + 1,
        "{pages} pages after {read}: it started over"
    );
    assert_equal(database, tenant).await;
}
