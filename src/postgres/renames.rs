//! Values of audit events that the tenant renamed (`sync.audit_renames`), and events that are stored under the key of an
//! older value or of an earlier release.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::{PgConnection, PgPool};

use crate::model::Time;
use crate::model::batch::Batch;
use crate::model::event::{AlternateKeys, EventIdentity, EventKey, FIELDS, FormerKey, Rename};
use crate::model::lease::Lease;
use crate::postgres::bigint::to_count;
use crate::postgres::changes::{ChangedTable, Changes, Reason};
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::{EVENT_NAMES, FORGET_FORMER, REKEY_STAGED, REKEY_STORED};
use crate::postgres::{boundary, leases};

const LOOKING: &str = "looking for renamed values";
const RENEWING: &str = "renewing the keys of audit events";

/// The key, number and date of an event.
type StoredKey = (Vec<u8>, i32, Time);

#[derive(Debug)]
struct StoredEvent {
    event_key: Vec<u8>,
    occurrence: i32,
    occurred_at: Time,
    application: Option<String>,
    user_name: Option<String>,
    object_type: Option<String>,
    operation: Option<String>,
    ip_address: Option<String>,
    objects: Option<serde_json::Value>,
}

impl StoredEvent {
    fn identity(self) -> Option<EventIdentity> {
        let objects = self.objects.as_ref().and_then(serde_json::Value::as_array);
        let mut objects: Vec<Option<String>> = objects.into_iter().flatten().map(id_of).collect();
        objects.sort_unstable();
        Some(EventIdentity {
            key: self.event_key.try_into().ok()?,
            occurrence: self.occurrence,
            at: self.occurred_at,
            fields: [
                self.application,
                self.user_name,
                self.object_type,
                self.operation,
                self.ip_address,
            ],
            objects,
        })
    }
}

/// The id of an object as `->>` gives it.
fn id_of(object: &serde_json::Value) -> Option<String> {
    match object.get("id")? {
        serde_json::Value::Null => None,
        serde_json::Value::String(id) => Some(id.clone()),
        other => Some(other.to_string()),
    }
}

/// The known renames, in the order of their discovery.
pub(crate) async fn read(pool: &PgPool) -> Result<Vec<Rename>, Error> {
    let rows = sqlx::query!(
        "select field, old_value, new_value from sync.audit_renames order by noticed_at, field, new_value"
    )
    .fetch_all(pool)
    .await
    .doing("reading renamed values")?;
    let known = rows.into_iter().filter_map(|row| {
        Some(Rename {
            field: FIELDS.iter().position(|name| *name == row.field)?,
            old: row.old_value,
            new: row.new_value,
        })
    });
    Ok(known.collect())
}

/// Records renames that were noticed.
pub(crate) async fn record(
    connection: &mut PgConnection,
    lease: &Lease,
    renames: &[Rename],
) -> Result<(), Error> {
    const DOING: &str = "recording renamed values";
    let mut transaction = sqlx::Connection::begin(connection).await.doing(DOING)?;
    for rename in renames {
        sqlx::query!(
            "insert into sync.audit_renames (field, old_value, new_value, run_id, noticed_at)
             values ($1, $2, $3, $4, sync.clock())
             on conflict do nothing",
            rename.field_name(),
            rename.old.as_deref(),
            rename.new.as_deref(),
            lease.run_id
        )
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
    }
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("renames", DOING, transaction.commit()).await
}

/// The stored events at dates with differences: one of `events` is not stored, and a stored event is not among
/// `events`. Usually none.
pub(crate) async fn similar_events(
    connection: &mut PgConnection,
    events: &[EventIdentity],
) -> Result<Vec<EventIdentity>, Error> {
    let (Some(first), Some(last)) = (
        events.iter().map(|event| event.at).min(),
        events.iter().map(|event| event.at).max(),
    ) else {
        return Ok(Vec::new());
    };
    let asked: HashSet<StoredKey> = events
        .iter()
        .map(|event| (event.key.to_vec(), event.occurrence, event.at))
        .collect();
    let keys: Vec<&[u8]> = events.iter().map(|event| event.key.as_slice()).collect();
    let mut missing = asked.clone();
    for stored in stored_under(connection, &keys, LOOKING).await? {
        missing.remove(&stored);
    }
    let dates: BTreeSet<Time> = missing.into_iter().map(|(_, _, at)| at).collect();
    if dates.is_empty() {
        return Ok(Vec::new());
    }
    let dates: Vec<Time> = dates.into_iter().collect();
    let rows = sqlx::query_as!(
        StoredEvent,
        "select e.event_key, e.occurrence, e.occurred_at,
           e.application, e.user_name, e.object_type, e.operation, e.ip_address, e.objects
         from blueconic.audit_events as e
         where e.occurred_at between $1 and $2 and e.occurred_at = any ($3)",
        first,
        last,
        &dates
    )
    .fetch_all(connection)
    .await
    .doing(LOOKING)?;
    let others: HashSet<Time> = rows
        .iter()
        .filter(|row| !asked.contains(&(row.event_key.clone(), row.occurrence, row.occurred_at)))
        .map(|row| row.occurred_at)
        .collect();
    Ok(rows
        .into_iter()
        .filter(|row| others.contains(&row.occurred_at))
        .filter_map(StoredEvent::identity)
        .collect())
}

/// The keys, numbers and dates of the stored events with one of these keys.
async fn stored_under(
    connection: &mut PgConnection,
    keys: &[&[u8]],
    doing: &'static str,
) -> Result<Vec<StoredKey>, Error> {
    let rows = sqlx::query!(
        "select e.event_key, e.occurrence, e.occurred_at from blueconic.audit_events as e where e.event_key = any ($1)",
        keys as &[&[u8]]
    )
    .fetch_all(connection)
    .await
    .doing(doing)?;
    let keys = rows.into_iter();
    Ok(keys
        .map(|row| (row.event_key, row.occurrence, row.occurred_at))
        .collect())
}

/// Aligns the keys of staged and stored events, in the transaction that merges them. Stored rows with the key of an
/// earlier release get the key of this one; staged events with renamed values get the key under which they are stored.
pub(crate) async fn reconcile(
    connection: &mut PgConnection,
    batch: &Batch,
    (events, changes): (ChangedTable, &mut Changes),
) -> Result<(), Error> {
    if !batch.former_keys.is_empty() {
        let renewed = rekey_stored(connection, &batch.former_keys).await?;
        let (former, new): (Vec<String>, Vec<String>) = renewed.into_iter().unzip();
        changes.removed(events, Reason::Renamed, former);
        changes.inserted(events, new);
    }
    if !batch.alternate_keys.is_empty() {
        rekey_staged(connection, &batch.alternate_keys).await?;
    }
    Ok(())
}

/// Stored events with former keys get the keys of events that are not stored yet, in order. Returns the former and the new keys of the
/// events, as the feed of changes has them.
async fn rekey_stored(
    connection: &mut PgConnection,
    former_keys: &[FormerKey],
) -> Result<Vec<(String, String)>, Error> {
    let keys = |of: fn(&FormerKey) -> &EventKey| {
        let keys = former_keys.iter().map(|event| of(event).as_slice());
        keys.collect::<Vec<&[u8]>>()
    };
    let new = stored_under(connection, &keys(|event| &event.key), RENEWING).await?;
    let former = stored_under(connection, &keys(|event| &event.former), RENEWING).await?;
    let (former, new) = renewed(former_keys, former, &new.into_iter().collect());
    if former.is_empty() {
        return Ok(Vec::new());
    }
    let ((former_keys, former_numbers), dates) = columns(&former);
    let ((new_keys, new_numbers), _) = columns(&new);
    sqlx::query(REKEY_STORED)
        .bind(&former_keys)
        .bind(&former_numbers)
        .bind(&dates)
        .bind(&new_keys)
        .bind(&new_numbers)
        .execute(&mut *connection)
        .await
        .doing(RENEWING)?;
    sqlx::query(FORGET_FORMER)
        .bind(&former_keys)
        .bind(&former_numbers)
        .bind(&dates)
        .execute(&mut *connection)
        .await
        .doing(RENEWING)?;
    let former = names(connection, &former).await?;
    let new = names(connection, &new).await?;
    Ok(former.into_iter().zip(new).collect())
}

/// Pairs of stored events and of those whose keys they get: of each former key and date the events in the order of their numbers.
fn renewed(
    wanted: &[FormerKey],
    stored: Vec<StoredKey>,
    known: &HashSet<StoredKey>,
) -> (Vec<StoredKey>, Vec<StoredKey>) {
    let mut numbers: HashMap<(Vec<u8>, Time), BTreeSet<i32>> = HashMap::new();
    for (key, number, at) in stored {
        numbers.entry((key, at)).or_default().insert(number);
    }
    let mut wanted: Vec<&FormerKey> = wanted
        .iter()
        .filter(|event| !known.contains(&(event.key.to_vec(), event.occurrence, event.at)))
        .collect();
    wanted.sort_unstable_by_key(|event| (event.key, event.occurrence));
    let pairs = wanted.into_iter().filter_map(|event| {
        let left = numbers.get_mut(&(event.former.to_vec(), event.at))?;
        let former = (event.former.to_vec(), left.pop_first()?, event.at);
        Some((former, (event.key.to_vec(), event.occurrence, event.at)))
    });
    pairs.unzip()
}

type KeyColumns<'keys> = ((Vec<&'keys [u8]>, Vec<i32>), Vec<Time>);

fn columns(keys: &[StoredKey]) -> KeyColumns<'_> {
    keys.iter()
        .map(|(key, number, at)| ((key.as_slice(), *number), *at))
        .unzip()
}

async fn names(connection: &mut PgConnection, keys: &[StoredKey]) -> Result<Vec<String>, Error> {
    let ((keys, numbers), dates) = columns(keys);
    sqlx::query_scalar(EVENT_NAMES)
        .bind(keys)
        .bind(numbers)
        .bind(dates)
        .fetch_all(connection)
        .await
        .doing(RENEWING)
}

async fn rekey_staged(connection: &mut PgConnection, alternate_keys: &[AlternateKeys]) -> Result<(), Error> {
    const DOING: &str = "looking for events with renamed values";
    let asked: Vec<&[u8]> = alternate_keys
        .iter()
        .flat_map(|event| std::iter::once(&event.key).chain(&event.older))
        .map(EventKey::as_slice)
        .collect();
    let rows = sqlx::query!(
        r#"select event_key, count(*) as "events!" from blueconic.audit_events
           where event_key = any ($1) group by event_key"#,
        &asked as &[&[u8]]
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    let stored: HashMap<Vec<u8>, u64> = rows
        .into_iter()
        .map(|row| (row.event_key, to_count(row.events)))
        .collect();
    let stored_keys: Vec<(&EventKey, i32)> = alternate_keys
        .iter()
        .map(|event| stored_key(event, &stored))
        .collect();
    sqlx::query(REKEY_STAGED)
        .bind(
            alternate_keys
                .iter()
                .map(|event| event.key.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(
            alternate_keys
                .iter()
                .map(|event| event.occurrence)
                .collect::<Vec<_>>(),
        )
        .bind(
            stored_keys
                .iter()
                .map(|(key, _)| key.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(
            stored_keys
                .iter()
                .map(|(_, occurrence)| *occurrence)
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await
        .doing(DOING)?;
    Ok(())
}

/// The key and number under which one of several equal events is stored: with its own values, or with older ones. An event
/// that is not stored yet gets the key of the oldest values.
fn stored_key<'event>(
    event: &'event AlternateKeys,
    stored: &HashMap<Vec<u8>, u64>,
) -> (&'event EventKey, i32) {
    let mut left = event.occurrence;
    let oldest = event.older.last().unwrap_or(&event.key);
    let others = event.older.iter().filter(|key| *key != oldest);
    for key in std::iter::once(&event.key)
        .filter(|key| *key != oldest)
        .chain(others)
    {
        let events = stored.get(key.as_slice()).copied().unwrap_or(0);
        let events = i32::try_from(events).unwrap_or(i32::MAX);
        if left < events {
            return (key, left);
        }
        left -= events;
    }
    (oldest, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_events_are_distributed_over_the_keys_under_which_they_are_stored() {
        let stored = HashMap::from([(vec![1; 32], 1), (vec![2; 32], 2), (vec![3; 32], 5)]);
        let of = |occurrence| {
            let event = AlternateKeys {
                key: [1; 32],
                occurrence,
                older: vec![[2; 32], [3; 32]],
            };
            let (key, number) = stored_key(&event, &stored);
            (key[0], number)
        };
        let stored_keys: Vec<(u8, i32)> = (0..6).map(of).collect();
        assert_eq!(stored_keys, [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]);
    }
}
