//! The hash of an erased id: HMAC-SHA-256 with a key that only the database has. With a plain hash, anybody could test ids
//! that they know or guess.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::Sha256;
use sqlx::PgConnection;
use zeroize::Zeroizing;

use crate::model::Time;
use crate::postgres::error::{Doing, Error};

/// The hash of one id.
pub(crate) type IdHash = [u8; 32];

/// Hashes ids. It never reveals its key.
#[derive(Clone)]
pub(crate) struct Hasher(Hmac<Sha256>);

impl fmt::Debug for Hasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hasher")
    }
}

impl Hasher {
    fn new(key: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
        let keyed = Hmac::new_from_slice(key).expect("a key of any length");
        Self(keyed)
    }

    /// Takes the key from the database and wipes its bytes.
    pub(crate) fn of(key: Vec<u8>) -> Self {
        Self::new(&Zeroizing::new(key))
    }

    /// The hash of an id.
    pub(crate) fn hash(&self, id: &str) -> IdHash {
        let mut keyed = self.0.clone();
        keyed.update(id.as_bytes());
        keyed.finalize().into_bytes().into()
    }
}

/// The database's key, created at its first erasure. The caller holds the lock of erasures, so that only one is created.
pub(super) async fn hasher(connection: &mut PgConnection, now: Time) -> Result<Hasher, Error> {
    const DOING: &str = "making the key of the erasures";
    if let Some(hasher) = existing(connection).await? {
        return Ok(hasher);
    }
    let erasures = sqlx::query_scalar!(r#"select exists (select from sync.erasures) as "any!""#)
        .fetch_one(&mut *connection)
        .await
        .doing(DOING)?;
    if erasures {
        return Err(Error::ErasureKeyLost);
    }
    let mut key = Zeroizing::new([0_u8; 32]);
    SysRng
        .try_fill_bytes(key.as_mut_slice())
        .map_err(|source| Error::Random { source })?;
    sqlx::query!(
        "insert into sync.erasure_key (key, made_at) values ($1, $2)",
        key.as_slice(),
        now
    )
    .execute(connection)
    .await
    .doing(DOING)?;
    Ok(Hasher::new(key.as_slice()))
}

/// The database's key; none if there was no erasure yet.
pub(super) async fn existing(connection: &mut PgConnection) -> Result<Option<Hasher>, Error> {
    let key = sqlx::query_scalar!("select key from sync.erasure_key")
        .fetch_optional(connection)
        .await
        .doing("reading the key of the erasures")?;
    Ok(key.map(Hasher::of))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn it_is_the_hmac_that_others_compute() {
        let hash = Hasher::new(b"Jefe").hash("what do ya want for nothing?");
        assert_eq!(
            hex::encode(hash),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_hasher_does_not_show_its_key() {
        assert_eq!(format!("{:?}", Hasher::new(b"Jefe")), "Hasher");
    }
}
