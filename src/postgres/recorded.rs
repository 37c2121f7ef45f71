//! Recorded histories of profiles (`sync.histories`): switches them on and off, and begins to record them. No load is under way meanwhile,
//! so that a history lacks nothing from its beginning on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::lease::Lease;
use crate::model::recorded_histories::WantedHistories;
use crate::model::walk::Walk;
use crate::postgres::boundary;
use crate::postgres::clock;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases;
use crate::postgres::load_lock::wait_for_loads;

use statements::{ALL, ARRIVED, PROPERTIES};

pub(crate) mod recording;
pub(crate) mod statements;

const SWITCHING: &str = "switching histories of profiles on and off";
const BEGINNING: &str = "beginning to record histories of profiles";
/// How long one attempt waits for loads that are under way.
const LOADS: &str = "5s";
/// How long one attempt waits for the lock on a table. A query that comes meanwhile waits behind it.
const TRY: &str = "50ms";
/// The pause between two attempts, in which loads and queries proceed.
const PAUSE: Duration = Duration::from_millis(250);
/// How long it is tried in one run.
const PATIENCE: Duration = Duration::from_secs(8);

/// A history and its property, or nothing.
type Name = (String, String);

/// Switches histories on and off, as wanted. Returns sentences about what an operator should know.
pub(crate) async fn bring(
    connection: &mut PgConnection,
    wanted: &WantedHistories,
) -> Result<Vec<String>, Error> {
    let wanted = names(wanted);
    let began = Instant::now();
    loop {
        let stored = read(connection).await?;
        if stored == wanted {
            return Ok(Vec::new());
        }
        match switch(connection, &wanted).await {
            Ok(()) => {
                let off: Vec<String> = stored.difference(&wanted).map(shown).collect();
                let sentence = format!("no longer recorded, and emptied: {}", off.join(", "));
                return Ok(if off.is_empty() {
                    Vec::new()
                } else {
                    vec![sentence]
                });
            }
            Err(error) if error.is_lock_not_had() && began.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) if error.is_lock_not_had() => {
                return Ok(vec![format!(
                    "histories could not be switched on or off, since others hold locks; the next run tries again: {error}"
                )]);
            }
            Err(error) => return Err(error),
        }
    }
}

fn names(wanted: &WantedHistories) -> BTreeSet<Name> {
    let WantedHistories {
        segments,
        consent,
        lifecycle_stages,
        properties,
    } = wanted;
    let whole = [
        ("segments", *segments),
        ("consent", *consent),
        ("lifecycle_stages", *lifecycle_stages),
    ];
    let whole = whole.into_iter().filter(|(_, is_wanted)| *is_wanted);
    let whole = whole.map(|(name, _)| (name.to_owned(), String::new()));
    let properties = properties.iter().map(|id| ("properties".to_owned(), id.clone()));
    whole.chain(properties).collect()
}

fn shown((history, property): &Name) -> String {
    match property.as_str() {
        "" => format!("the history of {}", history.replace('_', " ")),
        property => format!("the history of the property `{property}`"),
    }
}

async fn read(connection: &mut PgConnection) -> Result<BTreeSet<Name>, Error> {
    let rows = sqlx::query!("select history, property_id from sync.histories")
        .fetch_all(connection)
        .await
        .doing(SWITCHING)?;
    Ok(rows
        .into_iter()
        .map(|row| (row.history, row.property_id))
        .collect())
}

async fn switch(connection: &mut PgConnection, wanted: &BTreeSet<Name>) -> Result<(), Error> {
    let mut transaction = connection.begin().await.doing(SWITCHING)?;
    wait_at_most(&mut transaction, LOADS).await?;
    wait_for_loads(&mut transaction).await?;
    wait_at_most(&mut transaction, TRY).await?;
    // Another process may have switched them meanwhile.
    let stored = read(&mut transaction).await?;
    let off: Vec<&Name> = stored.difference(wanted).collect();
    remove(&mut transaction, &stored, &off).await?;
    let now = clock::now(&mut *transaction, SWITCHING).await?;
    let (histories, properties): (Vec<&str>, Vec<&str>) = wanted
        .difference(&stored)
        .map(|(history, property)| (history.as_str(), property.as_str()))
        .unzip();
    sqlx::query!(
        "insert into sync.histories (history, property_id, wanted_since)
         select w.history, w.property_id, $3 from unnest($1::text[], $2::text[]) as w (history, property_id)",
        &histories as &[&str],
        &properties as &[&str],
        now
    )
    .execute(&mut *transaction)
    .await
    .doing(SWITCHING)?;
    boundary::cross("histories/switch", SWITCHING, transaction.commit()).await
}

/// Removes histories with their rows: where a history is on again, nothing may say what was so in between.
async fn remove(connection: &mut PgConnection, stored: &BTreeSet<Name>, off: &[&Name]) -> Result<(), Error> {
    for history in &ALL {
        let of = |names: &[&Name]| names.iter().filter(|name| name.0 == history.name).count();
        let all: Vec<&Name> = stored.iter().collect();
        if of(off) > 0 && of(off) == of(&all) {
            sqlx::query(AssertSqlSafe(format!("truncate {}", history.table)))
                .execute(&mut *connection)
                .await
                .doing(SWITCHING)?;
        } else if of(off) > 0 && history.table == PROPERTIES {
            let properties: Vec<&str> = off.iter().map(|(_, property)| property.as_str()).collect();
            sqlx::query!(
                "delete from sync.property_intervals where property_id = any ($1)",
                &properties as &[&str]
            )
            .execute(&mut *connection)
            .await
            .doing(SWITCHING)?;
        }
    }
    let (histories, properties): (Vec<&str>, Vec<&str>) = off
        .iter()
        .map(|(history, property)| (history.as_str(), property.as_str()))
        .unzip();
    sqlx::query!(
        "delete from sync.histories as h using unnest($1::text[], $2::text[]) as o (history, property_id)
         where h.history = o.history and h.property_id = o.property_id",
        &histories as &[&str],
        &properties as &[&str]
    )
    .execute(&mut *connection)
    .await
    .doing(SWITCHING)?;
    forget_arrivals(connection, "truncate").await
}

/// Empties the table of arrivals by `truncate` or `delete from`, unless a history is still recorded: while none is, nobody who leaves is
/// removed from it.
pub(crate) async fn forget_arrivals(connection: &mut PgConnection, empty: &'static str) -> Result<(), Error> {
    let is_recorded =
        sqlx::query_scalar!(r#"select cardinality(sync.recorded_histories()) > 0 as "recorded!""#)
            .fetch_one(&mut *connection)
            .await
            .doing(SWITCHING)?;
    if is_recorded {
        return Ok(());
    }
    sqlx::query(AssertSqlSafe(format!("{empty} {ARRIVED}")))
        .execute(connection)
        .await
        .doing(SWITCHING)?;
    Ok(())
}

async fn wait_at_most(connection: &mut PgConnection, time: &str) -> Result<(), Error> {
    sqlx::query!("select set_config('lock_timeout', $1, true)", time)
        .fetch_one(connection)
        .await
        .doing(SWITCHING)?;
    Ok(())
}

/// Begins to record the histories that were switched on before a complete full walk began. Returns sentences about it.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    lease: &Lease,
    walk: Walk,
) -> Result<Vec<String>, Error> {
    let waiting = sqlx::query_scalar!(
        r#"select exists (
             select from sync.histories where recorded_since is null and wanted_since <= $1
           ) as "waiting!""#,
        walk.opened_at
    )
    .fetch_one(&mut *connection)
    .await
    .doing(BEGINNING)?;
    if !waiting {
        return Ok(Vec::new());
    }
    let since = Instant::now();
    loop {
        match begin_once(connection, lease, walk).await {
            Ok(begun) => {
                let begun: Vec<String> = begun.iter().map(shown).collect();
                return Ok(vec![format!("recorded from now on: {}", begun.join(", "))]);
            }
            Err(error) if error.is_lock_not_had() && since.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) if error.is_lock_not_had() => {
                return Ok(vec![format!(
                    "histories could not begin, since loads are under way; they begin after the next full walk: {error}"
                )]);
            }
            Err(error) => return Err(error),
        }
    }
}

async fn begin_once(connection: &mut PgConnection, lease: &Lease, walk: Walk) -> Result<Vec<Name>, Error> {
    let mut transaction = connection.begin().await.doing(BEGINNING)?;
    wait_at_most(&mut transaction, LOADS).await?;
    wait_for_loads(&mut transaction).await?;
    let now = clock::now(&mut *transaction, BEGINNING).await?;
    let begun = sqlx::query!(
        "update sync.histories set recorded_since = $2
         where recorded_since is null and wanted_since <= $1 returning history, property_id",
        walk.opened_at,
        now
    )
    .fetch_all(&mut *transaction)
    .await
    .doing(BEGINNING)?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("histories/begin", BEGINNING, transaction.commit()).await?;
    Ok(begun
        .into_iter()
        .map(|row| (row.history, row.property_id))
        .collect())
}
