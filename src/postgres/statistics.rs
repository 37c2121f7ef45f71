//! Refreshes the planner's statistics after an erasure or a scrub, since they hold samples of rows and readers can see them. This runs
//! outside of their transactions, which must not hold their locks for that long.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::postgres::boundary;
use crate::postgres::columns;
use crate::postgres::distributed;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const DOING: &str = "refreshing the planner's statistics";
/// `analyze` keeps the former samples of a table that has become empty, so each such table or partition gets a row that nobody sees: the
/// statements that insert it, with the names of the tables. Where a value must be, it is one of a check's list, the first moment of a
/// partition, or an empty one.
const PLACEHOLDERS: &str = "
with leaf as (
  select tree.relid from pg_partition_tree($1::regclass) as tree where tree.isleaf
  union select c.oid from pg_class as c where c.oid = $1::regclass and c.relkind = 'r'
), needed as (
  select c.oid, a.attnum, a.attname, case
    when a.attname in (
      select key.attname from pg_inherits as i
      join pg_partitioned_table as p on p.partrelid = i.inhparent
      join pg_attribute as key on key.attrelid = p.partrelid and key.attnum = any (p.partattrs::smallint[])
      where i.inhrelid = c.oid
    ) then quote_literal(
      coalesce((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''([^'']+)''\\)'))[1], '-infinity')
    )
    when listed.value is not null then quote_literal(listed.value)
    when t.typcategory = 'N' then '0'
    when t.typcategory = 'D' then 'now()'
    when t.typcategory = 'B' then 'false'
    when t.typcategory = 'A' or t.typname in ('json', 'jsonb') then '''{}'''
    when t.typname = 'uuid' then '''00000000-0000-0000-0000-000000000000'''
    else ''''''
  end as value
  from leaf
  join pg_class as c on c.oid = leaf.relid
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and a.attnotnull and not a.attisdropped and not a.atthasdef
    and a.attidentity = ''
  join pg_type as t on t.oid = a.atttypid
  left join lateral (
    select (regexp_match(pg_get_constraintdef(k.oid), '''([^'']+)'''))[1] as value
    from pg_constraint as k where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum]
    limit 1
  ) as listed on true
)
select n.oid::regclass::text,
  format('insert into %s (%s) select %s where not exists (select from %1$s)', n.oid::regclass,
    string_agg(quote_ident(n.attname), ', ' order by n.attnum), string_agg(n.value, ', ' order by n.attnum))
from needed as n group by n.oid";
/// How long other work on a table (an index build, another `analyze`) is waited for in all.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Refreshes the statistics of these tables, by their names with their schemas, and of the tables of typed columns; false if
/// that failed. What was removed is gone in any case.
pub(crate) async fn refresh(store: &PostgresStore, tables: &[&str]) -> bool {
    let typed = match typed_tables(store).await {
        Ok(typed) => typed,
        Err(error) => {
            tracing::warn!(%error, "the planner's statistics of the typed columns could not be refreshed");
            return false;
        }
    };
    let tables: BTreeSet<&str> = tables
        .iter()
        .copied()
        .chain(typed.iter().map(String::as_str))
        .collect();
    let mut all = true;
    for table in tables {
        if let Err(error) = patiently(store, table).await {
            tracing::warn!(table, %error, "the planner's statistics of `{table}` could not be refreshed");
            all = false;
        }
    }
    all
}

async fn typed_tables(store: &PostgresStore) -> Result<Vec<String>, Error> {
    let reading = async {
        let mut connection = store.control().acquire().await.doing(DOING)?;
        columns::tables(&mut connection).await
    };
    store.moment(DOING, reading).await
}

async fn patiently(store: &PostgresStore, table: &str) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match analyze(store, table).await {
            Err(error) if error.is_transient() && began.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Runs `analyze` and gives up before the server detects a deadlock (after a second) and ends one side: a concurrent index
/// build waits for every older transaction, and so for this one, which would wait for the index build's lock on the table.
async fn analyze(store: &PostgresStore, table: &str) -> Result<(), Error> {
    let mut transaction = store.control().begin().await.doing(DOING)?;
    sqlx::query!("select set_config('lock_timeout', '300ms', true)")
        .fetch_one(&mut *transaction)
        .await
        .doing(DOING)?;
    // The coordinator's own table is empty, and a row would go into one shard of many.
    let placeholders: Vec<(String, String)> = if distributed::is(&mut transaction).await? {
        Vec::new()
    } else {
        sqlx::query_as(PLACEHOLDERS)
            .bind(table)
            .fetch_all(&mut *transaction)
            .await
            .doing(DOING)?
    };
    let mut empty = Vec::new();
    for (name, insert) in placeholders {
        let inserted = sqlx::query(AssertSqlSafe(insert)).execute(&mut *transaction);
        if inserted.await.doing(DOING)?.rows_affected() > 0 {
            empty.push(name);
        }
    }
    // Another transaction may have filled the table meanwhile.
    let removals = empty
        .iter()
        .map(|name| format!("delete from {name} where xmin = pg_current_xact_id()::xid"));
    for statement in std::iter::once(format!("analyze {table}")).chain(removals) {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
    }
    boundary::cross("erase/analyze", DOING, transaction.commit()).await
}
