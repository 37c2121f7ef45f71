//! Which of two readings of a row stays when dates fall and vanish: a full walk's is the later one if it was asked for after
//! the stored row was there; only what others stored since is judged by its date.

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::ports::{LoadStore as _, Loader as _, RunStore as _};
use blueconic_sync::postgres::loader::PostgresLoader;
use chrono::TimeDelta;

use crate::support::fixture::{
    Fixture, PROFILES_FULL, PROFILES_INCREMENT, SEGMENTS, SEGMENTS_TABLE, add_profile, add_segment, fixture,
    load, print,
};

/// A page of one profile, asked for at this time; none: by an increment.
fn page(asked_at: Option<Time>, modified: Option<i64>, content: &str) -> Batch {
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", modified, content);
    batch.rows.asked_at(asked_at);
    batch
}

async fn now(db: &Fixture) -> Time {
    db.store.now().await.unwrap()
}

async fn stored(db: &Fixture) -> String {
    db.one("select properties -> 'name' ->> 0 from blueconic.profiles")
        .await
}

async fn loader(db: &Fixture) -> PostgresLoader {
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    db.profiles(&lease, Some(walk)).await
}

#[tokio::test]
async fn what_a_walk_asked_for_later_stays_whatever_its_date() {
    let db = fixture().await;
    let mut loader = loader(&db).await;
    for (modified, content) in [
        (Some(10), "first"),
        (Some(5), "fell"),
        (None, "vanished"),
        (None, "none again"),
        (Some(3), "older than ever"),
        (Some(3), "the same date"),
        (Some(11), "newer"),
    ] {
        let asked_at = Some(now(&db).await);
        let written = load(&mut loader, page(asked_at, modified, content)).await;
        assert_eq!(written.inserted + written.updated, 1, "{content}: {written:?}");
        assert_eq!(stored(&db).await, content);
    }
}

#[tokio::test]
async fn what_an_increment_stored_since_is_judged_by_its_date() {
    let db = fixture().await;
    let mut full = loader(&db).await;
    let (lease, walk) = db.walk(PROFILES_INCREMENT).await;
    let mut increment = db.profiles(&lease, Some(walk)).await;
    load(&mut full, page(Some(now(&db).await), Some(10), "old")).await;
    let asked_at = Some(now(&db).await);
    load(&mut increment, page(None, Some(20), "the increment's")).await;
    // Asked for before the increment stored its row: older by its date, so it is.
    for modified in [Some(15), None] {
        let written = load(&mut full, page(asked_at, modified, "read before")).await;
        assert_eq!((written.updated, written.unchanged), (0, 1));
        assert_eq!(stored(&db).await, "the increment's");
    }
    // An increment itself never replaces a newer date, nor one by none.
    for modified in [Some(19), None] {
        assert_eq!(
            load(&mut increment, page(None, modified, "older")).await.updated,
            0
        );
    }
    // What lost is not taken for the same the next time.
    let known = full.known(&[print("p", "read before")]).await.unwrap();
    assert_ne!(known, [Known::Same]);
    // The next page was asked for after that.
    load(&mut full, page(Some(now(&db).await), None, "read after")).await;
    assert_eq!(stored(&db).await, "read after");
    // And an increment with any date brings what is newer than no date.
    load(&mut increment, page(None, Some(1), "by an increment")).await;
    assert_eq!(stored(&db).await, "by an increment");
}

/// Lanes load two pages of a walk in either order, and a profile may stand in both.
#[tokio::test]
async fn of_two_pages_of_one_walk_the_one_that_was_asked_for_later_stays() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut lanes = [
        db.profiles(&lease, Some(walk)).await,
        db.profiles(&lease, Some(walk)).await,
    ];
    let first = now(&db).await;
    let second = first + TimeDelta::milliseconds(1);
    for (modified, later) in [(Some(9), Some(3)), (Some(9), None), (Some(3), Some(9))] {
        for in_order in [true, false] {
            sqlx::query("delete from blueconic.profiles")
                .execute(&db.look)
                .await
                .unwrap();
            let [left, right] = &mut lanes;
            let earlier = page(Some(first), modified, "earlier");
            let later = page(Some(second), later, "later");
            if in_order {
                load(left, earlier).await;
                load(right, later).await;
            } else {
                load(right, later).await;
                load(left, earlier).await;
            }
            assert_eq!(stored(&db).await, "later", "{modified:?}, in order: {in_order}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_leaves_it_to_the_dates() {
    let db = fixture().await;
    let mut loader = loader(&db).await;
    let ahead = now(&db).await + TimeDelta::hours(5);
    load(&mut loader, page(Some(ahead), Some(10), "before")).await;
    load(&mut loader, page(Some(now(&db).await), Some(11), "after")).await;
    assert_eq!(stored(&db).await, "after");
}

#[tokio::test]
async fn a_list_says_what_was_read_last() {
    let db = fixture().await;
    let (lease, walk) = db.walk(SEGMENTS).await;
    let mut loader = db
        .store
        .loader(&SEGMENTS_TABLE, &lease, Some(walk))
        .await
        .unwrap();
    for (modified, name) in [
        (Some(10), "first"),
        (Some(5), "fell"),
        (None, "vanished"),
        (Some(1), "again"),
    ] {
        let mut batch = Batch::default();
        add_segment(&mut batch, "s", modified, name);
        load(&mut loader, batch).await;
        assert_eq!(
            db.one::<String>("select name from blueconic.segments").await,
            name
        );
    }
}
