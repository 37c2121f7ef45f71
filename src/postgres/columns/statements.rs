//! The SQL that writes typed columns: rows of `profile_columns_N` beside the rows of `profiles`, in the same transaction, under the
//! lock on the profile's row.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::Time;
use crate::model::batch::Batch;
use crate::model::property_columns::{FIXED_COLUMNS, PropertyColumns, ValueKind};
use crate::model::rows::Rows;
use crate::postgres::copy;
use crate::postgres::error::{Doing, Error};
use crate::postgres::sql::{SYNCED_AT, quoted};
use crate::postgres::staging;

const STAGING: &str = "staging typed columns";
const WRITING: &str = "writing typed columns";
const REMOVING: &str = "removing typed columns";

/// The statements for one version of the columns.
#[derive(Debug)]
pub(crate) struct ColumnStatements {
    /// The version.
    pub(crate) version: i64,
    tables: Vec<TableStatements>,
    /// The staged values of identifiers; none if no property is one.
    identifiers: Option<String>,
}

/// The statements for one table.
#[derive(Debug)]
struct TableStatements {
    staging_name: String,
    create_staging: String,
    /// Copies rows into staging.
    copy: String,
    /// Copies rows directly into the table; the last column is the current time.
    copy_direct: String,
    /// Inserts or updates the staged rows of the profiles `$2`, and deletes those of the others; `$1` is the current time.
    merge: String,
}

/// The name of a table of typed columns.
pub(crate) fn table_name(number: usize) -> String {
    format!("blueconic.profile_columns_{number}")
}

/// The table of identifiers.
pub(crate) const IDENTIFIERS: &str = "blueconic.profile_identifiers";

/// The type of a column in SQL.
pub(crate) fn sql_type(kind: ValueKind, is_all: bool) -> String {
    format!("{}{}", kind.as_str(), if is_all { "[]" } else { "" })
}

impl TableStatements {
    fn of(columns: &PropertyColumns, index: usize) -> Self {
        let fixed = if index == 0 {
            &FIXED_COLUMNS[..]
        } else {
            &FIXED_COLUMNS[..1]
        };
        let fixed = fixed
            .iter()
            .map(|(name, kind)| (quoted(name), (*kind).to_owned()));
        let own = columns.tables[index].iter();
        let own = own.map(|column| (quoted(&column.name), sql_type(column.kind, column.is_all)));
        let all: Vec<(String, String)> = fixed.chain(own).collect();
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let typed: Vec<String> = all.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        let assignments: Vec<String> = names
            .iter()
            .skip(1)
            .chain([&SYNCED_AT])
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        let (table, names) = (table_name(index + 1), names.join(", "));
        let staging_name = format!("pg_temp.staged_profile_columns_{}_{}", index + 1, columns.version);
        // Beyond the first table, a profile without a value has no row.
        let without = if index == 0 {
            String::new()
        } else {
            format!(
                "with staged as materialized (select id from {staging_name}),
                 without as (
                   delete from {table} as stored where stored.id = any ($2::text[])
                     and not exists (select from staged where staged.id = stored.id)
                 )
                 "
            )
        };
        Self {
            create_staging: format!("create temporary table {staging_name} ({})", typed.join(", ")),
            copy: format!("copy {staging_name} ({names}) from stdin (format binary)"),
            copy_direct: format!("copy {table} ({names}, {SYNCED_AT}) from stdin (format binary)"),
            merge: format!(
                "{without}insert into {table} ({names}, {SYNCED_AT})
                 select {names}, $1::timestamptz from {staging_name}
                 where id = any ($2::text[]) order by id collate \"C\"
                 on conflict (id) do update set {}",
                assignments.join(", ")
            ),
            staging_name,
        }
    }
}

impl ColumnStatements {
    /// The statements for these columns.
    pub(crate) fn of(columns: &PropertyColumns) -> Self {
        let tables = 0..columns.tables.len();
        Self {
            version: columns.version,
            tables: tables.map(|index| TableStatements::of(columns, index)).collect(),
            identifiers: (!columns.identifiers.is_empty())
                .then(|| format!("pg_temp.staged_profile_identifiers_{}", columns.version)),
        }
    }

    /// Creates the staging tables, or empties them.
    pub(crate) async fn prepare(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let tables = self.tables.iter();
        let tables = tables.map(|table| (&table.staging_name, table.create_staging.clone()));
        let identifiers = self.identifiers.iter().map(|name| {
            let columns =
                "property_id text collate \"C\", value text collate \"C\", profile_id text collate \"C\"";
            (name, format!("create temporary table {name} ({columns})"))
        });
        for (name, create) in tables.chain(identifiers) {
            staging::prepare_one(connection, name, &create).await?;
        }
        Ok(())
    }

    fn staging_names(&self) -> impl Iterator<Item = &str> {
        let tables = self.tables.iter().map(|table| &table.staging_name);
        tables.chain(&self.identifiers).map(String::as_str)
    }

    /// Drops the staging tables: another version takes their place.
    pub(crate) async fn drop(&self, connection: &mut PgConnection) -> Result<(), Error> {
        for name in self.staging_names() {
            staging::run(connection, &format!("drop table if exists {name}")).await?;
        }
        Ok(())
    }

    /// Empties the staging tables; `all`: frees their space as well.
    pub(crate) async fn clear(&self, connection: &mut PgConnection, all: bool) -> Result<(), Error> {
        let how = if all { "truncate" } else { "delete from" };
        for name in self.staging_names() {
            staging::run(connection, &format!("{how} {name}")).await?;
        }
        Ok(())
    }

    /// The tables in which the profiles have rows, with these rows.
    fn with_tuples<'rows>(
        &self,
        rows: &'rows Rows,
    ) -> impl Iterator<Item = (&TableStatements, impl Iterator<Item = &'rows [u8]>)> {
        self.tables.iter().enumerate().filter_map(|(index, table)| {
            let mut tuples = rows.tuples_beside(index).peekable();
            tuples.peek().is_some().then_some((table, tuples))
        })
    }

    /// Copies what stands beside the rows into staging.
    pub(crate) async fn stage(&self, connection: &mut PgConnection, rows: &Rows) -> Result<(), Error> {
        for (table, tuples) in self.with_tuples(rows) {
            let sent = copy::send_with_runs(&mut *connection, &table.copy, tuples, None);
            sent.await.doing(STAGING)?;
        }
        if let Some(name) = &self.identifiers {
            let statement =
                format!("copy {name} (property_id, value, profile_id) from stdin (format binary)");
            let tuples = rows.tuples_beside_from(self.tables.len());
            let sent = copy::send(connection, &statement, tuples);
            sent.await.doing(STAGING)?;
        }
        Ok(())
    }

    /// Merges the staged rows of the profiles that this transaction wrote.
    pub(crate) async fn merge(
        &self,
        connection: &mut PgConnection,
        written: &[&str],
        now: Time,
    ) -> Result<(), Error> {
        for table in &self.tables {
            sqlx::query(AssertSqlSafe(table.merge.as_str()))
                .bind(now)
                .bind(written)
                .execute(&mut *connection)
                .await
                .doing(WRITING)?;
        }
        let Some(name) = &self.identifiers else {
            return remove_identifiers(connection, written).await;
        };
        let statement = format!(
            "with incoming as materialized (
               select s.profile_id, s.property_id, s.value from {name} as s where s.profile_id = any ($2::text[])
             ),
             gone as (
               delete from {IDENTIFIERS} as stored
               where stored.profile_id = any ($2) and not exists (
                 select from incoming as i
                 where i.profile_id = stored.profile_id and i.property_id = stored.property_id and i.value = stored.value
               )
             )
             insert into {IDENTIFIERS} (property_id, value, profile_id, synced_at)
             select i.property_id, i.value, i.profile_id, $1::timestamptz from incoming as i
             order by i.profile_id collate \"C\", i.property_id collate \"C\", i.value collate \"C\"
             on conflict (profile_id, property_id, value) do nothing"
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(now)
            .bind(written)
            .execute(connection)
            .await
            .doing(WRITING)?;
        Ok(())
    }

    /// Copies what stands beside the rows directly into the tables. No profile has a row in them.
    pub(crate) async fn insert(
        &self,
        connection: &mut PgConnection,
        rows: &Rows,
        now: Time,
    ) -> Result<(), Error> {
        for (table, tuples) in self.with_tuples(rows) {
            let sent = copy::send_with_runs(&mut *connection, &table.copy_direct, tuples, Some(now));
            sent.await.doing(WRITING)?;
        }
        if self.identifiers.is_some() {
            let statement = format!(
                "copy {IDENTIFIERS} (property_id, value, profile_id, {SYNCED_AT}) from stdin (format binary)"
            );
            let tuples = rows.tuples_beside_from(self.tables.len());
            let sent = copy::send_with_times(
                connection,
                &statement,
                tuples.map(|tuple| (tuple, Some(now))),
                None,
            );
            sent.await.doing(WRITING)?;
        }
        Ok(())
    }
}

/// Removes the identifiers of profiles where no property is one any more.
async fn remove_identifiers(connection: &mut PgConnection, written: &[&str]) -> Result<(), Error> {
    let statement = format!("delete from {IDENTIFIERS} where profile_id = any ($1)");
    sqlx::query(AssertSqlSafe(statement))
        .bind(written)
        .execute(connection)
        .await
        .doing(REMOVING)?;
    Ok(())
}

/// What a load does with typed columns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BesideColumns<'load> {
    /// There are none.
    None,
    /// It writes them.
    Write(&'load ColumnStatements),
    /// It has none, and its rows lose those that another process wrote: they would be those of an earlier reading.
    Remove {
        /// Whether other processes still write them, and have to fill in what leaves.
        are_on: bool,
    },
}

impl<'load> BesideColumns<'load> {
    /// What follows from the columns of a batch and the stored version, which is negative while they are off.
    pub(crate) fn of(
        batch: &Batch,
        stored: i64,
        prepared: Option<&'load ColumnStatements>,
    ) -> Result<Self, Error> {
        if batch.rows.is_empty() {
            return Ok(Self::None);
        }
        match &batch.columns {
            Some(columns) => prepared
                .filter(|prepared| prepared.version == columns.version && stored == columns.version)
                .map(Self::Write)
                .ok_or(Error::ColumnsChanged),
            None if stored == NEVER_ON => Ok(Self::None),
            None => Ok(Self::Remove { are_on: stored >= 0 }),
        }
    }

    /// After a merge: for the profiles that it wrote.
    pub(crate) async fn merge(
        self,
        connection: &mut PgConnection,
        written: &[&str],
        now: Time,
    ) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            _ if written.is_empty() => Ok(()),
            Self::Write(columns) => columns.merge(connection, written, now).await,
            Self::Remove { are_on } => remove(connection, written, are_on).await,
        }
    }

    /// After new profiles were copied into the table.
    pub(crate) async fn insert(
        self,
        connection: &mut PgConnection,
        rows: &Rows,
        now: Time,
    ) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Write(columns) => columns.insert(connection, rows, now).await,
            Self::Remove { are_on } => remove(connection, &rows.ids().collect::<Vec<_>>(), are_on).await,
        }
    }
}

/// The version while the columns are off and have never been on.
const NEVER_ON: i64 = -1;

async fn remove(connection: &mut PgConnection, written: &[&str], are_on: bool) -> Result<(), Error> {
    sqlx::query!("select sync.delete_profile_columns($1)", written as &[&str])
        .fetch_all(&mut *connection)
        .await
        .doing(REMOVING)?;
    if are_on {
        sqlx::query!(
            "update sync.column_layout set fill_after = '', fill_properties = null
             where fill_after is distinct from '' or fill_properties is not null"
        )
        .execute(connection)
        .await
        .doing(REMOVING)?;
    }
    Ok(())
}
