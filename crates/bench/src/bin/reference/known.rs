//! The stored hashes, read once at the start and compared in memory: the minimal work for profiles that did not
//! change.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use bench::Outcome;
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use xxhash_rust::xxh3::xxh3_64;

/// Signature, flags and the length of the header's extension.
const HEADER_BYTES: usize = 19;

/// Stored profiles by the hash of their id.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<u64, Stored, BuildHasherDefault<AsItIs>>);

#[derive(Debug)]
struct Stored {
    source: [u8; 16],
    seen: AtomicBool,
}

/// Hashes are their own hashes.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Known {
    /// Reads all ids and hashes.
    pub(crate) async fn read(connection: &mut PgConnection) -> Outcome<Self> {
        let mut known = Self::default();
        let mut stream = connection
            .copy_out_raw("copy (select id, source_hash from blueconic.profiles) to stdout (format binary)")
            .await?;
        let mut bytes = Vec::new();
        let mut is_in_header = true;
        while let Some(chunk) = stream.try_next().await? {
            bytes.extend_from_slice(&chunk);
            let mut at = 0;
            if is_in_header {
                if bytes.len() < HEADER_BYTES {
                    continue;
                }
                at = HEADER_BYTES;
                is_in_header = false;
            }
            while let Some((id, source, end)) = tuple(&bytes, at) {
                let seen = AtomicBool::new(false);
                known.0.insert(xxh3_64(id), Stored { source, seen });
                at = end;
            }
            bytes.drain(..at);
        }
        Ok(known)
    }

    /// Whether this profile is stored unchanged. Marks it as seen.
    pub(crate) fn is_same(&self, id: &str, source: [u8; 16]) -> bool {
        self.0.get(&xxh3_64(id.as_bytes())).is_some_and(|stored| {
            stored.seen.store(true, Ordering::Relaxed);
            stored.source == source
        })
    }

    /// Deletes unseen rows. Returns the number of deleted rows.
    pub(crate) async fn sweep(&self, connection: &mut PgConnection) -> Outcome<u64> {
        if self.0.values().all(|stored| stored.seen.load(Ordering::Relaxed)) {
            return Ok(0);
        }
        let unseen = |id: &String| {
            let stored = self.0.get(&xxh3_64(id.as_bytes()));
            stored.is_some_and(|stored| !stored.seen.load(Ordering::Relaxed))
        };
        let mut ids: Vec<String> = sqlx::query_scalar("select id from blueconic.profiles")
            .fetch_all(&mut *connection)
            .await?;
        ids.retain(unseen);
        let deleted = sqlx::query("delete from blueconic.profiles where id = any ($1)")
            .bind(&ids)
            .execute(connection)
            .await?;
        Ok(deleted.rows_affected())
    }
}

/// The id and the hash of the tuple that begins at this place, and its end; none if the tuple is not complete.
fn tuple(bytes: &[u8], at: usize) -> Option<(&[u8], [u8; 16], usize)> {
    let (id, at) = field(bytes, at.checked_add(2).filter(|_| bytes.get(at) == Some(&0))?)?;
    let (source, at) = field(bytes, at)?;
    Some((id, source.try_into().unwrap_or([0; 16]), at))
}

fn field(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (length, behind) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    Some((behind.get(..length)?, at + 4 + length))
}
