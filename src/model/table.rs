//! What a table looks like to the layers between decoding and loading: names, column types, key, merge rule, and the tables
//! whose rows belong to its rows.

/// A table in the schema `blueconic` that is filled through staging and merge.
#[derive(Debug)]
pub struct Table {
    /// Its name without the schema, which is also the resource's name.
    pub name: &'static str,
    /// The columns that a decoded row brings, in order; `synced_at` is not among them (the merge sets it).
    pub columns: &'static [Column],
    /// The primary key.
    pub key: &'static [&'static str],
    /// How staged rows come into it.
    pub merge: Merge,
    /// The tables whose rows belong to a row of this one. They are loaded with it and leave with it.
    pub children: &'static [Child],
}

/// A table whose rows belong to the rows of another one, its parent.
#[derive(Debug)]
pub struct Child {
    /// The table. Its first column holds the parent's key and is the first of its own key; its rule is [`Merge::Child`].
    pub table: &'static Table,
    /// Where its rows stand in the parent's element: the path of an array of objects. Its columns have their sources in these.
    pub source: &'static str,
}

impl Child {
    /// The column that holds the parent's key.
    pub const fn parent(&self) -> &'static str {
        self.table.key[0]
    }
}

/// One column of a [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
    /// Where its value stands in the element, as a path such as `creator.userName`; empty where the decoder makes it.
    pub source: &'static str,
    /// What it means, as the database says it.
    pub comment: &'static str,
}

impl Column {
    /// A column by name and type.
    pub const fn new(name: &'static str, kind: ColumnKind) -> Self {
        Self {
            name,
            kind,
            source: "",
            comment: "",
        }
    }

    /// The same, with where its value stands in the element.
    #[must_use]
    pub const fn from(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    /// The same, with what it means.
    #[must_use]
    pub const fn meaning(self, comment: &'static str) -> Self {
        Self { comment, ..self }
    }
}

/// The types that rows are made of; [`crate::model::rows`] writes each in PostgreSQL's binary format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// `text`
    Text,
    /// `text[]`
    TextArray,
    /// `bigint`
    Bigint,
    /// `integer`
    Int,
    /// `boolean`
    Bool,
    /// `timestamptz`
    Timestamptz,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
}

/// How staged rows come into a table. `postgres::merge` has one function for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Insert, or update when a column differs. For the lists, which have one reader at a time.
    Upsert,
    /// As `Upsert`, judged by `content_hash` and by which reading is the later one, with aliases, tombstones and the walk's
    /// seen ids in the same transaction.
    Profile,
    /// Insert what is missing; a row is never changed. For audit events.
    Occurrence,
    /// Of each parent whose children differ: delete the rows that it no longer has, insert or update the rows that differ. For
    /// child tables.
    Child,
}
