//! The typed columns of profile properties: which column of which table holds the values of which property.

use std::sync::Arc;

use super::Time;
use super::personal_data::Treatment;

/// The columns of the first table before those of properties, with their types; every other table has the first of them.
pub const FIXED_COLUMNS: [(&str, &str); 6] = [
    ("id", "text"),
    ("created_at", "timestamptz"),
    ("modified_at", "timestamptz"),
    ("privacy_legislation", "text"),
    ("permission_level", "text"),
    ("problems", "text[]"),
];

/// The typed columns in one version. A load by another version than the stored one is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyColumns {
    /// Grows with each change.
    pub version: i64,
    /// Whether the views put a profile's properties together from the columns and `profiles.properties`, which may so leave out what the
    /// columns hold.
    pub has_rest: bool,
    /// The columns of each table `profile_columns_N`, in order; N is the index plus one.
    pub tables: Vec<Vec<PropertyColumn>>,
    /// The properties whose values are written into `profile_identifiers`.
    pub identifiers: Vec<String>,
}

impl PropertyColumns {
    /// All columns with the index of their table and their place in it.
    pub fn all(&self) -> impl Iterator<Item = (usize, usize, &PropertyColumn)> {
        let tables = self.tables.iter().enumerate();
        tables.flat_map(|(table, columns)| {
            let columns = columns.iter().enumerate();
            columns.map(move |(place, column)| (table, place, column))
        })
    }
}

/// A column for the values of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyColumn {
    /// Its name.
    pub name: String,
    /// The id of the property.
    pub property: String,
    /// The type of a value.
    pub kind: ValueKind,
    /// Whether it is an array of all values, null where there are fewer than two. Otherwise it holds the first value that is not null.
    pub is_all: bool,
}

/// The types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueKind {
    /// `text`
    Text,
    /// `bigint`
    Bigint,
    /// `numeric`
    Numeric,
    /// `timestamptz`
    Timestamptz,
}

impl ValueKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Bigint, Self::Numeric, Self::Timestamptz];

    /// The type of a property with this filter type at the tenant.
    pub fn of_filter_type(filter_type: Option<&str>) -> Self {
        match filter_type {
            Some("DATETIME") => Self::Timestamptz,
            Some("RANGE") => Self::Bigint,
            Some("DECIMAL" | "CURRENCY") => Self::Numeric,
            _ => Self::Text,
        }
    }

    /// The type with this name in SQL.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The oid of the type, which is the same in all releases of PostgreSQL.
    pub const fn oid(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Bigint => 20,
            Self::Numeric => 1700,
            Self::Timestamptz => 1184,
        }
    }

    /// The name of the type in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bigint => "bigint",
            Self::Numeric => "numeric",
            Self::Timestamptz => "timestamptz",
        }
    }
}

/// What typed columns a run wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedColumns {
    /// Whether loads write typed columns.
    pub are_on: bool,
    /// The properties that get columns; empty: all that the tenant lists.
    pub properties: Vec<String>,
    /// Whether `profiles.properties` leaves out what the columns hold.
    pub stores_rest: bool,
    /// What becomes of values: a hashed one is a text, and a dropped property gets no column.
    pub treatment: Arc<Treatment>,
}

/// A stored profile whose typed columns are to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProfile {
    /// Its id.
    pub id: String,
    /// The columns of its row that the first table of typed columns has, too.
    pub created_at: Option<Time>,
    /// The same.
    pub modified_at: Option<Time>,
    /// The same.
    pub privacy_legislation: Option<String>,
    /// The same.
    pub permission_level: Option<String>,
    /// All its properties as JSON: each id with an array of texts and nulls.
    pub properties: String,
    /// The hash over the content of its row: if it is another one by now, a load has written the columns.
    pub content: [u8; 16],
}

/// What a run finds of the typed columns.
#[derive(Debug, Default)]
pub struct Brought {
    /// The columns that its loads write; none: none.
    pub columns: Option<Arc<PropertyColumns>>,
    /// What is postponed, as a sentence.
    pub postponed: Option<String>,
}

/// Profiles whose columns are to be filled.
#[derive(Debug)]
pub struct FillRange {
    /// The profiles, in the order of their ids.
    pub profiles: Vec<StoredProfile>,
    /// The id up to which the columns are filled then; none: it is the last range.
    pub until: Option<String>,
}
