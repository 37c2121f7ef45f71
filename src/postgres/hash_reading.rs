//! Reads the hashes of stored profiles: into memory as far as they fit, otherwise into a temporary file.

use std::io;

use futures_util::TryStreamExt as _;
use sqlx::PgConnection;

use crate::model::known_hashes::{HashPlaces, KnownHashes};
use crate::model::known_set::KnownSet;
use crate::postgres::copy::HEADER;
use crate::postgres::error::{Doing, Error};
use crate::postgres::hash_file::HashFileBuilder;

pub(crate) const READING: &str = "reading what is known of the profiles";
/// The fewest hashes that there is room for in memory: the planner may know nothing of a small table.
const LEAST_ROOM: usize = 10_000;
/// The bytes before a tuple's only field: the number of fields, and the field's length.
const FRAME_BYTES: usize = 2 + 4;
/// The hashes that are added to a file at once: 128 KiB.
const AT_ONCE: usize = 8192;

/// Reads the hashes of about `rows` rows. Where they do not fit into `bytes` and no file can be written, the set has those that fit.
pub(crate) async fn read(
    connection: &mut PgConnection,
    rows: usize,
    bytes: usize,
) -> Result<KnownSet, Error> {
    let most = KnownSet::room(bytes);
    if rows > most {
        let read = match HashFileBuilder::new() {
            Ok(file) => each(connection, None, Kept::File(Ok(file)), bytes).await?,
            Err(error) => Err(error),
        };
        match read {
            Ok(set) => return Ok(set),
            Err(error) => tracing::warn!(
                %error,
                folder = %std::env::temp_dir().display(),
                "the hashes of stored profiles cannot be kept in a file: set TMPDIR to a folder with room, or raise `limits.memory`"
            ),
        }
    }
    // The number of rows is an estimate.
    let room = (rows + rows / 4).max(LEAST_ROOM).min(most);
    let memory = Kept::Memory(KnownHashes::with_room_for(room));
    each(connection, Some(most), memory, bytes)
        .await?
        .map_err(sqlx::Error::Io)
        .doing(READING)
}

/// Where hashes are kept. A file that failed takes no more of them.
enum Kept {
    Memory(KnownHashes),
    File(io::Result<HashFileBuilder>),
}

impl Kept {
    async fn with(self, hashes: Vec<u128>) -> Self {
        match self {
            Self::Memory(mut kept) => {
                kept.extend(hashes);
                Self::Memory(kept)
            }
            Self::File(Ok(mut file)) => {
                Self::File(at_the_disk(move || file.add(&hashes).map(|()| file)).await)
            }
            failed @ Self::File(Err(_)) => failed,
        }
    }

    async fn set(self, has_all: bool, bytes: usize) -> io::Result<KnownSet> {
        let hashes: Box<dyn HashPlaces> = match self {
            Self::Memory(kept) => Box::new(kept),
            Self::File(file) => {
                let file = file?;
                Box::new(at_the_disk(move || file.finish()).await?)
            }
        };
        Ok(KnownSet::of(hashes, has_all, bytes))
    }
}

/// Work that waits for a disk, beside the tasks of the runtime.
async fn at_the_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)
        .flatten()
}

/// The set of the hashes of at most `most` stored rows. The inner error is the file's; the connection can be used either way.
async fn each(
    connection: &mut PgConnection,
    most: Option<usize>,
    mut kept: Kept,
    bytes: usize,
) -> Result<io::Result<KnownSet>, Error> {
    let limit = most.map_or_else(|| "all".to_owned(), |most| most.to_string());
    let statement =
        format!("copy (select source_hash from blueconic.profiles limit {limit}) to stdout (format binary)");
    let mut stream = connection.copy_out_raw(&statement).await.doing(READING)?;
    let (mut rows, mut has_all) = (0, true);
    let mut hashes = Vec::with_capacity(AT_ONCE);
    let mut rest = Vec::new();
    let mut is_in_header = true;
    while let Some(chunk) = stream.try_next().await.doing(READING)? {
        rest.extend_from_slice(&chunk);
        let mut at = 0;
        if is_in_header {
            if rest.len() < HEADER.len() {
                continue;
            }
            at = HEADER.len();
            is_in_header = false;
        }
        while let Some(field) = tuple(&rest, &mut at) {
            rows += 1;
            // A placeholder has no hash. This program writes no hash of another length.
            match field.try_into() {
                Ok(hash) => hashes.push(u128::from_be_bytes(hash)),
                Err(_) => has_all = false,
            }
        }
        rest.drain(..at);
        if hashes.len() >= AT_ONCE {
            let some = std::mem::replace(&mut hashes, Vec::with_capacity(AT_ONCE));
            kept = kept.with(some).await;
        }
    }
    has_all &= most.is_none_or(|most| rows < most);
    Ok(kept.with(hashes).await.set(has_all, bytes).await)
}

/// The next whole tuple, whose field may have any length; none at the end of the stream or of its received part.
fn tuple<'bytes>(bytes: &'bytes [u8], at: &mut usize) -> Option<&'bytes [u8]> {
    let (count, behind) = bytes.get(*at..)?.split_first_chunk::<2>()?;
    if i16::from_be_bytes(*count) < 1 {
        return None;
    }
    let (length, behind) = behind.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
    let field = behind.get(..length)?;
    *at += FRAME_BYTES + length;
    Some(field)
}
