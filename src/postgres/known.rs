//! Compares elements with the table of profiles before they are decoded. Only differing elements are returned, so an unchanged
//! batch returns nothing.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::batch::{Fingerprint, Known};
use crate::model::children::{CHILDLESS, ChildHash};
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
pub(crate) async fn look_up(
    connection: &mut PgConnection,
    sql: &Statements,
    prints: &[Fingerprint],
    contents: &mut HashMap<String, Contents>,
) -> Result<LookedUp, Error> {
    let ids: Vec<&str> = prints.iter().map(|print| print.id.as_str()).collect();
    let hashes: Vec<&[u8]> = prints.iter().map(|print| print.source.as_slice()).collect();
    let mut answer = Answer {
        looked_up: LookedUp {
            known: vec![Known::Same; prints.len()],
            differing: Vec::new(),
        },
        prints,
        contents,
    };
    match &sql.hashes {
        Some(of_children) => {
            let rows: Vec<(i64, Option<Vec<u8>>, Vec<u8>)> =
                sqlx::query_as(AssertSqlSafe(of_children.known.as_str()))
                    .bind(ids)
                    .bind(hashes)
                    .fetch_all(connection)
                    .await
                    .doing(LOOKING)?;
            for (place, content, children) in rows {
                answer.note(place, content, children.try_into().unwrap_or(CHILDLESS));
            }
        }
        None => without_children(connection, &ids, &hashes, &mut answer).await?,
    }
    Ok(answer.looked_up)
}

/// Looks up elements in the index alone; the wide rows are read only for the content hashes of rows with other bytes.
async fn without_children(
    connection: &mut PgConnection,
    ids: &[&str],
    hashes: &[&[u8]],
    answer: &mut Answer<'_>,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"select asked.place as "place!", stored.source_hash as "source_hash?",
                 case when stored.source_hash is not null then
                   (select row.content_hash from blueconic.profiles as row where row.id = asked.id)
                 end as content_hash
               from unnest($1::text[], $2::bytea[]) with ordinality as asked (id, source_hash, place)
               left join blueconic.profiles as stored on stored.id = asked.id
               where stored.source_hash is distinct from asked.source_hash"#,
        ids as &[&str],
        hashes as &[&[u8]]
    )
    .fetch_all(connection)
    .await
    .doing(LOOKING)?;
    for row in rows {
        let source = row.source_hash.map(<[u8; 16]>::try_from);
        answer.looked_up.differing.extend(source.and_then(Result::ok));
        answer.note(row.place, row.content_hash, CHILDLESS);
    }
    Ok(())
}

/// The answer for each element.
struct Answer<'load> {
    looked_up: LookedUp,
    prints: &'load [Fingerprint],
    contents: &'load mut HashMap<String, Contents>,
}

impl Answer<'_> {
    /// Notes an element whose bytes differ from the stored row: its place, and the content hashes of the row and its children, if
    /// there is a row.
    fn note(&mut self, place: i64, content: Option<Vec<u8>>, children: ChildHash) {
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        let (Some(known), Some(print)) = (self.looked_up.known.get_mut(place), self.prints.get(place)) else {
            return;
        };
        *known = match content {
            Some(content) => {
                // This program writes no hash of another length; zeros equal no content.
                let content = content.try_into().unwrap_or([0; 16]);
                self.contents.insert(print.id.clone(), (content, children));
                Known::Differs { content, children }
            }
            None => Known::Absent,
        };
    }
}
