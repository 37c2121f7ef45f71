//! What a reader of the tables cares about: every column but those that say when and by which run a row came. Two
//! databases that were loaded from one tenant must agree in it, whatever happened on the way.

use std::collections::BTreeMap;

use blueconic_sync::model::description::Description;

use super::table::Case;
use crate::support::database::Database;
use crate::support::registry::{by_default, is_by_day, tables};

/// The tables that are compared: those by day follow from the day of a run, and some databases have a clock of their own.
fn compared() -> Vec<&'static str> {
    let by_day: Vec<&str> = by_default()
        .filter(|one| is_by_day(one))
        .map(Description::name)
        .collect();
    let mut tables = tables();
    tables.retain(|table| !by_day.contains(table));
    tables
}

/// One hash for each row.
fn rows_of(table: &str) -> String {
    format!(
        "select md5((to_jsonb(t) - array['synced_at', 'asked_at', 'noticed_at', 'run_id'])::text) as row
         from blueconic.{table} as t"
    )
}

/// A database that was loaded undisturbed.
pub(crate) struct Business {
    tables: BTreeMap<&'static str, (i64, String)>,
    rows: BTreeMap<&'static str, Vec<String>>,
}

impl Business {
    /// Reads it.
    pub(crate) async fn of(database: &Database) -> Self {
        let (mut digests, mut rows) = (BTreeMap::new(), BTreeMap::new());
        for table in compared() {
            digests.insert(table, digest(database, table).await);
            rows.insert(
                table,
                database.texts(&format!("{} order by 1", rows_of(table))).await,
            );
        }
        Self {
            tables: digests,
            rows,
        }
    }

    /// How many rows a table has.
    pub(crate) fn count(&self, table: &str) -> usize {
        self.rows[table].len()
    }

    /// Adds what another database lacks, and what it has besides, to a case.
    #[expect(
        clippy::print_stdout,
        reason = "says which table it was, where the case fails"
    )]
    pub(crate) async fn compare(&self, database: &Database, case: &mut Case) {
        for table in compared() {
            if digest(database, table).await == self.tables[table] {
                continue;
            }
            let stored = database.texts(&rows_of(table)).await;
            let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
            for row in &self.rows[table] {
                *balance.entry(row).or_default() -= 1;
            }
            for row in &stored {
                *balance.entry(row).or_default() += 1;
            }
            let lost: i64 = balance.values().map(|rows| (-rows).max(0)).sum();
            let surplus: i64 = balance.values().map(|rows| (*rows).max(0)).sum();
            println!("{table} in {}: {lost} lost, {surplus} doubled", database.url);
            case.lost(lost.unsigned_abs());
            case.doubled(surplus.unsigned_abs());
        }
    }
}

/// The number of rows, and one hash over all of them in order.
async fn digest(database: &Database, table: &str) -> (i64, String) {
    let sql = format!(
        "select count(*), coalesce(md5(string_agg(row, '' order by row)), '') from ({}) as r",
        rows_of(table)
    );
    database.rows(&sql).await.remove(0)
}
