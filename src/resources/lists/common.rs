//! What most plain lists have in common: columns, and the form of the table.

use crate::model::table::ColumnKind::{Bool, Jsonb, Text, TextArray, Timestamptz};
use crate::model::table::{Column, Merge, Table};

pub(super) const ID: Column = Column::new("id", Text)
    .from("id")
    .comment("Its id at the tenant.");
pub(super) const NAME: Column = Column::new("name", Text).from("name").comment("Its name.");
pub(super) const DESCRIPTION: Column = Column::new("description", Text)
    .from("description")
    .comment("Its description.");
pub(super) const TAGS: Column = Column::new("tags", TextArray)
    .from("tags")
    .comment("Its tags; empty when there are none.");
pub(super) const ENABLED: Column = Column::new("enabled", Bool)
    .from("isEnabled")
    .comment("Whether it is switched on.");
pub(super) const CREATOR: Column = Column::new("creator", Text)
    .from("creator.userName")
    .comment("User name of the person who made it.");
pub(super) const CREATED_AT: Column = Column::new("created_at", Timestamptz)
    .from("creationDate")
    .comment("When it was made at the tenant.");
pub(super) const MODIFIED_AT: Column = Column::new("modified_at", Timestamptz)
    .from("lastModifiedDate")
    .comment("When it was last changed at the tenant.");
pub(super) const BODY: Column = Column::new("body", Jsonb)
    .rest()
    .comment("What came beside the other columns, by the tenant's names.");

/// What most tables have in common.
pub(super) const TABLE: Table = Table {
    name: "",
    columns: &[],
    key: &["id"],
    merge: Merge::Upsert,
    children: &[],
};
