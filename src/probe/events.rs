//! Listens for audit events that appear while the probe runs.

use chrono::TimeDelta;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::Time;

use super::found::Unanswered;
use super::pages::List;
use super::prober::Prober;
use super::requests;
use super::watch::Dated;

/// How far back before the probe events are listened for.
const BEFORE: TimeDelta = TimeDelta::minutes(15);
/// How often they are asked for at most.
const EVERY: TimeDelta = TimeDelta::seconds(3);
/// How often in all.
const MOST: u32 = 25;
/// The events of an answer.
const COUNT: u64 = 1000;
/// How far the date of a token's event may lie from the request for the token.
const AROUND: TimeDelta = TimeDelta::seconds(5);

/// The date of an event.
pub(super) fn date(event: &Value) -> Option<Time> {
    event.get("date")?.as_str()?.parse().ok()
}

/// Asks for the events since shortly before the probe, if it is time to.
pub(super) async fn listen(prober: &mut Prober<'_>) -> Result<(), Unanswered> {
    let now = prober.clock.now();
    let Some(feed) = prober.subject.feed() else {
        return Ok(());
    };
    if !prober.facts.audit_watch.is_due(now, EVERY, MOST) {
        return Ok(());
    }
    let from = prober.started_at + prober.facts.headers.offset().unwrap_or_default() - BEFORE;
    let request = requests::events(feed, from, COUNT);
    let answer = match prober.get(&request).await {
        Ok(answer) => answer,
        Err(Unanswered::Because(why)) => {
            prober.facts.audit_watch.ended = Some(why);
            return Ok(());
        }
        Err(spent) => return Err(spent),
    };
    let Some(page) = List::read(&answer.body, feed.arrays) else {
        prober.facts.audit_watch.ended = Some("the answer is no list of audit events".to_owned());
        return Ok(());
    };
    let is_cut = page.elements.len() as u64 >= COUNT;
    let dated = page.elements.iter().filter_map(|event| {
        Some(Dated {
            print: xxh3_64(event.to_string().as_bytes()),
            date: date(event)?,
        })
    });
    let dated: Vec<Dated> = dated.collect();
    note_tokens(prober, &page.elements);
    let now = prober.now();
    prober.facts.audit_watch.take(now, is_cut, dated);
    Ok(())
}

/// Notes the events of tokens at the time of this probe's own request for one.
fn note_tokens(prober: &mut Prober<'_>, events: &[Value]) {
    let Some((asked_at, came_at)) = prober.subject.token else {
        return;
    };
    // The dates are by the tenant's clock.
    let offset = prober.facts.headers.offset().unwrap_or_default().abs();
    let (from, to) = (asked_at - AROUND - offset, came_at + AROUND + offset);
    for event in events {
        let kind = event
            .get("objectType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let is_near = date(event).is_some_and(|date| (from..=to).contains(&date));
        if is_near && kind.to_ascii_uppercase().contains("TOKEN") {
            let print = xxh3_64(event.to_string().as_bytes());
            prober.facts.token_events.insert(print);
        }
    }
}
