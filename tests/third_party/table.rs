//! Holds a row of a table against the JSON that it should say, column by column, with none left out.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Row as _};

/// What a column must hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Text(Option<String>),
    Texts(Vec<String>),
    Bigint(Option<i64>),
    Int(Option<i32>),
    Bool(Option<bool>),
    Date(Option<DateTime<Utc>>),
    Json(Value),
    /// No JSON.
    NoJson,
    /// The service's own, of any value but null.
    Own,
}

impl Cell {
    /// A text; absent is null.
    pub(crate) fn text(value: &Value) -> Self {
        Self::Text(value.as_str().map(str::to_owned))
    }

    /// An array of texts; absent is empty.
    pub(crate) fn texts(value: &Value) -> Self {
        let texts = value.as_array().into_iter().flatten();
        Self::Texts(texts.map(|text| text.as_str().unwrap().to_owned()).collect())
    }

    /// The same where only membership counts.
    pub(crate) fn set(value: &Value) -> Self {
        let Self::Texts(mut texts) = Self::texts(value) else {
            unreachable!()
        };
        texts.sort_unstable();
        Self::Texts(texts)
    }

    /// A date in ISO 8601.
    pub(crate) fn date(value: &Value) -> Self {
        Self::Date(value.as_str().map(|text| text.parse().unwrap()))
    }

    fn read(&self, row: &PgRow, column: &str) -> Self {
        match self {
            Self::Text(_) => Self::Text(row.try_get(column).unwrap()),
            Self::Texts(_) => Self::Texts(row.try_get(column).unwrap()),
            Self::Bigint(_) => Self::Bigint(row.try_get(column).unwrap()),
            Self::Int(_) => Self::Int(row.try_get(column).unwrap()),
            Self::Bool(_) => Self::Bool(row.try_get(column).unwrap()),
            Self::Date(_) => Self::Date(row.try_get(column).unwrap()),
            Self::Json(_) | Self::NoJson => {
                let json: Option<Value> = row.try_get(column).unwrap();
                json.map_or(Self::NoJson, Self::Json)
            }
            Self::Own => {
                let value = row.try_get_raw(column).unwrap();
                assert!(!sqlx::ValueRef::is_null(&value), "`{column}` is null");
                Self::Own
            }
        }
    }
}

/// One expected row: columns and what they must hold.
pub(crate) type Expected = Vec<(&'static str, Cell)>;

/// Makes sure that `query` returns exactly these rows, in this order, with exactly these columns.
pub(crate) async fn assert_rows(database: &PgPool, query: &str, expected: &[Expected]) {
    let rows = sqlx::query(AssertSqlSafe(query))
        .fetch_all(database)
        .await
        .unwrap();
    assert_eq!(rows.len(), expected.len(), "rows of {query}");
    for (row, expected) in rows.iter().zip(expected) {
        let mut columns: Vec<&str> = row.columns().iter().map(sqlx::Column::name).collect();
        let mut named: Vec<&str> = expected.iter().map(|(column, _)| *column).collect();
        columns.sort_unstable();
        named.sort_unstable();
        assert_eq!(columns, named, "columns of {query}");
        for (column, cell) in expected {
            assert_eq!(&cell.read(row, column), cell, "`{column}` in {query}");
        }
    }
}
