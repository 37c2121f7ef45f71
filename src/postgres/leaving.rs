//! What leaves the database with a row of a table: the only place that decides it, for sweeps, losers of merges, suppression
//! and erasure. Everything follows from the table's description.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::table::{Merge, Table};
use crate::postgres::changes::{ChangedTable, Changes, Reason};
use crate::postgres::error::{Doing, Error};
use crate::postgres::recorded::statements::{ALL, ARRIVED};
use crate::postgres::sql::{quoted, relation, staging};

/// A table and the columns that name an element in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its name with its schema, for messages.
    pub(crate) name: String,
    /// The quoted name, for SQL.
    relation: String,
    columns: Vec<String>,
    /// A condition that selects some of its rows; empty: all.
    among: String,
    /// Whether it holds what the tenant lists, so that the feed of changes names it.
    pub(crate) is_in_feed: bool,
}

impl Place {
    fn new(relation: impl Into<String>, columns: &[&str]) -> Self {
        let relation = relation.into();
        Self {
            name: relation.replace('"', ""),
            relation,
            columns: columns.iter().map(|column| quoted(column)).collect(),
            among: String::new(),
            is_in_feed: true,
        }
    }

    /// The rows of a table themselves.
    pub(crate) fn of_rows(table: &Table) -> Self {
        Self::new(relation(table), &[table.key[0]])
    }

    /// Deletes the rows that name one of the ids `$1`.
    pub(crate) fn delete(&self) -> String {
        if self.relation == TYPED_COLUMNS {
            return "select from sync.delete_profile_columns($1)".to_owned();
        }
        let names: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{column} = any ($1)"))
            .collect();
        format!(
            "delete from {} where {}{}",
            self.relation,
            self.among,
            names.join(" or ")
        )
    }
}

/// The first table of typed columns. Their number grows: a function of the database deletes from all of them.
const TYPED_COLUMNS: &str = "blueconic.profile_columns_1";

/// What leaves with a row of a table, the row itself first.
pub(crate) fn leaves(table: &Table) -> Vec<Place> {
    std::iter::once(Place::of_rows(table))
        .chain(below(table))
        .collect()
}

/// What leaves with a row, without the row itself; its child tables first.
fn below(table: &Table) -> Vec<Place> {
    let children = table.children.iter();
    let mut places: Vec<Place> = children
        .map(|child| Place::new(relation(child.table), &[child.parent()]))
        .collect();
    if table.merge == Merge::Profile {
        places.push(Place {
            is_in_feed: false,
            ..Place::new(TYPED_COLUMNS, &["id"])
        });
    }
    if !table.children.is_empty() && table.merge == Merge::Profile {
        places.push(Place {
            is_in_feed: false,
            among: format!("parent_table = '{}' and ", table.name),
            ..Place::new("sync.child_hashes", &["parent_id"])
        });
    }
    places
}

/// The tables that still name a row after it left. Only an erasure deletes these names.
pub(crate) fn remembers(table: &Table) -> Vec<Place> {
    match table.merge {
        Merge::Profile => {
            let columns = ["profile_id", "survivor_id"];
            let tables = ["blueconic.profile_aliases", "blueconic.profile_tombstones"];
            let histories = ALL.iter().map(|history| history.table).chain([ARRIVED]);
            let histories = histories.map(|table| Place::new(table, &["profile_id"]));
            let tables = tables.into_iter().map(|name| Place::new(name, &columns));
            tables.chain(histories).collect()
        }
        Merge::Upsert
        | Merge::OfProfile
        | Merge::Occurrence
        | Merge::Child
        | Merge::ChildHistory
        | Merge::ListedHistory => Vec::new(),
    }
}

/// The staging tables of a connection that name a row.
pub(crate) fn stages(table: &Table) -> Vec<Place> {
    let own = Place::new(staging(table), &[table.key[0]]);
    let children = table.read_children();
    let children = children.map(|child| Place::new(staging(child.table), &[child.parent()]));
    std::iter::once(own).chain(children).collect()
}

/// A statement that deletes what leaves with rows that were deleted already.
#[derive(Debug)]
pub(crate) struct DeleteBelow {
    /// Deletes what belongs to the rows `$1`.
    statement: String,
    whose: Whose,
}

/// Ids of which a table may have rows when a row of theirs leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those that had a row: the table's rows are written with it.
    Stored,
    /// Also those without a row: history waits for its profile. Where it moves to a survivor, none of it is left.
    Unmoved,
    /// As `Unmoved`, in a table from which nothing moves.
    All,
}

/// The statements that delete what leaves with rows, in the order of [`note_below`].
pub(crate) fn deletes_below(table: &Table) -> Vec<DeleteBelow> {
    let children = table.children.iter().map(|child| match child.table.merge {
        Merge::ChildHistory => Whose::Unmoved,
        Merge::ListedHistory => Whose::All,
        Merge::Upsert | Merge::Profile | Merge::OfProfile | Merge::Occurrence | Merge::Child => Whose::Stored,
    });
    let whose = children.chain(std::iter::repeat(Whose::Stored));
    let places = below(table).into_iter().zip(whose);
    places
        .map(|(place, whose)| DeleteBelow {
            statement: place.delete(),
            whose,
        })
        .collect()
}

/// The ids whose rows leave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leavers<'ids> {
    /// Those that had a row.
    pub(crate) stored: &'ids [&'ids str],
    /// Those whose history did not move to a survivor.
    pub(crate) unmoved: &'ids [&'ids str],
    /// All.
    pub(crate) all: &'ids [&'ids str],
}

/// Deletes what leaves with rows, and returns the number of rows that each statement deleted. Nothing is asked of the database for ids
/// that have nothing: over distributed tables each statement goes to all shards.
pub(crate) async fn delete_below(
    connection: &mut PgConnection,
    statements: &[DeleteBelow],
    leavers: Leavers<'_>,
    doing: &'static str,
) -> Result<Vec<u64>, Error> {
    let mut deleted = Vec::with_capacity(statements.len());
    for DeleteBelow { statement, whose } in statements {
        let ids = match whose {
            Whose::Stored => leavers.stored,
            Whose::Unmoved => leavers.unmoved,
            Whose::All => leavers.all,
        };
        deleted.push(delete_one(connection, statement, ids, doing).await?);
    }
    Ok(deleted)
}

/// Notes in which child tables rows left with their parents: `deleted` has the number of rows by table, as [`delete`] returned it. `parents`
/// are the parents that may be named; `has_unnamed` says that there were others.
pub(crate) fn note_below(
    changes: &mut Changes,
    table: &Table,
    deleted: &[u64],
    parents: &[&str],
    has_unnamed: bool,
) {
    let children = table.children.iter().zip(deleted);
    for (child, _) in children.filter(|(_, rows)| **rows > 0) {
        changes.removed(
            ChangedTable::of(child.table),
            Reason::ParentRemoved,
            parents.iter().copied(),
        );
        if has_unnamed {
            changes.erased(child.table.name);
        }
    }
}

/// Runs statements over ids, and returns the number of rows that each of them deleted.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    statements: &[String],
    ids: &[&str],
    doing: &'static str,
) -> Result<Vec<u64>, Error> {
    let mut deleted = Vec::with_capacity(statements.len());
    for statement in statements {
        deleted.push(delete_one(connection, statement, ids, doing).await?);
    }
    Ok(deleted)
}

async fn delete_one(
    connection: &mut PgConnection,
    statement: &str,
    ids: &[&str],
    doing: &'static str,
) -> Result<u64, Error> {
    if ids.is_empty() {
        return Ok(0);
    }
    let gone = sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .execute(connection)
        .await
        .doing(doing)?;
    Ok(gone.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::Child;

    const fn table(name: &'static str, key: &'static [&'static str], children: &'static [Child]) -> Table {
        Table {
            name,
            columns: &[],
            key,
            merge: Merge::Profile,
            children,
        }
    }

    #[test]
    fn what_leaves_follows_from_the_description() {
        static CHILD: Table = table("things", &["parent_id", "id"], &[]);
        static PARENT: Table = table("parents", &["id"], &[Child::new(&CHILD, "things")]);
        let of = |table| {
            let places = leaves(table);
            places.iter().map(Place::delete).collect::<Vec<_>>()
        };
        assert_eq!(
            of(&PARENT),
            [
                r#"delete from blueconic."parents" where "id" = any ($1)"#,
                r#"delete from blueconic."things" where "parent_id" = any ($1)"#,
                "select from sync.delete_profile_columns($1)",
                r#"delete from sync.child_hashes where parent_table = 'parents' and "parent_id" = any ($1)"#,
            ]
        );
        let without = table("parents", &["id"], &[]);
        assert_eq!(
            statements(&without),
            ["select from sync.delete_profile_columns($1)"]
        );
        let lists = Table {
            merge: Merge::Upsert,
            ..PARENT
        };
        assert_eq!((leaves(&lists).len(), remembers(&lists).len()), (2, 0));
        assert_eq!(remembers(&PARENT).len(), 3 + ALL.len());
        let childless = Table {
            merge: Merge::Upsert,
            ..without
        };
        assert_eq!(statements(&childless), Vec::<String>::new());
    }

    fn statements(table: &Table) -> Vec<String> {
        let deletes = deletes_below(table).into_iter();
        deletes.map(|delete| delete.statement).collect()
    }

    #[test]
    fn only_history_may_be_there_without_its_row() {
        const fn child(merge: Merge) -> Table {
            Table {
                merge,
                ..table("things", &["parent_id", "id"], &[])
            }
        }
        static WRITTEN_WITH: Table = child(Merge::Child);
        static OF_ITS_OWN: Table = child(Merge::OfProfile);
        static HISTORY: Table = child(Merge::ChildHistory);
        static LISTED: Table = child(Merge::ListedHistory);
        static PARENT: Table = table(
            "parents",
            &["id"],
            &[
                Child::new(&WRITTEN_WITH, "one"),
                Child::new(&OF_ITS_OWN, "two"),
                Child::new(&HISTORY, "three"),
                Child::new(&LISTED, "four"),
            ],
        );
        let whose: Vec<Whose> = deletes_below(&PARENT).iter().map(|delete| delete.whose).collect();
        let (stored, unmoved, all) = (Whose::Stored, Whose::Unmoved, Whose::All);
        assert_eq!(whose, [stored, stored, unmoved, all, stored, stored]);
    }
}
