//! `sync.tokens`: whose turn it is to ask for a token, and what came of it. The turn is a committed claim, so that no
//! transaction stays open over HTTP. The token itself is sealed before it comes here.

use std::time::Duration;

use crate::model::fault::Outcome;
use crate::model::ports::{Claim, Settled, TokenName, TokenRow, TokenStore};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;
use crate::postgres::store::PostgresStore;

impl TokenStore for PostgresStore {
    async fn read(&self, name: &TokenName) -> Outcome<Option<TokenRow>> {
        Ok(self.token(name).await?)
    }

    async fn claim(&self, name: &TokenName, seen: i64, hold: Duration) -> Outcome<Claim> {
        Ok(self.claim_token(name, seen, hold).await?)
    }

    async fn settle(&self, name: &TokenName, version: i64, with: Settled) -> Outcome<TokenRow> {
        let row = match with {
            Settled::Token { life, sealed } => self.store_token(name, version, life, sealed).await?,
            Settled::Failed { error, reauth } => self.fail_token(name, version, &error, reauth).await?,
        };
        let lost = || Error::ClaimLost {
            tenant: name.tenant.clone(),
        };
        Ok(row.ok_or_else(lost)?)
    }

    async fn drop_version(&self, name: &TokenName, version: i64) -> Outcome<()> {
        Ok(self.expire_token(name, version).await?)
    }
}

impl PostgresStore {
    async fn token(&self, name: &TokenName) -> Result<Option<TokenRow>, Error> {
        sqlx::query_as!(
            TokenRow,
            r#"select version, status, issued_at, expires_at, key_id, ciphertext, sync.clock() as "now!"
               from sync.tokens where tenant = $1 and client_id = $2 and grant_type = $3"#,
            name.tenant,
            name.client_id,
            name.grant_type
        )
        .fetch_optional(self.control())
        .await
        .doing("reading the token's state")
    }

    /// One update decides: of all who have seen this version, the first whose update finds no claim standing.
    async fn claim_token(&self, name: &TokenName, seen: i64, hold: Duration) -> Result<Claim, Error> {
        const DOING: &str = "claiming the turn to ask for a token";
        let open = sqlx::query!(
            "insert into sync.tokens (tenant, client_id, grant_type, version, status)
             values ($1, $2, $3, 0, 'refreshing')
             on conflict do nothing",
            name.tenant,
            name.client_id,
            name.grant_type
        )
        .execute(self.control());
        boundary::cross("token/open", DOING, open).await?;
        let claim = sqlx::query_scalar!(
            "update sync.tokens set
               status = 'refreshing', refreshing_by = $5, refreshing_until = sync.clock() + $6
             where tenant = $1 and client_id = $2 and grant_type = $3 and version = $4
               and (refreshing_until is null or refreshing_until <= sync.clock())
             returning version",
            name.tenant,
            name.client_id,
            name.grant_type,
            seen,
            self.holder(),
            interval(hold)
        )
        .fetch_optional(self.control());
        match boundary::cross("token/claim", DOING, claim).await? {
            Some(version) => Ok(Claim::Yours { version: version + 1 }),
            None => self.claimed_by_another(name, seen).await,
        }
    }

    async fn claimed_by_another(&self, name: &TokenName, seen: i64) -> Result<Claim, Error> {
        let row = sqlx::query!(
            "select version, refreshing_until from sync.tokens
             where tenant = $1 and client_id = $2 and grant_type = $3",
            name.tenant,
            name.client_id,
            name.grant_type
        )
        .fetch_optional(self.control())
        .await
        .doing("reading the token's state")?;
        Ok(match row {
            Some(row) if row.version == seen => match row.refreshing_until {
                Some(until) => Claim::Busy { until },
                // It was let go of just now (a failed request): reading again tells.
                None => Claim::Newer,
            },
            _ => Claim::Newer,
        })
    }

    async fn store_token(
        &self,
        name: &TokenName,
        version: i64,
        life: Duration,
        sealed: Option<(String, Vec<u8>)>,
    ) -> Result<Option<TokenRow>, Error> {
        let (key_id, ciphertext) = sealed.unzip();
        let store = sqlx::query_as!(
            TokenRow,
            r#"update sync.tokens set
                 version = $4::bigint, status = 'valid', issued_at = sync.clock(), expires_at = sync.clock() + $6,
                 refreshing_by = null, refreshing_until = null, last_error = null,
                 key_id = $7, ciphertext = $8
               where tenant = $1 and client_id = $2 and grant_type = $3
                 and version = $4::bigint - 1 and refreshing_by = $5
               returning version, status, issued_at, expires_at, key_id, ciphertext, sync.clock() as "now!""#,
            name.tenant,
            name.client_id,
            name.grant_type,
            version,
            self.holder(),
            interval(life),
            key_id,
            ciphertext
        )
        .fetch_optional(self.control());
        boundary::cross("token/store", "storing the token", store).await
    }

    /// The token that was there stays: it serves until it dies.
    async fn fail_token(
        &self,
        name: &TokenName,
        version: i64,
        error: &str,
        reauth: bool,
    ) -> Result<Option<TokenRow>, Error> {
        let fail = sqlx::query_as!(
            TokenRow,
            r#"update sync.tokens set
                 status = case when $7 then 'reauth_required' else 'failed' end,
                 last_error = $6, refreshing_by = null, refreshing_until = null
               where tenant = $1 and client_id = $2 and grant_type = $3
                 and version = $4::bigint - 1 and refreshing_by = $5
               returning version, status, issued_at, expires_at, key_id, ciphertext, sync.clock() as "now!""#,
            name.tenant,
            name.client_id,
            name.grant_type,
            version,
            self.holder(),
            error,
            reauth
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
}
