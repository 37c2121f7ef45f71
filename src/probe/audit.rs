//! Questions about audit events.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;

use crate::config::settings::Order;
use crate::model::Time;
use crate::model::description::Description;
use crate::model::format;
use crate::model::probe::Proposal;

use super::events::date;
use super::facts::FirstEvents;
use super::found::{Answer, Found, Unanswered};
use super::index::wait_out;
use super::pages::List;
use super::prober::Prober;
use super::question::Question;
use super::{requests, words};

/// The most events of an answer, by the document.
const MOST: u64 = 1000;
/// The engine trusts an order after so many distinct dates.
const ENOUGH_DATES: usize = 5;
/// How much later than the tenant's retention the first page begins.
const MARGIN: TimeDelta = TimeDelta::hours(1);

pub(super) const ORDER: Question = Question {
    name: "audit_order",
    asks: "In which order do audit events come?",
    assumed: "newest first, as in the vendor's example; the program finds out",
    ask: |prober| Box::pin(order(prober)),
};
pub(super) const FULLNESS: Question = Question {
    name: "audit_fullness",
    asks: "Do as many audit events come as are asked for, and is a short answer the end?",
    assumed: "up to 1,000, and a short answer is the end",
    ask: |prober| Box::pin(fullness(prober)),
};
pub(super) const FROM_DATE: Question = Question {
    name: "audit_from_date",
    asks: "Does `fromDate` leave out the events of that very time?",
    assumed: "yes, as in the document",
    ask: |prober| Box::pin(from_date(prober)),
};
pub(super) const DELAY: Question = Question {
    name: "audit_delay",
    asks: "How late does an audit event appear?",
    assumed: "within `resources.audit_events.settle`",
    ask: |prober| Box::pin(delay(prober)),
};
pub(super) const TOKENS: Question = Question {
    name: "audit_tokens",
    asks: "Are requests for tokens audited?",
    assumed: "perhaps",
    ask: |prober| Box::pin(tokens(prober)),
};

fn feed(prober: &Prober<'_>) -> Result<&'static Description, Unanswered> {
    let feed = prober.subject.feed();
    feed.ok_or_else(|| Unanswered::because("no audit events are read"))
}

/// The dates of the events after a time, in the order in which they come.
async fn dates(prober: &mut Prober<'_>, from: Time, count: u64) -> Result<Vec<Time>, Unanswered> {
    let feed = feed(prober)?;
    let answer = prober.get(&requests::events(feed, from, count)).await?;
    let page = List::read(&answer.body, feed.arrays)
        .ok_or_else(|| Unanswered::because("the answer is no list of audit events"))?;
    let dates: Vec<Time> = page.elements.iter().filter_map(date).collect();
    if dates.len() == page.elements.len() {
        return Ok(dates);
    }
    Err(Unanswered::because("events have no readable date"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    OldestFirst,
    NewestFirst,
    None,
    Unclear,
}

fn direction(dates: &[Time]) -> Direction {
    let distinct: BTreeSet<&Time> = dates.iter().collect();
    let up = dates.windows(2).all(|pair| pair[0] <= pair[1]);
    let down = dates.windows(2).all(|pair| pair[0] >= pair[1]);
    match (up, down) {
        _ if distinct.len() < ENOUGH_DATES => Direction::Unclear,
        (true, _) => Direction::OldestFirst,
        (_, true) => Direction::NewestFirst,
        _ => Direction::None,
    }
}

fn first(prober: &Prober<'_>) -> Result<FirstEvents, Unanswered> {
    let events = prober.facts.events.clone();
    events.ok_or_else(|| Unanswered::because("no audit events could be read"))
}

async fn order(prober: &mut Prober<'_>) -> Answer {
    let settings = prober.subject.settings.resources.audit_events.clone();
    let retention = TimeDelta::from_std(settings.retention).unwrap_or(TimeDelta::days(30));
    let from = prober.now() - retention + MARGIN;
    let dates = dates(prober, from, MOST).await?;
    prober.facts.events = Some(FirstEvents {
        from,
        asked: MOST,
        dates: dates.clone(),
    });
    let auto = settings.order == Order::Auto;
    let propose = |order: &str| auto.then(|| Proposal::text("resources.audit_events", "order", order));
    match direction(&dates) {
        Direction::Unclear => Err(Unanswered::because(format!(
            "{} event(s) with fewer than {ENOUGH_DATES} different dates show no order",
            dates.len()
        ))),
        Direction::NewestFirst => Ok(Found::as_assumed("newest first")
            .so("of more events than one answer holds the older ones cannot be reached: poll often")
            .propose(propose("newest_first"))),
        Direction::OldestFirst => Ok(Found::differs(
            "oldest first",
            "any number of events can be read, page by page",
        )
        .propose(propose("oldest_first"))),
        Direction::None => Ok(Found::differs(
            "no order",
            "a full answer is read again from later dates until one is short; leave `order` at `auto`",
        )),
    }
}

async fn fullness(prober: &mut Prober<'_>) -> Answer {
    let FirstEvents {
        from,
        asked,
        dates: came,
    } = first(prober)?;
    let number = came.len() as u64;
    if number < 4 {
        return Err(Unanswered::because("the tenant has too few audit events"));
    }
    let half = number / 2;
    let of_half = dates(prober, from, half).await?.len() as u64;
    let mut found = format!(
        "{} of {} came, and {} of {}",
        format::count(number),
        format::count(asked),
        format::count(of_half),
        format::count(half)
    );
    let mut more = 0;
    if direction(&came) == Direction::OldestFirst && number < asked {
        let last = came.last().copied().unwrap_or(from);
        more = dates(prober, last, asked).await?.len() as u64;
        let follow = match more {
            0 => "none follows".to_owned(),
            more => format!("{} follow", format::count(more)),
        };
        found = format!("{found}; after the last one of the short answer {follow}");
    }
    if more > 0 {
        let page_size = number.to_string();
        let configured = u64::from(prober.subject.settings.resources.audit_events.page_size.get());
        let proposal =
            (number < configured).then(|| Proposal::plain("resources.audit_events", "page_size", &page_size));
        return Ok(Found::differs(
            found,
            "an answer that is shorter than asked for is not the end: ask for no more than come",
        )
        .propose(proposal));
    }
    if of_half < half {
        return Ok(Found::differs(
            found,
            "events are left out after they were counted: a short answer is not the end, and gaps are recorded for what may be missing",
        ));
    }
    let ends = direction(&came) == Direction::OldestFirst || number == asked;
    Ok(Found::as_assumed(found).so(if ends {
        "nothing: the program works so"
    } else {
        "in this order no request can show whether a short answer is the end"
    }))
}

async fn from_date(prober: &mut Prober<'_>) -> Answer {
    let events = first(prober)?;
    let mut sorted = events.dates.clone();
    sorted.sort_unstable();
    // The newest one: then any order and any number shows it.
    let Some(newest) = sorted.last().copied() else {
        return Err(Unanswered::because("the tenant has no audit events"));
    };
    let after = dates(prober, newest, MOST).await?;
    if after.iter().any(|date| *date < newest) {
        return Ok(Found::differs(
            "events from before that time come",
            "report this: the program relies on `fromDate`",
        ));
    }
    if after.contains(&newest) {
        return Ok(Found::differs(
            "no: they come again",
            "nothing: events that come again are recognised",
        ));
    }
    Ok(Found::as_assumed("yes"))
}

async fn delay(prober: &mut Prober<'_>) -> Answer {
    wait_out(prober).await?;
    let lateness = prober.facts.audit_watch.lateness();
    let at_least = lateness.at_least.unwrap_or_default();
    let settings = &prober.subject.settings.resources.audit_events;
    let (settle, overlap) = (settings.settle, settings.overlap);
    let Some(at_most) = lateness.bound().filter(|bound| {
        // An old event says nothing of the delay.
        lateness.measured > 0 || *bound <= settle
    }) else {
        let ended = prober.facts.audit_watch.ended.clone();
        return Err(Unanswered::because(ended.unwrap_or_else(|| {
            "no event happened during the probe; probe again while people work in BlueConic".to_owned()
        })));
    };
    let found = if at_least.is_zero() {
        format!("no later than {}", words::time(at_most))
    } else {
        format!(
            "late by at least {} and at most {}",
            words::time(at_least),
            words::time(at_most)
        )
    };
    if at_least <= settle {
        return Ok(Found::as_assumed(found));
    }
    let twice = at_most.saturating_mul(2);
    let more = |key: &str, now: Duration, needed: Duration| {
        (needed > now).then(|| Proposal::text("resources.audit_events", key, &words::minutes(needed)))
    };
    let proposals = [more("settle", settle, twice), more("overlap", overlap, twice)];
    Ok(Found::differs(
        found,
        "a poll counts as complete only after that time; the scans of the day find what was later still",
    )
    .propose(proposals.into_iter().flatten()))
}

async fn tokens(prober: &mut Prober<'_>) -> Answer {
    if prober.subject.token.is_none() {
        return Err(Unanswered::because(
            "the probe used a stored token and requested none",
        ));
    }
    wait_out(prober).await?;
    if let Some(why) = prober.facts.audit_watch.ended.clone() {
        return Err(Unanswered::because(why));
    }
    let number = prober.facts.token_events.len();
    if number == 0 {
        return Ok(Found::as_assumed(format!(
            "no event of a token appeared within {}",
            words::difference(prober.clock.now() - prober.started_at)
        ))
        .so("nothing: the tables hold no events of this program"));
    }
    Ok(Found::as_assumed(format!(
        "yes: {number} event(s) at the time of the probe's own request"
    ))
    .so("about 24 events a day are those of this program"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    #[test]
    fn five_dates_show_an_order() {
        let of = |seconds: &[i64]| -> Vec<Time> {
            let dates = seconds.iter();
            dates.map(|at| Time::from_timestamp(*at, 0).unwrap()).collect()
        };
        assert_eq!(direction(&of(&[1, 2, 3, 4])), Direction::Unclear);
        assert_eq!(direction(&of(&[1, 2, 2, 3, 4, 5])), Direction::OldestFirst);
        assert_eq!(direction(&of(&[5, 4, 3, 3, 2, 1])), Direction::NewestFirst);
        assert_eq!(direction(&of(&[1, 3, 2, 4, 5])), Direction::None);
    }
}
