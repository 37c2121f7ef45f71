//! Erases persons: one transaction removes everything that names them and stores the hashes of their ids. Its first lock
//! keeps all loads and sweeps out, so the order of its other locks cannot cause a deadlock with them.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::model::Time;
use crate::model::table::Table;
use crate::postgres::bigint::{from_length, to_count};
use crate::postgres::changes::{self, ChangedTable, Changes, Reason};
use crate::postgres::clock;
use crate::postgres::erasures::hash::{Hasher, hasher};
use crate::postgres::erasures::{ids_in_text, merged_ids};
use crate::postgres::error::{Doing, Error};
use crate::postgres::leaving::{self, Place};
use crate::postgres::retry::Attempts;
use crate::postgres::statistics;
use crate::postgres::store::PostgresStore;
use crate::postgres::{boundary, known_in_memory, load_lock, missing, seen};

const DOING: &str = "erasing persons";

/// The longest possible id, in bytes.
pub const LONGEST_ID: usize = ids_in_text::LONGEST_ID;

/// What an erasure did, without any id.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Its name in `sync.erasures`.
    pub id: Uuid,
    /// The time of the erasure, by the database's clock.
    pub at: Time,
    /// The number of persons that the ids stand for.
    pub persons: u64,
    /// The hashes of all ids of these persons.
    pub hashes: Vec<ErasedId>,
    /// Rows by table that were removed, or changed if the row itself stays.
    pub removed: Vec<(String, u64)>,
    /// Whether the planner's statistics of these tables were refreshed; they hold samples of the removed rows.
    pub statistics: bool,
}

/// What is stored of an erased id.
#[derive(Debug, Clone)]
pub struct ErasedId {
    /// The hash, in hexadecimal.
    pub hash: String,
    /// Whether the id had been erased before.
    pub before: bool,
}

/// What an erasure would remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasureExtent {
    /// Persons.
    pub persons: u64,
    /// All their ids, including merged ones.
    pub ids: u64,
}

/// Counts the persons of these ids and all their ids. Changes nothing.
pub async fn reach(store: &PostgresStore, ids: &[String]) -> Result<ErasureExtent, Error> {
    let look = async {
        let mut connection = store.control().acquire().await.doing(DOING)?;
        merged_ids::persons(&mut connection, ids).await
    };
    let chains = store.minutes(DOING, look).await?;
    Ok(ErasureExtent {
        persons: chains.len() as u64,
        ids: chains.iter().map(|ids| ids.len() as u64).sum(),
    })
}

/// Erases the persons that these ids stand for. Repeating it changes nothing. `tables` are the tables with a row per person.
pub async fn erase(
    store: &PostgresStore,
    tables: &[&'static Table],
    ids: &[String],
) -> Result<Receipt, Error> {
    let mut attempts = Attempts::default();
    let receipt = loop {
        match store.minutes(DOING, erase_once(store, tables, ids)).await {
            Ok(receipt) => break receipt,
            Err(error) => attempts.again(error).await?,
        }
    };
    // Also where no row was removed now: a sample may hold rows that left with an earlier merge.
    let named: Vec<&str> = receipt.removed.iter().map(|(table, _)| table.as_str()).collect();
    let statistics = statistics::refresh(store, &named).await;
    Ok(Receipt {
        statistics,
        ..receipt
    })
}

async fn erase_once(
    store: &PostgresStore,
    tables: &[&'static Table],
    ids: &[String],
) -> Result<Receipt, Error> {
    let mut transaction = store.control().begin().await.doing(DOING)?;
    let at = alone(&mut transaction).await?;
    let keyed = hasher(&mut transaction, at).await?;
    let chains = merged_ids::persons(&mut transaction, ids).await?;
    let receipt_id = Uuid::now_v7();
    let mut hashes = Vec::new();
    for chain in &chains {
        hashes.extend(keep(&mut transaction, &keyed, chain, receipt_id, at).await?);
    }
    let all: Vec<String> = chains.iter().flatten().cloned().collect();
    let mut changes = Changes::begin(&mut transaction).await?;
    let removed = remove(&mut transaction, tables, &all, at, &mut changes).await?;
    changes.record(&mut transaction, at).await?;
    known_in_memory::notice_all(&mut transaction).await?;
    boundary::cross("erase", DOING, transaction.commit()).await?;
    Ok(Receipt {
        id: receipt_id,
        at,
        persons: chains.len() as u64,
        hashes,
        removed,
        statistics: false,
    })
}

/// Waits for running loads and keeps others out until the commit. Returns the database's time.
pub(super) async fn alone(connection: &mut PgConnection) -> Result<Time, Error> {
    load_lock::wait_for_loads(connection).await?;
    clock::now(connection, DOING).await
}

/// Stores the hashes of a person's ids. A hash that is stored already stays as it is.
async fn keep(
    connection: &mut PgConnection,
    keyed: &Hasher,
    ids: &[String],
    receipt_id: Uuid,
    at: Time,
) -> Result<Vec<ErasedId>, Error> {
    let hashes: Vec<Vec<u8>> = ids.iter().map(|id| keyed.hash(id).to_vec()).collect();
    // Earlier erased ids that belong to the same person join the new ones, so that all are lifted together.
    let person = Uuid::now_v7();
    sqlx::query!(
        "update sync.erasures set person = $2
         where person = any (array(select e.person from sync.erasures as e where e.hash = any ($1)))",
        &hashes,
        person
    )
    .execute(&mut *connection)
    .await
    .doing(DOING)?;
    let fresh = sqlx::query_scalar!(
        "insert into sync.erasures (hash, person, erased_at, receipt_id)
         select hash, $2, $3, $4 from unnest($1::bytea[]) as hash
         on conflict (hash) do nothing
         returning hash",
        &hashes,
        person,
        at,
        receipt_id
    )
    .fetch_all(connection)
    .await
    .doing(DOING)?;
    let kept = hashes.iter().map(|hash| ErasedId {
        hash: hex::encode(hash),
        before: !fresh.contains(hash),
    });
    Ok(kept.collect())
}

/// Removes everything that names one of the ids: the rows with what leaves with them, records about them, and other texts
/// that name persons.
async fn remove(
    connection: &mut PgConnection,
    tables: &[&'static Table],
    ids: &[String],
    at: Time,
    changes: &mut Changes,
) -> Result<Vec<(String, u64)>, Error> {
    let mut removed = Vec::new();
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    for table in tables {
        let places = [leaving::leaves(table), leaving::remembers(table)].concat();
        let statements: Vec<String> = places.iter().map(Place::delete).collect();
        let gone = leaving::delete(connection, &statements, &all, DOING).await?;
        let in_feed = places.iter().zip(&gone).filter(|(place, _)| place.is_in_feed);
        for (place, _) in in_feed.filter(|(_, rows)| **rows > 0) {
            if let Some(table) = place.name.strip_prefix("blueconic.") {
                changes.erased(table.to_owned());
            }
        }
        removed.extend(places.into_iter().map(|place| place.name).zip(gone));
    }
    let spellings: Vec<String> = ids.iter().flat_map(|id| ids_in_text::spellings(id)).collect();
    let others = [
        (
            "blueconic.audit_events",
            audit_objects(connection, ids, at, changes).await?,
        ),
        ("sync.rejects", rejects(connection, ids, &spellings).await?),
        ("sync.walk_seen", seen::forget_witnesses(connection, ids).await?),
        ("sync.walk_unseen", seen::withdraw(connection, ids).await?),
        ("sync.walk_missing", missing::withdraw(connection, ids).await?),
        ("sync.changes", changes::withdraw(connection, ids).await?),
        ("sync.runs", runs(connection, &spellings).await?),
    ];
    removed.extend(others.map(|(table, rows)| (table.to_owned(), rows)));
    Ok(removed)
}

/// Removes objects from audit events. The events stay, since their keys prevent a later load from bringing the objects back.
async fn audit_objects(
    connection: &mut PgConnection,
    ids: &[String],
    at: Time,
    changes: &mut Changes,
) -> Result<u64, Error> {
    let redacted = sqlx::query_scalar!(
        r#"with redacted as (
         update blueconic.audit_events as e
         set synced_at = $2, objects = (
           select coalesce(jsonb_agg(one.object order by one.place), '[]')
           from jsonb_array_elements(e.objects) with ordinality as one (object, place)
           where coalesce(one.object ->> 'id', '') <> all ($1)
             and coalesce(one.object ->> 'name', '') <> all ($1)
         )
         where jsonb_typeof(e.objects) = 'array' and exists (
           select from jsonb_array_elements(
             case when jsonb_typeof(e.objects) = 'array' then e.objects else '[]' end
           ) as object
           where object ->> 'id' = any ($1) or object ->> 'name' = any ($1)
         )
         returning e.event_key, e.occurrence, e.occurred_at
         )
         select jsonb_build_object(
           'event_key', '\x' || encode(r.event_key, 'hex'), 'occurrence', r.occurrence, 'occurred_at', r.occurred_at
         )::text as "id!" from redacted as r"#,
        ids,
        at
    )
    .fetch_all(connection)
    .await
    .doing(DOING)?;
    let rows = from_length(redacted.len());
    changes.updated(ChangedTable::AUDIT_EVENTS, Some(Reason::Erased), redacted);
    Ok(rows)
}

/// Removes rejects, also those of other persons' elements that name one of the ids. An element that still cannot be loaded
/// is recorded again without these ids.
async fn rejects(connection: &mut PgConnection, ids: &[String], spellings: &[String]) -> Result<u64, Error> {
    let gone = sqlx::query!(
        "delete from sync.rejects as r
         where r.element_id = any ($1) or exists (
           select from unnest($2::text[]) as spelling
           where position(spelling in r.raw) > 0 or position(spelling in r.detail) > 0
         )",
        ids,
        spellings
    )
    .execute(connection)
    .await
    .doing(DOING)?;
    Ok(gone.rows_affected())
}

/// Errors of runs that name one. (Messages do not name profiles any more; a tenant's own words may.)
async fn runs(connection: &mut PgConnection, spellings: &[String]) -> Result<u64, Error> {
    let changed = sqlx::query_scalar!(
        r#"with withheld as (
             update sync.runs as r set error = 'withheld: it named a person who was erased', hint = null
             where (r.error is not null or r.hint is not null) and exists (
               select from unnest($1::text[]) as spelling
               where position(spelling in concat(r.error, ' ', r.hint)) > 0
             )
             returning 1
           )
           select count(*) as "count!" from withheld"#,
        spellings
    )
    .fetch_one(connection)
    .await
    .doing(DOING)?;
    Ok(to_count(changed))
}
