//! Looks up single profiles, or elements of a list, before a sweep removes them. Only a clear answer of the tenant counts. A proxy or a cache
//! may answer in the tenant's place, so profiles that the walk itself read are looked up as a check (the witnesses). No
//! message contains an id, since it would stay in the log after the person is erased.

use futures_util::{StreamExt, stream};

use crate::model::fault::{Kind, Outcome};
use crate::model::page::{Lookup, Request};
use crate::model::ports::{Identified, Listing, Source, Store, Walkable};
use crate::model::verdict::Verdict;

use super::run::Context;

/// What is looked up by id.
pub(super) enum LookedUp<'a> {
    /// Profiles, which should be in a segment.
    Profiles {
        resource: &'a dyn Walkable,
        segment: String,
    },
    /// The elements of a list.
    Elements(&'a dyn Listing),
}

impl LookedUp<'_> {
    fn request(&self, id: &str) -> Request {
        match self {
            Self::Profiles { resource, .. } => resource.lookup(id),
            Self::Elements(list) => list.lookup(id),
        }
    }

    fn verdict(&self, id: &str, found: &Lookup) -> Verdict {
        match self {
            Self::Profiles { resource, segment } => resource.verdict(id, segment, found),
            Self::Elements(list) => list.verdict(id, found),
        }
    }

    /// What they are called.
    pub(super) fn plural(&self) -> &'static str {
        match self {
            Self::Profiles { .. } => "profiles",
            Self::Elements(list) => list.name(),
        }
    }

    /// Where their requests lead, without an id.
    fn path(&self) -> String {
        match self {
            Self::Profiles { .. } => "/profiles/".to_owned(),
            Self::Elements(list) => format!("{}/", list.page(0, 0).path),
        }
    }
}

/// The results of look-ups.
pub(super) struct LookupResults {
    /// The verdict of each candidate; empty if the answers cannot be trusted.
    pub(super) verdicts: Vec<(String, Verdict)>,
    /// The reason why no candidate can be judged, or the first reason why one could not.
    pub(super) doubt: Option<Doubt>,
}

/// Why candidates are kept although they may be gone.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) why: String,
    pub(super) hint: Option<String>,
    /// Whether the reason applies to every look-up.
    pub(super) for_all: bool,
}

impl LookupResults {
    fn none(doubt: Doubt) -> Self {
        Self {
            verdicts: Vec::new(),
            doubt: Some(doubt),
        }
    }
}

/// Looks up each candidate, several at once. An answer "no such profile" counts only if the witnesses are found:
/// checked before the `first` candidates, and after each group of candidates of which one would be removed.
pub(super) async fn judge<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    profiles: &LookedUp<'_>,
    ids: Vec<String>,
    witnesses: &[String],
    first: bool,
) -> Outcome<LookupResults> {
    if first && let Some(doubt) = doubt_of_all(context, profiles, witnesses).await? {
        return Ok(LookupResults::none(doubt));
    }
    let mut judged = LookupResults {
        verdicts: Vec::with_capacity(ids.len()),
        doubt: None,
    };
    let mut answers = stream::iter(ids)
        .map(|id| async move {
            let answer = ask(context, profiles, &id).await;
            (id, answer)
        })
        .buffered(context.bounds.lookups_at_once);
    while let Some((id, answer)) = context.stop.or(async { Ok(answers.next().await) }).await? {
        let (verdict, lookup) = answer;
        if verdict == Verdict::Kept {
            let doubt = doubt(lookup)?;
            if doubt.for_all {
                return Ok(LookupResults::none(doubt));
            }
            judged.doubt.get_or_insert(doubt);
        }
        judged.verdicts.push((id, verdict));
    }
    let removes = |verdict: &Verdict| !matches!(verdict, Verdict::Kept | Verdict::Missed(_));
    if judged.verdicts.iter().any(|(_, verdict)| removes(verdict))
        && let Some(doubt) = doubt_of_all(context, profiles, witnesses).await?
    {
        return Ok(LookupResults::none(doubt));
    }
    Ok(judged)
}

/// Looks up one id; twice if another profile answered, since a response to somebody else's request does not repeat.
async fn ask<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    profiles: &LookedUp<'_>,
    id: &str,
) -> (Verdict, Lookup) {
    let lookup = look_up(context, profiles, id).await;
    let verdict = profiles.verdict(id, &lookup);
    let Verdict::Redirected { survivor } = &verdict else {
        return (verdict, lookup);
    };
    let again = look_up(context, profiles, id).await;
    let confirmed = profiles.verdict(id, &again) == verdict;
    let verdict = if confirmed {
        Verdict::Merged {
            survivor: survivor.clone(),
        }
    } else {
        Verdict::Kept
    };
    (verdict, again)
}

async fn look_up<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    profiles: &LookedUp<'_>,
    id: &str,
) -> Lookup {
    let meter = context.progress.meter();
    let _waiting = context.progress.waiting();
    context.source.one(&profiles.request(id), meter).await
}

/// Why a candidate is kept. An unreachable tenant ends the run as everywhere else: the walk is stored as finished, and
/// the next run continues with the sweep.
fn doubt(lookup: Lookup) -> Outcome<Doubt> {
    match lookup {
        Lookup::Unclear(fault) if fault.is_transient() => Err(fault),
        Lookup::Unclear(fault) => Ok(Doubt {
            why: fault.sentence(),
            for_all: matches!(fault.kind, Kind::Denied { .. }),
            hint: fault.hint,
        }),
        Lookup::Gone | Lookup::Found(_) => Ok(Doubt {
            why: "an answer is not about what was asked for".to_owned(),
            for_all: false,
            hint: None,
        }),
    }
}

/// Looks up the witnesses. A misrouting proxy answers 404 to everything, and a cache may answer everything with one
/// profile, so two profiles that the walk read must be found in its segment. A walk that read nothing gets here only
/// with a person's approval.
async fn doubt_of_all<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    profiles: &LookedUp<'_>,
    witnesses: &[String],
) -> Outcome<Option<Doubt>> {
    let mut first = None;
    let mut wanted = witnesses.len().min(2);
    for id in witnesses {
        let lookup = context
            .stop
            .or(async { Ok(look_up(context, profiles, id).await) })
            .await?;
        let why = match profiles.verdict(id, &lookup) {
            Verdict::Missed(_) if wanted > 1 => {
                wanted -= 1;
                continue;
            }
            Verdict::Missed(_) => return Ok(None),
            Verdict::Kept => {
                first.get_or_insert(doubt(lookup)?);
                continue;
            }
            Verdict::Deleted => format!(
                "the tenant also denies {} that it listed a while ago",
                profiles.plural()
            ),
            Verdict::Merged { .. } | Verdict::Redirected { .. } | Verdict::OutOfScope => format!(
                "{} that it listed a while ago are not found there either",
                profiles.plural()
            ),
        };
        first.get_or_insert_with(|| Doubt {
            why,
            hint: Some(format!(
                "see whether a proxy leads the requests for `{}` elsewhere; nothing was removed",
                profiles.path()
            )),
            for_all: true,
        });
    }
    Ok(first.map(|doubt| Doubt {
        for_all: true,
        ..doubt
    }))
}
