//! The tenant of the database: one row, so that two tenants never mix.

use sqlx::{PgExecutor, PgPool};
use url::Url;

use crate::model::Time;
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};

/// The row of `sync.tenant`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its address in the first run.
    pub url: String,
    /// The time of the first run.
    pub first_seen_at: Time,
}

/// The tenant of this database, if a run has written it.
pub(crate) async fn read(of: impl PgExecutor<'_>) -> Result<Option<Tenant>, Error> {
    sqlx::query_as!(Tenant, "select url, first_seen_at from sync.tenant")
        .fetch_optional(of)
        .await
        .doing("reading the tenant of this database")
}

/// Refuses another tenant than the one of this database; writes nothing.
pub(crate) async fn verify(pool: &PgPool, url: &Url) -> Result<(), Error> {
    is_recorded(pool, url).await.map(drop)
}

/// Whether the database is this tenant's already; refuses another tenant's.
pub(crate) async fn is_recorded(of: impl PgExecutor<'_>, url: &Url) -> Result<bool, Error> {
    match read(of).await? {
        Some(tenant) => compare(&tenant.url, url).map(|()| true),
        None => Ok(false),
    }
}

/// Claims the database for this tenant if it has none, and refuses another tenant.
pub(crate) async fn claim(pool: &PgPool, url: &Url) -> Result<(), Error> {
    identity(url)?;
    let write = sqlx::query!(
        "insert into sync.tenant (url, first_seen_at) values ($1, sync.clock()) on conflict do nothing",
        shown(url)
    )
    .execute(pool);
    boundary::cross("tenant", "writing the tenant of this database", write).await?;
    verify(pool, url).await
}

fn compare(stored: &str, given: &Url) -> Result<(), Error> {
    let same = Url::parse(stored).is_ok_and(
        |stored| matches!((identity(&stored), identity(given)), (Ok(left), Ok(right)) if left == right),
    );
    if same {
        return Ok(());
    }
    Err(Error::OtherTenant {
        stored: stored.to_owned(),
        given: shown(given),
    })
}

/// The host, which the parser lowercases, and the port.
fn identity(url: &Url) -> Result<(String, Option<u16>), Error> {
    match url.host_str() {
        Some(host) => Ok((host.to_ascii_lowercase(), url.port_or_known_default())),
        None => Err(Error::NoHost { url: shown(url) }),
    }
}

/// The scheme, host and port of an address; other parts may be secrets.
fn shown(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", url.scheme()),
        (Some(host), None) => format!("{}://{host}", url.scheme()),
        (None, _) => format!("{}:", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    #[test]
    fn a_tenant_is_its_host_and_port() {
        let stored = "https://tenant.example";
        for same in ["https://TENANT.example/", "https://tenant.example:443/rest"] {
            assert!(compare(stored, &Url::parse(same).unwrap()).is_ok(), "{same}");
        }
        for other in [
            "https://tenant.example:8443",
            "https://other.example",
            "http://tenant.example",
        ] {
            assert!(compare(stored, &Url::parse(other).unwrap()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        let error = compare(
            "https://a.example",
            &Url::parse("https://u:secret@b.example/x?k=secret").unwrap(),
        );
        assert!(!format!("{error:?}").contains("secret"));
    }
}
