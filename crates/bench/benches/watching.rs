//! What it costs to be watched while nobody watches: a span of traces that are not sent, and a counter of the metrics. A page has one
//! span, a batch another one; the log has its usual filter.

use std::hint::black_box;
use std::time::Duration;

use blueconic_sync::config::settings::LogFormat;
use blueconic_sync::model::metrics::Counter;
use blueconic_sync::model::spans;
use blueconic_sync::telemetry;
use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    if let Err(error) = telemetry::init(LogFormat::Json, "", false, None) {
        // A bench can only fail by panicking.
        std::panic::resume_unwind(Box::new(error.to_string()));
    }
    let mut group = criterion.benchmark_group("watching");
    group.bench_function("span of a page", |bencher| {
        bencher.iter(|| {
            let span = spans::page(black_box("GET /profiles"));
            spans::page_ended(&span, black_box(1_000));
        });
    });
    group.bench_function("span of a batch", |bencher| {
        bencher.iter(|| {
            let span = spans::batch(black_box("profiles"), black_box(400));
            spans::batch_ended(&span, None);
        });
    });
    let (counter, time) = (Counter::default(), Duration::from_millis(7));
    group.bench_function("counter", |bencher| bencher.iter(|| counter.add(black_box(1))));
    group.bench_function("counter of time", |bencher| {
        bencher.iter(|| counter.add_time(black_box(time)));
    });
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
