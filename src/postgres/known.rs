//! What the table of profiles knows of elements, asked for before they are decoded. Only what differs comes back: in an
//! unchanged batch nothing.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::batch::{Fingerprint, Known};
use crate::model::children::{CHILDLESS, ChildHash};
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::Statements;
use crate::postgres::profiles::Contents;

pub(crate) const LOOKING: &str = "looking for known profiles";

/// Asks for all, and adds to `contents` what stored ones mean.
pub(crate) async fn look_up(
    connection: &mut PgConnection,
    sql: &Statements,
    prints: &[Fingerprint],
    contents: &mut HashMap<String, Contents>,
) -> Result<Vec<Known>, Error> {
    let ids: Vec<&str> = prints.iter().map(|print| print.id.as_str()).collect();
    let hashes: Vec<&[u8]> = prints.iter().map(|print| print.source.as_slice()).collect();
    let mut answer = Answer {
        known: vec![Known::Same; prints.len()],
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
    Ok(answer.known)
}

/// The index alone tells, and only what a row with other bytes means is read from the wide rows.
async fn without_children(
    connection: &mut PgConnection,
    ids: &[&str],
    hashes: &[&[u8]],
    answer: &mut Answer<'_>,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"select asked.place as "place!",
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
        answer.note(row.place, row.content_hash, CHILDLESS);
    }
    Ok(())
}

/// What is known of each element.
struct Answer<'load> {
    known: Vec<Known>,
    prints: &'load [Fingerprint],
    contents: &'load mut HashMap<String, Contents>,
}

impl Answer<'_> {
    /// Notes an element whose bytes are not those of the stored row: its place, and what the row and its children mean, if it
    /// is there.
    fn note(&mut self, place: i64, content: Option<Vec<u8>>, children: ChildHash) {
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        let (Some(known), Some(print)) = (self.known.get_mut(place), self.prints.get(place)) else {
            return;
        };
        *known = match content {
            Some(content) => {
                // A hash of another length was never ours: zeros equal no content.
                let content = content.try_into().unwrap_or([0; 16]);
                self.contents.insert(print.id.clone(), (content, children));
                Known::Differs { content, children }
            }
            None => Known::Absent,
        };
    }
}
