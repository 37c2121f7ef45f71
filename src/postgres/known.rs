//! Compares elements with the table of profiles before they are decoded. Only differing elements are returned, so an unchanged
//! batch returns nothing.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::batch::{Fingerprint, Known};
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::Statements;
use crate::postgres::profiles::Contents;

pub(crate) const LOOKING: &str = "looking for known profiles";

/// The answers of the database.
pub(crate) struct LookedUp {
    /// The answer for each element.
    pub(crate) known: Vec<Known>,
    /// The source hashes of the rows that differ from their elements; not told for a table with children.
    pub(crate) differing: Vec<[u8; 16]>,
}

/// Looks up all elements, and adds the content hashes of stored rows to `contents`.
///
/// The first statement reads the source hashes, for which the index is enough; the second one reads the wide rows of the elements
/// that differ. A row may change between them: whatever is written compares its content again, under the lock on it. Both name the
/// ids in one array, so that a distributed table asks for each id where it is.
pub(crate) async fn look_up(
    connection: &mut PgConnection,
    sql: &Statements,
    prints: &[Fingerprint],
    contents: &mut HashMap<String, Contents>,
) -> Result<LookedUp, Error> {
    let (sources, meanings) = sql.known();
    let ids: Vec<&str> = prints.iter().map(|print| print.id.as_str()).collect();
    let stored: Vec<(String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(sources))
        .bind(ids)
        .fetch_all(&mut *connection)
        .await
        .doing(LOOKING)?;
    let stored: HashMap<&str, &[u8]> = stored
        .iter()
        .map(|(id, source)| (id.as_str(), source.as_slice()))
        .collect();
    let differing: Vec<(&str, &[u8])> = prints
        .iter()
        .filter_map(|print| {
            let (id, source) = stored.get_key_value(print.id.as_str())?;
            (*source != print.source.as_slice()).then_some((*id, *source))
        })
        .collect();
    let found = read_contents(connection, meanings, &differing).await?;
    let known = prints.iter().map(|print| match stored.get(print.id.as_str()) {
        Some(source) if *source == print.source.as_slice() => Known::Same,
        Some(_) => found
            .get(&print.id)
            .map_or(Known::Absent, |(content, children)| Known::Differs {
                content: *content,
                children: *children,
            }),
        None => Known::Absent,
    });
    let known = known.collect();
    contents.extend(found);
    let sources = differing.iter().filter(|_| sql.hashes.is_none());
    Ok(LookedUp {
        known,
        differing: sources
            .filter_map(|(_, source)| (*source).try_into().ok())
            .collect(),
    })
}

/// The content hashes of the rows that differ, and of their children.
async fn read_contents(
    connection: &mut PgConnection,
    statement: &str,
    differing: &[(&str, &[u8])],
) -> Result<HashMap<String, Contents>, Error> {
    if differing.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<&str> = differing.iter().map(|(id, _)| *id).collect();
    let rows: Vec<(String, Vec<u8>, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(ids)
        .fetch_all(connection)
        .await
        .doing(LOOKING)?;
    // This program writes no hash of another length; zeros equal no content, and are the hash without children.
    let hash = |bytes: Vec<u8>| bytes.try_into().unwrap_or([0; 16]);
    Ok(rows
        .into_iter()
        .map(|(id, content, children)| (id, (hash(content), hash(children))))
        .collect())
}
