//! An element that is far too large is rejected, and never held.

use std::time::Duration;

use crate::support::program::Running;
use crate::support::truth::{assert_equal, assert_ledgers_add_up};
use crate::support::{Scene, scene, small};

const MEGABYTE: usize = 1_000_000;

/// The most that a process has held so far, in bytes; none when it has ended.
fn peak(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: usize = line.split_whitespace().next()?.parse().unwrap();
    Some(kilobytes * 1024)
}

/// The most that a run held, which ends with this exit code.
async fn peak_of(mut running: Running, exit: i32) -> usize {
    let mut most = 0;
    while !running.has_ended() {
        most = most.max(peak(running.id()).unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.ended(Duration::from_mins(1)).await.expect(exit);
    most
}

/// Every array of an element that a few bytes can lengthen, each as long as an element may be, and each of them twice in a
/// row, so that a
/// second one waits while the first is loaded.
#[tokio::test(flavor = "multi_thread")]
async fn arrays_that_multiply_are_rejected_in_little_memory() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(300)).await;
    let usual = peak_of(program.start(&["backfill", "--full", "profiles"]), 0).await;
    let list = |entry: &str| vec![entry; 7 * MEGABYTE / (entry.len() + 1)].join(",");
    let properties = list(r#"{"id":"p"}"#);
    let values = list("1");
    let texts = list("\"\"");
    let mut rejected = 0;
    for (place, body) in [
        format!(
            r#""replaces":[{}]"#,
            (0..700_000)
                .map(|id| format!("\"{id}\""))
                .collect::<Vec<_>>()
                .join(",")
        ),
        format!(r#""replaces":[{values}]"#),
        format!(r#""segments":[{texts}]"#),
        format!(r#""consentedObjectives":[{texts}]"#),
        format!(r#""refusedObjectives":[{values}]"#),
        format!(r#""properties":[{properties}]"#),
        format!(r#""properties":[{{"id":"p","values":[{values}]}}]"#),
    ]
    .into_iter()
    .enumerate()
    {
        for turn in 0..2 {
            tenant.insert_raw(100, format!(r#"{{"id":"vast {place} {turn}",{body}}}"#));
            rejected += 1;
        }
    }
    let most = peak_of(program.start(&["backfill", "--full", "profiles"]), 3).await;
    let rejects: Vec<(String, String)> = database
        .rows("select distinct reason, detail from sync.rejects where detail like '% has more than %'")
        .await;
    assert_eq!(database.count("sync.rejects").await, rejected, "{rejects:?}");
    assert!(
        rejects.iter().all(|(reason, _)| reason == "wrong_shape"),
        "{rejects:?}"
    );
    // One such element is loaded, one waits for room, and one is read and copied once while its room grows. (Measured: 43
    // to 44 MB; 62 where five were in hand.)
    assert!(
        usual > 0 && most < usual + 50 * MEGABYTE,
        "{most} bytes at once, {usual} without such elements"
    );
}

/// Many elements that each replace as many as they may: the batch is cut, and what leaves with each part is bounded.
#[tokio::test(flavor = "multi_thread")]
async fn elements_that_replace_very_many_are_loaded_in_parts() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(300)).await;
    for winner in 0..8 {
        let losers: Vec<String> = (0..9_999).map(|id| format!("\"{winner}-{id}\"")).collect();
        let losers = losers.join(",");
        tenant.insert_raw(
            100 + winner,
            format!(r#"{{"id":"winner {winner}","replaces":[{losers}]}}"#),
        );
    }
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_eq!(
        database
            .count("blueconic.profile_aliases where survivor_id like 'winner%'")
            .await,
        8 * 9_999
    );
    let (read, distinct): (i64, i64) = database
        .rows("select rows_read, rows_distinct from sync.runs")
        .await
        .remove(0);
    assert_eq!((read, distinct), (308, 308));
    assert_ledgers_add_up(&database).await;
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_ledgers_add_up(&database).await;
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
    let most = peak_of(program.start(&["backfill", "--full"]), 3).await;
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
