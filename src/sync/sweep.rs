//! Removing what a complete walk no longer saw. Every guard errs on the side of keeping: a row that stays too long is
//! found by the next walk, a row that is removed wrongly is lost to the analyst.

use crate::model::fault::Outcome;
use crate::model::ports::{Identified, Source, Store};
use crate::model::seen::IdHasher;
use crate::model::status::RunStatus;
use crate::model::verdict::Verdict;
use crate::model::walk::{Candidates, Walk};

use super::lookups::LookedUp;
use super::run::{Context, Ended};
use super::walk::cursor;

mod budget;
mod judging;
mod sampled;

pub(super) use budget::LookupBudget;
pub(super) use judging::Sweep;
use judging::{CHUNK, SweepOutcome, carry_out, count, judged};

/// Stores the sweep's candidates. Deletes nothing.
pub(super) async fn candidates<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    walk: Walk,
    seen: &IdHasher,
) -> Outcome<Candidates> {
    context.stop.check()?;
    let table = context.resource.table();
    context.store.candidates(table, walk, seen).await
}

/// Runs the sweep if all guards allow it.
pub(super) async fn run<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: Sweep<'_>,
    candidates: Candidates,
) -> Outcome<Ended> {
    if candidates.unseen > 0
        && let Some(ended) = too_many(context, candidates)
    {
        return Ok(ended);
    }
    let missed_again = match sweep.looked_up {
        Some(_) => {
            let table = context.resource.table();
            context
                .store
                .note_missing(table, context.lease, sweep.walk)
                .await?
        }
        None => 0,
    };
    if candidates.unseen == 0 {
        return Ok(Ended::well(&context.progress.read()));
    }
    let swept = judge_all(context, &sweep, missed_again).await?;
    if swept.missed > cursor::tolerance(candidates.stored) {
        let plural = sweep.looked_up.as_ref().map_or("rows", LookedUp::plural);
        return Ok(Ended::partial(
            format!(
                "the listing left {} {plural} out that are there: it may have left out new ones, too",
                swept.missed
            ),
            "those that were known are loaded all the same; the next full walk reads everything again",
        ));
    }
    let Some(doubt) = swept.doubt else {
        return Ok(Ended::well(&context.progress.read()));
    };
    let rows = if doubt.for_all {
        format!(
            "{} rows may be gone at the tenant, but none can be asked for by id",
            candidates.unseen.saturating_sub(swept.removed + swept.missed)
        )
    } else {
        format!(
            "{} rows may be gone at the tenant, but its answers about them do not say so",
            swept.unclear
        )
    };
    Ok(Ended::partial(
        format!("{rows}: {}", doubt.why),
        doubt
            .hint
            .as_deref()
            .unwrap_or("they are kept; the next full walk asks again"),
    ))
}

/// Checks the bounds on removals: the configured number or share, and never more than half of the rows without
/// approval. Rows that merges removed in this run count too.
fn too_many<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    candidates: Candidates,
) -> Option<Ended> {
    let Candidates { stored, unseen } = candidates;
    if context.removals.allows_sweep(unseen, stored) {
        return None;
    }
    let merged = context.removals.removed();
    let besides = match merged {
        0 => String::new(),
        merged => format!(", and merges removed {merged} in this run"),
    };
    let removed = unseen + merged;
    let name = context.resource.name();
    Some(Ended {
        status: RunStatus::NeedsApproval,
        error: Some(format!(
            "{unseen} of {stored} rows of `{name}` were not seen any more{besides}: too many to remove without approval"
        )),
        hint: Some(format!(
            "check the tenant; if they are really gone, run `blueconic-sync backfill {name} --approve-removals {removed}` within 24 hours"
        )),
    })
}

/// Judges candidates from where the last sweep stopped to the end, then from the start to there; stops at the bound on
/// look-ups and remembers where. Too many candidates that two walks in a row missed (`missed_again`) go on a sample before.
async fn judge_all<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: &Sweep<'_>,
    missed_again: u64,
) -> Outcome<SweepOutcome> {
    let store = context.store;
    let mut swept = SweepOutcome::default();
    let sample = context.bounds.sample;
    if sweep.looked_up.is_some() && sampled::is_wanted(missed_again, sweep.budget.most(), sample) {
        sampled::run(context, sweep, &mut swept).await?;
        if swept.is_stopped() {
            return Ok(swept);
        }
    }
    let asked = match &sweep.looked_up {
        Some(_) => store.cursor(context.lease.slot).await?.asked_through,
        None => None,
    };
    let mut rounds = vec![(asked.clone().unwrap_or_default(), None)];
    if let Some(asked) = &asked {
        rounds.push((String::new(), Some(asked.clone())));
    }
    for (after, through) in rounds {
        let stopped = judge_between(context, sweep, after, through.as_deref(), &mut swept).await?;
        if swept.is_stopped() {
            return Ok(swept);
        }
        if stopped.is_some() {
            store.remember_asked(context.lease, stopped.as_deref()).await?;
            context.progress.notice(
                "more candidates for removal than may be asked for at once; the next full walk asks for the rest first",
            );
            return Ok(swept);
        }
    }
    if asked.is_some() {
        store.remember_asked(context.lease, None).await?;
    }
    Ok(swept)
}

/// Judges the candidates after one id and up to another. Gives the last id that was asked for when the look-ups are
/// used up.
async fn judge_between<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: &Sweep<'_>,
    mut after: String,
    through: Option<&str>,
    swept: &mut SweepOutcome,
) -> Outcome<Option<String>> {
    let table = context.resource.table();
    loop {
        context.stop.check()?;
        let left = sweep.budget.most().saturating_sub(swept.looked_up);
        if sweep.looked_up.is_some() && left == 0 {
            return Ok(Some(after));
        }
        let limit = match &sweep.looked_up {
            Some(_) => CHUNK.min(u32::try_from(left).unwrap_or(CHUNK)),
            None => CHUNK,
        };
        let mut ids = context.store.unseen(table, sweep.walk, &after, limit).await?;
        ids.retain(|id| through.is_none_or(|through| id.as_str() <= through));
        let Some(last) = ids.last() else { return Ok(None) };
        after.clone_from(last);
        let asked = ids.len() as u64;
        // Rows that are stored by now are older than the answers to the look-ups.
        let asked_at = context.store.now().await?;
        let verdicts = judged(context, sweep, ids, swept).await?;
        if swept.is_stopped() {
            return Ok(None);
        }
        let unclear = count(&verdicts, |verdict| *verdict == Verdict::Kept);
        swept.unclear += unclear;
        carry_out(context, sweep, (&verdicts, asked_at), swept).await?;
        if unclear == asked {
            // No answer was usable: further look-ups would only take time.
            return Ok(None);
        }
    }
}
