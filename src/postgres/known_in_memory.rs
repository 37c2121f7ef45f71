//! The hashes of stored profiles in memory or in a file, so that a full walk need not look up each element in the database. They
//! are read in one pass while the first page is requested, and the loading connections of the walk share them.
//!
//! Rows that other transactions change meanwhile must not be compared with these hashes. Every transaction that loads or erases
//! profiles while a full walk is open writes a notice into `sync.walk_notices`, and the walk reads new notices before it
//! compares a batch. So the walk knows what a look-up at that moment would return; a change that commits later is later than
//! the page in either case. No change is missed at the start: the hashes are read after all loads have ended that began before
//! the walk was in `sync.cursors`.
//!
//! The set also says whether the walk met every profile. Then the sweep has no candidate: each row that was stored when the hashes
//! were read has its id among those that the walk saw, and each row that came later was loaded while the walk was in
//! `sync.cursors`, so that its id is protected. Whatever is not noted counts as not met, and the sweep reads the stored ids.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::batch::{Batch, Fingerprint};
use crate::model::known_set::{KnownRows, KnownSet, MOST_CHANGED};
use crate::postgres::error::{Doing, Error};
use crate::postgres::hash_reading::{self, READING};
use crate::postgres::load_lock::wait_for_loads;

const NOTICING: &str = "telling open walks of changes";
/// The most profiles that are noted as met before the hashes are there: 1 MiB.
const MOST_MET_EARLY: usize = 65_536;

/// The hashes in memory for one walk.
#[derive(Debug, Default)]
pub(crate) struct InMemory(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// No hashes: each element is looked up in the database.
    #[default]
    Unknown,
    /// The hashes are being read.
    Reading(Early),
    Ready(Ready),
}

/// What the walk did while the hashes are being read.
#[derive(Debug, Default)]
struct Early {
    /// Hashes of the ids of rows that it changed.
    changed: Vec<u64>,
    /// The hashes of stored profiles that it met.
    met: Vec<u128>,
}

impl Early {
    /// Notes ids as changed, until they are too many for the set.
    fn change(&mut self, ids: impl Iterator<Item = u64>) {
        if self.changed.len() <= MOST_CHANGED {
            self.changed.extend(ids);
        }
    }

    /// Notes profiles as met, as far as there is room.
    fn meet(&mut self, stored: impl Iterator<Item = u128>) {
        let room = MOST_MET_EARLY - self.met.len();
        self.met.extend(stored.take(room));
    }
}

#[derive(Debug, Clone)]
struct Ready {
    set: Arc<KnownSet>,
    /// The notices of transactions before this transaction id were read.
    noticed_before: String,
}

/// The walks of this process.
#[derive(Debug, Default)]
pub(crate) struct WalksInMemory(Mutex<HashMap<Uuid, Arc<InMemory>>>);

impl WalksInMemory {
    /// The hashes for a walk.
    pub(crate) fn of(&self, walk_id: Uuid) -> Arc<InMemory> {
        let mut walks = self.walks();
        // A loader of a walk without hashes leaves an entry behind.
        walks.retain(|_, known| Arc::strong_count(known) > 1 || !matches!(*known.state(), State::Unknown));
        Arc::clone(walks.entry(walk_id).or_default())
    }

    /// Whether a walk has certainly met every profile that was stored when its hashes were read.
    pub(crate) fn all_met(&self, walk_id: Uuid) -> bool {
        let known = self.walks().get(&walk_id).cloned();
        known.is_some_and(|known| known.ready().is_some_and(|ready| ready.set.all_met()))
    }

    /// Drops the hashes of a walk that has ended.
    pub(crate) fn forget(&self, walk_id: Uuid) {
        if let Some(known) = self.walks().remove(&walk_id) {
            known.forget();
        }
    }

    fn walks(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<InMemory>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InMemory {
    /// Notes from now on what the walk meets and changes, until the hashes are there.
    pub(crate) fn expect(&self) {
        *self.state() = State::Reading(Early::default());
    }

    /// Reads the hashes of about `rows` rows, into memory if they fit into `bytes`, otherwise into a file.
    pub(crate) async fn read(
        &self,
        connection: &mut PgConnection,
        rows: usize,
        bytes: usize,
    ) -> Result<KnownRows, Error> {
        if !self.is_expected() {
            self.expect();
        }
        let read = self.read_at_once(connection, rows, bytes).await;
        if read.is_err() {
            self.forget();
        }
        read
    }

    async fn read_at_once(
        &self,
        connection: &mut PgConnection,
        rows: usize,
        bytes: usize,
    ) -> Result<KnownRows, Error> {
        let mut transaction = connection.begin().await.doing(READING)?;
        wait_for_loads(&mut transaction).await?;
        // The rollback only releases the lock.
        transaction.rollback().await.doing(READING)?;
        let noticed_before = now(connection).await?;
        let set = hash_reading::read(connection, rows, bytes).await?;
        let read = KnownRows {
            known: set.len(),
            are_all: set.is_complete(),
            in_file: set.may_wait(),
        };
        let mut state = self.state();
        *state = match std::mem::take(&mut *state) {
            State::Reading(Early { changed, met }) if set.changed_since(changed.iter().copied()) => {
                match set.meet(met.into_iter()) {
                    Ok(()) => State::Ready(Ready {
                        set: Arc::new(set),
                        noticed_before,
                    }),
                    Err(error) => {
                        report(&error);
                        State::Unknown
                    }
                }
            }
            _ => State::Unknown,
        };
        Ok(read)
    }

    /// Returns for each element whether it is certainly stored unchanged, after reading the notices of other transactions; none if
    /// there are no hashes.
    pub(crate) async fn same(
        &self,
        connection: &mut PgConnection,
        walk_id: Uuid,
        prints: &[Fingerprint],
    ) -> Result<Option<Vec<bool>>, Error> {
        let Some(ready) = self.ready() else {
            return Ok(None);
        };
        let row = sqlx::query!(
            r#"select pg_snapshot_xmin(pg_current_snapshot())::text as "noticed_before!",
                 array(
                   select unnest(n.id_hashes) from sync.walk_notices as n
                   where n.walk_id = $1 and n.changed_by >= $2::text::xid8
                 ) as "changed!",
                 exists (
                   select from sync.walk_notices as n
                   where n.walk_id = $1 and n.changed_by >= $2::text::xid8 and n.id_hashes is null
                 ) as "any_changed!""#,
            walk_id,
            ready.noticed_before
        )
        .fetch_one(connection)
        .await
        .doing(READING)?;
        let changed = row.changed.iter().map(|hash| hash.cast_unsigned());
        if row.any_changed || !ready.set.changed_since(changed) {
            self.forget();
            return Ok(None);
        }
        if let State::Ready(ready) = &mut *self.state() {
            ready.noticed_before = row.noticed_before;
        }
        let asked: Vec<_> = prints
            .iter()
            .map(|print| (print.source, xxh3_64(print.id.as_bytes())))
            .collect();
        let set = ready.set;
        let known = if set.may_wait() {
            let looking = tokio::task::spawn_blocking(move || set.which(&asked));
            looking.await.map_err(io::Error::other).flatten()
        } else {
            set.which(&asked)
        };
        Ok(known.inspect_err(|error| self.give_up(error)).ok())
    }

    /// Looks up each element in the database from now on, since the file cannot be read.
    fn give_up(&self, error: &io::Error) {
        report(error);
        self.forget();
    }

    /// Notes that the walk itself changes the rows of these ids.
    pub(crate) fn change<'id>(&self, ids: impl Iterator<Item = &'id str>) {
        let changed = ids.map(|id| xxh3_64(id.as_bytes()));
        let mut state = self.state();
        let is_of_use = match &mut *state {
            State::Unknown => true,
            State::Reading(early) => {
                early.change(changed);
                true
            }
            State::Ready(ready) => ready.set.changed_since(changed),
        };
        if !is_of_use {
            *state = State::Unknown;
        }
    }

    /// Notes that the walk has met the profiles whose rows have these hashes, as the database told.
    pub(crate) fn meet(&self, stored: impl Iterator<Item = [u8; 16]>) {
        let stored = stored.map(u128::from_be_bytes);
        let set = match &mut *self.state() {
            State::Unknown => return,
            State::Reading(early) => return early.meet(stored),
            State::Ready(ready) => Arc::clone(&ready.set),
        };
        if let Err(error) = set.meet(stored) {
            self.give_up(&error);
        }
    }

    fn is_expected(&self) -> bool {
        matches!(*self.state(), State::Reading(_))
    }

    /// Drops the hashes: from now on each element is looked up in the database.
    pub(crate) fn forget(&self) {
        *self.state() = State::Unknown;
    }

    fn ready(&self) -> Option<Ready> {
        match &*self.state() {
            State::Ready(ready) => Some(ready.clone()),
            State::Unknown | State::Reading(_) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports that the file of a set cannot be read.
fn report(error: &io::Error) {
    tracing::warn!(
        %error,
        "the file of hashes cannot be read: profiles are looked up in the database for the rest of this walk"
    );
}

/// The oldest transaction that has not ended.
async fn now(connection: &mut PgConnection) -> Result<String, Error> {
    sqlx::query_scalar!(r#"select pg_snapshot_xmin(pg_current_snapshot())::text as "now!""#)
        .fetch_one(connection)
        .await
        .doing(READING)
}

/// Notifies open walks of the rows that this transaction changes.
pub(crate) async fn notice(
    connection: &mut PgConnection,
    walks: &[Uuid],
    batch: &Batch,
) -> Result<(), Error> {
    let read = batch.seen.iter().map(String::as_str);
    let losers = batch.aliases.iter().map(|(loser, _)| loser.as_str());
    let hashes: Vec<i64> = read
        .chain(losers)
        .map(|id| xxh3_64(id.as_bytes()).cast_signed())
        .collect();
    sqlx::query!(
        "insert into sync.walk_notices (walk_id, id_hashes) select walk, $2 from unnest($1::uuid[]) as walk",
        walks,
        &hashes
    )
    .execute(connection)
    .await
    .doing(NOTICING)?;
    Ok(())
}

/// Notifies all open walks over profiles that this transaction may change any row.
pub(crate) async fn notice_all(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!(
        "insert into sync.walk_notices (walk_id)
         select walk from unnest(sync.open_walks('profiles', null)) as walk"
    )
    .execute(connection)
    .await
    .doing(NOTICING)?;
    Ok(())
}
