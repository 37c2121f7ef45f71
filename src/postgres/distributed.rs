//! Whether the tables of profiles are distributed over several servers by Citus. Nearly every statement has one form for both; this
//! file says which form is right where there are two.

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::postgres::error::{Doing, Error};

/// The table with which all others of profiles lie together.
pub(crate) const FIRST: &str = "blueconic.profiles";

/// The statement that lets a further table of typed columns lie beside its profiles.
pub(crate) fn beside(table: &str) -> String {
    format!("select create_distributed_table('{table}', 'id', colocate_with => '{FIRST}')")
}

/// Whether `blueconic.profiles` is distributed.
pub(crate) async fn is(connection: &mut PgConnection) -> Result<bool, Error> {
    sqlx::query_scalar("select sync.is_distributed('blueconic.profiles')")
        .fetch_one(connection)
        .await
        .doing("looking whether profiles are distributed")
}

/// Locks the profiles `$1` and returns their ids. A distributed table locks several rows only by an update.
pub(crate) const HOLD: &str =
    "update blueconic.profiles set synced_at = synced_at where id = any ($1) returning id";

/// The same of those whose content is still the one with the hash `$2`.
pub(crate) const HOLD_AS_READ: &str = "
update blueconic.profiles as p set synced_at = p.synced_at
from unnest($1::text[], $2::bytea[]) as read (id, content_hash)
where read.id = p.id and read.content_hash = p.content_hash
returning p.id";

/// Lets the rest of a transaction use one connection to each node: only then can it change functions and tables together.
pub(crate) async fn use_one_connection(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("select set_config('citus.multi_shard_modify_mode', 'sequential', true)")
        .execute(connection)
        .await
        .doing("preparing to change distributed tables")?;
    Ok(())
}

/// What the nodes tell of one table or partition in the schema `blueconic`, over all of its shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// The planner's estimate for the analyzed shards.
    pub(crate) rows: i64,
    /// The size of the shards that were never analyzed.
    pub(crate) unknown_bytes: i64,
    pub(crate) bytes: i64,
    pub(crate) index_bytes: i64,
}

impl Spread {
    fn add(&mut self, [rows, unknown_bytes, bytes, index_bytes]: [i64; 4]) {
        self.rows += rows;
        self.unknown_bytes += unknown_bytes;
        self.bytes += bytes;
        self.index_bytes += index_bytes;
    }
}

/// Asks each node once. A shard has its table's name and a number.
const OF_SHARDS: &str = r"
select coalesce(jsonb_agg(jsonb_build_array(t.name, jsonb_build_array(t.rows, t.unknown, t.bytes, t.index_bytes))), '[]')
from (
  select regexp_replace(c.relname::text, '_[0-9]+$', '') as name,
    coalesce(sum(c.reltuples) filter (where c.reltuples >= 0), 0)::bigint as rows,
    coalesce(sum(pg_relation_size(c.oid)) filter (where c.reltuples < 0), 0) as unknown,
    sum(pg_total_relation_size(c.oid)) as bytes, sum(pg_indexes_size(c.oid)) as index_bytes
  from pg_class as c
  where c.relnamespace = to_regnamespace('blueconic') and c.relkind = 'r' and c.relname ~ '_[0-9]{6,}$'
  group by 1
) as t";

/// The sizes of distributed tables, those of partitions under their table; empty where nothing is distributed.
pub(crate) async fn sizes(connection: &mut PgConnection) -> Result<HashMap<String, Spread>, Error> {
    const DOING: &str = "asking the nodes for the sizes of tables";
    let mut sizes: HashMap<String, Spread> = HashMap::new();
    if !is(connection).await? {
        return Ok(sizes);
    }
    let told: Vec<(bool, String)> =
        sqlx::query_as("select n.success, coalesce(n.result, '') from run_command_on_all_nodes($1) as n")
            .bind(OF_SHARDS)
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
    let partitions: Vec<(String, String)> = sqlx::query_as(
        "select part.relname::text, parent.relname::text from pg_inherits as i
         join pg_class as part on part.oid = i.inhrelid
         join pg_class as parent on parent.oid = i.inhparent
         where parent.relnamespace = to_regnamespace('blueconic') and parent.relkind = 'p'",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    let partitions: HashMap<String, String> = partitions.into_iter().collect();
    let copied: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_dist_partition as p join pg_class as c on c.oid = p.logicalrelid where p.partmethod = 'n'",
    )
    .fetch_all(connection)
    .await
    .doing(DOING)?;
    for (is_answer, answer) in told {
        let tables: Vec<(String, [i64; 4])> = match serde_json::from_str(&answer) {
            Ok(tables) if is_answer => tables,
            _ => {
                tracing::warn!(
                    answer,
                    "a node does not tell the sizes of its shards, so that tables look smaller than they are"
                );
                continue;
            }
        };
        for (name, of_node) in tables {
            let table = partitions.get(&name).cloned().unwrap_or(name);
            // Of a table that every node has, one copy counts.
            if copied.contains(&table) {
                sizes.remove(&table);
            }
            sizes.entry(table).or_default().add(of_node);
        }
    }
    Ok(sizes)
}
