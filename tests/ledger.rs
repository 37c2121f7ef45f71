//! The ledger of a run adds up, whatever came: each element that was read is in exactly one of the counts.

use std::time::Duration;

use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::settings::{AuditOrder, Settings};

use crate::support::truth::assert_ledgers_add_up;
use crate::support::{Scene, scene, small};

#[tokio::test(flavor = "multi_thread")]
async fn every_element_is_accounted_for_once() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        group_properties_listed: true,
        merged_per_thousand: 100,
        audit_events: 900,
        audit_order: AuditOrder::OldestFirst,
        ..small(1_200)
    })
    .await;
    let program = program
        .set("resources.profiles.page_size", "150")
        .set("resources.audit_events.page_size", "200");
    // Copies within a page and across pages, elements that cannot be loaded, a loser that is listed.
    tenant.repeat(20, 25);
    tenant.repeat(30, 900);
    tenant.insert_raw(7, r#"{"id":"odd","properties":7}"#);
    tenant.insert_raw(300, r#"{"properties":[]}"#);
    tenant.insert_raw(
        500,
        format!(r#"{{"id":"loser","replacedBy":"{}"}}"#, tenant.id(9)),
    );
    tenant.faults().push(Fault {
        limit: Some(2),
        ..Fault::at(Route::Profiles, When::Every(3), Kind::CutAfter(40_000))
    });
    program.expect(3, &["backfill"]).await;
    assert_ledgers_add_up(&database).await;
    let (read, rejected, elsewhere, repeated): (i64, i64, i64, i64) = database
        .rows(
            "select rows_read, rows_rejected, rows_elsewhere, rows_repeated from sync.runs
             where resource = 'profiles'",
        )
        .await[0];
    assert!(
        read >= 1_205 && rejected >= 2 && elsewhere >= 1 && repeated >= 1,
        "{read} {rejected} {elsewhere} {repeated}"
    );
    let groups: i64 = database
        .one("select rows_elsewhere from sync.runs where resource = 'profile_properties'")
        .await;
    assert_eq!(usize::try_from(groups).unwrap(), tenant.group_properties().len());

    // Changes, merges, removals, a walk that starts over, an increment, and once more without any change.
    tenant.list_truly();
    tenant.advance(Duration::from_mins(3));
    for position in 100..110 {
        tenant.touch(position, "name", &["New"]);
        assert!(tenant.delete(position + 100));
    }
    assert!(tenant.merge(50, 51));
    tenant.skip(600);
    tenant.skip(601);
    tenant.touch(601, "name", &["Newer than the row"]);
    tenant.advance(Duration::from_secs(5));
    program.expect(0, &["backfill"]).await;
    // One refusal is passed over, the second starts the listing again.
    for refusals in [1, 2] {
        tenant.faults().push(Fault {
            limit: Some(refusals),
            ..Fault::at(
                Route::Profiles,
                When::Page(3),
                Kind::Status {
                    status: 400,
                    retry_after: None,
                },
            )
        });
        program.expect(0, &["backfill", "--full"]).await;
        tenant.faults().clear();
        if refusals == 1 {
            let uncounted = "sync.runs where mode = 'full' and resource = 'profiles' and status = 'succeeded'
                             and rows_distinct < source_total - 10";
            assert_eq!(
                database.count(uncounted).await,
                0,
                "a walk that went on counts all of its ids"
            );
        }
    }
    program.expect(0, &["backfill", "--full"]).await;
    assert_ledgers_add_up(&database).await;
    let over: i64 = database
        .count("sync.runs where rows_distinct > source_total + 10 and resource <> 'audit_events'")
        .await;
    assert_eq!(over, 0, "a walk that started over counts its own ids");
    assert_eq!(
        database
            .count("sync.runs where mode = 'full' and status = 'succeeded' and unexplained is null")
            .await,
        0,
        "what a complete reading leaves unexplained is always said"
    );
}

/// A total that does not come true is said in words, beside the number.
#[tokio::test(flavor = "multi_thread")]
async fn an_unexplained_difference_has_a_sentence() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(500)).await;
    for position in 0..40 {
        tenant.skip(position * 10);
    }
    let ended = program.expect(3, &["backfill", "profiles"]).await;
    ended.tells(&["500", "460"]);
    let (unexplained, error): (i64, String) = database
        .rows("select unexplained, error from sync.runs where status = 'partial'")
        .await
        .remove(0);
    assert!(
        unexplained == 40 && error.contains("460"),
        "{unexplained} {error}"
    );
    let reported = program.expect(0, &["status"]).await.stdout;
    for word in ["unexplained", "at the tenant", " 40\n", "460 different ones came"] {
        assert!(reported.contains(word), "`{word}` is not in:\n{reported}");
    }
    assert_ledgers_add_up(&database).await;
}
