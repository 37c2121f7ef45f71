//! `sync.tokens`: claims to refresh a token, and the results. A claim is committed, so that no transaction stays open
//! over HTTP. Tokens arrive here sealed.

use std::time::Duration;

use crate::model::fault::Outcome;
use crate::model::ports::TokenStore;
use crate::model::sanitize;
use crate::model::status::TokenStatus;
use crate::model::tokens::{ClaimOutcome, RefreshOutcome, Sealed, TokenName, TokenRow};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;
use crate::postgres::store::PostgresStore;

const READING: &str = "reading the token's state";
const CLAIMING: &str = "claiming the token's refresh";
const STORING: &str = "storing what came of a token request";

impl TokenStore for PostgresStore {
    async fn read(&self, name: &TokenName) -> Outcome<Option<TokenRow>> {
        Ok(self.moment(READING, self.token(name)).await?)
    }

    async fn claim(&self, name: &TokenName, seen: i64, hold: Duration) -> Outcome<ClaimOutcome> {
        Ok(self.moment(CLAIMING, self.claim_token(name, seen, hold)).await?)
    }

    async fn extend(&self, name: &TokenName, fence: i64, hold: Duration) -> Outcome<()> {
        let extended = self
            .moment(CLAIMING, self.extend_claim(name, fence, hold))
            .await?;
        Ok(if extended { Ok(()) } else { Err(lost(name)) }?)
    }

    async fn finish_refresh(&self, name: &TokenName, fence: i64, with: RefreshOutcome) -> Outcome<TokenRow> {
        let row = match with {
            RefreshOutcome::Token { life, sealed } => {
                self.moment(STORING, self.store_token(name, fence, life, sealed))
                    .await?
            }
            RefreshOutcome::Failed {
                error,
                reauth,
                sealed,
            } => {
                self.moment(STORING, self.fail_token(name, fence, &error, reauth, sealed))
                    .await?
            }
        };
        Ok(row.ok_or_else(|| lost(name))?)
    }

    async fn drop_version(&self, name: &TokenName, version: i64) -> Outcome<()> {
        Ok(self.moment(STORING, self.expire_token(name, version)).await?)
    }

    async fn grant(&self, name: &TokenName, life: Duration, sealed: Sealed) -> Outcome<TokenRow> {
        Ok(self.moment(STORING, self.store_grant(name, life, sealed)).await?)
    }

    async fn remove(&self, name: &TokenName, fence: i64) -> Outcome<()> {
        let removed = self.moment(STORING, self.remove_token(name, fence)).await?;
        Ok(if removed { Ok(()) } else { Err(lost(name)) }?)
    }

    async fn of_client(&self, tenant: &str, client_id: &str) -> Outcome<Vec<TokenName>> {
        Ok(self.moment(READING, self.tokens_of(tenant, client_id)).await?)
    }
}

fn lost(name: &TokenName) -> Error {
    Error::ClaimLost {
        tenant: name.tenant.clone(),
    }
}

impl PostgresStore {
    async fn token(&self, name: &TokenName) -> Result<Option<TokenRow>, Error> {
        sqlx::query_as!(
            TokenRow,
            r#"select version, status as "status: TokenStatus", issued_at, expires_at, last_error, key_id, ciphertext, sync.clock() as "now!"
               from sync.tokens where tenant = $1 and client_id = $2 and grant_type = $3"#,
            name.tenant,
            name.client_id,
            name.grant_type
        )
        .fetch_optional(self.control())
        .await
        .doing(READING)
    }

    /// Claims the refresh with one update, so that of all processes that saw this version only the first one gets the claim.
    async fn claim_token(&self, name: &TokenName, seen: i64, hold: Duration) -> Result<ClaimOutcome, Error> {
        const DOING: &str = "claiming the token's refresh";
        let open = sqlx::query!(
            "insert into sync.tokens (tenant, client_id, grant_type, version, status)
             values ($1, $2, $3, 0, 'refreshing')
             on conflict do nothing",
            name.tenant,
            name.client_id,
            name.grant_type
        )
        .execute(self.control());
        // A process that saw a row does not create it again if it was removed meanwhile.
        if seen == 0 {
            boundary::cross("token/open", DOING, open).await?;
        }
        let claim = sqlx::query!(
            "update sync.tokens set
               status = 'refreshing', refreshing_by = $5, refreshing_until = sync.clock() + $6,
               fence = fence + 1, claims = claims + 1
             where tenant = $1 and client_id = $2 and grant_type = $3 and version = $4
               and (refreshing_until is null or refreshing_until <= sync.clock())
             returning fence, claims",
            name.tenant,
            name.client_id,
            name.grant_type,
            seen,
            self.holder(),
            interval(hold)
        )
        .fetch_optional(self.control());
        match boundary::cross("token/claim", DOING, claim).await? {
            Some(row) => Ok(ClaimOutcome::Claimed {
                fence: row.fence,
                previous_unfinished: row.claims > 1,
            }),
            None => self.claimed_by_another(name, seen).await,
        }
    }

    async fn claimed_by_another(&self, name: &TokenName, seen: i64) -> Result<ClaimOutcome, Error> {
        let row = sqlx::query!(
            "select version, refreshing_until from sync.tokens
             where tenant = $1 and client_id = $2 and grant_type = $3",
            name.tenant,
            name.client_id,
            name.grant_type
        )
        .fetch_optional(self.control())
        .await
        .doing(READING)?;
        Ok(match row {
            Some(row) if row.version == seen => match row.refreshing_until {
                Some(until) => ClaimOutcome::Busy { until },
                // The claim was just released after a failed request: read the row again.
                None => ClaimOutcome::Superseded,
            },
            _ => ClaimOutcome::Superseded,
        })
    }

    async fn extend_claim(&self, name: &TokenName, fence: i64, hold: Duration) -> Result<bool, Error> {
        let extend = sqlx::query!(
            "update sync.tokens set refreshing_until = sync.clock() + $5
             where tenant = $1 and client_id = $2 and grant_type = $3 and fence = $4 and refreshing_by = $6",
            name.tenant,
            name.client_id,
            name.grant_type,
            fence,
            interval(hold),
            self.holder()
        )
        .execute(self.control());
        let extended = boundary::cross("token/extend", "extending the token's refresh claim", extend).await?;
        Ok(extended.rows_affected() == 1)
    }

    async fn store_token(
        &self,
        name: &TokenName,
        fence: i64,
        life: Duration,
        sealed: Option<Sealed>,
    ) -> Result<Option<TokenRow>, Error> {
        let (key_id, ciphertext) = sealed.unzip();
        let store = sqlx::query_as!(
            TokenRow,
            r#"update sync.tokens set
                 version = version + 1, status = 'valid', issued_at = sync.clock(), expires_at = sync.clock() + $5,
                 refreshing_by = null, refreshing_until = null, claims = 0, last_error = null,
                 key_id = $6, ciphertext = $7
               where tenant = $1 and client_id = $2 and grant_type = $3 and fence = $4 and refreshing_by = $8
               returning version, status as "status: TokenStatus", issued_at, expires_at, last_error, key_id, ciphertext, sync.clock() as "now!""#,
            name.tenant,
            name.client_id,
            name.grant_type,
            fence,
            interval(life),
            key_id,
            ciphertext,
            self.holder()
        )
        .fetch_optional(self.control());
        boundary::cross("token/store", "storing the token", store).await
    }

    /// Records a failed refresh. The stored token stays in use until it expires, unless another one replaces it. The end of an
    /// authorization gets a version of its own, so that nobody can claim an earlier version.
    async fn fail_token(
        &self,
        name: &TokenName,
        fence: i64,
        error: &str,
        reauth: bool,
        sealed: Option<Sealed>,
    ) -> Result<Option<TokenRow>, Error> {
        let (key_id, ciphertext) = sealed.unzip();
        let error = sanitize::line(error);
        let fail = sqlx::query_as!(
            TokenRow,
            r#"update sync.tokens set
                 status = case when $6 then 'reauth_required' else 'failed' end,
                 last_error = $5, refreshing_by = null, refreshing_until = null, claims = 0,
                 version = case when $6 or $8::bytea is not null then version + 1 else version end,
                 expires_at = case when $8::bytea is null then expires_at else sync.clock() end,
                 key_id = coalesce($7, key_id), ciphertext = coalesce($8::bytea, ciphertext)
               where tenant = $1 and client_id = $2 and grant_type = $3 and fence = $4 and refreshing_by = $9
               returning version, status as "status: TokenStatus", issued_at, expires_at, last_error, key_id, ciphertext, sync.clock() as "now!""#,
            name.tenant,
            name.client_id,
            name.grant_type,
            fence,
            &*error,
            reauth,
            key_id,
            ciphertext,
            self.holder()
        )
        .fetch_optional(self.control());
        boundary::cross("token/fail", "storing why no token came", fail).await
    }

    async fn expire_token(&self, name: &TokenName, version: i64) -> Result<(), Error> {
        let expire = sqlx::query!(
            "update sync.tokens set
               expires_at = least(expires_at, sync.clock()),
               status = case status when 'valid' then 'failed' else status end
             where tenant = $1 and client_id = $2 and grant_type = $3 and version = $4",
            name.tenant,
            name.client_id,
            name.grant_type,
            version
        )
        .execute(self.control());
        boundary::cross("token/drop", "dropping the token", expire).await?;
        Ok(())
    }

    async fn store_grant(
        &self,
        name: &TokenName,
        life: Duration,
        (key_id, ciphertext): Sealed,
    ) -> Result<TokenRow, Error> {
        const DOING: &str = "storing what was granted";
        let mut transaction = self.control().begin().await.doing(DOING)?;
        sqlx::query!(
            "insert into sync.tokens (tenant, client_id, grant_type, version, status)
             values ($1, $2, $3, 0, 'refreshing')
             on conflict do nothing",
            name.tenant,
            name.client_id,
            name.grant_type
        )
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
        let row = sqlx::query_as!(
            TokenRow,
            r#"update sync.tokens set
                 version = version + 1, status = 'valid', issued_at = sync.clock(), expires_at = sync.clock() + $4,
                 refreshing_by = null, refreshing_until = null, fence = fence + 1, claims = 0, last_error = null,
                 key_id = $5, ciphertext = $6
               where tenant = $1 and client_id = $2 and grant_type = $3
               returning version, status as "status: TokenStatus", issued_at, expires_at, last_error, key_id, ciphertext, sync.clock() as "now!""#,
            name.tenant,
            name.client_id,
            name.grant_type,
            interval(life),
            key_id,
            ciphertext
        )
        .fetch_one(&mut *transaction)
        .await
        .doing(DOING)?;
        boundary::cross("token/grant", DOING, transaction.commit()).await?;
        Ok(row)
    }

    async fn remove_token(&self, name: &TokenName, fence: i64) -> Result<bool, Error> {
        let remove = sqlx::query!(
            "delete from sync.tokens
             where tenant = $1 and client_id = $2 and grant_type = $3 and fence = $4 and refreshing_by = $5",
            name.tenant,
            name.client_id,
            name.grant_type,
            fence,
            self.holder()
        )
        .execute(self.control());
        let removed = boundary::cross("token/remove", "removing the token's state", remove).await?;
        Ok(removed.rows_affected() == 1)
    }

    async fn tokens_of(&self, tenant: &str, client_id: &str) -> Result<Vec<TokenName>, Error> {
        sqlx::query_as!(
            TokenName,
            "select tenant, client_id, grant_type from sync.tokens
             where tenant = $1 and client_id = $2 order by grant_type",
            tenant,
            client_id
        )
        .fetch_all(self.control())
        .await
        .doing(READING)
    }
}
