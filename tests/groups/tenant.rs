//! Groups and their properties of a simulated tenant, value for value, by the program itself.

use blueconic_sync::resources::registry::RESOURCES;
use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::settings::Settings;

use crate::support::truth::{assert_ledgers_add_up, assert_list_equal, assert_lists_equal};
use crate::support::{Scene, scene, small};

#[tokio::test(flavor = "multi_thread")]
async fn groups_equal_the_tenants_through_faults_and_changes() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        groups: 250,
        ..small(50)
    })
    .await;
    let program = program.set("resources.groups.page_size", "40");
    tenant.faults().push(Fault {
        limit: Some(3),
        ..Fault::at(Route::Groups, When::Every(3), Kind::CutAfter(5_000))
    });
    program.expect(0, &["backfill"]).await;
    assert_lists_equal(&database, &tenant).await;
    assert_eq!(database.count("blueconic.groups").await, 500);
    assert!(tenant.faults().given() > 0);
    let named =
        "blueconic.groups where group_type_id = 'company' and name = properties #>> '{company_name,0}'";
    assert_eq!(database.count(named).await, 250);

    let written = "select rows_inserted + rows_updated + rows_removed from sync.runs
                   where resource = 'groups' order by started_at desc limit 1";
    program.expect(0, &["backfill", "groups"]).await;
    assert_eq!(database.one::<i64>(written).await, 0);

    let added = tenant.add_group("household").unwrap();
    assert!(tenant.change_group("household", &added, "household_size", &["7"]));
    for group in tenant.groups("company").iter().take(5) {
        assert!(tenant.delete_group("company", &group.id));
    }
    program.expect(0, &["backfill", "groups"]).await;
    assert_eq!(database.one::<i64>(written).await, 6);
    let groups = RESOURCES.named("groups").unwrap();
    assert_list_equal(&database, &tenant, groups).await;
    program.expect(0, &["backfill", "--verify", "groups"]).await;
    assert_ledgers_add_up(&database).await;
}
