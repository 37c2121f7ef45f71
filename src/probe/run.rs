//! Runs a probe: asks one question after the other, listens for what may be late in between, and makes the report.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::ports::{Clock, Examiner};
use crate::model::probe::{Finding, Report, State, settings_of};

use super::found::{Answer, Unanswered};
use super::prober::Prober;
use super::question::Question;
use super::questions::QUESTIONS;
use super::subject::Subject;
use super::{events, index};

/// How long a probe takes at most, beside its patience.
const LONGEST: Duration = Duration::from_mins(5);

/// Asks the tenant all questions until `stop` is cancelled. A report always comes; it says what it lacks.
pub async fn run(
    tenant: &dyn Examiner,
    clock: Arc<dyn Clock>,
    subject: &Subject,
    stop: &CancellationToken,
) -> Report {
    let mut prober = Prober::new(tenant, Arc::clone(&clock), subject);
    let mut findings = Vec::new();
    let mut partial = None;
    for question in QUESTIONS {
        let answer = match partial {
            Some(why) => Err(Unanswered::Spent(why)),
            None => ask_within(&mut prober, question, stop).await,
        };
        if let Err(Unanswered::Spent(why)) = &answer {
            partial = Some(*why);
        }
        findings.push(finding(question, answer));
    }
    let seconds = (clock.now() - prober.started_at).as_seconds_f64();
    Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: prober.started_at,
        // To milliseconds, as PostgreSQL keeps it.
        seconds: (seconds * 1000.0).round() / 1000.0,
        // The document was read before.
        requests: prober.requests() + 1,
        release: subject.release.clone().ok(),
        partial: partial.map(str::to_owned),
        settings: settings_of(&findings),
        findings,
    }
}

/// Asks a question, unless the probe is stopped or takes too long.
async fn ask_within(prober: &mut Prober<'_>, question: &Question, stop: &CancellationToken) -> Answer {
    let longest = LONGEST + prober.subject.patience;
    let passed = (prober.clock.now() - prober.started_at)
        .to_std()
        .unwrap_or_default();
    let clock = Arc::clone(&prober.clock);
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Unanswered::Spent("the probe was stopped")),
        () = clock.sleep(longest.saturating_sub(passed)) => Err(Unanswered::Spent("the time of the probe is over")),
        answer = listen_and_ask(prober, question) => answer,
    }
}

async fn listen_and_ask(prober: &mut Prober<'_>, question: &Question) -> Answer {
    events::listen(prober).await?;
    index::listen(prober).await?;
    (question.ask)(prober).await
}

fn finding(question: &Question, answer: Answer) -> Finding {
    let base = Finding {
        question: question.name.to_owned(),
        asks: question.asks.to_owned(),
        assumed: question.assumed.to_owned(),
        state: State::Unanswered,
        found: None,
        follows: String::new(),
        proposals: Vec::new(),
    };
    match answer {
        Ok(found) => Finding {
            state: if found.is_as_assumed {
                State::AsAssumed
            } else {
                State::Differs
            },
            found: Some(found.answer),
            follows: found.follows,
            proposals: found.proposals,
            ..base
        },
        Err(Unanswered::Because(why)) => Finding { follows: why, ..base },
        Err(Unanswered::Spent(why)) => Finding {
            follows: why.to_owned(),
            ..base
        },
    }
}
