//! The sizes of the tables for analysts on disk, and their estimated rows. Partitions are summed under their table.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::status::TableSize;
use crate::postgres::distributed::{self, Spread};
use crate::postgres::error::{Doing, Error};
use crate::postgres::sql::quoted;

const DOING: &str = "reading the sizes of the tables";
/// Tables that were never analyzed are counted up to this size in bytes. That takes milliseconds, and the status page asks every
/// few seconds. Autovacuum soon analyzes larger tables.
const COUNTED: i64 = 8 * 1024 * 1024;

/// Reads the sizes. The planner's estimate is -1 for tables and partitions that were never analyzed: small ones are counted, and
/// for large ones the number of rows is unknown.
pub(crate) async fn read(connection: &mut PgConnection) -> Result<Vec<TableSize>, Error> {
    let rows = sqlx::query!(
        r#"select parent.relname::text as "name!",
             coalesce(sum(greatest(part.reltuples, 0)) filter (where part.relkind = 'r'), 0)::bigint as "analyzed!",
             coalesce(sum(pg_relation_size(part.oid)) filter (where part.reltuples < 0), 0)::bigint as "unknown_bytes!",
             coalesce(array_agg(part.relname::text)
               filter (where part.reltuples < 0 and pg_relation_size(part.oid) > 0), '{}') as "unknown!",
             bool_and(has_table_privilege(part.oid, 'select')) as "readable!",
             coalesce(sum(pg_total_relation_size(part.oid)), 0)::bigint as "bytes!",
             coalesce(sum(pg_indexes_size(part.oid)), 0)::bigint as "index_bytes!"
           from pg_class as parent
           join pg_class as part
             on part.oid = parent.oid
             or part.oid in (select i.inhrelid from pg_inherits as i where i.inhparent = parent.oid)
           where parent.relnamespace = to_regnamespace('blueconic')
             and parent.relkind in ('r', 'p') and not parent.relispartition
           group by parent.relname
           order by parent.relname"#
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    let spread = distributed::sizes(connection).await?;
    let told: Vec<Told> = rows
        .into_iter()
        .map(|row| match spread.get(&row.name) {
            Some(spread) => Told::of_shards(row.name, row.readable, *spread),
            None => Told {
                name: row.name,
                is_readable: row.readable,
                analyzed: row.analyzed,
                unknown: row.unknown,
                unknown_bytes: row.unknown_bytes,
                bytes: row.bytes,
                index_bytes: row.index_bytes,
            },
        })
        .collect();
    let counted = told.iter().filter(|table| table.may_be_counted());
    let counts = count(connection, counted.flat_map(|table| &table.unknown)).await?;
    Ok(told.into_iter().map(|table| table.sized(&counts)).collect())
}

/// What the server, or the nodes of a distributed table, tell of a table.
struct Told {
    name: String,
    is_readable: bool,
    /// The planner's estimate for what was analyzed.
    analyzed: i64,
    /// The table or its partitions that were never analyzed, and hold something.
    unknown: Vec<String>,
    unknown_bytes: i64,
    bytes: i64,
    index_bytes: i64,
}

impl Told {
    /// Of a distributed table, the coordinator itself holds nothing. Where a shard was never analyzed, the whole table is counted.
    fn of_shards(name: String, is_readable: bool, spread: Spread) -> Self {
        let is_known = spread.unknown_bytes == 0;
        Self {
            is_readable,
            analyzed: if is_known { spread.rows } else { 0 },
            unknown: if is_known { Vec::new() } else { vec![name.clone()] },
            unknown_bytes: spread.unknown_bytes,
            bytes: spread.bytes,
            index_bytes: spread.index_bytes,
            name,
        }
    }

    fn may_be_counted(&self) -> bool {
        self.is_readable && self.unknown_bytes <= COUNTED
    }

    fn sized(self, counts: &HashMap<String, i64>) -> TableSize {
        let is_known = self.unknown.is_empty() || self.may_be_counted();
        let counted = self.unknown.iter().filter_map(|table| counts.get(table));
        TableSize {
            rows_estimated: is_known.then(|| self.analyzed + counted.sum::<i64>()),
            name: self.name,
            bytes: self.bytes,
            index_bytes: self.index_bytes,
        }
    }
}

/// Counts the rows of each of these tables, in one query. There are dozens of small ones. Those whose elements the tenant has none of stay
/// empty, and are never analyzed.
async fn count(
    connection: &mut PgConnection,
    tables: impl Iterator<Item = &String>,
) -> Result<HashMap<String, i64>, Error> {
    let tables: Vec<&String> = tables.collect();
    if tables.is_empty() {
        return Ok(HashMap::new());
    }
    let counts = tables
        .iter()
        .enumerate()
        .map(|(place, table)| format!("select {place}, count(*) from blueconic.{}", quoted(table)));
    let counts = counts.collect::<Vec<_>>().join(" union all ");
    let rows: Vec<(i32, i64)> = sqlx::query_as(AssertSqlSafe(counts))
        .fetch_all(connection)
        .await
        .doing(DOING)?;
    let by_name = rows.into_iter().filter_map(|(place, count)| {
        let table = tables.get(usize::try_from(place).ok()?)?;
        Some(((*table).clone(), count))
    });
    Ok(by_name.collect())
}
