//! The views over typed columns, and the function that deletes from their tables.

use std::fmt::Write as _;

use crate::model::property_columns::{FIXED_COLUMNS, ValueKind};
use crate::postgres::sql::{SYNCED_AT, quoted};

use super::catalogue::{CatalogueColumn, MOST_COLUMNS};
use super::statements::{IDENTIFIERS, sql_type, table_name};

/// The tables behind one view: 1,500 columns of properties. PostgreSQL's bound is 1,664 in a query, 1,600 in a table.
const TABLES_OF_A_VIEW: usize = 1_500 / MOST_COLUMNS;
/// The most pairs in one `jsonb_build_object`: a function has at most 100 arguments.
const PAIRS: usize = 50;

/// The number of the view that shows a table.
fn view_of(table_number: usize) -> usize {
    (table_number - 1) / TABLES_OF_A_VIEW + 1
}

/// The name of a view.
pub(crate) fn view_name(number: usize) -> String {
    match number {
        1 => "blueconic.profiles_wide".to_owned(),
        number => format!("blueconic.profiles_wide_{number}"),
    }
}

/// The name of the view that shows a column.
pub(crate) fn view_of_column(column: &CatalogueColumn) -> String {
    view_name(view_of(column.table_number))
}

/// The version of what [`make`] makes; the views of an earlier one are made anew.
pub(crate) const VIEWS_VERSION: i32 = 2;

/// Makes the views and the functions for these columns, in the order of their places. Only columns at the end of a view are new, so
/// that nothing that depends on it breaks. `has_rest`: `profiles.properties` may lack what the columns hold. `is_apart`: the tables are
/// distributed. Another one of these statements for the same columns is another [`VIEWS_VERSION`].
pub(crate) fn make(columns: &[CatalogueColumn], has_rest: bool, is_apart: bool) -> Vec<String> {
    let tables = columns.iter().map(|one| one.table_number).max().unwrap_or(1);
    let mut statements: Vec<String> = (1..=view_of(tables))
        .map(|number| view(number, tables, columns))
        .collect();
    if has_rest {
        statements.extend((1..=tables).map(|number| json_of_table(number, columns)));
        statements.push(json(tables, |number| {
            if is_apart {
                object(number, columns, &format!("c{number}"))
            } else {
                format!("sync.profile_columns_json(c{number})")
            }
        }));
    }
    statements.push(delete(tables));
    statements
}

fn view(number: usize, tables: usize, columns: &[CatalogueColumn]) -> String {
    let first = (number - 1) * TABLES_OF_A_VIEW + 1;
    let last = tables.min(number * TABLES_OF_A_VIEW);
    let fixed: Vec<String> = if number == 1 {
        let names = FIXED_COLUMNS.iter().map(|(name, _)| *name);
        names
            .chain([SYNCED_AT])
            .map(|name| format!("c1.{name}"))
            .collect()
    } else {
        vec!["c1.id".to_owned()]
    };
    let own = columns.iter().filter(|one| view_of(one.table_number) == number);
    let own = own.map(|one| {
        let name = quoted(&one.column.name);
        if one.is_listed {
            format!("c{}.{name}", one.table_number)
        } else {
            format!("null::{} as {name}", sql_type(one.column.kind, one.column.is_all))
        }
    });
    let all: Vec<String> = fixed.into_iter().chain(own).collect();
    format!(
        "create or replace view {} as select {} from {} as c1{}",
        view_name(number),
        all.join(", "),
        table_name(1),
        joins(first.max(2), last, "c1")
    )
}

fn joins(first: usize, last: usize, with: &str) -> String {
    let mut joins = String::new();
    for number in first..=last {
        let _ = write!(
            joins,
            " left join {} as c{number} on c{number}.id = {with}.id",
            table_name(number)
        );
    }
    joins
}

/// All properties of each profile as they came, whatever `properties` leaves out of them. Of two tables, the later one has the array.
/// `object`: what a table has of them. A function says it, since another column then changes no view that readers may hold; but a node
/// has no function for a row of its shards.
fn json(tables: usize, object: impl Fn(usize) -> String) -> String {
    let objects: Vec<String> = (1..=tables)
        .map(|number| format!("({}) || ", object(number)))
        .collect();
    format!(
        "create or replace view blueconic.profiles_json as select p.id, {}p.properties as properties from blueconic.profiles as p{}",
        objects.concat(),
        joins(1, tables, "p")
    )
}

/// A function from a row of a table to its properties as JSON. Another column changes the function and not the view.
fn json_of_table(number: usize, columns: &[CatalogueColumn]) -> String {
    format!(
        "create or replace function sync.profile_columns_json(c {}) returns jsonb
         language sql stable parallel safe return {}",
        table_name(number),
        object(number, columns, "(c)")
    )
}

/// The properties that the row `row` of a table holds, as JSON.
fn object(number: usize, columns: &[CatalogueColumn], row: &str) -> String {
    // Of several columns of one form, the oldest is read.
    let is_read = |one: &&CatalogueColumn| {
        let alike = |other: &&CatalogueColumn| {
            other.column.property == one.column.property && other.column.is_all == one.column.is_all
        };
        columns.iter().find(alike).map(|oldest| oldest.place) == Some(one.place)
    };
    let own: Vec<&CatalogueColumn> = columns
        .iter()
        .filter(|one| one.table_number == number)
        .filter(is_read)
        .collect();
    let pair = |(place, one): (usize, &&CatalogueColumn)| {
        let same = |other: &&&CatalogueColumn| other.column.property == one.column.property;
        if own[..place].iter().any(|other| same(&other)) {
            return None;
        }
        let mut forms: Vec<&&CatalogueColumn> = own.iter().filter(same).collect();
        forms.sort_by_key(|form| !form.column.is_all);
        let cases: Vec<String> = forms.into_iter().map(|form| case(form, row)).collect();
        Some(format!(
            "{}, case{} end",
            literal(&one.column.property),
            cases.concat()
        ))
    };
    let pairs: Vec<String> = own.iter().enumerate().filter_map(pair).collect();
    let objects: Vec<String> = pairs
        .chunks(PAIRS)
        .map(|pairs| format!("jsonb_strip_nulls(jsonb_build_object({}))", pairs.join(", ")))
        .collect();
    if objects.is_empty() {
        "'{}'::jsonb".to_owned()
    } else {
        objects.join(" || ")
    }
}

/// The array of a property's values where its column holds any.
fn case(form: &CatalogueColumn, row: &str) -> String {
    let name = format!("{row}.{}", quoted(&form.column.name));
    let values = if form.column.is_all {
        all_values(form.column.kind, &name)
    } else {
        one_value(form.column.kind, &name)
    };
    format!(" when {name} is not null then {values}")
}

fn one_value(kind: ValueKind, name: &str) -> String {
    format!("jsonb_build_array({})", shown(kind, name))
}

fn all_values(kind: ValueKind, name: &str) -> String {
    format!(
        "(select jsonb_agg({} order by one.place) from unnest({name}) with ordinality as one (value, place))",
        shown(kind, "one.value")
    )
}

/// A value as the text from which it was made, where it holds it exactly.
fn shown(kind: ValueKind, value: &str) -> String {
    match kind {
        ValueKind::Text => value.to_owned(),
        ValueKind::Bigint | ValueKind::Numeric => format!("{value}::text"),
        ValueKind::Timestamptz => format!("(extract(epoch from {value}) * 1000)::bigint::text"),
    }
}

/// The function that deletes profiles from all tables.
fn delete(tables: usize) -> String {
    let mut body = format!("delete from {IDENTIFIERS} as stored where stored.profile_id = any ($1);\n");
    for number in (2..=tables).rev() {
        let _ = writeln!(
            body,
            "delete from {} as stored where stored.id = any ($1);",
            table_name(number)
        );
    }
    format!(
        "create or replace function sync.delete_profile_columns(ids text[]) returns setof text
         language sql volatile set search_path = pg_catalog, pg_temp
         as $$ {body} delete from {} as stored where stored.id = any ($1) returning stored.id; $$",
        table_name(1)
    )
}

/// A text as a literal in SQL.
pub(crate) fn literal(text: &str) -> String {
    let quotes = text.replace('\'', "''");
    if text.contains('\\') {
        format!(" E'{}'", quotes.replace('\\', "\\\\"))
    } else {
        format!("'{quotes}'")
    }
}
