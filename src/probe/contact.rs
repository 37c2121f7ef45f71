//! Questions about the contact itself: release, scopes, refusals, clock, compression.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use futures_util::future::join_all;

use crate::model::examined::RetryAfter;
use crate::model::page::Request;
use crate::model::ports::AnyResource;
use crate::model::probe::Proposal;
use crate::resources::usages::KNOWN_RELEASE;

use super::facts::{Absent, is_refusal};
use super::found::{Answer, Found, Unanswered};
use super::prober::Prober;
use super::question::Question;
use super::{requests, words};

/// An id that no tenant has.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// The most requests at once.
const AT_ONCE: u32 = 8;
/// A difference of the clocks that the program takes for none.
const SAME_CLOCK: TimeDelta = TimeDelta::minutes(1);

pub(super) const RELEASE: Question = Question {
    name: "release",
    asks: "Which release does the tenant have, by its own document?",
    assumed: KNOWN_RELEASE,
    ask: |prober| Box::pin(async move { release(prober) }),
};
pub(super) const SCOPES: Question = Question {
    name: "scopes",
    asks: "Which scopes does the token have?",
    assumed: "those of all resources that the settings enable",
    ask: |prober| Box::pin(scopes(prober)),
};
pub(super) const DENIED: Question = Question {
    name: "denied_status",
    asks: "Which status has a request whose scope is missing?",
    assumed: "HTTP 401 or 403",
    ask: |prober| Box::pin(async move { denied(prober) }),
};
pub(super) const ABSENT: Question = Question {
    name: "absent_body",
    asks: "What does the tenant answer about a profile that it does not have?",
    assumed: "HTTP 404 with a JSON object or no body",
    ask: |prober| Box::pin(async move { absent(prober) }),
};
pub(super) const OVERLOAD: Question = Question {
    name: "overload",
    asks: "When does the tenant refuse requests, and does it say how long to wait?",
    assumed: "not at the settings' number of requests at once",
    ask: |prober| Box::pin(overload(prober)),
};
pub(super) const CLOCK: Question = Question {
    name: "clock",
    asks: "Do answers have a `Date`, and how far is it from our clock?",
    assumed: "within a minute of ours",
    ask: |prober| Box::pin(async move { clock(prober) }),
};
pub(super) const COMPRESSION: Question = Question {
    name: "compression",
    asks: "Are bodies compressed when the client accepts it?",
    assumed: "gzip",
    ask: |prober| Box::pin(async move { compression(prober) }),
};

fn release(prober: &Prober<'_>) -> Answer {
    let release = match &prober.subject.release {
        Ok(release) => release,
        Err(why) => return Err(Unanswered::because(why.clone())),
    };
    let number = |text: &str| -> Option<Vec<u32>> {
        let parts = text.split('.').map(|part| part.parse().ok());
        parts.collect::<Option<Vec<u32>>>().map(|mut parts| {
            while parts.last() == Some(&0) {
                parts.pop();
            }
            parts
        })
    };
    match (number(release), number(KNOWN_RELEASE)) {
        (Some(found), Some(known)) if found == known => Ok(Found::as_assumed(release)),
        (Some(found), Some(known)) if found < known => Ok(Found::differs(
            release,
            "the tenant may lack lists and fields that this program knows; `check --drift` tells which",
        )),
        _ => Ok(Found::differs(
            release,
            "the tenant may have what this program does not know; `check --drift` tells what",
        )),
    }
}

/// A request for each scope: that of a resource that is read by itself, or a look-up.
fn trials(prober: &Prober<'_>) -> BTreeMap<&'static str, (Request, bool)> {
    let mut trials = BTreeMap::new();
    for entry in &prober.subject.entries {
        let is_child = entry
            .description
            .as_list()
            .is_some_and(|list| list.each.is_some());
        let scope = entry.description.oauth_scope;
        let mut request = entry.resource.resource().trial_request();
        if is_child || request.scope != scope {
            continue;
        }
        if let (AnyResource::Walk(_), Some(walked)) = (&entry.resource, &prober.facts.walked) {
            request = requests::profiles(scope, &walked.id, "*", 1);
        }
        let (_, enabled) = trials.entry(scope).or_insert((request, false));
        *enabled |= entry.enabled;
    }
    trials
}

async fn look_up_nobody(prober: &mut Prober<'_>, walk: Request) -> Result<u16, Unanswered> {
    let answer = prober.ask(&walk).await?;
    if !matches!(answer.status, 401 | 403) {
        prober.facts.absent = Some(Absent {
            status: answer.status,
            form: answer.form,
            is_own: answer.is_own,
        });
    }
    Ok(answer.status)
}

/// The status for a scope; 0 if no answer came.
async fn status_of(
    prober: &mut Prober<'_>,
    scope: &'static str,
    request: Request,
) -> Result<u16, Unanswered> {
    if let Some(status) = prober.facts.denied.get(scope) {
        return Ok(*status);
    }
    let asked = if request.arrays.is_empty() {
        look_up_nobody(prober, request).await
    } else {
        prober.ask(&request).await.map(|answer| answer.status)
    };
    let status = match asked {
        Ok(status) => status,
        Err(Unanswered::Because(_)) => 0,
        Err(spent) => return Err(spent),
    };
    if matches!(status, 401 | 403) {
        prober.facts.denied.insert(scope, status);
    }
    Ok(status)
}

async fn scopes(prober: &mut Prober<'_>) -> Answer {
    let lookup = prober.subject.walk().map(|walk| walk.lookup(NOBODY));
    let lookup = lookup.map(|request| (request.scope, (request, true)));
    let trials: Vec<_> = trials(prober).into_iter().chain(lookup).collect();
    let (mut denied, mut absent, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
    let mut works = 0;
    let mut is_missed = false;
    for (scope, (request, enabled)) in trials {
        let is_lookup = request.arrays.is_empty();
        match status_of(prober, scope, request).await? {
            200 => works += 1,
            404 if is_lookup => works += 1,
            401 | 403 => {
                is_missed |= enabled;
                denied.push(scope);
            }
            404 => absent.push(scope),
            _ => unclear.push(scope),
        }
    }
    let mut found = format!("{works} work");
    for (what, scopes) in [
        ("missing", denied),
        ("their lists are not there", absent),
        ("no clear answer", unclear),
    ] {
        if !scopes.is_empty() {
            found = format!("{found}; {what}: {}", words::list(&scopes));
        }
    }
    if !is_missed {
        return Ok(Found::as_assumed(found));
    }
    Ok(Found::differs(
        found,
        "resources whose scope is missing are not read, and without `read:profiles` nothing is ever removed: add the scopes to the \
         application in BlueConic, or set `enabled = false`",
    ))
}

fn denied(prober: &Prober<'_>) -> Answer {
    let mut statuses: Vec<String> = prober
        .facts
        .denied
        .values()
        .map(|status| format!("HTTP {status}"))
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    if statuses.is_empty() {
        return Err(Unanswered::because("no scope is missing"));
    }
    Ok(
        Found::as_assumed(words::list(&statuses)).so(if statuses.iter().any(|one| one.ends_with("401")) {
            "nothing: a 401 costs a new token once, then the scope counts as missing"
        } else {
            "nothing: the scope counts as missing at once"
        }),
    )
}

fn absent(prober: &Prober<'_>) -> Answer {
    let Some(lookup) = prober.subject.walk().map(|walk| walk.lookup(NOBODY)) else {
        return Err(Unanswered::because("no profiles are read"));
    };
    if let Some(status) = prober.facts.denied.get(lookup.scope) {
        return Err(Unanswered::status(*status, lookup.scope));
    }
    let Some(absent) = prober.facts.absent else {
        return Err(Unanswered::because("no look-up was answered"));
    };
    let found = format!("HTTP {} with {}", absent.status, absent.form.as_str());
    Ok(match absent.status {
        404 if absent.is_own => Found::as_assumed(found),
        404 => Found::differs(
            found,
            "such an answer is not taken for the tenant's own, so a sweep removes no profile: report this",
        ),
        _ => Found::differs(
            found,
            "a look-up cannot tell who is gone, so a sweep removes no profile: report this",
        ),
    })
}

fn wait_words(header: Option<RetryAfter>) -> String {
    match header {
        None => "without Retry-After".to_owned(),
        Some(RetryAfter { wait: None, .. }) => "with a Retry-After that cannot be read".to_owned(),
        Some(RetryAfter {
            wait: Some(wait),
            is_date,
        }) => format!(
            "with Retry-After of {}{}",
            words::time(wait),
            if is_date { " as a date" } else { "" }
        ),
    }
}

async fn overload(prober: &mut Prober<'_>) -> Answer {
    let walked = prober.walked()?;
    let most = prober.subject.settings.limits.concurrent_requests.get();
    let at_once = most.min(AT_ONCE);
    if prober.left() < u64::from(at_once) {
        return Err(Unanswered::Spent("the requests of the probe are used up"));
    }
    let request = requests::profiles(prober.listing_scope(), &walked.id, "*", 1);
    let asking = (0..at_once).map(|_| prober.tenant.examine(&request, &prober.meter));
    let answers = join_all(asking).await;
    let mut answered = 0_u32;
    for answer in answers.iter().flatten() {
        prober.facts.headers.hear(answer);
        answered += u32::from(!is_refusal(answer.status));
    }
    if answered == 0 {
        return Err(Unanswered::because("no request was answered at all"));
    }
    let refusals = &prober.facts.headers.refusals;
    if refusals.is_empty() {
        return Ok(Found::as_assumed(format!(
            "{answered} of {at_once} requests at once were answered, and none was refused at any time"
        )));
    }
    let refused = refusals
        .iter()
        .map(|(status, (times, header))| format!("HTTP {status} {times} time(s) {}", wait_words(*header)));
    let refused: Vec<String> = refused.collect();
    let found = format!(
        "{answered} of {at_once} requests at once were answered; refusals of the whole probe: {}",
        words::list(&refused)
    );
    let proposed = (answered < at_once)
        .then(|| Proposal::plain("limits", "concurrent_requests", &answered.max(1).to_string()));
    let follows =
        "requests are repeated after the named wait, or after a growing one; fewer at once avoid it";
    Ok(Found::differs(found, follows).propose(proposed))
}

fn clock(prober: &Prober<'_>) -> Answer {
    let headers = &prober.facts.headers;
    let (answers, dated) = headers.dated();
    let Some(offset) = headers.offset() else {
        return match answers {
            0 => Err(Unanswered::because("no answer came")),
            _ => Ok(Found::differs(
                "no answer has a `Date`",
                "watermarks follow our own clock: keep it right",
            )),
        };
    };
    let side = if offset < TimeDelta::zero() {
        "behind"
    } else {
        "ahead of"
    };
    let found = format!(
        "{} {side} ours, by {dated} of {answers} answers",
        words::difference(offset.abs())
    );
    if offset.abs() <= SAME_CLOCK {
        return Ok(Found::as_assumed(found));
    }
    Ok(Found::differs(
        found,
        "watermarks never pass our own clocks, so nothing is lost; look which of the two clocks is wrong",
    ))
}

fn compression(prober: &Prober<'_>) -> Answer {
    let headers = &prober.facts.headers;
    if headers.encodings.is_empty() {
        return Err(Unanswered::because("no body was large enough"));
    }
    let names: Vec<&str> = headers.encodings.keys().copied().collect();
    let found = words::list(&names);
    if !headers.is_compressed() {
        return Ok(Found::differs(
            found,
            "bodies take several times the traffic: ask BlueConic's support, or look at the proxy in between",
        ));
    }
    let is_off = prober.subject.settings.tenant.compression == Some(false);
    let proposed = is_off.then(|| Proposal::plain("tenant", "compression", "true"));
    Ok(Found::as_assumed(found).propose(proposed))
}
