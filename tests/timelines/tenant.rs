//! The timelines of a simulated tenant, value for value, beside everything else that its profiles have.

use crate::support::truth::{assert_profiles_equal, assert_timelines_equal, assert_timelines_hold};
use crate::support::{Scene, scene, small};

/// The counts of the last run: read, inserted, updated, unchanged.
const COUNTS: &str = "select rows_read, rows_inserted, rows_updated, rows_unchanged from sync.runs
                      where resource = 'profiles' order by started_at desc limit 1";

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_tenant_is_stored_as_the_tenant_has_it() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(3_000)).await;
    let program = program
        .set("resources.profiles.timeline", "with_profiles")
        .set("resources.profiles.page_size", "700");
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_timelines_equal(&database, &tenant).await;
    let events = database.count("blueconic.timeline_events").await;
    assert!(events > 6_000, "{events}");
    assert_eq!(database.count("blueconic.timeline_gaps").await, 0);

    program.expect(0, &["backfill", "--full", "profiles"]).await;
    let counts: Vec<(i64, i64, i64, i64)> = database.rows(COUNTS).await;
    assert_eq!(counts, [(3_000, 0, 0, 3_000)], "a second walk writes nothing");

    // What profiles lose by merges, their survivors keep.
    let merged = (0..30).filter(|number| tenant.merge(number * 40, number * 40 + 1));
    let left = 3_000 - i64::try_from(merged.count()).unwrap();
    assert!(left < 2_980, "{left}");
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_timelines_hold(&database, &tenant).await;
    assert_eq!(database.count("blueconic.timeline_events").await, events);
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    let counts: Vec<(i64, i64, i64, i64)> = database.rows(COUNTS).await;
    assert_eq!(counts, [(left, 0, 0, left)]);
}
