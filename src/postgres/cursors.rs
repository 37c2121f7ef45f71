//! `sync.cursors`: the position and the watermark of each slot. A watermark never moves back and never lies ahead of
//! both own clocks. A stored watermark that does (from an earlier version, or from a clock that was wrong) is replaced
//! by the new one.

use sqlx::{PgConnection, PgPool};

use crate::clock::SystemClock;
use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::clocks::OwnClocks;
use crate::model::cursor::{Cursor, Standing};
use crate::model::lease::Lease;
use crate::model::ports::Clock as _;
use crate::model::position::{Position, Scope, Slot};
use crate::postgres::error::{Doing, Error};
use crate::postgres::{boundary, leases, missing, seen};

/// The cursor of a slot; an empty one when there is no row.
pub(crate) async fn read(pool: &PgPool, slot: Slot) -> Result<Cursor, Error> {
    let row = sqlx::query!(
        "select position, watermark, segment, asked_through from sync.cursors where resource = $1 and scope = $2",
        slot.resource,
        slot.scope.as_str()
    )
    .fetch_optional(pool)
    .await
    .doing("reading the cursor")?;
    let Some(row) = row else {
        return Ok(Cursor::default());
    };
    Ok(Cursor {
        position: parsed(slot, row.position)?,
        watermark: row.watermark,
        segment: row.segment,
        asked_through: row.asked_through,
    })
}

/// Both cursors of a resource, and the database's clock.
pub(crate) async fn standing(pool: &PgPool, resource: &'static str) -> Result<Standing, Error> {
    let rows = sqlx::query!(
        r#"select sync.clock() as "now!", wanted.scope as "scope!", c.position as "position?", c.watermark as "watermark?",
             c.segment as "segment?", c.asked_through as "asked_through?"
           from unnest($2::text[]) as wanted (scope)
           left join sync.cursors as c on c.resource = $1 and c.scope = wanted.scope"#,
        resource,
        &[Scope::Full, Scope::Increment].map(|scope| scope.as_str().to_owned())
    )
    .fetch_all(pool)
    .await
    .doing("reading the cursors")?;
    let first = rows.first().ok_or(sqlx::Error::RowNotFound);
    let mut standing = Standing {
        now: first.doing("reading the cursors")?.now,
        full: Cursor::default(),
        increment: Cursor::default(),
    };
    for row in rows {
        let (scope, place) = if row.scope == Scope::Full.as_str() {
            (Scope::Full, &mut standing.full)
        } else {
            (Scope::Increment, &mut standing.increment)
        };
        *place = Cursor {
            position: parsed(Slot { resource, scope }, row.position)?,
            watermark: row.watermark,
            segment: row.segment,
            asked_through: row.asked_through,
        };
    }
    Ok(standing)
}

/// Moves the cursor, in the transaction of the rows that it covers. Closing a walk also removes its seen ids, since
/// after a crash nothing would refer to them.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    slot: Slot,
    advance: &Advance,
    now: Time,
) -> Result<(), Error> {
    let walk_id = advance.position.as_ref().and_then(Position::walk_id);
    seen::forget_former(connection, slot, walk_id).await?;
    let watermark = advance.watermark.map(|watermark| watermark.min(bound(now)));
    if watermark.is_some() {
        forget_ahead(connection, slot, now).await?;
    }
    if let Some(segment) = &advance.segment {
        missing::forget_of_another_segment(connection, slot, segment).await?;
    }
    sqlx::query!(
        "insert into sync.cursors (resource, scope, position, watermark, updated_at, segment, timelines_as_of)
         values ($1, $2, $3, $4, $5, $6, case when $7::boolean then $4::timestamptz end)
         on conflict (resource, scope) do update set
           position = excluded.position,
           watermark = greatest(cursors.watermark, excluded.watermark),
           timelines_as_of = greatest(cursors.timelines_as_of, excluded.timelines_as_of),
           segment = coalesce(excluded.segment, cursors.segment),
           updated_at = excluded.updated_at",
        slot.resource,
        slot.scope.as_str(),
        json(slot, advance.position.as_ref())?,
        watermark,
        now,
        advance.segment,
        advance.timelines
    )
    .execute(&mut *connection)
    .await
    .doing("storing the cursor")?;
    match (slot.resource, slot.scope, watermark) {
        ("profiles", Scope::Full, Some(watermark)) => lift_increment(connection, slot, watermark, now).await,
        _ => Ok(()),
    }
}

/// The upper bound of a watermark. `now`: the database's time; this process's time is read here.
fn bound(now: Time) -> Time {
    let own = OwnClocks {
        process: SystemClock.now(),
        database: now,
    };
    own.bound()
}

/// Removes a watermark that lies in the future, so that an earlier one can replace it.
async fn forget_ahead(connection: &mut PgConnection, slot: Slot, now: Time) -> Result<(), Error> {
    sqlx::query!(
        "update sync.cursors set
           watermark = case when watermark <= $3 then watermark end,
           timelines_as_of = case when timelines_as_of <= $3 then timelines_as_of end
         where resource = $1 and scope = $2 and (watermark > $3 or timelines_as_of > $3)",
        slot.resource,
        slot.scope.as_str(),
        bound(now)
    )
    .execute(connection)
    .await
    .doing("storing the cursor")?;
    Ok(())
}

/// Stores the id at which a sweep stopped looking up candidates; the next sweep starts after it.
pub(crate) async fn remember_asked(pool: &PgPool, lease: &Lease, through: Option<&str>) -> Result<(), Error> {
    const DOING: &str = "storing where a sweep stopped";
    let mut transaction = pool.begin().await.doing(DOING)?;
    sqlx::query!(
        "update sync.cursors set asked_through = $3 where resource = $1 and scope = $2",
        lease.slot.resource,
        lease.slot.scope.as_str(),
        through
    )
    .execute(&mut *transaction)
    .await
    .doing(DOING)?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("asked", DOING, transaction.commit()).await
}

/// Moves the increment's watermark to the start of a complete full walk, which covers everything before.
async fn lift_increment(
    connection: &mut PgConnection,
    slot: Slot,
    watermark: Time,
    now: Time,
) -> Result<(), Error> {
    let increment = Slot {
        scope: Scope::Increment,
        ..slot
    };
    forget_ahead(connection, increment, now).await?;
    sqlx::query!(
        "insert into sync.cursors (resource, scope, watermark, updated_at)
         values ($1, $2, $3, $4)
         on conflict (resource, scope) do update set
           watermark = greatest(cursors.watermark, excluded.watermark),
           updated_at = excluded.updated_at",
        slot.resource,
        Scope::Increment.as_str(),
        watermark,
        now
    )
    .execute(connection)
    .await
    .doing("storing the cursor")?;
    Ok(())
}

fn json(slot: Slot, position: Option<&Position>) -> Result<Option<serde_json::Value>, Error> {
    position
        .map(serde_json::to_value)
        .transpose()
        .map_err(|source| unreadable(slot, source))
}

fn parsed(slot: Slot, stored: Option<serde_json::Value>) -> Result<Option<Position>, Error> {
    let position = stored.map(serde_json::from_value).transpose();
    position.map_err(|source| unreadable(slot, source))
}

fn unreadable(slot: Slot, source: serde_json::Error) -> Error {
    Error::Position {
        name: slot.lease_name(),
        source,
    }
}
