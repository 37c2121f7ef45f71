//! Asks on behalf of the questions: counts the requests, waits where the tenant is busy, listens to headers, and keeps what was
//! found.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::examined::Examined;
use crate::model::page::{Meter, Request};
use crate::model::ports::{Clock, Examiner};

use super::facts::{Facts, LONGEST_WAIT, Walked, is_refusal};
use super::found::Unanswered;
use super::subject::Subject;

/// The most requests of a probe. A refused token is asked for again beside them; 200 are promised.
pub(super) const MOST_REQUESTS: u64 = 185;
/// How often a request is sent while the tenant is busy.
const ATTEMPTS: u32 = 4;
/// The wait before the second attempt where the tenant names none; it doubles.
const WAIT: Duration = Duration::from_millis(500);
/// A difference of the clocks that decides nothing.
const SAME_CLOCK: TimeDelta = TimeDelta::minutes(2);

/// Asks the tenant.
pub(super) struct Prober<'a> {
    pub(super) tenant: &'a dyn Examiner,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) subject: &'a Subject,
    pub(super) facts: Facts,
    pub(super) started_at: Time,
    pub(super) meter: Meter,
}

impl<'a> Prober<'a> {
    /// Sends nothing yet.
    pub(super) fn new(tenant: &'a dyn Examiner, clock: Arc<dyn Clock>, subject: &'a Subject) -> Self {
        Self {
            tenant,
            started_at: clock.now(),
            clock,
            subject,
            facts: Facts::default(),
            meter: Meter::default(),
        }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> u64 {
        let (requests, ..) = self.meter.read();
        requests
    }

    /// How many requests are left.
    pub(super) fn left(&self) -> u64 {
        MOST_REQUESTS.saturating_sub(self.requests())
    }

    /// The tenant's time. A small difference of the clocks is not counted: a `Date` has whole seconds and may be that of a cache.
    pub(super) fn now(&self) -> Time {
        let now = self.clock.now();
        match self.facts.headers.offset() {
            Some(offset) if offset.abs() > SAME_CLOCK => now + offset,
            _ => now,
        }
    }

    /// Sends a request until the tenant is not busy, a few times. The answer may have any other status.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Examined, Unanswered> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            if self.left() == 0 {
                return Err(Unanswered::Spent("the requests of the probe are used up"));
            }
            let came = self.tenant.examine(request, &self.meter).await;
            let wait = WAIT * 2_u32.pow(attempt - 1);
            let wait = match came {
                Ok(answer) => {
                    self.facts.headers.hear(&answer);
                    if !is_refusal(answer.status) {
                        return Ok(answer);
                    }
                    if attempt == ATTEMPTS {
                        return Err(Unanswered::status(answer.status, request.scope));
                    }
                    answer.retry_after.and_then(|header| header.wait).unwrap_or(wait)
                }
                Err(fault) if fault.is_transient() && attempt < ATTEMPTS => wait,
                Err(fault) => return Err(Unanswered::fault(&fault)),
            };
            self.clock.sleep(wait.min(LONGEST_WAIT)).await;
        }
    }

    /// Like [`Self::ask`]; every status but 200 is no answer.
    pub(super) async fn get(&mut self, request: &Request) -> Result<Examined, Unanswered> {
        if let Some(status) = self.facts.denied.get(request.scope) {
            return Err(Unanswered::status(*status, request.scope));
        }
        let answer = self.ask(request).await?;
        match answer.status {
            200 => Ok(answer),
            status => {
                if matches!(status, 401 | 403) {
                    self.facts.denied.insert(request.scope, status);
                }
                Err(Unanswered::status(status, request.scope))
            }
        }
    }

    /// The segment that is walked.
    pub(super) fn walked(&self) -> Result<Walked, Unanswered> {
        let walked = self.facts.walked.clone();
        walked.ok_or_else(|| Unanswered::because("no segment is known whose profiles could be read"))
    }

    /// The scope of the listing of profiles.
    pub(super) fn listing_scope(&self) -> &'static str {
        let walk = self.subject.walk();
        walk.map_or("read:segments", |walk| walk.trial_request().scope)
    }
}
