//! When a walk of profiles that broke off begins anew. A cursor may die: then every run would fail at the same page until
//! a person forgets the position. But a walk may be days of reading, so that an outage of the tenant must not end it.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Source, Store, Walkable};
use crate::model::position::{CursorPosition, Position, Restarted};

use super::ending::{SEEN_LOST, TransferFault};
use super::profiles::stored::moved;
use super::run::Context;
use super::small_pages::read_prelude;

/// How often a walk begins anew within one run.
pub(super) const RESTARTS: u32 = 3;
/// After this time a walk that gets no farther than the one before may begin anew once more: what was in the way may
/// have passed, and the cursor may have died since.
const ONCE_IN: TimeDelta = TimeDelta::hours(24);
/// How long the tenant may take to show that it answers other requests.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a walk begins anew.
pub(super) struct Restart {
    /// For the notice.
    pub(super) why: String,
    /// Where it stood, if it is its cursor that died.
    pub(super) restarted: Option<Restarted>,
}

/// Decides about a walk that broke off, as the `restarts`-th of this run: it begins anew, or the fault ends the run.
pub(super) async fn decide<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    stopped: TransferFault,
    restarts: u32,
) -> Outcome<Restart> {
    let TransferFault { fault, unread } = stopped;
    if fault.kind == Kind::WalkLost && restarts < RESTARTS {
        return Ok(Restart {
            why: SEEN_LOST.to_owned(),
            restarted: None,
        });
    }
    let Some(position) = unread.filter(|position| position.cursor != "*" && is_an_answer(&fault.kind)) else {
        return Err(fault);
    };
    let now = context.store.now().await?;
    let no_farther = |before: Restarted| position.read <= before.read && now - before.at < ONCE_IN;
    if restarts >= RESTARTS || position.course.restarted.is_some_and(no_farther) {
        return Err(stuck(fault));
    }
    let passes = fault.is_transient();
    if passes && position.course.failed_here == 0 {
        note(context, &position).await;
        return Err(fault);
    }
    if !answers_others(context, &position).await? {
        return Err(fault);
    }
    let why = if passes {
        format!("two runs ended at the same page ({fault}), while the tenant answers other requests")
    } else {
        format!("the tenant no longer accepts the stored cursor ({fault})")
    };
    Ok(Restart {
        why,
        restarted: Some(Restarted {
            read: position.read,
            at: now,
        }),
    })
}

/// Whether a fault says something about what was asked for, and not about this process.
fn is_an_answer(kind: &Kind) -> bool {
    match kind {
        Kind::Transient
        | Kind::Strained
        | Kind::Settings
        | Kind::Denied { .. }
        | Kind::CursorRefused
        | Kind::Absent
        | Kind::Final => true,
        Kind::Person | Kind::WalkLost | Kind::Fenced | Kind::Held | Kind::Interrupted => false,
    }
}

/// The walk had begun anew for the same reason, and got no farther.
fn stuck(fault: Fault) -> Fault {
    let why = match fault.why {
        Some(why) => format!("{why}; the walk began anew for it, and came no farther"),
        None => "the walk began anew for it, and came no farther".to_owned(),
    };
    Fault {
        why: Some(why),
        hint: Some(
            "lower `resources.profiles.page_size` in case the page is too large, or report it to BlueConic; \
             the walk begins anew once a day, or at once after `blueconic-sync reset profiles`"
                .to_owned(),
        ),
        ..fault
    }
}

/// Remembers that this run could not read the page at its stored position, for the next one.
async fn note<S: Source, T: Store>(context: &Context<'_, S, T, dyn Walkable>, unread: &CursorPosition) {
    let noting = async {
        let store = context.store;
        let stored = store.cursor(context.lease.slot).await?.position;
        let Some(Position::Cursor(mut position)) = stored else {
            return Ok(());
        };
        if position.walk_id != unread.walk_id || position.cursor != unread.cursor {
            return Ok(());
        }
        position.course.failed_here += 1;
        store.advance(context.lease, &moved(Some(position), None)).await
    };
    if let Err(fault) = noting.await {
        tracing::warn!(%fault, "that a page could not be read was not stored");
    }
}

/// Whether the tenant answers what else the walk would ask for: its listing of segments, and the first page. What takes
/// too long is no answer.
async fn answers_others<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: &CursorPosition,
) -> Outcome<bool> {
    let asking = async {
        match tokio::time::timeout(PATIENCE, ask(context, position)).await {
            Ok(answered) => answered,
            Err(_) => Err(Fault::new(Kind::Transient, "the tenant takes long to answer")),
        }
    };
    match context.stop.or(asking).await {
        Ok(()) => Ok(true),
        Err(fault) if is_an_answer(&fault.kind) => {
            tracing::info!(%fault, "the tenant does not answer other requests either; the walk keeps its place");
            Ok(false)
        }
        Err(fault) => Err(fault),
    }
}

async fn ask<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: &CursorPosition,
) -> Outcome<()> {
    let resource = context.resource.as_ref();
    let source = context.source.as_ref();
    let meter = context.progress.meter();
    let _waiting = context.progress.waiting();
    let mut prelude = resource.prelude(Some(&position.segment));
    read_prelude(source, context.stop, meter, prelude.as_mut(), |_| {}).await?;
    let is_listed = prelude.resolve(None).is_ok_and(|choice| choice.is_wanted);
    let start = CursorPosition {
        cursor: "*".to_owned(),
        ..position.clone()
    };
    let request = resource.page(&start, u32::BITS);
    match source.open(&request, 0, meter).await {
        Ok(_) => Ok(()),
        // A segment that is gone is no reason to keep the walk.
        Err(_) if !is_listed => Ok(()),
        Err(fault) => Err(fault),
    }
}
