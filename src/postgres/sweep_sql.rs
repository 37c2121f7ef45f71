//! The SQL of a sweep, generated from a table's description.

use crate::model::table::Table;
use crate::postgres::leaving::{self, DeleteBelow};
use crate::postgres::moving::{self, Move};
use crate::postgres::sql::{SYNCED_AT, change_key, element_id, relation};

/// What a sweep asks of a table.
#[derive(Debug)]
pub(crate) struct SweepStatements {
    /// The ids after `$1` up to `$2` (null: to the end), in order, at most `$3`. The index alone answers.
    pub(crate) ids: String,
    /// Of the ids `$3` writes those down that were not loaded since `$2`, as candidates of the walk `$1`.
    pub(crate) candidates: String,
    /// Candidates of the walk `$1`, opened at `$2`, after `$3`, at most `$4`.
    pub(crate) unseen: String,
    /// Writes down that the walk `$1`, opened at `$2`, missed its candidates, at `$4`, for the resource `$3`. A row that was loaded since
    /// a former walk missed it is missed for the first time.
    pub(crate) missing: String,
    /// As `unseen`, of those that two walks in a row missed, for the resource `$5`.
    pub(crate) missed_again: String,
    /// The same, `$3` of them at random, for the resource `$4`.
    pub(crate) sample: String,
    /// Locks those of the ids `$1` that were not loaded since `$2`, in order.
    pub(crate) lock: String,
    /// The same on a distributed table, which locks several rows only by an update.
    pub(crate) lock_apart: String,
    /// Deletes those of the ids `$1` that were not loaded since `$2`. Returns their ids, and the names of their rows in the feed of changes.
    pub(crate) remove: String,
    /// Delete what leaves with them: [`leaving::deletes_below`].
    pub(crate) deletes_below: Vec<DeleteBelow>,
    /// Move the history of merged rows: [`moving::moves`].
    pub(crate) moves: Vec<Move>,
}

impl SweepStatements {
    /// All of a table's.
    pub(crate) fn of(table: &Table) -> Self {
        let name = relation(table);
        let id = element_id(table, "");
        let stored_id = element_id(table, "stored.");
        // What was loaded since the candidates were written down stays.
        let may_go = format!("{stored_id} = any ($1) and stored.{SYNCED_AT} < $2");
        let missed_again = |resource: &str| {
            format!(
                "select u.id from sync.walk_unseen as u
                 join sync.walk_missing as m on m.resource = {resource} and m.id = u.id
                 join {name} as stored on {stored_id} = u.id
                 where u.walk_id = $1 and stored.{SYNCED_AT} < $2 and m.walks > 1 and not m.unclear"
            )
        };
        Self {
            ids: format!(
                "select coalesce(array_agg(id), '{{}}') from (
                   select {id} as id from {name} where {id} > $1 and ($2::text is null or {id} <= $2)
                   order by {id} limit $3
                 ) as stored"
            ),
            candidates: format!(
                "insert into sync.walk_unseen (walk_id, id)
                 select $1, {stored_id} from {name} as stored
                 where {stored_id} = any ($3) and stored.{SYNCED_AT} < $2"
            ),
            unseen: format!(
                "select u.id from sync.walk_unseen as u join {name} as stored on {stored_id} = u.id
                 where u.walk_id = $1 and u.id > $3 and stored.{SYNCED_AT} < $2
                 order by u.id limit $4"
            ),
            missing: format!(
                "insert into sync.walk_missing as m (resource, id, walk_id, missed_at, walks, unclear)
                 select $3, u.id, $1,
                   case when former.missed_at > stored.{SYNCED_AT} then former.missed_at else $4 end,
                   case when former.missed_at > stored.{SYNCED_AT} then former.walks + 1 else 1 end,
                   coalesce(former.unclear, false)
                 from sync.walk_unseen as u
                 join {name} as stored on {stored_id} = u.id
                 left join sync.walk_missing as former on former.resource = $3 and former.id = u.id
                 where u.walk_id = $1 and stored.{SYNCED_AT} < $2
                 order by u.id
                 on conflict (resource, id) do update set
                   walk_id = excluded.walk_id, missed_at = excluded.missed_at, walks = excluded.walks, unclear = excluded.unclear
                 where m.walk_id <> excluded.walk_id"
            ),
            missed_again: format!("{} and u.id > $3 order by u.id limit $4", missed_again("$5")),
            sample: format!("{} order by random() limit $3", missed_again("$4")),
            lock: format!(
                "select {stored_id} from {name} as stored where {may_go} order by {stored_id} for update"
            ),
            lock_apart: format!(
                "update {name} as stored set {SYNCED_AT} = stored.{SYNCED_AT} where {may_go} returning {stored_id}"
            ),
            remove: format!(
                "delete from {name} as stored where {may_go} returning {stored_id}, {}",
                change_key(table, "stored.")
            ),
            deletes_below: leaving::deletes_below(table),
            moves: moving::moves(table),
        }
    }
}
