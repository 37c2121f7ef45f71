//! Letting an erased person come back: the hashes go, and the next walk that meets them brings what the tenant still has.

use crate::model::Time;
use crate::postgres::bigint::from_length;
use crate::postgres::erasures::erase::alone;
use crate::postgres::erasures::hash::{existing, stand_in};
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;
use crate::postgres::{boundary, known_in_memory, seen};

const DOING: &str = "lifting erasures";

/// What was lifted, without an id.
#[derive(Debug, Clone)]
pub struct Lifted {
    /// When, by the database's clock.
    pub at: Time,
    /// The hashes that are no longer kept, in hexadecimal.
    pub hashes: Vec<String>,
    /// How many of the given ids were not erased.
    pub unknown: u64,
}

/// Lifts the erasure of the persons that these ids were.
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
    // An open walk that has met the person would count them twice if it met them again.
    let stand_ins: Vec<String> = ids.iter().map(|id| stand_in(&hasher.hash(id))).collect();
    seen::rename(&mut transaction, &stand_ins, ids).await?;
    known_in_memory::notice_all(&mut transaction).await?;
    boundary::cross("lift", DOING, transaction.commit()).await?;
    Ok(Lifted {
        at,
        unknown: from_length(given.iter().filter(|hash| !lifted.contains(hash)).count()),
        hashes: lifted.iter().map(hex::encode).collect(),
    })
}
