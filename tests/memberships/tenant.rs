//! The memberships of a simulated tenant, value for value, beside everything else that its profiles have.

use simulated_tenant::settings::Settings;

use crate::support::truth::{assert_memberships_equal, assert_profiles_equal};
use crate::support::{Scene, scene, small};

/// The counts of the last run: read, inserted, updated, unchanged.
const COUNTS: &str = "select rows_read, rows_inserted, rows_updated, rows_unchanged from sync.runs
                      where resource = 'profiles' order by started_at desc limit 1";

#[tokio::test(flavor = "multi_thread")]
async fn every_group_and_stage_of_a_profile_is_stored_as_the_tenant_has_it() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        groups: 30,
        lifecycles: 2,
        ..small(2_000)
    })
    .await;
    let program = program
        .set("resources.profiles.groups", "with_profiles")
        .set("resources.profiles.lifecycle_stages", "with_profiles")
        .set("resources.profiles.page_size", "700");
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_memberships_equal(&database, &tenant).await;
    assert!(database.count("blueconic.profile_groups").await > 1_000);
    assert!(database.count("blueconic.profile_lifecycle_stages").await > 1_000);

    program.expect(0, &["backfill", "--full", "profiles"]).await;
    let counts: Vec<(i64, i64, i64, i64)> = database.rows(COUNTS).await;
    assert_eq!(counts, [(2_000, 0, 0, 2_000)], "a second walk writes nothing");

    // Memberships change without a new date of the profile; a group goes, and profiles merge.
    let group = tenant.groups("company").remove(0).id;
    assert!(tenant.delete_group("company", &group));
    for position in 100..120 {
        assert!(tenant.set_groups(position, &[]) && tenant.set_stages(position, &[]));
    }
    let merged = (0..10).filter(|number| tenant.merge(number * 40, number * 40 + 1));
    assert!(merged.count() > 5);
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_memberships_equal(&database, &tenant).await;
}
