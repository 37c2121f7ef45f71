//! Three simulated tenants that answer differently wherever the vendor's document leaves it open.

use std::time::Duration;

use simulated_tenant::faults::RetryAfter;
use simulated_tenant::read_paths::{OtherCursor, ReadPaths, Sort};
use simulated_tenant::settings::{
    AbsentBody, AuditHidden, AuditOrder, Busy, DateHeader, MergedLookup, OpenApi, Settings,
};
use simulated_tenant::tenant::{Tenant, start};

use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::small;

/// A property that no catalogue lists.
pub(super) const UNLISTED: &str = "canary_property_of_nobody";

/// A tenant, and the program that probes it.
pub(super) struct Subject {
    pub(super) tenant: Tenant,
    pub(super) database: Database,
    pub(super) program: Program,
}

async fn subject(settings: Settings) -> Subject {
    let tenant = start(settings).await.unwrap();
    let database = Database::bare().await;
    let program = Program::new(tenant.url(), &database.url);
    program.expect(0, &["migrate"]).await;
    Subject {
        tenant,
        database,
        program,
    }
}

/// The tenant without this scope.
fn without(mut settings: Settings, scope: &str) -> Settings {
    let before = settings.scopes.len();
    settings.scopes.retain(|one| one != scope);
    assert_eq!(settings.scopes.len() + 1, before, "{scope}");
    settings
}

/// The tenant that the program assumes.
pub(super) async fn as_assumed() -> Subject {
    let subject = subject(Settings {
        audit_events: 1_200,
        merged_per_thousand: 200,
        read_paths: Some(ReadPaths::default()),
        openapi: OpenApi::Release("103.0".into()),
        compress: true,
        ..small(1_500)
    })
    .await;
    // A change that the index has, and an event of a moment ago.
    let now = subject.tenant.now();
    assert!(subject.tenant.set_modified(7, now));
    let mut event = subject.tenant.audit_events().pop().unwrap();
    event.date = now;
    subject.tenant.push_audit_events([event]);
    subject
}

/// An older tenant that is late, forgets cursors, cuts lists, refuses requests at once, and lacks a scope.
pub(super) async fn older() -> Subject {
    let settings = without(
        Settings {
            seed: 2,
            all_visitors: None,
            latency: Duration::from_millis(15),
            audit_events: 400,
            audit_order: AuditOrder::OldestFirst,
            audit_cap: Some(100),
            audit_lag: Duration::from_secs(3),
            audit_tokens: true,
            openapi: OpenApi::Release("99.0".into()),
            merged_per_thousand: 300,
            merged_lookup: MergedLookup::Survivor,
            replaces_most: Some(1),
            refused_cursor: 410,
            cursor_life: Some(Duration::from_secs(2)),
            count_ceiling: Some(300),
            count_age: Duration::from_hours(1),
            absent_body: AbsentBody::Html,
            busy: Some(Busy {
                at_once: 2,
                status: 503,
                retry_after: Some(RetryAfter::Seconds(1)),
            }),
            date_header: DateHeader::Absent,
            index_lag: Duration::from_secs(4),
            missing_scope: 401,
            ..small(1_200)
        },
        "read:users",
    );
    let subject = subject(settings).await;
    // The counts are those of before.
    subject.program.run(&["check"]).await;
    for position in 100..200 {
        assert!(subject.tenant.delete(position));
    }
    // Of the segment that is walked in place of everybody's.
    let segments = subject.tenant.segments().into_iter();
    let largest = segments
        .max_by_key(|one| subject.tenant.member_count(&one.id))
        .unwrap();
    let member = |position: &u64| {
        let profile = subject.tenant.profile(*position);
        profile.is_some_and(|profile| profile.segment_ids.contains(&largest.id))
    };
    let position = (0..100).find(member).unwrap();
    let now = subject.tenant.now();
    assert!(subject.tenant.set_property(position, UNLISTED, Some(&["x"])));
    assert!(subject.tenant.set_modified(position, now));
    subject
}

/// A newer tenant with small pages, an index that is an hour late, a wrong clock, and no document.
pub(super) async fn newer() -> Subject {
    let settings = without(
        Settings {
            seed: 3,
            latency: Duration::from_millis(15),
            audit_order: AuditOrder::Shuffled,
            audit_hidden: Some(AuditHidden {
                every: 10_000,
                first: 5_000,
            }),
            audit_lag: Duration::from_hours(1),
            audit_tokens: true,
            merged_per_thousand: 1_000,
            merged_lookup: MergedLookup::NotFound,
            read_paths: Some(ReadPaths {
                sort: Sort::Created,
                other_cursor: OtherCursor::Taken,
                ..ReadPaths::default()
            }),
            refused_cursor: 404,
            cursor_life: Some(Duration::from_secs(1)),
            count_ceiling: Some(5),
            absent_body: AbsentBody::Empty,
            busy: Some(Busy {
                at_once: 3,
                status: 429,
                retry_after: None,
            }),
            date_header: DateHeader::Off(90),
            compress: true,
            index_lag: Duration::from_hours(1),
            ..small(800)
        },
        "read:models",
    );
    let subject = subject(settings).await;
    let changed_at = subject.tenant.now() - 20 * 60_000;
    for position in 0..subject.tenant.positions() {
        let at = changed_at - i64::try_from(position).unwrap() * 100;
        assert!(subject.tenant.set_modified(position, at));
    }
    subject
}
