//! Re-seals all rows of `sync.tokens` in one transaction, for `rotate-key`. The caller knows the keys.

use std::time::{Duration, Instant};

use crate::model::fault::Outcome;
use crate::model::tokens::{Sealed, TokenName};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const DOING: &str = "sealing the tokens anew";
/// How often to check whether token requests have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Passes each sealed row to `anew`, which returns the new bytes, or none to keep the row. Changes all rows or none;
/// returns the number of changed rows. Waits up to `patience` for token requests, whose results are sealed with the old
/// key.
pub async fn reseal(
    store: &PostgresStore,
    patience: Duration,
    mut anew: impl FnMut(&TokenName, &Sealed) -> Outcome<Option<Sealed>>,
) -> Outcome<usize> {
    let began = Instant::now();
    loop {
        if let Some(changed) = try_once(store, &mut anew).await? {
            return Ok(changed);
        }
        if began.elapsed() > patience {
            return Err(Error::TokenBusy.into());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Re-seals all rows; none while a token request is open.
async fn try_once(
    store: &PostgresStore,
    anew: &mut impl FnMut(&TokenName, &Sealed) -> Outcome<Option<Sealed>>,
) -> Outcome<Option<usize>> {
    let mut transaction = store.control().begin().await.doing(DOING)?;
    let rows = sqlx::query!(
        r#"select tenant, client_id, grant_type, key_id, ciphertext,
             coalesce(refreshing_until > sync.clock(), false) as "busy!"
           from sync.tokens order by tenant, client_id, grant_type for update"#
    )
    .fetch_all(&mut *transaction)
    .await
    .doing(DOING)?;
    if rows.iter().any(|row| row.busy) {
        return Ok(None);
    }
    let mut changed = 0;
    for row in rows {
        let (Some(key_id), Some(ciphertext)) = (row.key_id, row.ciphertext) else {
            continue;
        };
        let name = TokenName {
            tenant: row.tenant,
            client_id: row.client_id,
            grant_type: row.grant_type,
        };
        let Some((key_id, ciphertext)) = anew(&name, &(key_id, ciphertext))? else {
            continue;
        };
        sqlx::query!(
            "update sync.tokens set key_id = $4, ciphertext = $5
             where tenant = $1 and client_id = $2 and grant_type = $3",
            name.tenant,
            name.client_id,
            name.grant_type,
            key_id,
            ciphertext
        )
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
        changed += 1;
    }
    boundary::cross("token/reseal", DOING, transaction.commit()).await?;
    Ok(Some(changed))
}
