//! Values of audit events that the tenant renamed (`sync.audit_renames`), and events that are stored under the key of an
//! older value or of an earlier release.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};

use crate::model::batch::Batch;
use crate::model::event::{AlternateKeys, EventIdentity, EventKey, FIELDS, FormerKey, Rename};
use crate::model::lease::Lease;
use crate::postgres::bigint::to_count;
use crate::postgres::changes::{ChangedTable, Changes, Reason};
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::{REKEY_STAGED, REKEY_STORED};
use crate::postgres::{boundary, leases};

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
    let keys: Vec<&[u8]> = events.iter().map(|event| event.key.as_slice()).collect();
    let occurrences: Vec<i32> = events.iter().map(|event| event.occurrence).collect();
    let dates: Vec<crate::model::Time> = events.iter().map(|event| event.at).collect();
    let rows = sqlx::query!(
        r#"with asked as (
             select * from unnest($1::bytea[], $2::integer[], $3::timestamptz[]) as a (event_key, occurrence, occurred_at)
           ), stored as (
             select e.* from blueconic.audit_events as e
             where e.occurred_at between $4 and $5 and e.occurred_at = any (
               select a.occurred_at from asked as a
               where not exists (
                 select from blueconic.audit_events as s
                 where s.event_key = a.event_key and s.occurrence = a.occurrence and s.occurred_at = a.occurred_at
               )
             )
           )
           select s.event_key, s.occurrence, s.occurred_at,
             s.application, s.user_name, s.object_type, s.operation, s.ip_address,
             array(select one ->> 'id' from jsonb_array_elements(s.objects) as one order by 1) as "objects!: Vec<Option<String>>"
           from stored as s
           where s.occurred_at in (
             select g.occurred_at from stored as g
             where not exists (
               select from asked as a
               where a.event_key = g.event_key and a.occurrence = g.occurrence and a.occurred_at = g.occurred_at
             )
           )"#,
        &keys as &[&[u8]],
        &occurrences,
        &dates,
        dates.iter().min(),
        dates.iter().max()
    )
    .fetch_all(connection)
    .await
    .doing("looking for renamed values")?;
    let identity = |objects: Vec<Option<String>>| {
        let mut objects = objects;
        objects.sort_unstable();
        objects
    };
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(EventIdentity {
                key: row.event_key.try_into().ok()?,
                occurrence: row.occurrence,
                at: row.occurred_at,
                fields: [
                    row.application,
                    row.user_name,
                    row.object_type,
                    row.operation,
                    row.ip_address,
                ],
                objects: identity(row.objects),
            })
        })
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

/// Returns the former and the new keys of the events, as the feed of changes has them.
async fn rekey_stored(
    connection: &mut PgConnection,
    former_keys: &[FormerKey],
) -> Result<Vec<(String, String)>, Error> {
    let former: Vec<&[u8]> = former_keys.iter().map(|event| event.former.as_slice()).collect();
    let keys: Vec<&[u8]> = former_keys.iter().map(|event| event.key.as_slice()).collect();
    let occurrences: Vec<i32> = former_keys.iter().map(|event| event.occurrence).collect();
    let dates: Vec<crate::model::Time> = former_keys.iter().map(|event| event.at).collect();
    sqlx::query_as(REKEY_STORED)
        .bind(former)
        .bind(keys)
        .bind(occurrences)
        .bind(dates)
        .fetch_all(connection)
        .await
        .doing("renewing the keys of audit events")
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
