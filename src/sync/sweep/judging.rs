//! Judges a chunk of candidates and carries the verdicts out.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::Time;
use crate::model::fault::Outcome;
use crate::model::ports::{Identified, Listing, Source, Store};
use crate::model::verdict::Verdict;
use crate::model::walk::Walk;
use crate::sync::lookups::{self, Doubt, LookedUp};
use crate::sync::missed;
use crate::sync::run::Context;

use super::budget::LookupBudget;

/// Candidates that are fetched and judged at once.
pub(super) const CHUNK: u32 = 200;
/// Ids that the walk read and that are looked up as a check: two of them must be found before "no such profile" is
/// trusted for others.
const WITNESSES: u32 = 3;

/// A walk whose reading is complete.
pub(in crate::sync) struct Sweep<'a> {
    pub(super) walk: Walk,
    /// The resource whose candidates are looked up by id. None: an id that the walk did not see is gone.
    pub(super) looked_up: Option<LookedUp<'a>>,
    /// Its look-ups.
    pub(super) budget: LookupBudget,
}

impl<'a> Sweep<'a> {
    /// Of a list: what is not in it any more is gone.
    pub(in crate::sync) fn of_list(walk: Walk) -> Self {
        Self {
            walk,
            looked_up: None,
            budget: LookupBudget::default(),
        }
    }

    /// Of profiles, or of a list that is walked: each candidate is asked for by id.
    pub(in crate::sync) fn by_look_ups(walk: Walk, looked_up: LookedUp<'a>, budget: LookupBudget) -> Self {
        Self {
            walk,
            looked_up: Some(looked_up),
            budget,
        }
    }
}

/// What became of the candidates.
#[derive(Debug, Default)]
pub(super) struct SweepOutcome {
    pub(super) removed: u64,
    pub(super) missed: u64,
    pub(super) looked_up: u64,
    /// Candidates about which the tenant's answer is unclear.
    pub(super) unclear: u64,
    /// The reason why no candidate can be judged, or the first reason why one could not.
    pub(super) doubt: Option<Doubt>,
}

impl SweepOutcome {
    /// Whether the sweep must stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| doubt.for_all)
    }
}

/// Judges candidates. A row that is no longer in a list that is read whole is gone; others are looked up.
pub(super) async fn judged<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: &Sweep<'_>,
    ids: Vec<String>,
    swept: &mut SweepOutcome,
) -> Outcome<Vec<(String, Verdict)>> {
    let Some(profiles) = &sweep.looked_up else {
        return Ok(ids.into_iter().map(|id| (id, Verdict::Deleted)).collect());
    };
    {
        let _waiting = context.progress.waiting();
        context.stop.pause(sweep.budget.pause(swept.looked_up)).await?;
    }
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

pub(super) fn count(verdicts: &[(String, Verdict)], wanted: impl Fn(&Verdict) -> bool) -> u64 {
    verdicts.iter().filter(|(_, verdict)| wanted(verdict)).count() as u64
}

/// Removes rows that are gone, loads what the walk missed, and counts both.
pub(super) async fn carry_out<S: Source, T: Store, R: Identified + ?Sized>(
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
    if let Some(LookedUp::Elements(list)) = &sweep.looked_up {
        for (listing, found) in by_listing(*list, verdicts) {
            missed::load(context, listing.as_ref(), &found, asked_at).await?;
        }
        return Ok(());
    }
    let found: Vec<&Bytes> = found_ones(verdicts).map(|(_, element)| element).collect();
    missed::load(context, context.resource.as_ref(), &found, asked_at).await
}

/// What look-ups have found although the walk missed it.
fn found_ones(verdicts: &[(String, Verdict)]) -> impl Iterator<Item = (&str, &Bytes)> {
    verdicts.iter().filter_map(|(id, verdict)| match verdict {
        Verdict::Missed(element) => Some((id.as_str(), element)),
        _ => None,
    })
}

/// The same by the listing that it belongs to.
fn by_listing<'v>(
    list: &dyn Listing,
    verdicts: &'v [(String, Verdict)],
) -> Vec<(Arc<dyn Listing>, Vec<&'v Bytes>)> {
    let mut all: BTreeMap<String, (Arc<dyn Listing>, Vec<&Bytes>)> = BTreeMap::new();
    for (id, element) in found_ones(verdicts) {
        let listing = list.listing_of(id);
        let of_listing = all.entry(listing.about());
        of_listing
            .or_insert_with(|| (listing, Vec::new()))
            .1
            .push(element);
    }
    all.into_values().collect()
}
