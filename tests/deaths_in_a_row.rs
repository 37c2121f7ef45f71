//! The program dies at one place after another over one database, each time while the tenant has changed, and is made up for. The torture
//! tests die in copies of a database; a cluster's cannot be copied, so this is how a load over distributed tables is killed.

use std::time::Duration;

use simulated_tenant::tenant::Tenant;

use crate::support::deaths::written_last;
use crate::support::small;
use crate::support::truth::assert_equal;
use crate::support::{Scene, scene};

const PROFILES: u64 = 600;
/// Where a first load dies, and after how many hits of the place.
const FIRST: [(&str, u32); 6] = [
    ("load/before", 0),
    ("load/after", 1),
    ("copy/before", 1),
    ("page/tail/after", 2),
    ("index/make/after", 0),
    ("analyze/after", 0),
];
/// The same for a full walk over a filled database.
const AGAIN: [(&str, u32); 11] = [
    ("load/before", 0),
    ("load/after", 0),
    ("load/after", 2),
    ("advance/after", 1),
    ("copy/before", 1),
    ("page/tail/before", 2),
    ("candidates/before", 0),
    ("candidates/after", 0),
    ("missing/after", 0),
    ("sweep/before", 0),
    ("sweep/after", 0),
];

/// Profiles come, change, merge and go; some of each for each round.
fn change(tenant: &Tenant, round: u64) {
    tenant.advance(Duration::from_mins(1));
    let own = (round..PROFILES).step_by(20);
    for (number, position) in own.enumerate() {
        match number % 4 {
            0 => tenant.delete(position),
            1 => tenant.merge(position, position + 20),
            _ => tenant.touch(position, "name", &["Changed"]),
        };
    }
    tenant.add_profiles(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_made_up_for_by_the_next_run() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(PROFILES)).await;
    let program = program
        .set("schedule.lease_ttl", "1s")
        .set("resources.profiles.page_size", "100");
    let dies_at = async |place: &str, hit: u32| {
        let order = format!("{place}={hit}*off->return(kill)");
        let dying = program.with("FAILPOINTS", &order);
        let ended = dying.run(&["backfill", "--full", "profiles"]).await;
        assert_eq!(ended.code(), 137, "{order}: it did not die\n{}", ended.stderr);
    };
    let goes_on = async |after: &str| {
        let ended = program.run(&["backfill", "--full"]).await;
        assert_eq!(ended.code(), 0, "after {after}:\n{}", ended.stderr);
    };
    for (place, hit) in FIRST {
        dies_at(place, hit).await;
    }
    goes_on("the first load").await;
    assert_equal(&database, &tenant).await;

    for (round, (place, hit)) in (0..).zip(AGAIN) {
        change(&tenant, round);
        dies_at(place, hit).await;
        goes_on(place).await;
        assert_equal(&database, &tenant).await;
    }
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_eq!(written_last(&database).await, 0, "one more run writes nothing");
}
