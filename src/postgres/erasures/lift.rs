//! Lifts an erasure: the hashes of a person's ids are deleted, and the next walk that reads the person loads them again.

use crate::model::Time;
use crate::postgres::bigint::from_length;
use crate::postgres::erasures::erase::alone;
use crate::postgres::erasures::hash::existing;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;
use crate::postgres::{boundary, known_in_memory};

const DOING: &str = "lifting erasures";

/// What was lifted, without any id.
#[derive(Debug, Clone)]
pub struct Lifted {
    /// The time, by the database's clock.
    pub at: Time,
    /// The deleted hashes, in hexadecimal.
    pub hashes: Vec<String>,
    /// The number of given ids that were not erased.
    pub unknown: u64,
}

/// Lifts the erasure of the persons of these ids.
pub async fn lift(store: &PostgresStore, ids: &[String]) -> Result<Lifted, Error> {
    store.minutes(DOING, lift_at_once(store, ids)).await
}

async fn lift_at_once(store: &PostgresStore, ids: &[String]) -> Result<Lifted, Error> {
    let mut transaction = store.control().begin().await.doing(DOING)?;
    let at = alone(&mut transaction).await?;
    let Some(hasher) = existing(&mut transaction).await? else {
        let unknown = from_length(ids.len());
        return Ok(Lifted {
            at,
            hashes: Vec::new(),
            unknown,
        });
    };
    let given: Vec<Vec<u8>> = ids.iter().map(|id| hasher.hash(id).to_vec()).collect();
    let lifted = sqlx::query_scalar!(
        "delete from sync.erasures where person in (select person from sync.erasures where hash = any ($1))
         returning hash",
        &given
    )
    .fetch_all(&mut *transaction)
    .await
    .doing(DOING)?;
    known_in_memory::notice_all(&mut transaction).await?;
    boundary::cross("lift", DOING, transaction.commit()).await?;
    Ok(Lifted {
        at,
        unknown: from_length(given.iter().filter(|hash| !lifted.contains(hash)).count()),
        hashes: lifted.iter().map(hex::encode).collect(),
    })
}
