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
use super::missed;
use super::walk::cursor;

/// Candidates that are fetched and judged at once.
const CHUNK: u32 = 200;
/// Ids that the walk read, one of which has to be found by a look-up before "there is none" is believed of others.
const WITNESSES: u32 = 3;

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
    /// Candidates about which the tenant gave no clear word.
    unclear: u64,
    /// Why none can be judged, or the first that could not.
    doubt: Option<Doubt>,
}

/// Why candidates stay though they may be gone.
#[derive(Debug)]
struct Doubt {
    why: String,
    hint: Option<String>,
    /// Whether it holds for all that would be asked.
    for_all: bool,
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
            candidates.unseen - swept.removed - swept.missed
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
        let asked = ids.len() as u64;
        let unclear_before = swept.unclear;
        let verdicts = judge(context, sweep, ids, &mut swept).await?;
        if swept.doubt.as_ref().is_some_and(|doubt| doubt.for_all) {
            return Ok(swept);
        }
        swept.removed += context
            .engine
            .store
            .remove(table, context.lease, sweep.walk, &verdicts)
            .await?;
        missed::load(context, &verdicts).await?;
        if swept.unclear - unclear_before == asked {
            // Nobody said anything of use: asking on would only take time.
            return Ok(swept);
        }
        if swept.looked_up >= context.engine.bounds.lookups {
            context.progress.notice(
                "more candidates for removal than may be asked for at once; the rest follows next time",
            );
            return Ok(swept);
        }
    }
}

/// Asks for each candidate, a few at a time. What was not found counts only if something that is there was found
/// before and after.
async fn judge<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    sweep: &Sweep,
    ids: Vec<String>,
    swept: &mut Swept,
) -> Outcome<Vec<(String, Verdict)>> {
    let Some(segment) = &sweep.segment else {
        return Ok(ids.into_iter().map(|id| (id, Verdict::Deleted)).collect());
    };
    if swept.looked_up == 0 {
        swept.doubt = doubt_of_lookups(context, sweep, segment).await?;
        if swept.doubt.is_some() {
            return Ok(Vec::new());
        }
    }
    let resource = &context.task.resource;
    let mut verdicts = Vec::with_capacity(ids.len());
    let mut answers = stream::iter(ids)
        .map(|id| async move {
            let lookup = look_up(context, &id).await;
            (id, lookup)
        })
        .buffered(context.engine.bounds.lookups_at_once);
    while let Some((id, lookup)) = context.stop.or(async { Ok(answers.next().await) }).await? {
        swept.looked_up += 1;
        let verdict = Arc::clone(resource).verdict(&id, segment, &lookup);
        if verdict == Verdict::Kept {
            let doubt = doubt(&id, lookup)?;
            let for_all = doubt.for_all;
            swept.unclear += 1;
            if for_all || swept.doubt.is_none() {
                swept.doubt = Some(doubt);
            }
            if for_all {
                return Ok(Vec::new());
            }
        }
        swept.missed += u64::from(matches!(verdict, Verdict::Missed(_)));
        verdicts.push((id, verdict));
    }
    let not_found = verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Deleted);
    if not_found && let Some(doubt) = doubt_of_lookups(context, sweep, segment).await? {
        swept.doubt = Some(doubt);
        return Ok(Vec::new());
    }
    Ok(verdicts)
}

async fn look_up<S: Source, T: Store>(context: &Context<'_, S, T>, id: &str) -> Lookup {
    match context.task.resource.lookup(id) {
        Some(request) => {
            let meter = context.progress.meter();
            context.engine.source.one(&request, meter).await
        }
        None => Lookup::Unclear(Fault::new(Kind::Final, "there is no look-up by id")),
    }
}

/// Why a candidate is kept. A tenant that is away ends the run as everywhere else: the walk is stored as finished, and
/// the next run goes on with its sweep.
fn doubt(id: &str, lookup: Lookup) -> Outcome<Doubt> {
    match lookup {
        Lookup::Unclear(fault) if fault.is_transient() => Err(fault),
        Lookup::Unclear(fault) => Ok(Doubt {
            why: fault.sentence(),
            for_all: matches!(fault.kind, Kind::Denied { .. }),
            hint: fault.hint,
        }),
        Lookup::Gone | Lookup::Found(_) => Ok(Doubt {
            why: format!("the answer about `{id}` is not about it, or names no segments"),
            for_all: false,
            hint: None,
        }),
    }
}

/// A proxy that leads elsewhere answers 404 too. So one of those that the walk itself read has to be found first; a
/// walk that read nothing comes here only with a person's approval, which then has to do.
async fn doubt_of_lookups<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    sweep: &Sweep,
    segment: &str,
) -> Outcome<Option<Doubt>> {
    let witnesses = context.engine.store.witnesses(sweep.walk.id, WITNESSES).await?;
    let mut first = None;
    for id in witnesses {
        let lookup = context.stop.or(async { Ok(look_up(context, &id).await) }).await?;
        match context.task.resource.verdict(&id, segment, &lookup) {
            Verdict::Kept => {
                first.get_or_insert(Doubt {
                    for_all: true,
                    ..doubt(&id, lookup)?
                });
            }
            Verdict::Deleted => {
                first.get_or_insert(Doubt {
                    why: format!("the tenant says that it has no `{id}` either, which it listed a while ago"),
                    for_all: true,
                    hint: Some(
                        "see whether a proxy leads the requests for `/profiles/` elsewhere; nothing was removed"
                            .to_owned(),
                    ),
                });
            }
            Verdict::Missed(_) | Verdict::Merged { .. } | Verdict::OutOfScope => return Ok(None),
        }
    }
    Ok(first)
}
