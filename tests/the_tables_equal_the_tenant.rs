//! After a complete run the tables say what the tenant says, row by row, whatever form its answers have.

use std::sync::Arc;

use simulated_tenant::faults::Route;
use simulated_tenant::settings::{AuditOrder, AuditSelection, Settings, UserSpelling};
use simulated_tenant::shape::{KeyOrder, LastPage, Layout, NextCursor, Shape};

use crate::support::registry::names;
use crate::support::truth::{assert_equal, assert_events_within, assert_lists_equal, assert_profiles_equal};
use crate::support::{Scene, scene, small};

/// The one that the first issue names: 100,000 profiles in 8 overlapping segments, with merges and 5,000 audit events.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_a_hundred_thousand_profiles() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        profiles: 100_000,
        properties: 10,
        segments: 8,
        audit_events: 5_000,
        audit_order: AuditOrder::OldestFirst,
        ..small(0)
    })
    .await;
    program.expect(0, &["backfill", "--full"]).await;
    assert_equal(&database, &tenant).await;
    assert_eq!(database.count("blueconic.profiles").await, 100_000);
    assert!(database.count("blueconic.profile_aliases").await > 1_000);
    let memberships: i64 = database.count("blueconic.profile_segments").await;
    let members: u64 = tenant
        .segments()
        .iter()
        .filter_map(|segment| tenant.member_count(&segment.id))
        .sum();
    assert_eq!(u64::try_from(memberships).unwrap(), members);
    assert_eq!(
        database
            .count("sync.runs where status <> 'succeeded' or rows_rejected <> 0 or finished_at is null")
            .await,
        0
    );
    assert_eq!(database.count("sync.gaps").await, 0);
    // What an analyst asks.
    assert_eq!(
        database
            .count("blueconic.freshness where complete_as_of is not null and open_gaps = 0")
            .await,
        i64::try_from(names().len()).unwrap()
    );
    let segment = &tenant.segments()[3].id;
    let found: i64 = database
        .count(&format!("blueconic.segment_members('{segment}')"))
        .await;
    assert_eq!(Some(u64::try_from(found).unwrap()), tenant.member_count(segment));
}

async fn backfill_equals(settings: Settings, page_size: u32) {
    let reported = format!("{page_size} a page, {:?}", settings.shape);
    let scene = scene(settings).await;
    let program = scene
        .program
        .set("resources.profiles.page_size", &page_size.to_string());
    let ended = program.run(&["backfill", "--full"]).await;
    assert_eq!(ended.code(), 0, "{reported}\n{}", ended.stderr);
    assert_lists_equal(&scene.database, &scene.tenant).await;
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    assert_events_within(&scene.database, &scene.tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_one_of_seven_and_of_a_thousand() {
    for (profiles, page_size) in [(40, 1), (300, 7), (2_500, 1_000)] {
        backfill_equals(small(profiles), page_size).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_form_of_the_answers() {
    let shapes = [
        Shape {
            layout: Layout::Pretty,
            key_order: KeyOrder::Reversed,
            next_cursor: NextCursor::AfterProfiles,
            last_page: LastPage::SameCursor,
            ..Shape::default()
        },
        Shape {
            layout: Layout::Airy,
            key_order: KeyOrder::Shuffled,
            shuffled_lists: true,
            unknown_keys: true,
            escaped: true,
            ..Shape::default()
        },
        Shape {
            empty_arrays_absent: true,
            links_upper_case: true,
            numbers_swapped: true,
            last_page: LastPage::SameCursor,
            ..Shape::default()
        },
    ];
    for (shape, spelling) in
        shapes
            .into_iter()
            .zip([UserSpelling::Mixed, UserSpelling::Schema, UserSpelling::Example])
    {
        let settings = Settings {
            shape,
            user_spelling: spelling,
            lacking_per_thousand: 300,
            merged_per_thousand: 200,
            compress: spelling == UserSpelling::Schema,
            ..small(400)
        };
        backfill_equals(settings, 90).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn also_compressed_and_with_characters_that_postgresql_cannot_store() {
    let settings = Settings {
        zero_characters: true,
        compress: true,
        group_properties_listed: true,
        properties: 40,
        ..small(1_500)
    };
    let Scene {
        tenant,
        database,
        program,
    } = scene(settings).await;
    let program = program.set("tenant.compression", "true");
    program.expect(0, &["backfill", "--full"]).await;
    assert_profiles_equal(&database, &tenant).await;
    assert_lists_equal(&database, &tenant).await;
    let replaced: i64 = database
        .one("select replaced_characters from sync.runs where resource = 'profiles'")
        .await;
    assert!(replaced > 0, "no U+0000 was met");
}

/// The vendor allows another name for the segment of all visitors; then the largest segment is walked.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_of_all_visitors_by_another_id() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        all_visitors: Some("everybody-0815".to_owned()),
        ..small(300)
    })
    .await;
    let ended = program.expect(0, &["backfill", "--full"]).await;
    ended.tells(&["everybody-0815"]);
    assert_profiles_equal(&database, &tenant).await;
    let asked = tenant.requests().of(Route::Profiles);
    assert!(
        asked
            .iter()
            .all(|request| request.path.contains("everybody-0815"))
    );
}

/// Lone surrogates, a property twice in one profile, numbers and null where texts are usual.
#[tokio::test(flavor = "multi_thread")]
async fn odd_elements_are_stored_as_well_as_they_can_be() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(50)).await;
    let raw = r#"{"id":"odd-1","properties":[{"id":"name","values":["a\ud800b"]},{"id":"visits","values":[3,null,"4"]},
        {"id":"name","values":["c","\u0000"]}],"segments":[{"id":"allvisitors","name":"x","tags":[]}]}"#;
    tenant.insert_raw(7, raw);
    program.expect(0, &["backfill", "--full"]).await;
    let stored: String = database
        .one("select properties::text from blueconic.profiles where id = 'odd-1'")
        .await;
    assert_eq!(
        stored,
        "{\"name\": [\"a\u{fffd}b\", \"c\", \"\u{fffd}\"], \"visits\": [\"3\", null, \"4\"]}"
    );
    let (replaced,): (i64,) = database
        .rows("select replaced_characters from sync.runs where resource = 'profiles'")
        .await[0];
    assert_eq!(replaced, 2);
}

/// In an order that hides events nothing is invented, and what is missing lies in a recorded gap.
#[tokio::test(flavor = "multi_thread")]
async fn audit_events_that_cannot_be_reached_are_a_gap() {
    let orders = [
        (AuditOrder::NewestFirst, AuditSelection::Newest),
        (AuditOrder::Shuffled, AuditSelection::Newest),
        (AuditOrder::Shuffled, AuditSelection::Oldest),
        (AuditOrder::Shuffled, AuditSelection::Arbitrary),
    ];
    for (order, selection) in orders {
        let Scene {
            tenant,
            database,
            program,
        } = scene(Settings {
            audit_events: 2_500,
            audit_order: order,
            audit_selection: selection,
            ..small(1)
        })
        .await;
        program.expect(0, &["backfill", "audit_events"]).await;
        let missing = assert_events_within(&database, &tenant).await;
        assert!(
            missing > 0,
            "{order:?}: 2,500 events do not fit into a page of 1,000"
        );
        assert!(database.count("sync.gaps where closed_at is null").await > 0);
        let before = database.count("blueconic.audit_events").await;
        program.expect(0, &["backfill", "audit_events"]).await;
        assert_eq!(
            before,
            database.count("blueconic.audit_events").await,
            "once more changes nothing"
        );
        assert_events_within(&database, &tenant).await;
    }
}

/// A page that fits is exact in every order.
#[tokio::test(flavor = "multi_thread")]
async fn audit_events_that_fit_into_a_page_are_exact() {
    for order in [
        AuditOrder::NewestFirst,
        AuditOrder::OldestFirst,
        AuditOrder::Shuffled,
    ] {
        let Scene {
            tenant,
            database,
            program,
        } = scene(Settings {
            audit_events: 900,
            audit_order: order,
            ..small(1)
        })
        .await;
        program.expect(0, &["backfill", "audit_events"]).await;
        assert_eq!(assert_events_within(&database, &tenant).await, 0, "{order:?}");
        assert_eq!(database.count("blueconic.audit_events").await, 900);
    }
}

/// The comparison that all of this rests on sees a difference in any table, on either side.
#[tokio::test(flavor = "multi_thread")]
async fn a_difference_would_be_seen() {
    let scene = Arc::new(scene(small(60)).await);
    scene.program.expect(0, &["backfill"]).await;
    assert_equal(&scene.database, &scene.tenant).await;
    let first = "id = (select min(id) from blueconic.profiles)";
    let dated: String = scene
        .database
        .one(&format!(
            "select modified_at::text from blueconic.profiles where {first}"
        ))
        .await;
    for (spoil, mend) in [
        (
            "update blueconic.segments set tags = tags || 'x'::text".to_owned(),
            "update blueconic.segments set tags = array_remove(tags, 'x')".to_owned(),
        ),
        (
            "update blueconic.profile_properties set indexed = not indexed where id = 'lastmodifieddate'".to_owned(),
            "update blueconic.profile_properties set indexed = not indexed where id = 'lastmodifieddate'".to_owned(),
        ),
        (
            format!("update blueconic.profiles set properties = properties || '{{\"x\": []}}' where {first}"),
            format!("update blueconic.profiles set properties = properties - 'x' where {first}"),
        ),
        (
            format!("update blueconic.profiles set segment_ids = segment_ids || 'allvisitors'::text where {first}"),
            format!(
                "update blueconic.profiles set segment_ids = trim_array(segment_ids, 1) where {first}"
            ),
        ),
        (
            format!(
                "update blueconic.profiles set modified_at = timestamptz '{dated}' + interval '1 ms' where {first}"
            ),
            format!("update blueconic.profiles set modified_at = '{dated}' where {first}"),
        ),
        (
            "insert into blueconic.audit_events select occurred_at, event_key, occurrence + 1, user_name, application,
               object_type, operation, ip_address, objects, 'infinity' from blueconic.audit_events
             order by occurrence desc limit 1"
                .to_owned(),
            "delete from blueconic.audit_events where synced_at = 'infinity'".to_owned(),
        ),
        (format!("delete from blueconic.profiles where {first}"), String::new()),
    ] {
        scene.database.run(&spoil).await;
        let looking = Arc::clone(&scene);
        let seen = tokio::spawn(async move { assert_equal(&looking.database, &looking.tenant).await }).await;
        assert!(seen.is_err_and(|error| error.is_panic()), "not seen: {spoil}");
        if !mend.is_empty() {
            scene.database.run(&mend).await;
            assert_equal(&scene.database, &scene.tenant).await;
        }
    }
}
