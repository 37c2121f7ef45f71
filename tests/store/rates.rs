//! Rates on this machine, by hand: `cargo test --test store rates -- --ignored --nocapture`. Asserts only what must
//! hold anywhere: an unchanged batch writes next to no WAL.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "the figures are for a person to read"
)]

use std::time::Instant;

use blueconic_sync::model::batch::{Batch, Fingerprint, Known};
use blueconic_sync::model::ports::{LoadStore as _, Loader as _};

use crate::support::fixture::{Fixture, PROFILES, PROFILES_FULL, fixture, hash, recording, time};

const PROFILES_COUNT: usize = 200_000;
const BATCH: usize = 5_000;

fn id(number: usize) -> String {
    // As UUIDs do, these come in no order.
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-4000-8000-{:012x}",
        mixed >> 32,
        number % 65_536,
        number
    )
}

fn properties(number: usize) -> String {
    let values: Vec<String> = (0..40)
        .map(|property| {
            format!(
                r#""property_number_{property}": ["value {} of {property} with some words"]"#,
                number * 31 + property
            )
        })
        .collect();
    format!("{{{}}}", values.join(","))
}

fn batch(numbers: std::ops::Range<usize>, version: &str) -> Batch {
    let mut batch = Batch::default();
    for number in numbers {
        let id = id(number);
        let content = hash(&format!("{version}{number}"));
        batch
            .rows
            .row(id.as_bytes(), None, 11)
            .text(&id)
            .timestamp(Some(time(0)))
            .null()
            .text("GDPR")
            .text("PERSONAL")
            .text_array::<&str>(&[])
            .text_array(&["o1"])
            .text_array(&["s1", "s2", "s3"])
            .jsonb(properties(number).as_bytes())
            .bytea(&content)
            .bytea(&content);
        batch.seen.push(id);
    }
    batch
}

async fn wal(db: &Fixture) -> i64 {
    db.one("select (pg_current_wal_insert_lsn() - '0/0')::bigint")
        .await
}

#[tokio::test]
#[ignore = "takes a minute, and tells of this machine"]
async fn rates() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let starts: Vec<usize> = (0..PROFILES_COUNT).step_by(BATCH).collect();

    let mut busy = std::time::Duration::ZERO;
    let before = wal(&db).await;
    for start in &starts {
        let batch = batch(*start..*start + BATCH, "one");
        let began = Instant::now();
        loader.load(batch, None).await.unwrap();
        busy += began.elapsed();
    }
    println!(
        "cold: {:.0} rows/s, {} MB WAL",
        PROFILES_COUNT as f64 / busy.as_secs_f64(),
        (wal(&db).await - before) >> 20
    );

    let began = Instant::now();
    db.store
        .after_full_walk(&PROFILES, Some(PROFILES_COUNT as u64))
        .await
        .unwrap();
    println!("index and statistics: {:?}", began.elapsed());

    for kind in ["unchanged, first walk", "unchanged, second walk"] {
        let walk = blueconic_sync::model::walk::Walk {
            id: uuid::Uuid::new_v4(),
            ..walk
        };
        drop(loader);
        loader = db.profiles(&lease, Some(walk)).await;
        let (mut knowing, mut loading) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        let before = wal(&db).await;
        for start in &starts {
            let ids: Vec<String> = (*start..*start + BATCH).map(id).collect();
            let prints: Vec<Fingerprint> = ids
                .iter()
                .enumerate()
                .map(|(place, id)| Fingerprint {
                    id: id.clone(),
                    source: hash(&format!("one{}", start + place)),
                })
                .collect();
            let began = Instant::now();
            let known = loader.known(&prints).await.unwrap();
            knowing += began.elapsed();
            assert!(known.iter().all(|known| *known == Known::Same));
            let began = Instant::now();
            let read = Batch {
                seen: ids,
                ..Batch::default()
            };
            loader.load(recording(walk, read), None).await.unwrap();
            loading += began.elapsed();
        }
        let wal = wal(&db).await - before;
        println!(
            "{kind}: known {:.0}/s, seen {:.0}/s, {wal} bytes of WAL in {} batches",
            PROFILES_COUNT as f64 / knowing.as_secs_f64(),
            PROFILES_COUNT as f64 / loading.as_secs_f64(),
            starts.len()
        );
        // 2 KB a batch: the lease's lock, the commit, and what the server writes for itself meanwhile.
        assert!(
            wal < 2_048 * i64::try_from(starts.len()).unwrap() + 65_536,
            "{wal} bytes of WAL for nothing"
        );
    }

    let began = Instant::now();
    for start in &starts[..8] {
        loader
            .load(batch(*start..*start + BATCH, "two"), None)
            .await
            .unwrap();
    }
    println!(
        "changed: {:.0} rows/s with the index",
        (8 * BATCH) as f64 / began.elapsed().as_secs_f64()
    );
}
