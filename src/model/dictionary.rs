//! The data dictionary as plain data: what each table and view for analysts holds, column by column.

/// The tables and views, sorted by name, and which of them have a row in `blueconic.freshness`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary {
    /// The tables and views.
    pub relations: Vec<Relation>,
    /// The resources in `blueconic.freshness`.
    pub resources: Vec<String>,
}

/// A table or a view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relation {
    /// Its name in the schema `blueconic`.
    pub name: String,
    /// `table` or `view`.
    pub kind: String,
    /// What it holds.
    pub description: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in PostgreSQL.
    pub type_name: String,
    /// Whether it may be null; none for a view.
    pub is_nullable: Option<bool>,
    /// Whether it is of the primary key.
    pub is_key: bool,
    /// What it holds.
    pub description: String,
    /// The table whose rows it names, and the column of that table.
    pub joins: Option<(String, String)>,
    /// The path of the tenant's API, and the place of the value in an element of its listing.
    pub source: Option<(String, String)>,
    /// The profile property that it holds.
    pub property: Option<String>,
    /// Whether that is personal data: `PII` or `NON_PII`.
    pub data_sensitivity: Option<String>,
}

impl Relation {
    /// The columns of its primary key.
    pub fn key(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.is_key)
    }
}
