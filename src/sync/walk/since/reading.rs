//! The next step of a scan that reads on, takes a second look, or probes.

use chrono::{DateTime, Utc};

use crate::model::Time;
use crate::model::batch::{GapReason, TimeRange};
use crate::sync::run_spec::EventOrder;

use super::milliseconds::MILLISECOND;
use super::page::{DateRange, Page};
use super::probes::{Probe, ProbeStep};
use super::{Mode, SinceWalk, Step};

/// Second looks of one scan; after them the scan bisects.
const LOOKS: u32 = 3;

impl SinceWalk {
    /// Takes a page after the last date that was read, or the scan's first page. `longest` is the most elements of an earlier
    /// answer.
    pub(super) fn forward(&mut self, page: &Page, longest: u64) -> Step {
        self.mode = Mode::Forward;
        let is_full = page.elements >= self.parameters.page_size;
        self.is_doubtful = page.elements == 0 && longest == 0 && self.needs_events();
        let Some(bounds) = page.bounds else {
            // Elements without a date show nothing, so the scan searches after them.
            if is_full {
                return self.bisect();
            }
            let first = self.parameters.first();
            return if self.is_doubtful && self.from < first {
                self.ask(first)
            } else {
                self.nothing()
            };
        };
        match page.order {
            Some(EventOrder::NewestFirst) => self.newest_first(page, bounds.oldest),
            _ if bounds.last <= self.from && is_full => self.unheeded(),
            _ if bounds.last <= self.from => self.nothing(),
            Some(EventOrder::OldestFirst) => self.oldest_first(page, bounds, longest),
            None if page.elements < longest.min(self.parameters.page_size) => self.whole(page, bounds),
            None if is_full => self.bisect(),
            None => self.look_again(page, bounds.oldest, 0),
        }
    }

    /// Whether an answer without any event proves nothing: a known event should have come, or the order is not known to be
    /// oldest first, in which hidden events only delay later ones.
    fn needs_events(&self) -> bool {
        let has_expected_event = self.parameters.expected_event(self.retained_from).is_some();
        has_expected_event || self.parameters.order != Some(EventOrder::OldestFirst)
    }

    /// Covers everything up to the millisecond before the page's last date. That last millisecond may continue in the next page.
    fn oldest_first(&mut self, page: &Page, bounds: DateRange, longest: u64) -> Step {
        let is_new = self.met.take(page);
        let (last, before_last) = (bounds.last, bounds.newest - MILLISECOND);
        let first = self.parameters.first();
        if last <= first && self.from < first {
            // The page holds only known events from before the scan's start.
            return self.ask(first);
        }
        if before_last > self.from {
            self.cover(self.from, before_last);
            return self.go_on(before_last);
        }
        let span = TimeRange {
            from: self.from,
            to: last,
        };
        if page.elements >= self.parameters.page_size {
            // A single millisecond fills the page, so its other events cannot be reached.
            self.gaps.push((span, GapReason::Saturated));
            return self.go_on(last);
        }
        if page.elements >= longest {
            self.suspect = Some((span, page.elements));
            if last >= self.began_before {
                self.settle_suspect(0);
                return self.end();
            }
            // The watermark does not move until the millisecond is settled.
            return self.ask(last);
        }
        if is_new {
            self.cover(self.from, last);
            return self.go_on(last);
        }
        self.nothing()
    }

    /// Decides about a millisecond that filled an answer as large as the largest: it was cut, unless a larger answer came. A cap
    /// of one event is not considered. Milliseconds before the watermark were decided earlier and stay as they are.
    pub(super) fn settle_suspect(&mut self, elements: u64) {
        let Some((span, events)) = self.suspect.take() else {
            return;
        };
        if events <= 1 || elements > events {
            self.cover(span.from, span.to);
        } else if span.to > self.owed_from() {
            self.gaps.push((span, GapReason::Saturated));
        }
    }

    /// Covers what is newer than the page's oldest date. Older events cannot be requested.
    fn newest_first(&mut self, page: &Page, oldest: Time) -> Step {
        self.cover(oldest, DateTime::<Utc>::MAX_UTC);
        self.doubt = Some(page.elements).filter(|elements| *elements < self.parameters.page_size);
        self.end()
    }

    /// Takes a page with fewer elements than another page of this scan, which no cap cut. If the page brought a new event, the
    /// scan still reads on after it, since events may have been left out after the limit.
    fn whole(&mut self, page: &Page, bounds: DateRange) -> Step {
        if !self.met.take(page) {
            return self.nothing();
        }
        let before_last = bounds.newest - MILLISECOND;
        let through = if before_last > self.from {
            before_last
        } else {
            bounds.last
        };
        self.cover(self.from, through);
        self.go_on(through)
    }

    /// Takes a page without an order that is shorter than requested and at least as long as all others, so that it may be cut
    /// anywhere. If a request from its oldest event on brings fewer events and no new one, that answer is whole; older events
    /// stay in doubt.
    fn look_again(&mut self, page: &Page, oldest: Time, looks: u32) -> Step {
        self.met.take_any(page);
        if looks >= LOOKS {
            return self.bisect();
        }
        self.doubt = Some(self.largest);
        self.look(oldest, looks + 1, None)
    }

    fn look(&mut self, oldest: Time, looks: u32, whole_from: Option<Time>) -> Step {
        self.mode = Mode::SecondLook { looks, whole_from };
        self.ask(oldest.max(self.parameters.first()).max(self.from))
    }

    /// Takes the answer to a second look. `whole_from`: the last look brought fewer events from this bound on, but also new
    /// ones. A cap explains that once. A tenant that hides events at random brings other events each time, and then nothing is
    /// known.
    pub(super) fn second_look(
        &mut self,
        page: &Page,
        longest: u64,
        looks: u32,
        whole_from: Option<Time>,
    ) -> Step {
        let newer = page.bounds.filter(|bounds| bounds.last > self.from);
        if page.elements < longest.min(self.parameters.page_size) {
            let is_new = self.met.take_any(page);
            return match newer {
                Some(bounds) if is_new && looks < LOOKS => {
                    self.look(bounds.oldest, looks + 1, Some(self.from))
                }
                Some(_) if is_new => self.end(),
                _ => {
                    self.mode = Mode::Forward;
                    self.from = whole_from.unwrap_or(self.from);
                    self.nothing()
                }
            };
        }
        match newer {
            Some(bounds) if page.order.is_none() => self.look_again(page, bounds.oldest, looks),
            _ => self.forward(page, longest),
        }
    }

    /// Reads on after a date.
    fn go_on(&mut self, from: Time) -> Step {
        self.from = from;
        if from >= self.began_before {
            // Events since the scan's start belong to the next scan; otherwise a scan would never end at a tenant that writes
            // faster than the scan reads.
            return self.end();
        }
        Step::Read(from, self.advance(from.min(self.known_through)))
    }

    /// Probes after an answer that brought nothing new, then ends the scan.
    fn nothing(&mut self) -> Step {
        let probe = Probe::begin(self.from, self.parameters.first());
        let next = probe.first(self.known_through, self.parameters.watermark.is_some());
        self.probe(probe, next)
    }

    pub(super) fn probed(&mut self, page: &Page, longest: u64, mut probe: Probe) -> Step {
        let found = self.met.is_passed_by(page) && page.settled > Some(probe.base);
        match probe.take(self.from, found, self.known_through) {
            ProbeStep::ReadOn => self.forward(page, longest),
            next => self.probe(probe, next),
        }
    }

    fn probe(&mut self, probe: Probe, next: ProbeStep) -> Step {
        self.from = probe.base;
        match next {
            ProbeStep::Ask(bound) if self.probes_left > 0 && self.probes_help() => {
                self.probes_left -= 1;
                self.mode = Mode::Probing(probe);
                self.ask(bound)
            }
            ProbeStep::Ask(_) if self.probes_help() => self.end(),
            ProbeStep::Hidden(bound) => {
                let hidden = TimeRange {
                    from: probe.base.max(self.owed_from()),
                    to: bound,
                };
                if hidden.from < hidden.to {
                    self.gaps.push((hidden, GapReason::Unreachable));
                }
                self.mode = Mode::Forward;
                self.ask(bound)
            }
            _ => {
                if self.is_doubtful {
                    self.doubt = Some(0);
                } else {
                    self.cover(self.from, DateTime::<Utc>::MAX_UTC);
                }
                self.end()
            }
        }
    }

    /// Whether probes can find anything. If the tenant answers newest first, a later bound hides as much as an earlier one.
    fn probes_help(&self) -> bool {
        self.parameters.order != Some(EventOrder::NewestFirst)
    }

    /// Ends the scan at a tenant that ignores `fromDate` and would return the same page for ever. The rest is a gap.
    fn unheeded(&mut self) -> Step {
        self.is_unheeded = true;
        self.end()
    }
}
