//! Dates of the tenant's fall and vanish: a copy is restored, a clock set right, consent withdrawn. After a complete run the
//! tables say what the tenant says all the same.

use crate::support::truth::{assert_equal, assert_profiles_equal};
use crate::support::{Scene, scene, small};

const DAY: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_walk_takes_what_changed_with_an_older_date_or_none() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(400)).await;
    program.expect(0, &["backfill", "--full"]).await;
    let mut fell = 0;
    for position in 0..60 {
        let Some(profile) = tenant.profile(position) else {
            continue;
        };
        tenant.set_property(position, "email", None);
        tenant.set_property(position, "name", Some(&["restored"]));
        match (profile.modified_at, position % 3) {
            (Some(modified), 0) => _ = tenant.set_modified(position, modified - DAY),
            (_, 1) => _ = tenant.set_property(position, "lastmodifieddate", None),
            // The date stays.
            _ => {}
        }
        fell += 1;
    }
    let segment = tenant.segments()[3].clone();
    assert!(tenant.rename_segment(&segment.id, "renamed"));
    assert!(tenant.redate_segment(&segment.id, segment.last_modified_date - DAY));
    let property = tenant.properties()[2].clone();
    let other = if property.data_sensitivity == "PII" {
        "NON_PII"
    } else {
        "PII"
    };
    assert!(tenant.reclassify_property(&property.id, other, property.last_modified_date - DAY));
    program.expect(0, &["backfill", "--full"]).await;
    assert_equal(&database, &tenant).await;
    let updated: i64 = database
        .one(
            "select rows_updated from sync.runs where resource = 'profiles' order by started_at desc limit 1",
        )
        .await;
    assert_eq!(updated, fell, "each of them, once");
}

/// A profile that the listing left out is asked for by id; what that brings is later than what is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_missed_profile_is_loaded_though_its_date_fell() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(300)).await;
    program.expect(0, &["backfill"]).await;
    for position in [11, 12] {
        tenant.set_property(position, "name", Some(&["changed"]));
        tenant.skip(position);
    }
    tenant.set_modified(11, 1_000_000_000_000);
    tenant.set_property(12, "lastmodifieddate", None);
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
}

/// The next page is asked for while the one before is still read, and a profile may stand in both: the later page says how
/// it is now.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_pages_of_one_walk_the_later_says_how_it_is() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(200)).await;
    let program = program.set("resources.profiles.page_size", "40");
    for turn in 0..4 {
        tenant.list_truly();
        // As it was on the first page, it changed and came again on the second: nobody else may have it.
        let before = format!(
            r#"{{"id":"moved {turn}","segments":[],"properties":[{{"id":"lastmodifieddate","values":["1700000000000"]}},{{"id":"email","values":["a@b.example"]}}]}}"#
        );
        let after = match turn {
            0 => before
                .replace("1700000000000", "1600000000000")
                .replace("a@b.example", ""),
            1 => before
                .replace("lastmodifieddate", "other")
                .replace("a@b.example", ""),
            _ => before.replace("a@b.example", ""),
        };
        tenant.insert_raw(20, before);
        tenant.insert_raw(50, after);
        program.expect(0, &["backfill", "--full", "profiles"]).await;
        let email: String = database
            .one(&format!(
                "select properties #>> '{{email,0}}' from blueconic.profiles where id = 'moved {turn}'"
            ))
            .await;
        assert_eq!(email, "", "turn {turn}");
    }
}
