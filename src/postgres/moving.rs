//! The history of merged rows: the rows of their child tables that are kept ([`Merge::ChildHistory`]). They move to the survivor of
//! the merge, under the survivor's id, so that a child always belongs to its parent's own id. The survivor may not be stored yet:
//! then its history waits for it, until a complete walk that began after the merge has not brought it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::Time;
use crate::model::lease::Lease;
use crate::model::table::{Child, Merge, Table};
use crate::model::walk::Walk;
use crate::postgres::changes::{ChangedTable, Changes, Reason};
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;
use crate::postgres::load_lock::{self, Opened};
use crate::postgres::sql::{SYNCED_AT, key, key_in_order, names, quoted, relation};
use crate::postgres::{boundary, leases};

const MOVING: &str = "moving the history of merged profiles";
const FORGETTING: &str = "removing the history of profiles that are gone";
/// How long ago a merge may be whose survivor is looked for after a walk. Each complete walk looks again.
const LOOKED_FOR: Duration = Duration::from_hours(90 * 24);
/// Survivors that are looked up at once.
const AT_ONCE: i64 = 10_000;

fn histories(table: &Table) -> impl Iterator<Item = &'static Child> {
    let children = table.children.iter();
    children.filter(|child| child.table.merge == Merge::ChildHistory)
}

/// A statement that moves the history of the merged ids `$1` to their survivors `$3`; `$2` is the current time. A row that the survivor
/// has already stays as the survivor has it. Returns the ids that had history.
#[derive(Debug)]
pub(crate) struct Move {
    changed: ChangedTable,
    statement: String,
}

/// The moves of a table, one for each of its histories.
pub(crate) fn moves(table: &Table) -> Vec<Move> {
    let of = |child: &Child| Move {
        changed: ChangedTable::of(child.table),
        statement: move_rows(child.table),
    };
    histories(table).map(of).collect()
}

fn move_rows(table: &Table) -> String {
    let parent = quoted(table.key[0]);
    let others: Vec<String> = table
        .columns
        .iter()
        .skip(1)
        .map(|column| quoted(column.name))
        .collect();
    format!(
        "with gone as (
           delete from {relation} as stored where stored.{parent} = any ($1::text[])
           returning stored.{parent} as loser, {stored}
         ),
         moved as (
           insert into {relation} ({names}, {SYNCED_AT})
           select {names}, $2::timestamptz from (
             select ($3::text[])[array_position($1::text[], g.loser)] as {parent}, {own} from gone as g
           ) as incoming
           order by {order}
           on conflict ({key}) do nothing
         )
         select distinct g.loser from gone as g",
        relation = relation(table),
        stored = others
            .iter()
            .map(|name| format!("stored.{name}"))
            .collect::<Vec<_>>()
            .join(", "),
        own = others
            .iter()
            .map(|name| format!("g.{name}"))
            .collect::<Vec<_>>()
            .join(", "),
        names = names(table, ""),
        order = key_in_order(table),
        key = key(table),
    )
}

/// Moves the history of merged ids to their survivors, once the merges are recorded. Returns the ids without a survivor: their
/// history stays.
pub(crate) async fn to_survivors<'ids>(
    connection: &mut PgConnection,
    moves: &[Move],
    losers: &[&'ids str],
    now: Time,
    changes: &mut Changes,
) -> Result<Vec<&'ids str>, Error> {
    if losers.is_empty() || moves.is_empty() {
        return Ok(losers.to_vec());
    }
    let ends = survivors(connection, losers).await?;
    let stay = losers.iter().copied().filter(|id| !ends.contains_key(*id));
    let stay = stay.collect();
    if ends.is_empty() {
        return Ok(stay);
    }
    let (losers, survivors): (Vec<&str>, Vec<&str>) = ends
        .iter()
        .map(|(loser, survivor)| (loser.as_str(), survivor.as_str()))
        .unzip();
    for Move {
        changed: history,
        statement,
    } in moves
    {
        let had_history: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement.as_str()))
            .bind(&losers)
            .bind(now)
            .bind(&survivors)
            .fetch_all(&mut *connection)
            .await
            .doing(MOVING)?;
        let survivors: BTreeSet<&str> = had_history.iter().map(|loser| ends[loser].as_str()).collect();
        changes.updated(*history, Some(Reason::Merged), survivors);
        changes.removed(
            *history,
            Reason::Merged,
            had_history.into_iter().collect::<BTreeSet<_>>(),
        );
    }
    Ok(stay)
}

/// The ends of the chains of aliases that begin at these ids. A chain that is a circle has no end, and an id without an alias has no
/// survivor. Each round follows one link of every chain: a recursive query would do the same, but not on distributed tables.
async fn survivors(
    connection: &mut PgConnection,
    losers: &[&str],
) -> Result<BTreeMap<String, String>, Error> {
    let mut links: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut next: BTreeSet<String> = losers.iter().map(|id| (*id).to_owned()).collect();
    while !next.is_empty() {
        let asked: Vec<&str> = next.iter().map(String::as_str).collect();
        let found = sqlx::query!(
            "select a.profile_id, a.survivor_id from blueconic.profile_aliases as a where a.profile_id = any ($1)",
            &asked as &[&str]
        )
        .fetch_all(&mut *connection)
        .await
        .doing(MOVING)?;
        links.extend(next.into_iter().map(|id| (id, None)));
        let followed: Vec<String> = found.iter().map(|row| row.survivor_id.clone()).collect();
        links.extend(
            found
                .into_iter()
                .map(|row| (row.profile_id, Some(row.survivor_id))),
        );
        next = followed
            .into_iter()
            .filter(|id| !links.contains_key(id))
            .collect();
    }
    let ends = losers.iter().filter_map(|loser| {
        let end = end(&links, loser)?;
        (end != *loser).then(|| ((*loser).to_owned(), end.to_owned()))
    });
    Ok(ends.collect())
}

/// The last id of a chain; none if it is a circle.
fn end<'links>(links: &'links BTreeMap<String, Option<String>>, id: &'links str) -> Option<&'links str> {
    let (mut at, mut passed) = (id, BTreeSet::new());
    while let Some(survivor) = links.get(at).and_then(Option::as_deref) {
        if !passed.insert(at) {
            return None;
        }
        at = survivor;
    }
    Some(at)
}

/// Removes history that waits for a survivor which a complete walk has not brought although it began after the merge: the survivor
/// is gone, or belongs to another segment.
pub(crate) async fn forget_waiting(
    connection: &mut PgConnection,
    table: &Table,
    lease: &Lease,
    walk: Walk,
) -> Result<(), Error> {
    let deletes: Vec<(ChangedTable, String)> = histories(table)
        .map(|child| {
            let parent = quoted(child.parent());
            let of = relation(child.table);
            let delete = format!("delete from {of} where {parent} = any ($1::text[]) returning {parent}");
            (ChangedTable::of(child.table), delete)
        })
        .collect();
    if deletes.is_empty() {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let away = away(connection, walk, &after).await?;
        let Some(last) = away.last() else {
            return Ok(());
        };
        let mut transaction = connection.begin().await.doing(FORGETTING)?;
        let Opened { now, mut changes, .. } = load_lock::begin(&mut transaction).await?;
        for (history, delete) in &deletes {
            let gone: Vec<String> = sqlx::query_scalar(AssertSqlSafe(delete.as_str()))
                .bind(&away)
                .fetch_all(&mut *transaction)
                .await
                .doing(FORGETTING)?;
            changes.removed(
                *history,
                Reason::ParentRemoved,
                gone.into_iter().collect::<BTreeSet<_>>(),
            );
        }
        changes.record(&mut transaction, now).await?;
        leases::assert(&mut transaction, lease).await?;
        boundary::cross("sweep", FORGETTING, transaction.commit()).await?;
        after.clone_from(last);
    }
}

/// The next survivors of merges that were recorded before the walk began, and that are not stored.
async fn away(connection: &mut PgConnection, walk: Walk, after: &str) -> Result<Vec<String>, Error> {
    let mut after = after.to_owned();
    loop {
        let mut survivors = sqlx::query_scalar!(
            "select distinct a.survivor_id from blueconic.profile_aliases as a
             where a.noticed_at < $1 and a.noticed_at > $1::timestamptz - $4::interval and a.survivor_id > $2
             order by a.survivor_id limit $3",
            walk.opened_at,
            after,
            AT_ONCE,
            interval(LOOKED_FOR)
        )
        .fetch_all(&mut *connection)
        .await
        .doing(FORGETTING)?;
        let Some(last) = survivors.last().cloned() else {
            return Ok(survivors);
        };
        let stored = sqlx::query_scalar!(
            "select p.id from blueconic.profiles as p where p.id = any ($1)",
            &survivors
        )
        .fetch_all(&mut *connection)
        .await
        .doing(FORGETTING)?;
        let stored: BTreeSet<String> = stored.into_iter().collect();
        survivors.retain(|id| !stored.contains(id));
        if !survivors.is_empty() {
            return Ok(survivors);
        }
        after = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::{Column, ColumnKind};

    #[test]
    fn only_history_moves() {
        const COLUMNS: &[Column] = &[
            Column::new("parent_id", ColumnKind::Text),
            Column::new("at", ColumnKind::Timestamptz),
            Column::new("text", ColumnKind::Text),
        ];
        static OTHER: Table = Table {
            name: "others",
            columns: COLUMNS,
            key: &["parent_id", "at"],
            merge: Merge::Child,
            children: &[],
        };
        static HISTORY: Table = Table {
            name: "history",
            columns: COLUMNS,
            key: &["parent_id", "at"],
            merge: Merge::ChildHistory,
            children: &[],
        };
        static PARENT: Table = Table {
            name: "parents",
            columns: COLUMNS,
            key: &["id"],
            merge: Merge::Profile,
            children: &[Child::new(&OTHER, "others"), Child::new(&HISTORY, "history")],
        };
        let moves = moves(&PARENT);
        assert_eq!(moves.len(), 1);
        let returning = r#"returning stored."parent_id" as loser, stored."at", stored."text""#;
        let statement = &moves[0].statement;
        assert!(statement.contains(returning), "{statement}");
    }

    #[test]
    fn a_chain_ends_at_its_last_id_and_a_circle_nowhere() {
        let links: BTreeMap<String, Option<String>> = [
            ("a", Some("b")),
            ("b", Some("c")),
            ("c", None),
            ("x", Some("y")),
            ("y", Some("x")),
            ("z", Some("y")),
        ]
        .map(|(id, next)| (id.to_owned(), next.map(str::to_owned)))
        .into();
        let ends = ["a", "c", "x", "z"].map(|id| end(&links, id));
        assert_eq!(ends, [Some("c"), Some("c"), None, None]);
    }
}
