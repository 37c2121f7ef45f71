//! How late the tenant's search index is: changed profiles are looked for by refinement while the probe runs, and profiles that the
//! store showed as changed are looked for by their date.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::probe::Proposal;

use super::events;
use super::facts::Walked;
use super::found::{Answer, Found, Unanswered};
use super::pages::{ProfilesPage, print_of};
use super::prober::Prober;
use super::question::Question;
use super::watch::{Dated, Lateness};
use super::{requests, words};

/// How far back before the probe changes are listened for.
const BEFORE: TimeDelta = TimeDelta::minutes(15);
/// How far ahead of now: the clocks differ.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// How often the index is asked at most.
const EVERY: TimeDelta = TimeDelta::seconds(4);
/// How often in all.
const MOST: u32 = 18;
/// The profiles of an answer.
const COUNT: u64 = 500;
/// How many changed profiles are looked for.
const LOOKED_FOR: usize = 6;
/// The vendor's word: 'up to ten minutes'.
const USUAL: Duration = Duration::from_mins(10);
/// The wait between two rounds of listening.
const ROUND: Duration = Duration::from_secs(1);
/// Something that was shown so soon is not late.
const SOON: Duration = Duration::from_secs(5);

pub(super) const LATENESS: Question = Question {
    name: "index_lateness",
    asks: "How late does the search index show a changed profile, by which increments are read?",
    assumed: "at most 10 minutes",
    ask: |prober| Box::pin(lateness(prober)),
};

/// Asks for the changes since shortly before the probe, if it is time to and a segment is known.
pub(super) async fn listen(prober: &mut Prober<'_>) -> Result<(), Unanswered> {
    let now = prober.clock.now();
    let Some(Walked { id, .. }) = prober.facts.walked.clone() else {
        return Ok(());
    };
    if !prober.facts.index_watch.is_due(now, EVERY, MOST) {
        return Ok(());
    }
    let offset = prober.facts.headers.offset().unwrap_or_default();
    let (from, to) = (prober.started_at + offset - BEFORE, now + offset + AHEAD);
    let request = requests::changed(prober.listing_scope(), &id, from, to, COUNT);
    let answer = match prober.get(&request).await {
        Ok(answer) => answer,
        Err(Unanswered::Because(why)) => {
            prober.facts.index_watch.ended = Some(why);
            return Ok(());
        }
        Err(spent) => return Err(spent),
    };
    let Some(page) = ProfilesPage::read(&answer.body) else {
        prober.facts.index_watch.ended = Some("the answer is no page of profiles".to_owned());
        return Ok(());
    };
    let is_cut = page.next_after("*").is_some() || page.len() >= COUNT;
    let dated = page.profiles.iter().filter_map(|profile| {
        Some(Dated {
            print: print_of(profile),
            date: profile.modified?,
        })
    });
    let dated: Vec<Dated> = dated.collect();
    let now = prober.now();
    prober.facts.index_watch.take(now, is_cut, dated);
    Ok(())
}

/// Listens until nothing more is expected or the patience of the probe is over.
pub(super) async fn wait_out(prober: &mut Prober<'_>) -> Result<(), Unanswered> {
    let patience = TimeDelta::from_std(prober.subject.patience).unwrap_or_default();
    let is_settled = |lateness: Lateness| {
        lateness.measured > 0 || lateness.youngest.is_some_and(|youngest| youngest <= SOON)
    };
    loop {
        let facts = &prober.facts;
        let knows_tokens = prober.subject.token.is_none() || !facts.token_events.is_empty();
        let audit =
            facts.audit_watch.ended.is_some() || (is_settled(facts.audit_watch.lateness()) && knows_tokens);
        let index = facts.index_watch.ended.is_some()
            || facts.walked.is_none()
            || is_settled(facts.index_watch.lateness())
            || facts.looked_for.measured > 0;
        let is_over = prober.clock.now() - prober.started_at >= patience;
        if is_over || (audit && index) {
            return Ok(());
        }
        prober.clock.sleep(ROUND).await;
        events::listen(prober).await?;
        listen(prober).await?;
    }
}

/// Looks for profiles that the store showed as changed: one that the index does not find was late by its age, one that it finds was
/// late by no more.
async fn look_for_changed(prober: &mut Prober<'_>, segment: &str) -> Result<(), Unanswered> {
    let mut recent = prober.facts.sample.recent.clone();
    recent.sort_by_key(|(_, modified)| *modified);
    recent.dedup_by_key(|(_, modified)| *modified);
    let step = recent.len().div_ceil(LOOKED_FOR).max(1);
    // The youngest come first, since they are the likeliest to be missing.
    for (id, modified) in recent.into_iter().rev().step_by(step) {
        let (from, to) = (modified - TimeDelta::seconds(1), prober.now() + AHEAD);
        let request = requests::changed(prober.listing_scope(), segment, from, to, COUNT);
        let answer = prober.get(&request).await?;
        let Some(page) = ProfilesPage::read(&answer.body) else {
            continue;
        };
        let age = (prober.now() - modified).to_std().unwrap_or_default();
        let looked = &mut prober.facts.looked_for;
        if page.profiles.iter().any(|profile| profile.id == id) {
            looked.measured += 1;
            looked.at_most = Some(looked.at_most.map_or(age, |known| known.min(age)));
        } else if page.next_after("*").is_none() && page.len() < COUNT {
            looked.measured += 1;
            looked.at_least = looked.at_least.max(Some(age));
        }
    }
    Ok(())
}

async fn lateness(prober: &mut Prober<'_>) -> Answer {
    let walked = prober.walked()?;
    look_for_changed(prober, &walked.id).await?;
    wait_out(prober).await?;
    let (watched, looked) = (prober.facts.index_watch.lateness(), prober.facts.looked_for);
    let at_least = watched.at_least.max(looked.at_least).unwrap_or_default();
    // What appeared meanwhile says most. Otherwise the youngest change that was found bounds the delay.
    let shown = [looked.at_most, watched.youngest].into_iter().flatten().min();
    let at_most = watched.at_most.or(shown).filter(|at_most| *at_most >= at_least);
    let found = match at_most {
        Some(at_most) if at_least.is_zero() => {
            format!("no later than {}", words::time(at_most))
        }
        Some(at_most) => format!(
            "late by at least {} and at most {}",
            words::time(at_least),
            words::time(at_most)
        ),
        None => format!("late by at least {}", words::time(at_least)),
    };
    if at_least > USUAL {
        return Ok(late(prober, at_least, found));
    }
    if at_most.is_some_and(|at_most| at_most <= USUAL) {
        return Ok(Found::as_assumed(found));
    }
    if !at_least.is_zero() {
        return Ok(Found::as_assumed(found).so("nothing: no change was shown to be later than usual"));
    }
    let ended = prober.facts.index_watch.ended.clone();
    Err(Unanswered::because(ended.unwrap_or_else(|| {
        "no profile changed lately; probe again while visitors come".to_owned()
    })))
}

fn late(prober: &Prober<'_>, at_least: Duration, found: String) -> Found {
    let overlap = prober.subject.settings.resources.profiles.overlap;
    if at_least * 2 <= overlap {
        return Found::differs(found, "nothing: the overlap of increments covers it");
    }
    Found::differs(
        found,
        "an increment has to reach back further, or it loses changes until the next full walk",
    )
    .propose([Proposal::text(
        "resources.profiles",
        "overlap",
        &words::minutes(at_least * 3),
    )])
}
