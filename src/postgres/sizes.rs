//! The sizes of the tables for analysts on disk, and their estimated rows. Partitions are summed under their table.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::status::TableSize;
use crate::postgres::distributed::{self, Spread};
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge;

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
    let mut sizes = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(spread) = spread.get(&row.name) {
            sizes.push(of_shards(connection, row.name, row.readable, *spread).await?);
            continue;
        }
        let rows_estimated = if row.unknown.is_empty() {
            Some(row.analyzed)
        } else if row.readable && row.unknown_bytes <= COUNTED {
            Some(row.analyzed + count(connection, &row.unknown).await?)
        } else {
            None
        };
        sizes.push(TableSize {
            name: row.name,
            rows_estimated,
            bytes: row.bytes,
            index_bytes: row.index_bytes,
        });
    }
    Ok(sizes)
}

/// The size of a distributed table. The coordinator itself holds nothing of it.
async fn of_shards(
    connection: &mut PgConnection,
    name: String,
    is_readable: bool,
    spread: Spread,
) -> Result<TableSize, Error> {
    let rows_estimated = if spread.unknown_bytes == 0 {
        Some(spread.rows)
    } else if is_readable && spread.unknown_bytes <= COUNTED {
        Some(count(connection, std::slice::from_ref(&name)).await?)
    } else {
        None
    };
    Ok(TableSize {
        name,
        rows_estimated,
        bytes: spread.bytes,
        index_bytes: spread.index_bytes,
    })
}

async fn count(connection: &mut PgConnection, tables: &[String]) -> Result<i64, Error> {
    let mut rows = 0;
    for table in tables {
        rows += sqlx::query_scalar::<_, i64>(AssertSqlSafe(merge::count_in(table)))
            .fetch_one(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(rows)
}
