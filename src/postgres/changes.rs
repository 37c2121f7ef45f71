//! The feed of changes (`sync.changes`, which readers see as `blueconic.changes`). A transaction collects what it changes, and one
//! statement writes it down: a row for each table, operation and reason, with the keys of the rows. While the feed is off, nothing
//! is collected.

use std::borrow::Cow;
use std::collections::HashSet;

use sqlx::PgConnection;

use crate::model::Time;
use crate::model::table::Table;
use crate::postgres::error::{Doing, Error};
use crate::postgres::sql::key_column;

const RECORDING: &str = "writing the feed of changes";
const FORGETTING: &str = "taking erased persons out of the feed of changes";

/// A table as the feed names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChangedTable {
    name: &'static str,
    /// The column whose values are the keys; none: a key is a JSON object of several columns.
    key_column: Option<&'static str>,
}

impl ChangedTable {
    pub(crate) const AUDIT_EVENTS: Self = Self {
        name: "audit_events",
        key_column: None,
    };
    pub(crate) const PROFILES: Self = Self {
        name: "profiles",
        key_column: Some("id"),
    };
    pub(crate) const ALIASES: Self = Self::of_profiles("profile_aliases");
    pub(crate) const TOMBSTONES: Self = Self::of_profiles("profile_tombstones");

    const fn of_profiles(name: &'static str) -> Self {
        Self {
            name,
            key_column: Some("profile_id"),
        }
    }

    /// A table of a description.
    pub(crate) fn of(table: &Table) -> Self {
        Self {
            name: table.name,
            key_column: key_column(table),
        }
    }
}

/// Why a row left, or changed otherwise than by what the tenant lists: `blueconic.changes.reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    Deleted,
    Merged,
    OutOfScope,
    NotListed,
    Returned,
    Renamed,
    Erased,
    ParentRemoved,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Merged => "merged",
            Self::OutOfScope => "out_of_scope",
            Self::NotListed => "not_listed",
            Self::Returned => "returned",
            Self::Renamed => "renamed",
            Self::Erased => "erased",
            Self::ParentRemoved => "parent_removed",
        }
    }
}

#[derive(Debug)]
struct Change {
    table: Cow<'static, str>,
    key_column: Option<&'static str>,
    operation: &'static str,
    reason: Option<Reason>,
    /// None: the rows may not be named.
    keys: Option<Vec<String>>,
}

const INSERTED: &str = "inserted";
const UPDATED: &str = "updated";
const REMOVED: &str = "removed";

/// The changes of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    is_on: bool,
    found: Vec<Change>,
    /// Ids that earlier changes may not name any more.
    withdrawn: Vec<String>,
}

impl Changes {
    /// Collects changes, or nothing while the feed is off.
    pub(crate) fn collect(is_on: bool) -> Self {
        Self {
            is_on,
            ..Self::default()
        }
    }

    /// Collects the changes of a transaction that holds the lock of loads.
    pub(crate) async fn begin(connection: &mut PgConnection) -> Result<Self, Error> {
        let is_on = sqlx::query_scalar!(r#"select sync.records_changes() as "records_changes!""#)
            .fetch_one(connection)
            .await
            .doing(RECORDING)?;
        Ok(Self::collect(is_on))
    }

    pub(crate) fn inserted<K: Into<String>>(
        &mut self,
        table: ChangedTable,
        keys: impl IntoIterator<Item = K>,
    ) {
        self.add(table, INSERTED, None, keys);
    }

    pub(crate) fn updated<K: Into<String>>(
        &mut self,
        table: ChangedTable,
        reason: Option<Reason>,
        keys: impl IntoIterator<Item = K>,
    ) {
        self.add(table, UPDATED, reason, keys);
    }

    pub(crate) fn removed<K: Into<String>>(
        &mut self,
        table: ChangedTable,
        reason: Reason,
        keys: impl IntoIterator<Item = K>,
    ) {
        self.add(table, REMOVED, Some(reason), keys);
    }

    fn add<K: Into<String>>(
        &mut self,
        table: ChangedTable,
        operation: &'static str,
        reason: Option<Reason>,
        keys: impl IntoIterator<Item = K>,
    ) {
        if !self.is_on {
            return;
        }
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        if keys.is_empty() {
            return;
        }
        self.found.push(Change {
            table: Cow::Borrowed(table.name),
            key_column: table.key_column,
            operation,
            reason,
            keys: Some(keys),
        });
    }

    /// Rows of erased persons are gone: nothing may name them any more. Whoever follows the feed compares all of the table's keys.
    pub(crate) fn erased(&mut self, table: impl Into<Cow<'static, str>>) {
        if self.is_on {
            self.found.push(Change {
                table: table.into(),
                key_column: None,
                operation: REMOVED,
                reason: Some(Reason::Erased),
                keys: None,
            });
        }
    }

    /// Takes ids out of earlier changes as well: whoever was merged into an erased person is that person.
    pub(crate) fn withdraw(&mut self, ids: &[&str]) {
        if self.is_on {
            self.withdrawn.extend(ids.iter().map(|id| (*id).to_owned()));
        }
    }

    /// Takes back that rows were inserted: this transaction has removed them again.
    pub(crate) fn not_inserted(&mut self, table: ChangedTable, keys: &HashSet<&str>) {
        for change in &mut self.found {
            if change.table == table.name
                && change.operation == INSERTED
                && let Some(inserted) = &mut change.keys
            {
                inserted.retain(|key| !keys.contains(key.as_str()));
            }
        }
        self.found
            .retain(|change| change.keys.as_ref().is_none_or(|keys| !keys.is_empty()));
    }

    /// Writes them down, before the transaction's commit. `now` is the time of its rows.
    pub(crate) async fn record(&self, connection: &mut PgConnection, now: Time) -> Result<(), Error> {
        if !self.withdrawn.is_empty() {
            withdraw(&mut *connection, &self.withdrawn).await?;
        }
        if self.found.is_empty() {
            return Ok(());
        }
        let tables: Vec<&str> = self.found.iter().map(|change| change.table.as_ref()).collect();
        let operations: Vec<&str> = self.found.iter().map(|change| change.operation).collect();
        let reasons = self.found.iter().map(|change| change.reason.map(Reason::as_str));
        let columns = self.found.iter().map(|change| change.key_column);
        let all = self.found.iter().flat_map(|change| &change.keys).flatten();
        let (first, last) = self.places();
        sqlx::query!(
            r#"insert into sync.changes (table_name, operation, reason, key_column, keys, changed_at)
               select c.table_name, c.operation, c.reason, c.key_column,
                 case when c.first_key is not null then ($7::text[])[c.first_key : c.last_key] end, $8
               from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[]) with ordinality
                 as c (table_name, operation, reason, key_column, first_key, last_key, place)
               order by c.place"#,
            &tables as &[&str],
            &operations as &[&str],
            &reasons.collect::<Vec<_>>() as &[Option<&str>],
            &columns.collect::<Vec<_>>() as &[Option<&str>],
            &first as &[Option<i32>],
            &last as &[Option<i32>],
            &all.map(String::as_str).collect::<Vec<&str>>() as &[&str],
            now
        )
        .execute(connection)
        .await
        .doing(RECORDING)?;
        Ok(())
    }

    /// The first and the last place of the keys of each change among all keys, from 1.
    fn places(&self) -> (Vec<Option<i32>>, Vec<Option<i32>>) {
        let mut next: i32 = 1;
        let places = self.found.iter().map(|change| {
            let Some(keys) = &change.keys else {
                return (None, None);
            };
            let first = next;
            next += i32::try_from(keys.len()).unwrap_or(i32::MAX);
            (Some(first), Some(next - 1))
        });
        places.unzip()
    }
}

/// Takes the ids of erased persons out of the feed, and returns the number of its rows that named one.
pub(crate) async fn withdraw(connection: &mut PgConnection, ids: &[String]) -> Result<u64, Error> {
    let changed = sqlx::query!(
        "update sync.changes as c set keys = array(
           select k.value from unnest(c.keys) with ordinality as k (value, place) where k.value <> all ($1) order by k.place
         )
         where c.keys && $1",
        ids
    )
    .execute(connection)
    .await
    .doing(FORGETTING)?;
    Ok(changed.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: ChangedTable = ChangedTable::ALIASES;

    #[test]
    fn each_change_finds_its_keys_among_all_of_them() {
        let mut changes = Changes::collect(true);
        changes.inserted(TABLE, ["a", "b"]);
        changes.updated(TABLE, None, Vec::<String>::new());
        changes.erased("profiles");
        changes.removed(TABLE, Reason::Merged, ["c"]);
        let places = (vec![Some(1), None, Some(3)], vec![Some(2), None, Some(3)]);
        assert_eq!(changes.places(), places);
    }

    #[test]
    fn a_row_that_left_in_the_transaction_that_brought_it_never_came() {
        let mut changes = Changes::collect(true);
        changes.inserted(TABLE, ["a", "b"]);
        changes.inserted(ChangedTable::TOMBSTONES, ["a"]);
        changes.not_inserted(TABLE, &HashSet::from(["a"]));
        let keys: Vec<_> = changes.found.iter().map(|change| change.keys.clone()).collect();
        assert_eq!(keys, [Some(vec!["b".to_owned()]), Some(vec!["a".to_owned()])]);
        changes.not_inserted(TABLE, &HashSet::from(["b"]));
        assert_eq!(changes.found.len(), 1);
    }

    #[test]
    fn while_the_feed_is_off_nothing_is_collected() {
        let mut changes = Changes::collect(false);
        changes.inserted(TABLE, ["a"]);
        changes.erased("profiles");
        assert!(changes.found.is_empty());
    }
}
