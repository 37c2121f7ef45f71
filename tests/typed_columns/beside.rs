//! The catalogue changes in one run while another one loads: no row is written by the former columns.

use std::time::Duration;

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::fault::Kind as FaultKind;
use blueconic_sync::model::ports::{AnyResource, ColumnStore, LoadStore, Loader, Walkable};
use blueconic_sync::model::position::Scope;
use secrecy::ExposeSecret as _;
use serde_json::json;
use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::settings::Settings as TenantSettings;

use super::Scene;
use crate::support::described::run;
use crate::support::fixture::{PROFILES_FULL, fixture};
use crate::support::truth::{assert_ledgers_add_up, assert_profiles_equal};
use crate::support::typed::assert_typed_columns;
use crate::support::{eventually, scene, small};

/// The resource of profiles.
fn profiles(app: &App) -> std::sync::Arc<dyn Walkable> {
    let walks = app.entries.iter().find_map(|entry| match &entry.resource {
        AnyResource::Walk(walk) => Some(std::sync::Arc::clone(walk)),
        _ => None,
    });
    walks.unwrap()
}

/// A batch of one profile as a lane decodes it.
fn batch(profiles: &dyn Walkable, id: &str) -> Batch {
    let element = super::profile(id, &json!({"a": ["1"], "b": ["2"]})).to_string();
    let print = profiles.fingerprint(element.as_bytes()).ok().unwrap();
    let mut batch = Batch::default();
    let mut decoder = profiles.decoder();
    decoder.decode(element.as_bytes(), print, Known::Absent, &mut batch);
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_by_former_columns_is_refused() {
    let scene = Scene::new().await;
    let db = fixture().await;
    let profiles = profiles(&scene.app);
    let wanted = profiles.wanted_columns();
    let lists = async |id: &str| {
        sqlx::query("insert into blueconic.profile_properties (id, synced_at) values ($1, now())")
            .bind(id)
            .execute(&db.look)
            .await
            .unwrap();
        let brought = db.store.bring_columns(&wanted).await.unwrap();
        profiles.with_columns(brought.columns)
    };
    let without = profiles.with_columns(None);
    let first = lists("a").await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.store.loader(first.table(), &lease, Some(walk)).await.unwrap();
    loader.load(batch(first.as_ref(), "p"), None).await.unwrap();
    let second = lists("b").await;
    for fresh in [false, true] {
        let old = Batch {
            fresh,
            ..batch(first.as_ref(), "q")
        };
        let fault = loader.load(old, None).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::ColumnsChanged);
    }
    loader.load(batch(second.as_ref(), "q"), None).await.unwrap();
    let rows = "select concat_ws('|', id, a, b) from blueconic.profiles_wide order by id";
    assert_eq!(db.texts(rows).await, ["p|1", "q|1|2"]);
    // A process without the columns removes what it does not write, so that a process with them fills it in.
    loader.load(batch(without.as_ref(), "r"), None).await.unwrap();
    assert_eq!(db.texts(rows).await, ["p|1", "q|1|2"]);
    let to_fill = "select coalesce(fill_after, 'none') from sync.column_layout";
    assert_eq!(db.texts(to_fill).await, [""]);
}

/// While a full walk waits for a page, an increment finds new properties.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_with_the_columns_that_another_run_made() {
    let crate::support::Scene {
        tenant,
        database,
        program,
    } = scene(small(3_000)).await;
    let program = program.set("resources.profiles.page_size", "500");
    program.expect(0, &["backfill", "--full"]).await;
    tenant.advance(Duration::from_secs(5));
    for position in (0..3_000).step_by(2) {
        tenant.touch(position, "name", &["Somebody Else"]);
    }
    let delay = Kind::Delay(Duration::from_secs(8));
    tenant.faults().push(Fault {
        limit: Some(1),
        ..Fault::at(Route::Profiles, When::Page(4), delay)
    });
    let walk = program.start_reading(&["backfill", "--full", "profiles"]);
    let changed = "blueconic.profiles where properties::text like '%Somebody Else%'";
    eventually("pages are loaded", Duration::from_mins(1), async || {
        (database.count(changed).await > 300).then_some(())
    })
    .await;
    database
        .run(
            "insert into blueconic.profile_properties (id, filter_type, synced_at) values ('another', 'RANGE', now());
             update blueconic.profile_properties set filter_type = 'DECIMAL' where filter_type = 'RANGE'",
        )
        .await;
    let simulated = TenantSettings::default();
    let credentials = [
        ("BLUECONIC_CLIENT_ID", simulated.client_id.as_str()),
        ("BLUECONIC_CLIENT_SECRET", simulated.client_secret.expose_secret()),
    ];
    let settings = super::settings(tenant.url(), &database.url, &credentials);
    let app = App::start(&settings).await.unwrap();
    let overrides = Overrides {
        scope: Some(Scope::Increment),
        ..Overrides::default()
    };
    let increment = run(&app, &settings, "profiles", overrides).await;
    assert_eq!(increment["status"], "succeeded", "{increment}");
    app.close().await.unwrap();
    // What the walk reads from here on has to be written.
    for position in (1..3_000).step_by(2) {
        tenant.touch(position, "name", &["Another One"]);
    }
    let ended = walk.ended(Duration::from_mins(2)).await;
    ended.expect(0);
    ended.tells(&["the columns or the treatment of profile properties were changed during the run"]);
    assert_typed_columns(&database).await;
    // The pages that it had read before lack the latest changes.
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_ledgers_add_up(&database).await;
}
