//! Watermarks as they are stored: none passes both own clocks, whoever asks for it, and one that lies ahead gives way.

use blueconic_sync::model::Time;
use blueconic_sync::model::ports::RunStore as _;
use blueconic_sync::model::position::Slot;
use chrono::TimeDelta;

use crate::support::fixture::{
    AUDIT, Fixture, PROFILES_FULL, PROFILES_INCREMENT, SEGMENTS, advance, fixture,
};

async fn stored(db: &Fixture, slot: Slot) -> Time {
    db.store.cursor(slot).await.unwrap().watermark.unwrap()
}

#[tokio::test]
async fn no_watermark_passes_both_clocks_and_one_that_does_gives_way() {
    for slot in [SEGMENTS, PROFILES_FULL, PROFILES_INCREMENT, AUDIT] {
        let db = fixture().await;
        let lease = db.lease(slot).await;
        let mut moved = advance();
        let now = db.store.now().await.unwrap();
        moved.watermark = Some(now + TimeDelta::days(3));
        db.store.advance(&lease, &moved).await.unwrap();
        let capped = stored(&db, slot).await;
        assert!(
            capped >= now && capped <= now + TimeDelta::seconds(90),
            "{slot:?}: {capped}"
        );
        // Within the bound it never moves back.
        moved.watermark = Some(now - TimeDelta::hours(1));
        db.store.advance(&lease, &moved).await.unwrap();
        assert_eq!(stored(&db, slot).await, capped);
        // What an earlier version left gives way to the next one, and to none before that.
        db.one::<i64>(
            "with set as (
               update sync.cursors set watermark = watermark + interval '20 minutes' returning 1
             ) select count(*) from set",
        )
        .await;
        let ahead = stored(&db, slot).await;
        db.store.advance(&lease, &advance()).await.unwrap();
        assert_eq!(
            stored(&db, slot).await,
            ahead,
            "a walk that opens says nothing of it"
        );
        db.store.advance(&lease, &moved).await.unwrap();
        assert_eq!(stored(&db, slot).await, now - TimeDelta::hours(1), "{slot:?}");
        if slot == PROFILES_FULL {
            assert_eq!(stored(&db, PROFILES_INCREMENT).await, now - TimeDelta::hours(1));
        }
    }
}

#[tokio::test]
async fn a_walk_that_has_only_begun_is_not_fresh() {
    for slot in [PROFILES_FULL, AUDIT] {
        let db = fixture().await;
        let lease = db.lease(slot).await;
        db.store.advance(&lease, &advance()).await.unwrap();
        let fresh: i64 = db
            .one("select count(*) from blueconic.freshness where complete_as_of is not null")
            .await;
        assert_eq!(fresh, 0, "{slot:?}");
    }
}
