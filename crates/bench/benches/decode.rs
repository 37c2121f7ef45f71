//! The steps of a profile from a body to COPY, each alone: the ends of elements, their hashes, their rows, and
//! the writing of rows. `cargo bench` runs it; on a busy machine `script/instructions` is more exact.

use std::hint::black_box;

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::page::Block;
use blueconic_sync::model::rows::Rows;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use bench::Outcome;

/// Profiles of one run.
const PROFILES: u64 = 1_000;

fn all(criterion: &mut Criterion) {
    if let Err(error) = try_all(criterion) {
        // A bench can only fail by panicking.
        std::panic::resume_unwind(Box::new(error.to_string()));
    }
}

fn try_all(criterion: &mut Criterion) -> Outcome<()> {
    let body = tokio::runtime::Runtime::new()?.block_on(bench::page(PROFILES))?;
    let profiles = bench::profiles()?;
    let mut blocks: Vec<Block> = Vec::new();
    bench::cut(&body, |block| blocks.push(block))?;
    let mut group = criterion.benchmark_group("profiles");
    group.throughput(Throughput::Elements(PROFILES));
    group.bench_function("ends", |bencher| {
        bencher.iter(|| bench::cut(black_box(&body), |block| drop(black_box(block))).is_ok());
    });
    group.bench_function("hashes", |bencher| {
        bencher.iter(|| -> usize {
            let counts = blocks.iter().map(|block| bench::fingerprints(&*profiles, block));
            black_box(counts.sum())
        });
    });
    group.bench_function("rows", |bencher| {
        bencher.iter_batched_ref(
            Batch::default,
            |batch| {
                for block in &blocks {
                    bench::decode(&*profiles, black_box(block), batch);
                }
            },
            BatchSize::LargeInput,
        );
    });
    let json = format!("{{\"note\":[\"{}\"]}}", "x".repeat(2_300));
    let ids: Vec<String> = (0..PROFILES)
        .map(|number| format!("{:036}", number * 7919 % PROFILES))
        .collect();
    group.bench_function("writing rows", |bencher| {
        bencher.iter(|| black_box(write_rows(&ids, json.as_bytes())).len());
    });
    group.finish();
    Ok(())
}

/// Rows as wide as those of profiles, in the order of their keys.
fn write_rows(ids: &[String], json: &[u8]) -> Rows {
    let mut rows = Rows::default();
    let time = chrono::DateTime::from_timestamp_millis(1_790_000_000_000);
    for id in ids {
        rows.row(id.as_bytes(), time, 11)
            .text(id)
            .timestamp(time)
            .timestamp(time)
            .text_or_null(Some("GDPR"))
            .text_or_null(None)
            .text_array(&["one", "two"])
            .text_array::<&str>(&[])
            .text_array(&["allvisitors", "segment-1", "segment-2"])
            .jsonb(json)
            .bytea(&[7; 16])
            .bytea(&[9; 16]);
    }
    rows.deduplicate();
    rows
}

criterion_group!(benches, all);
criterion_main!(benches);
