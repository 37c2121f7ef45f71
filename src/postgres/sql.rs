//! The parts of generated SQL. Names come from table descriptions; values are always parameters.

use crate::model::table::{ColumnKind, Merge, Table};

/// The column of all tables that no decoder fills.
pub(crate) const SYNCED_AT: &str = "synced_at";

/// The name of a table with its schema.
pub(crate) fn relation(table: &Table) -> String {
    format!("blueconic.{}", quoted(table.name))
}

/// The name of a table's staging table.
pub(crate) fn staging(table: &Table) -> String {
    format!("pg_temp.staged_{}", table.name)
}

/// The columns that a decoder fills, each with a prefix.
pub(crate) fn names(table: &Table, prefix: &str) -> String {
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("{prefix}{}", quoted(column.name)))
        .collect();
    names.join(", ")
}

/// The columns of the key.
pub(crate) fn key(table: &Table) -> String {
    let names: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

/// The key for `order by`; text is compared bytewise, whatever the staging table's collation.
pub(crate) fn key_in_order(table: &Table) -> String {
    let kind = |name: &str| {
        table
            .columns
            .iter()
            .find(|column| column.name == name)
            .map(|column| column.kind)
    };
    let terms: Vec<String> = table
        .key
        .iter()
        .map(|name| format!("{}{}", quoted(name), kind(name).map_or("", collation)))
        .collect();
    terms.join(", ")
}

/// The id under which a walk saw the element of a row: the first column of the key. In a list with a listing for each parent it is
/// the parent's id with the element's.
pub(crate) fn element_id(table: &Table, prefix: &str) -> String {
    match (table.merge, table.key) {
        (Merge::Upsert, [parent, id]) => {
            format!(
                "({prefix}{} || E'\\x1f' || {prefix}{})",
                quoted(parent),
                quoted(id)
            )
        }
        (_, key) => format!("{prefix}{}", quoted(key[0])),
    }
}

/// The column whose values name rows in the feed of changes: the key's only column, or the parent's key in a child table. None: the key
/// has several columns.
pub(crate) fn key_column(table: &Table) -> Option<&'static str> {
    match (table.merge, table.key) {
        (Merge::Child | Merge::ChildHistory | Merge::ListedHistory, [name, ..]) | (_, [name]) => Some(name),
        _ => None,
    }
}

/// The name of a row in the feed of changes, as SQL: [`key_column`], or all columns of the key as a JSON object.
pub(crate) fn change_key(table: &Table, prefix: &str) -> String {
    if let Some(name) = key_column(table) {
        return format!("{prefix}{}", quoted(name));
    }
    let kind = |name: &str| {
        table
            .columns
            .iter()
            .find(|column| column.name == name)
            .map(|column| column.kind)
    };
    let member = |name: &&str| {
        let value = format!("{prefix}{}", quoted(name));
        match kind(name) {
            // The form of bytes in JSON would follow `bytea_output`.
            Some(ColumnKind::Bytea) => format!("'{name}', '\\x' || encode({value}, 'hex')"),
            _ => format!("'{name}', {value}"),
        }
    };
    let members: Vec<String> = table.key.iter().map(member).collect();
    format!("jsonb_build_object({})::text", members.join(", "))
}

/// Quotes a name, since some names are SQL keywords (`precision`).
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The collation of a column's type: text is ordered bytewise.
pub(crate) const fn collation(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => " collate \"C\"",
        _ => "",
    }
}

/// The type of a column.
pub(crate) const fn sql_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::TextArray => "text[]",
        ColumnKind::Bigint => "bigint",
        ColumnKind::Int => "integer",
        ColumnKind::Bool => "boolean",
        ColumnKind::Timestamptz => "timestamptz",
        ColumnKind::Date => "date",
        ColumnKind::Jsonb => "jsonb",
        ColumnKind::Bytea => "bytea",
    }
}

/// The empty value of a `not null` column.
pub(crate) const fn nothing(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::TextArray | ColumnKind::Jsonb => "'{}'",
        ColumnKind::Bytea => "''",
        _ => "null",
    }
}

/// Creates the staging table of a table, with the further columns `more`. It has no key and no constraint, since a batch has each
/// key once and in order, and the table itself checks the rest.
pub(crate) fn create_staging(table: &Table, more: &[&str]) -> String {
    let own = table.columns.iter().map(|column| {
        let (name, kind) = (quoted(column.name), column.kind);
        format!("{name} {}{}", sql_type(kind), collation(kind))
    });
    let more = more.iter().map(|column| (*column).to_owned());
    let columns: Vec<String> = own.chain(more).collect();
    format!(
        "create temporary table {} ({})",
        staging(table),
        columns.join(", ")
    )
}

/// The start of an upsert, up to its `where`. `$1` is the current time, `more` are further columns. The time is a column of the
/// rows, since the assignments of a distributed table may only use `excluded`.
pub(crate) fn insert_or_update(table: &Table, more: &[&str], incoming: &str) -> String {
    let own = table.columns.iter();
    let own = own.filter(|column| !table.key.contains(&column.name));
    let further = more.iter().copied().chain([SYNCED_AT]);
    let assignments: Vec<String> = own
        .map(|column| quoted(column.name))
        .chain(further.map(str::to_owned))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let columns: Vec<String> = std::iter::once(names(table, ""))
        .chain(more.iter().map(|name| (*name).to_owned()))
        .collect();
    format!(
        "insert into {name} as stored ({columns}, {SYNCED_AT})
           select {columns}, $1::timestamptz from ({incoming}) as incoming order by {order}
           on conflict ({key}) do update set {assignments}",
        name = relation(table),
        columns = columns.join(", "),
        order = key_in_order(table),
        key = key(table),
        assignments = assignments.join(", "),
    )
}
