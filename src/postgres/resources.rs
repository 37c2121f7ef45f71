//! `sync.resources`: the resources of this program, for the views `freshness` and `data_dictionary`.

use sqlx::{PgExecutor, PgPool};

use crate::model::description::{Description, Reading, Registry};
use crate::model::table::Table;
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};

/// A row of `sync.resources`, in the order of the registry.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    has_watermark: bool,
    by_default: bool,
    /// Where the columns of its tables come from, one line each: table, column, path of the listing, place in an element.
    fields: String,
}

impl Row {
    fn of(description: &Description) -> Self {
        Self {
            name: description.name().to_owned(),
            has_watermark: match description.reading {
                // A resumed walk has several runs.
                Reading::List(list) => list.by_cursor,
                Reading::Walk(()) | Reading::Feed(()) => true,
            },
            by_default: description.is_by_default(),
            fields: fields(description),
        }
    }
}

fn fields(description: &Description) -> String {
    let own = fields_of(description.table, description.path, "");
    // Rows without a source of their own come from another resource.
    let children = description
        .table
        .children
        .iter()
        .filter(|child| !child.source.is_empty());
    let children = children.flat_map(|child| fields_of(child.table, description.path, child.source));
    own.into_iter().chain(children).collect::<Vec<_>>().join("\n")
}

/// The lines of one table, whose rows come from the items of `array`; empty: from the elements themselves.
fn fields_of(table: &Table, path: &str, array: &str) -> Vec<String> {
    let columns = table.columns.iter().filter(|column| !column.source.is_empty());
    let line = |source: &str| {
        if array.is_empty() {
            source.to_owned()
        } else {
            format!("{array}[].{source}")
        }
    };
    columns
        .map(|column| format!("{} {} {path} {}", table.name, column.name, line(column.source)))
        .collect()
}

/// Whether the resources of a registry are recorded, and no others.
pub(crate) async fn are_recorded(of: impl PgExecutor<'_>, registry: Registry) -> Result<bool, Error> {
    let stored = sqlx::query_as!(
        Row,
        "select name, has_watermark, by_default, fields from sync.resources order by place"
    )
    .fetch_all(of)
    .await
    .doing("reading the recorded resources")?;
    Ok(stored == rows(registry))
}

fn rows(registry: Registry) -> Vec<Row> {
    registry.iter().map(Row::of).collect()
}

/// Records the resources of a registry in place of those recorded before. Writes nothing if they are the same.
pub(crate) async fn record(pool: &PgPool, registry: Registry) -> Result<(), Error> {
    if are_recorded(pool, registry).await? {
        return Ok(());
    }
    let wanted = rows(registry);
    let names: Vec<String> = wanted.iter().map(|row| row.name.clone()).collect();
    let watermarks: Vec<bool> = wanted.iter().map(|row| row.has_watermark).collect();
    let defaults: Vec<bool> = wanted.iter().map(|row| row.by_default).collect();
    let fields: Vec<String> = wanted.iter().map(|row| row.fields.clone()).collect();
    let write = sqlx::query!(
        "with gone as (delete from sync.resources where name <> all ($1::text[]))
         insert into sync.resources (name, place, has_watermark, by_default, fields)
         select known.name, known.place, known.has_watermark, known.by_default, known.fields
         from unnest($1::text[], $2::boolean[], $3::boolean[], $4::text[])
           with ordinality as known (name, has_watermark, by_default, fields, place)
         on conflict (name) do update set
           place = excluded.place, has_watermark = excluded.has_watermark, by_default = excluded.by_default,
           fields = excluded.fields",
        &names,
        &watermarks,
        &defaults,
        &fields
    )
    .execute(pool);
    boundary::cross("resources", "recording the resources", write).await?;
    Ok(())
}
