//! The histories of a simulated tenant, value for value.

use simulated_tenant::truth::{ConsentEvent, Property};

use crate::support::truth::assert_consent_equal;
use crate::support::{Scene, scene, small};

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_history_is_stored_as_the_tenant_has_it() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(400)).await;
    let program = program.set("resources.consent_history.enabled", "true");
    let all = ["backfill", "profiles", "consent_history"];
    program.expect(0, &all).await;
    assert_consent_equal(&database, &tenant).await;
    assert!(database.count("blueconic.consent_events").await > 400);

    let requests =
        "select requests from sync.runs where resource = 'consent_history' order by started_at desc limit 1";
    assert_eq!(
        database.one::<i64>(requests).await,
        400,
        "one request for each profile"
    );
    program.expect(0, &all).await;
    assert_eq!(database.one::<i64>(requests).await, 0, "nothing has changed");

    let event = ConsentEvent {
        date: tenant.now(),
        event_type: "PermissionLevelChanged".into(),
        properties: vec![Property {
            id: "ToLevel".into(),
            values: vec!["PERSONAL".into()],
        }],
    };
    assert!(tenant.add_consent_event(7, event) && tenant.touch(7, "visits", &["99"]));
    program
        .expect(0, &["backfill", "--full", "profiles", "consent_history"])
        .await;
    assert_eq!(database.one::<i64>(requests).await, 1);
    assert_consent_equal(&database, &tenant).await;
}
