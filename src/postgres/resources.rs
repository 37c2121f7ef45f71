//! `sync.resources`: the resources of this program, for the view `freshness`.

use sqlx::{PgExecutor, PgPool};

use crate::model::description::{Description, Reading, Registry};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};

/// A row of `sync.resources`, in the order of the registry.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    has_watermark: bool,
    by_default: bool,
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
        }
    }
}

/// Whether the resources of a registry are recorded, and no others.
pub(crate) async fn are_recorded(of: impl PgExecutor<'_>, registry: Registry) -> Result<bool, Error> {
    let stored = sqlx::query_as!(
        Row,
        "select name, has_watermark, by_default from sync.resources order by place"
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
    let write = sqlx::query!(
        "with gone as (delete from sync.resources where name <> all ($1::text[]))
         insert into sync.resources (name, place, has_watermark, by_default)
         select known.name, known.place, known.has_watermark, known.by_default
         from unnest($1::text[], $2::boolean[], $3::boolean[])
           with ordinality as known (name, has_watermark, by_default, place)
         on conflict (name) do update set
           place = excluded.place, has_watermark = excluded.has_watermark, by_default = excluded.by_default",
        &names,
        &watermarks,
        &defaults
    )
    .execute(pool);
    boundary::cross("resources", "recording the resources", write).await?;
    Ok(())
}
