//! Histories of a simulated tenant, by the program itself: full walks and increments over groups, stages and merges.

use simulated_tenant::settings::Settings;

use crate::support::truth::{assert_memberships_equal, assert_profiles_equal};
use crate::support::{Scene, scene, small};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_what_the_tenant_has() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        lifecycles: 2,
        ..small(2_000)
    })
    .await;
    let property: String = tenant.properties()[0].id.clone();
    let program = program
        .set("resources.profiles.lifecycle_stages", "with_profiles")
        .set("resources.profiles.groups", "with_profiles")
        .set("resources.profiles.history.segments", "true")
        .set("resources.profiles.history.consent", "true")
        .set("resources.profiles.history.lifecycle_stages", "true")
        .set("resources.profiles.history.properties", &property)
        .set("resources.profiles.page_size", "700");
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    let recorded = "blueconic.recorded_histories where recorded_since is not null";
    assert_eq!(database.count(recorded).await, 4);
    assert_eq!(database.count("sync.segment_intervals").await, 0);

    for position in 100..120 {
        assert!(tenant.set_stages(position, &[]));
    }
    let merged = (0..10).filter(|number| tenant.merge(number * 40, number * 40 + 1));
    assert!(merged.count() > 5);
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_memberships_equal(&database, &tenant).await;
    assert!(
        database
            .count("sync.stage_intervals where valid_to is not null")
            .await
            >= 20
    );
    assert!(
        database
            .count("sync.segment_intervals where valid_to is not null")
            .await
            > 5
    );
    program.expect(0, &["backfill", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
}
