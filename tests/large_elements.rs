//! An element that is far too large is rejected, and never held.

use std::time::Duration;

use crate::support::truth::assert_equal;
use crate::support::{Scene, scene, small};

const MEGABYTE: usize = 1_000_000;

/// The most that a process has held so far, in bytes; none when it has ended.
fn peak(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: usize = line.split_whitespace().next()?.parse().unwrap();
    Some(kilobytes * 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_of_a_hundred_megabytes_is_rejected_in_little_memory() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(300)).await;
    let note = "too much ".repeat(100 * MEGABYTE / 9);
    tenant.insert_raw(
        100,
        format!(r#"{{"id":"vast","properties":[{{"id":"note","values":["{note}"]}}]}}"#),
    );
    let mut running = program.start(&["backfill", "--full"]);
    let mut most = 0;
    while !running.has_ended() {
        most = most.max(peak(running.id()).unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.ended(Duration::from_mins(1)).await.expect(3);
    let rejects: Vec<(String, String, i64)> = database
        .rows("select element_id, reason, raw_bytes from sync.rejects")
        .await;
    let [(id, reason, bytes)] = rejects.as_slice() else {
        panic!("{rejects:?}");
    };
    assert_eq!((id.as_str(), reason.as_str()), ("vast", "too_large"));
    assert!(usize::try_from(*bytes).unwrap() > 99 * MEGABYTE, "{bytes}");
    // 8 MiB of an element are read before it is too large.
    assert!(most > 0 && most < 80 * MEGABYTE, "{most} bytes at once");
    assert_equal(&database, &tenant).await;
}
