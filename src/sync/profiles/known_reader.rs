//! Reads the hashes of stored profiles, into memory or a file, while a full walk reads its first pages.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::model::format;
use crate::model::known_set::{KnownRows, KnownSet};
use crate::model::ports::Store;
use crate::model::walk::Walk;

/// The memory that look-ups take, in bytes, where not all profiles are known; measured (docs/benchmarks.md).
const LOOKUP_BYTES: usize = 4 * 1024 * 1024;
/// How long the end of a walk waits for the hashes. A short walk may end before they are there, and its sweep would read as much.
const PATIENCE: Duration = Duration::from_secs(1);

/// The task that reads the hashes, and their memory. Both end when this value is dropped.
pub(super) struct KnownReader<T: Store> {
    store: T,
    walk: Walk,
    reading: AbortOnDropHandle<()>,
    /// Cancelled once the task has ended, however it ended.
    is_done: CancellationToken,
}

/// The token of a walk without hashes to read.
pub(super) fn nothing_to_read() -> CancellationToken {
    let done = CancellationToken::new();
    done.cancel();
    done
}

impl<T: Store> KnownReader<T> {
    /// Starts to read about `rows` rows, as far as they fit into `bytes`. If the task fails or takes long, each profile is
    /// looked up in the database meanwhile.
    pub(super) fn read(store: &T, walk: Walk, rows: u64, bytes: usize) -> Self {
        let bytes = if rows > KnownSet::room(bytes) as u64 {
            bytes.saturating_sub(LOOKUP_BYTES)
        } else {
            bytes
        };
        store.expect_known(walk);
        let own = store.clone();
        let is_done = CancellationToken::new();
        let done = is_done.clone().drop_guard();
        let reading = async move {
            let _done = done;
            match own.read_known(walk, rows, bytes).await {
                Ok(KnownRows {
                    known,
                    are_all: true,
                    in_file,
                }) => {
                    tracing::debug!(known, in_file, "the hashes of all stored profiles are known");
                }
                Ok(KnownRows { known, .. }) => tracing::info!(
                    known,
                    "{} of about {} stored profiles are known by their hashes, the others are looked up",
                    format::count(known as u64),
                    format::count(rows)
                ),
                Err(fault) => {
                    own.forget_known(walk);
                    tracing::info!(%fault, "stored profiles are looked up, batch by batch, instead of being known by their hashes");
                }
            }
        };
        Self {
            store: store.clone(),
            walk,
            reading: AbortOnDropHandle::new(tokio::spawn(reading)),
            is_done,
        }
    }

    /// A token that is cancelled once the hashes are read, or are not going to be.
    pub(super) fn is_done(&self) -> CancellationToken {
        self.is_done.clone()
    }

    /// Whether the walk, whose batches are all loaded, has certainly met every stored profile.
    pub(super) async fn all_met(&mut self) -> bool {
        if tokio::time::timeout(PATIENCE, &mut self.reading).await.is_err() {
            return false;
        }
        self.store.all_known_met(self.walk)
    }
}

impl<T: Store> Drop for KnownReader<T> {
    fn drop(&mut self) {
        self.store.forget_known(self.walk);
    }
}
