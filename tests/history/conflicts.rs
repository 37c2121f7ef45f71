//! Another load changes a profile while this one waits for it.

use std::time::Duration;

use super::{Person, Scene};
use crate::support::eventually;

/// What the row was before is read anew, so that the history misses nothing of what the other load brought.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_load_brought_meanwhile_is_ended_as_well() {
    let scene = Scene::recording().await;
    let mut other = scene.database.pool.begin().await.unwrap();
    // What a load of another run writes.
    sqlx::raw_sql(
        "update blueconic.profiles set segment_ids = segment_ids || '{meanwhile}'::text[], content_hash = '\\x01'
         where id = 'p01';
         insert into sync.segment_intervals values ('p01', 'meanwhile', now(), null)",
    )
    .execute(&mut *other)
    .await
    .unwrap();
    scene.put("p01", &Person::within(&["b"]));
    let (run, ()) = tokio::join!(scene.walk(), async {
        let waiting = "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        eventually("the load waits", Duration::from_secs(30), async || {
            (scene.database.count(waiting).await > 0).then_some(())
        })
        .await;
        other.commit().await.unwrap();
    });
    assert_eq!(run["rows_updated"], 1, "{run}");
    let meanwhile = "sync.segment_intervals where segment_id = 'meanwhile' and valid_to is not null";
    assert_eq!(scene.database.count(meanwhile).await, 1);
}

/// A clock that is set back makes no interval overlap, and none that ends before it begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_keeps_intervals_in_order() {
    let scene = Scene::recording().await;
    // The current interval begins in an hour, as if the clock had been an hour ahead.
    scene.put("p01", &Person::within(&["a", "b"]));
    scene.walk().await;
    scene
        .database
        .run("update sync.segment_intervals set valid_from = valid_from + interval '1 hour' where segment_id = 'b'")
        .await;
    scene.put("p01", &Person::within(&["a"]));
    scene.walk().await;
    assert_eq!(
        scene
            .database
            .count("sync.segment_intervals where segment_id = 'b'")
            .await,
        0
    );
    scene
        .database
        .run("update sync.segment_intervals set valid_to = valid_to + interval '1 hour' where segment_id = 'odd'")
        .await;
    scene.put("p01", &Person::within(&["a", "odd"]));
    scene.walk().await;
    let odd = "select count(*) = 2 and bool_and(valid_to is null or valid_to = begun)
               from (select valid_to, lead(valid_from) over (order by valid_from) as begun
                     from blueconic.segment_membership_history where profile_id = 'p01' and segment_id = 'odd') as i";
    assert!(scene.database.one::<bool>(odd).await);
}
