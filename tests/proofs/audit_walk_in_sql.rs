//! The model of the tables that `audit_walk` trusts, held against the SQL: the same tenants, the real resource, the real
//! PostgreSQL, and after every scan the same rows, the same open gaps, the same watermark.

use std::collections::BTreeSet;
use std::sync::Arc;

use blueconic_sync::model::Time;
use chrono::SecondsFormat;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult};

use super::audit_walk::Stage;
use super::event_store::EventStore;
use super::event_tenant::{Event, Tenant, moment};
use super::reader::events_with;
use super::scenario::{Scenario, scenario};
use crate::support::fixture::{Fixture, fixture, run};

/// An event as the tenant writes it.
fn json(event: &Event) -> Vec<u8> {
    let date = moment(event.date).to_rfc3339_opts(SecondsFormat::Millis, true);
    let kind = event.kind;
    format!(
        r#"{{"date":"{date}","objectType":"LISTENER","operation":"UPDATE","userName":"{kind}","objects":[]}}"#
    )
    .into_bytes()
}

type Row = (Vec<u8>, i32);

async fn compare(db: &Fixture, model: &EventStore) -> TestCaseResult {
    let rows: Vec<Row> = sqlx::query_as("select event_key, occurrence from blueconic.audit_events")
        .fetch_all(&db.look)
        .await
        .unwrap();
    let rows: BTreeSet<Vec<u8>> = rows
        .into_iter()
        .map(|(key, occurrence)| [&key[..], &occurrence.to_be_bytes()].concat())
        .collect();
    let open: Vec<(Time, Time, String)> =
        sqlx::query_as("select from_at, to_at, reason from sync.gaps where closed_at is null")
            .fetch_all(&db.look)
            .await
            .unwrap();
    let watermark: Option<Time> = sqlx::query_scalar("select watermark from sync.cursors")
        .fetch_optional(&db.look)
        .await
        .unwrap()
        .flatten();
    let renames: Vec<(String, Option<String>, Option<String>)> =
        sqlx::query_as("select field, old_value, new_value from sync.audit_renames")
            .fetch_all(&db.look)
            .await
            .unwrap();
    prop_assert_eq!(renames, vec![], "nobody renames anything here");
    let tables = model.0.lock().unwrap().clone();
    prop_assert_eq!(rows, tables.rows);
    let expected: BTreeSet<(Time, Time, String)> = tables
        .open
        .iter()
        .map(|(span, reason)| (span.from, span.to, reason.as_str().to_owned()))
        .collect();
    prop_assert_eq!(open.into_iter().collect::<BTreeSet<_>>(), expected);
    prop_assert_eq!(watermark, tables.watermark);
    Ok(())
}

async fn tell(db: &Fixture, scenario: &Scenario) -> TestCaseResult {
    let empty = "truncate blueconic.audit_events, sync.gaps, sync.cursors";
    run(&mut db.look.acquire().await.unwrap(), empty).await;
    let feed = events_with(scenario.page_size);
    let model = EventStore::default();
    let in_memory = Stage::new(
        scenario,
        Tenant::new(scenario, json),
        model.clone(),
        Arc::clone(&feed),
    );
    let in_sql = Stage::new(scenario, Tenant::new(scenario, json), db.store.clone(), feed);
    for scan in &scenario.scans {
        let mut ended = Vec::new();
        {
            // One clock for both databases: where they differ by milliseconds, bounds do as well.
            let mut tenant = in_memory.tenant.lock().unwrap();
            tenant.now += scan.pause;
            model.0.lock().unwrap().now = Some(moment(tenant.now));
        }
        ended.push(in_memory.scan(scan).await);
        let now = {
            let mut tenant = in_sql.tenant.lock().unwrap();
            tenant.now += scan.pause;
            moment(tenant.now)
        };
        let frozen = format!(
            "create or replace function sync.clock() returns timestamptz language sql volatile parallel safe
             as $$ select '{}'::timestamptz $$",
            now.to_rfc3339()
        );
        run(&mut db.look.acquire().await.unwrap(), &frozen).await;
        ended.push(in_sql.scan(scan).await);
        prop_assert_eq!(ended[0], ended[1]);
        compare(db, &model).await?;
    }
    Ok(())
}

#[test]
fn the_model_of_the_tables_does_what_the_sql_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(fixture());
    let config = Config {
        cases: 24,
        max_shrink_iters: 50,
        failure_persistence: None,
        ..Config::default()
    };
    proptest!(config, |(scenario in scenario())| {
        runtime.block_on(tell(&db, &scenario))?;
    });
}
