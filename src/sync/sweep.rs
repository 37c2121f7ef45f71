//! Removing what a complete walk no longer saw. Every guard errs on the side of keeping: a row that stays too long is
//! found by the next walk, a row that is removed wrongly is lost to the analyst.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ledger::Status;
use crate::model::page::Lookup;
use crate::model::ports::{Candidates, Source, Store, Verdict, Walk};

use super::engine::{Context, Ended};

/// Candidates that are fetched and judged at once.
const CHUNK: u32 = 200;

/// A walk whose reading is complete.
pub(super) struct Sweep {
    walk: Walk,
    /// The walked segment, for elements that can be asked for by id.
    segment: Option<String>,
}

/// What became of the candidates.
#[derive(Debug, Default)]
struct Swept {
    removed: u64,
    missed: u64,
    looked_up: u64,
    /// The answer that ended the asking.
    denied: Option<Fault>,
}

impl Sweep {
    /// Of a list: what is not in it any more is gone.
    pub(super) fn of_list(walk: Walk) -> Self {
        Self { walk, segment: None }
    }

    /// Of the profiles in a segment: each candidate is asked for by id.
    pub(super) fn of_profiles(walk: Walk, segment: String) -> Self {
        Self {
            walk,
            segment: Some(segment),
        }
    }
}

/// Sweeps, if the guards let it.
pub(super) async fn run<S: Source, T: Store>(context: &Context<'_, S, T>, sweep: Sweep) -> Outcome<Ended> {
    let table = context.task.resource.table();
    context.stop.check()?;
    let candidates = context.engine.store.candidates(table, sweep.walk).await?;
    if candidates.unseen == 0 {
        return Ok(Ended::well(&context.progress.read()));
    }
    if let Some(ended) = too_many(context, candidates) {
        return Ok(ended);
    }
    let swept = judge_all(context, &sweep).await?;
    context.progress.change(|counts| {
        counts.removed += swept.removed;
        counts.missed += swept.missed;
    });
    let Some(fault) = swept.denied else {
        return Ok(Ended::well(&context.progress.read()));
    };
    let error = format!(
        "{} rows may be gone at the tenant, but none can be asked for by id: {fault}",
        candidates.unseen
    );
    Ok(Ended::partial(
        error,
        fault.hint.as_deref().unwrap_or("nothing was removed"),
    ))
}

/// The bounds on removals: by number, and never more than half without a person's word.
fn too_many<S: Source, T: Store>(context: &Context<'_, S, T>, candidates: Candidates) -> Option<Ended> {
    let Candidates { stored, unseen } = candidates;
    let bounds = &context.engine.bounds;
    let allowed = match bounds.approved_removals {
        Some(approved) => unseen <= approved,
        None => unseen <= bounds.removals.rows(stored) && unseen.saturating_mul(2) <= stored,
    };
    if allowed {
        return None;
    }
    let name = context.task.resource.name();
    Some(Ended {
        status: Status::NeedsApproval,
        error: Some(format!(
            "{unseen} of {stored} rows of `{name}` were not seen any more: too many to remove unasked"
        )),
        hint: Some(format!(
            "check the tenant; if they are really gone, run `blueconic-sync backfill {name} --approve-removals {unseen}` within 24 hours"
        )),
    })
}

async fn judge_all<S: Source, T: Store>(context: &Context<'_, S, T>, sweep: &Sweep) -> Outcome<Swept> {
    let table = context.task.resource.table();
    let mut swept = Swept::default();
    let mut after = String::new();
    loop {
        context.stop.check()?;
        let ids = context
            .engine
            .store
            .unseen(table, sweep.walk, &after, CHUNK)
            .await?;
        let Some(last) = ids.last() else { return Ok(swept) };
        after.clone_from(last);
        let verdicts = judge(context, sweep, ids, &mut swept).await?;
        if swept.denied.is_some() {
            return Ok(swept);
        }
        swept.removed += context
            .engine
            .store
            .remove(table, context.lease, sweep.walk, &verdicts)
            .await?;
        if swept.looked_up >= context.engine.bounds.lookups {
            context.progress.notice(
                "more candidates for removal than may be asked for at once; the rest follows next time",
            );
            return Ok(swept);
        }
    }
}

/// Asks for each candidate, a few at a time.
async fn judge<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    sweep: &Sweep,
    ids: Vec<String>,
    swept: &mut Swept,
) -> Outcome<Vec<(String, Verdict)>> {
    let Some(segment) = &sweep.segment else {
        return Ok(ids.into_iter().map(|id| (id, Verdict::Deleted)).collect());
    };
    let resource = &context.task.resource;
    let answers = stream::iter(ids)
        .map(|id| async move {
            let lookup = match resource.lookup(&id) {
                Some(request) => {
                    context
                        .engine
                        .source
                        .one(&request, context.progress.meter())
                        .await
                }
                None => Lookup::Unclear(Fault::new(Kind::Final, "there is no look-up by id")),
            };
            (id, lookup)
        })
        .buffered(context.engine.bounds.lookups_at_once);
    let answers: Vec<(String, Lookup)> = context.stop.or(async { Ok(answers.collect().await) }).await?;
    let mut verdicts = Vec::with_capacity(answers.len());
    for (id, lookup) in answers {
        swept.looked_up += 1;
        if let Lookup::Unclear(fault) = &lookup
            && matches!(fault.kind, Kind::Denied { .. })
        {
            swept.denied = Some(fault.clone());
            return Ok(Vec::new());
        }
        let verdict = Arc::clone(resource).verdict(&id, segment, &lookup);
        swept.missed += u64::from(matches!(verdict, Verdict::Missed(_)));
        verdicts.push((id, verdict));
    }
    Ok(verdicts)
}
