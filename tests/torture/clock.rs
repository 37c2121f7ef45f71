//! A clock an hour off, in either direction: the process's, the database's, the tenant's; also one that is off for one
//! run and right for the next, as with two replicas. Nothing is removed early or late, and no change is passed over.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use simulated_tenant::settings::{AuditOrder, DateHeader, Settings};
use simulated_tenant::tenant::{Tenant, start};
use simulated_tenant::truth::AuditEvent;

use super::table::{Case, in_full, tries};
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::small;
use crate::support::truth::{assert_equal, assert_profiles_equal};

const HOUR: i64 = 3_600;

/// How far the clocks are off in each run, in seconds, and whether the tenant tells its time.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    process: [i64; 4],
    database: [i64; 4],
    tenant: i64,
    header: DateHeader,
}

const TRUE: Clocks = Clocks {
    process: [0; 4],
    database: [0; 4],
    tenant: 0,
    header: DateHeader::True,
};

/// All that is tried. The fourth run sweeps. A database whose clock is set back keeps for an hour what was loaded within
/// that hour, so that its clock goes forward here, and back only between increments.
fn all() -> Vec<Clocks> {
    let mut all = Vec::new();
    for off in [HOUR, -HOUR] {
        let process = [off; 4];
        let database = [off; 4];
        all.push(Clocks { process, ..TRUE });
        all.push(Clocks { database, ..TRUE });
        all.push(Clocks { tenant: off, ..TRUE });
        all.push(Clocks {
            process: [off, -off, 0, off],
            ..TRUE
        });
        all.push(Clocks {
            process,
            header: DateHeader::Absent,
            ..TRUE
        });
        all.push(Clocks {
            process: [off, 0, off, 0],
            header: DateHeader::Absent,
            ..TRUE
        });
        all.push(Clocks {
            database,
            header: DateHeader::Absent,
            ..TRUE
        });
    }
    all.push(Clocks {
        database: [-HOUR, 0, -HOUR, HOUR],
        ..TRUE
    });
    all
}

async fn one(clocks: Clocks) {
    let mut settings = Settings {
        audit_order: AuditOrder::OldestFirst,
        date_header: clocks.header,
        ..small(600)
    };
    if clocks.tenant != 0 {
        settings.now = Some(chrono::Utc::now() + chrono::TimeDelta::seconds(clocks.tenant));
    }
    let tenant = start(settings).await.unwrap();
    let database = Database::bare().await;
    for run in 0..4 {
        let offset = format!(
            "alter database {} set sync.clock_offset = '{} seconds'",
            database.name, clocks.database[run]
        );
        database.run(&offset).await;
        change(&tenant, run);
        // The header `Date` has whole seconds: an increment ends before the second that has begun.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let program = Program::new(tenant.url(), &database.url)
            .set("resources.profiles.overlap", "2s")
            .set("resources.audit_events.page_size", "100")
            .with("FAILPOINTS_CLOCK", &clocks.process[run].to_string());
        let arguments: &[&str] = if run == 3 {
            &["backfill", "--full"]
        } else {
            &["backfill"]
        };
        let ended = program.run(arguments).await;
        assert_eq!(ended.code(), 0, "{clocks:?}, run {run}:\n{}", ended.stderr);
        assert!(ended.took < Duration::from_mins(1), "{clocks:?}, run {run}");
        assert_profiles_equal(&database, &tenant).await;
    }
    // Without the tenant's own time an event counts as complete only when no clock can be that far off.
    if clocks.header == DateHeader::True {
        assert_equal(&database, &tenant).await;
    }
    let removed = "blueconic.profile_tombstones where reason = 'deleted'";
    assert_eq!(database.count(removed).await, 5, "{clocks:?}");
    let gaps = "sync.gaps where closed_at is null";
    assert_eq!(database.count(gaps).await, 0, "{clocks:?}");
    database.remove(Cluster::shared()).await;
}

/// What the tenant changes before a run, now by its own clock.
fn change(tenant: &Tenant, run: usize) {
    let run = u64::try_from(run).unwrap();
    for position in 0..7 {
        assert!(tenant.touch(40 * run + position, "name", &["Touched"]));
    }
    let event = tenant.audit_events().remove(0);
    let now = tenant.now();
    tenant.push_audit_events((0..5).map(|number| AuditEvent {
        date: now - number * 1_000,
        ..event.clone()
    }));
    if run == 3 {
        for position in 300..305 {
            assert!(tenant.delete(position));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_is_an_hour_off() {
    let mut case = Case::new("a clock an hour off: process, database or tenant");
    for _ in 0..tries(1, 5) {
        let all: Vec<Clocks> = all().into_iter().step_by(if in_full() { 1 } else { 2 }).collect();
        case.tried(all.len() as u64);
        stream::iter(all).for_each_concurrent(6, one).await;
    }
    case.report();
}
