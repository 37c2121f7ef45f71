//! The description of a table for decoding and loading: names, column types, key, merge rule, and child tables.

/// A table in the schema `blueconic` that is filled through staging and merge.
#[derive(Debug)]
pub struct Table {
    /// Its name without the schema, which is also the resource's name.
    pub name: &'static str,
    /// The columns of a decoded row, in order, without `synced_at`, which the merge sets.
    pub columns: &'static [Column],
    /// The primary key.
    pub key: &'static [&'static str],
    /// The merge rule of staged rows.
    pub merge: Merge,
    /// The tables whose rows belong to a row of this one. Those that are read are loaded with it; all leave with it.
    pub children: &'static [Child],
}

impl Table {
    /// The child tables that are loaded with a row. Rows of the others come from a time when the settings had them read.
    pub fn read_children(&self) -> impl Iterator<Item = &'static Child> {
        self.children.iter().filter(|child| child.is_read)
    }

    /// Whether any child table is loaded with a row.
    pub fn reads_children(&self) -> bool {
        self.read_children().next().is_some()
    }

    /// Whether a row may leave rows in child tables that move to its survivor.
    pub fn keeps_history(&self) -> bool {
        self.children
            .iter()
            .any(|child| child.table.merge == Merge::ChildHistory)
    }
}

/// A table whose rows belong to the rows of another one, its parent.
#[derive(Debug)]
pub struct Child {
    /// The table. Its first column holds the parent's key and is the first of its own key; its rule is [`Merge::Child`],
    /// [`Merge::ChildHistory`] or [`Merge::ListedHistory`], or [`Merge::OfProfile`] for rows that a resource of their own brings.
    pub table: &'static Table,
    /// The path of its rows in the parent's element: an array of objects. The sources of its columns are paths within such an object.
    /// Empty: the rows come from elsewhere.
    pub source: &'static str,
    /// The index, among the children that are read, of the table with the gaps of this one. It records items that cannot be
    /// stored, which otherwise make the whole element a reject, and arrays that may be cut off.
    pub gaps: Option<usize>,
    /// Whether the settings have it read.
    pub is_read: bool,
}

impl Child {
    /// A child table that is read from an array, without gaps.
    pub const fn new(table: &'static Table, source: &'static str) -> Self {
        Self {
            table,
            source,
            gaps: None,
            is_read: true,
        }
    }

    /// The column that holds the parent's key.
    pub const fn parent(&self) -> &'static str {
        self.table.key[0]
    }
}

/// The source of a column that holds, as an object, all members of an element that no other column holds as a whole.
pub const REST: &str = "*";

/// One column of a [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
    /// The path of its value in the element, such as `creator.userName`; empty if the decoder computes the value; [`REST`] for the
    /// members that no other column holds as a whole.
    pub source: &'static str,
    /// The comment on the column in the database.
    pub comment: &'static str,
    /// Whether the value is an array of `{id, values}`, which becomes an object: each id with its values.
    pub keyed: bool,
}

impl Column {
    /// A column by name and type.
    pub const fn new(name: &'static str, kind: ColumnKind) -> Self {
        Self {
            name,
            kind,
            source: "",
            comment: "",
            keyed: false,
        }
    }

    /// The same with the path of its value.
    #[must_use]
    pub const fn from(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    /// The same with all members that no other column holds as a whole.
    #[must_use]
    pub const fn rest(self) -> Self {
        self.from(REST)
    }

    /// The same for an array of `{id, values}`.
    #[must_use]
    pub const fn keyed(self) -> Self {
        Self { keyed: true, ..self }
    }

    /// The same with its comment.
    #[must_use]
    pub const fn comment(self, comment: &'static str) -> Self {
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
    /// `date`
    Date,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
}

/// The merge rules of staged rows. `postgres::merge` has one function for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Insert, or update if a column differs. For lists, which only one run at a time reads.
    Upsert,
    /// As `Upsert`, but compares `content_hash` and keeps the later reading; aliases, tombstones and the walk's seen ids are
    /// written in the same transaction.
    Profile,
    /// As `Upsert`, for rows that belong to profiles: the row of a profile that is not stored is left out. The table has one row for each
    /// profile at most.
    OfProfile,
    /// Insert what is missing; a row is never changed. For audit events.
    Occurrence,
    /// Of each parent whose children differ: delete the rows that it no longer has, insert or update the rows that differ. For
    /// child tables.
    Child,
    /// As `Child`, but a row that the parent no longer has stays, and where parents merge, the loser's rows move to the survivor. The
    /// table is partitioned by month of the timestamp in its key. For child tables that are kept beyond the tenant's horizon.
    ChildHistory,
    /// As `Child`, with the partitions of `ChildHistory`. Where the reading of the parent has a gap ([`Child::gaps`]), no row leaves:
    /// the rows that did not come may be in the gap. For what `ChildHistory` would keep and a setting does not want kept.
    ListedHistory,
}
