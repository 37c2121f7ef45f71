//! Looks for an id in all data of a database.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::database::Database;

/// The places that hold an id: in any row of any table as text, as bytes or as JSON, or in the planner's samples.
pub(crate) async fn traces(database: &Database, id: &str) -> Vec<String> {
    let tables = database
        .texts(
            "select c.oid::regclass::text from pg_class as c
             join pg_namespace as n on n.oid = c.relnamespace
             where n.nspname in ('blueconic', 'sync') and c.relkind in ('r', 'm')
             order by 1",
        )
        .await;
    assert!(tables.len() > 12, "{tables:?}");
    let mut found = Vec::new();
    let encoded = encodings(id);
    for table in tables {
        // The position of an open walk is the tenant's own text, and needed.
        let encoded = if table == "sync.cursors" { "" } else { &encoded };
        let rows = database
            .texts(&format!(
                "select left(t::text, 200) from {table} as t
                 where position('{id}' in t::text) > 0 {encoded} or position(encode(convert_to('{id}', 'UTF8'), 'hex') in t::text) > 0"
            ))
            .await;
        found.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    let samples = database
        .texts(&format!(
            "select s.tablename || '.' || s.attname from pg_stats as s
             where s.schemaname in ('blueconic', 'sync') and position('{id}' in s::text) > 0"
        ))
        .await;
    found.extend(samples.into_iter().map(|column| format!("pg_stats of {column}")));
    found
}

/// A condition that finds an id within a text in base64, as in the tenant's cursors.
pub(crate) fn encodings(id: &str) -> String {
    let within = (0..3).map(|before| {
        let encoded = URL_SAFE_NO_PAD.encode([&vec![0; before], id.as_bytes()].concat());
        // The first and the last character may hold bits of the neighbouring bytes.
        let first = (before * 8).div_ceil(6);
        format!(
            " or position('{}' in t::text) > 0",
            &encoded[first..encoded.len() - 1]
        )
    });
    within.collect()
}

/// Fails if any of the ids is found.
pub(crate) async fn assert_gone(database: &Database, ids: &[String]) {
    for id in ids {
        let traces = traces(database, id).await;
        assert!(traces.is_empty(), "{traces:#?}");
    }
}
