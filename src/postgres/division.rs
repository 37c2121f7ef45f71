//! Divides a large table into parts by its ids, so that the ids that a walk saw fit into memory part by part.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::table::Table;
use crate::postgres::counts;
use crate::postgres::error::{Doing, Error};
use crate::postgres::sql::{quoted, relation};

/// Rows of one part, about: their hashes take 16 MB.
const PART_ROWS: u64 = 2_000_000;
/// Ids of the sample for each part, so that the largest part is hardly larger than the others.
const SAMPLED: u64 = 100;

/// The first ids of all parts but the first one; none for a table that is one part.
pub(crate) async fn of(connection: &mut PgConnection, table: &Table) -> Result<Vec<String>, Error> {
    let rows = counts::rows_estimated(&mut *connection, table).await?;
    let parts = rows.div_ceil(PART_ROWS);
    if parts < 2 {
        return Ok(Vec::new());
    }
    let sample = sample(connection, table, rows, parts * SAMPLED).await?;
    Ok(divided(&sample, parts))
}

/// About so many ids of rows of a table, in order.
async fn sample(
    connection: &mut PgConnection,
    table: &Table,
    rows: u64,
    wanted: u64,
) -> Result<Vec<String>, Error> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of a sample: roughly is enough"
    )]
    let percent = (wanted as f64 / rows as f64 * 100.0).min(100.0);
    let id = quoted(table.key[0]);
    let statement = format!(
        "select {id} from {} tablesample system ($1) order by {id}",
        relation(table)
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(percent)
        .fetch_all(connection)
        .await
        .doing("dividing a table into parts")
}

/// The bounds of so many parts by a sorted sample. A bound need not be an id of the table: the shortest text that separates two
/// ids of the sample says nothing of a person.
fn divided(sample: &[String], parts: u64) -> Vec<String> {
    let parts = usize::try_from(parts).unwrap_or(usize::MAX);
    let mut bounds: Vec<String> = (1..parts)
        .filter_map(|part| {
            let place = sample.len() * part / parts;
            let before = sample.get(place.checked_sub(1)?)?;
            Some(shortest_between(before, sample.get(place)?).to_owned())
        })
        .collect();
    bounds.dedup();
    bounds
}

/// The shortest start of `id` that is greater than `before`; all of it where there is none.
fn shortest_between<'id>(before: &str, id: &'id str) -> &'id str {
    let ends = id
        .char_indices()
        .map(|(place, character)| place + character.len_utf8());
    let mut starts = ends.map(|end| &id[..end]);
    starts.find(|start| *start > before).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_about_equal_and_bounds_are_short() {
        let ids: Vec<String> = (0..1000)
            .map(|number| format!("{:08x}", number * 4_000_000_u32))
            .collect();
        let bounds = divided(&ids, 4);
        assert_eq!(bounds.len(), 3);
        assert!(
            bounds.is_sorted() && bounds.iter().all(|bound| bound.len() <= 4),
            "{bounds:?}"
        );
        let first = ids.iter().filter(|id| **id < bounds[0]).count();
        assert!((240..=260).contains(&first), "{first}");
    }

    #[test]
    fn a_sample_of_few_or_equal_ids_divides_as_far_as_it_can() {
        assert_eq!(divided(&[], 4), Vec::<String>::new());
        let same = vec!["a".to_owned(); 10];
        assert_eq!(divided(&same, 4), ["a"]);
        assert_eq!(shortest_between("ab", "abc"), "abc");
        assert_eq!(shortest_between("ü", "üa"), "üa");
        assert_eq!(shortest_between("a", "üa"), "ü");
    }
}
