//! Removing what a complete walk no longer saw. Every guard errs on the side of keeping: a row that stays too long is
//! found by the next walk, a row that is removed wrongly is lost to the analyst.

use crate::model::Time;
use crate::model::fault::Outcome;
use crate::model::ports::{Identified, Source, Store};
use crate::model::seen::IdHasher;
use crate::model::status::RunStatus;
use crate::model::verdict::Verdict;
use crate::model::walk::{Candidates, Walk};

use super::lookups::{self, Doubt, LookedUp};
use super::missed;
use super::run::{Context, Ended};
use super::walk::cursor;

/// Candidates that are fetched and judged at once.
const CHUNK: u32 = 200;
/// Ids that the walk read and that are looked up as a check: two of them must be found before "no such profile" is
/// trusted for others.
const WITNESSES: u32 = 3;

/// A walk whose reading is complete.
pub(super) struct Sweep<'a> {
    walk: Walk,
    /// The resource whose candidates are looked up by id. None: an id that the walk did not see is gone.
    looked_up: Option<LookedUp<'a>>,
}

/// What became of the candidates.
#[derive(Debug, Default)]
struct SweepOutcome {
    removed: u64,
    missed: u64,
    looked_up: u64,
    /// Candidates about which the tenant's answer is unclear.
    unclear: u64,
    /// The reason why no candidate can be judged, or the first reason why one could not.
    doubt: Option<Doubt>,
}

impl SweepOutcome {
    /// Whether the sweep must stop.
    fn is_stopped(&self) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| doubt.for_all)
    }
}

impl<'a> Sweep<'a> {
    /// Of a list: what is not in it any more is gone.
    pub(super) fn of_list(walk: Walk) -> Self {
        Self {
            walk,
            looked_up: None,
        }
    }

    /// Of the profiles in a segment: each candidate is asked for by id.
    pub(super) fn of_profiles(walk: Walk, profiles: LookedUp<'a>) -> Self {
        Self {
            walk,
            looked_up: Some(profiles),
        }
    }
}

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
    if candidates.unseen == 0 {
        return Ok(Ended::well(&context.progress.read()));
    }
    if let Some(ended) = too_many(context, candidates) {
        return Ok(ended);
    }
    let swept = judge_all(context, &sweep).await?;
    if swept.missed > cursor::tolerance(candidates.stored) {
        return Ok(Ended::partial(
            format!(
                "the listing left {} profiles out that are there: it may have left out new ones, too",
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
/// look-ups and remembers where.
async fn judge_all<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: &Sweep<'_>,
) -> Outcome<SweepOutcome> {
    let store = context.store;
    let asked = match &sweep.looked_up {
        Some(_) => store.cursor(context.lease.slot).await?.asked_through,
        None => None,
    };
    let mut swept = SweepOutcome::default();
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
        let left = context.bounds.lookups.saturating_sub(swept.looked_up);
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

/// Judges candidates. A row that is no longer in a list is gone; profiles are looked up.
async fn judged<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: &Sweep<'_>,
    ids: Vec<String>,
    swept: &mut SweepOutcome,
) -> Outcome<Vec<(String, Verdict)>> {
    let Some(profiles) = &sweep.looked_up else {
        return Ok(ids.into_iter().map(|id| (id, Verdict::Deleted)).collect());
    };
    let witnesses = context.store.witnesses(sweep.walk.id, WITNESSES).await?;
    let first = swept.looked_up == 0;
    swept.looked_up += ids.len() as u64;
    let judged = lookups::judge(context, profiles, ids, &witnesses, first).await?;
    if let Some(doubt) = judged.doubt
        && (doubt.for_all || swept.doubt.is_none())
    {
        swept.doubt = Some(doubt);
    }
    Ok(judged.verdicts)
}

fn count(verdicts: &[(String, Verdict)], wanted: impl Fn(&Verdict) -> bool) -> u64 {
    verdicts.iter().filter(|(_, verdict)| wanted(verdict)).count() as u64
}

/// Removes rows that are gone, loads profiles that the walk missed, and counts both.
async fn carry_out<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: &Sweep<'_>,
    (verdicts, asked_at): (&[(String, Verdict)], Time),
    swept: &mut SweepOutcome,
) -> Outcome<()> {
    let table = context.resource.table();
    let store = context.store;
    let removed = store.remove(table, context.lease, sweep.walk, verdicts).await?;
    let missed = count(verdicts, |verdict| matches!(verdict, Verdict::Missed(_)));
    swept.removed += removed;
    swept.missed += missed;
    context.progress.change(|counts| {
        counts.removed += removed;
        counts.missed += missed;
    });
    missed::load(context, verdicts, asked_at).await
}
