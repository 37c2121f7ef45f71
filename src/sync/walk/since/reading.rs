//! What follows from a page while a scan reads on, takes a second look, or probes.

use chrono::{DateTime, Utc};

use crate::model::Time;
use crate::model::batch::{GapReason, TimeRange};
use crate::sync::run_spec::EventOrder;

use super::milliseconds::MILLISECOND;
use super::page::{DateRange, Page};
use super::probes::{Probe, ProbeStep};
use super::{Mode, SinceWalk, Step};

/// After so many second looks in one scan the rest is bisected.
const LOOKS: u32 = 3;

impl SinceWalk {
    /// A page behind the last date that was read; the scan's first one besides. `longest` is the most elements of an
    /// answer before it.
    pub(super) fn forward(&mut self, page: &Page, longest: u64) -> Step {
        self.mode = Mode::Forward;
        let is_full = page.elements >= self.parameters.page_size;
        self.is_doubtful = page.elements == 0 && longest == 0 && self.needs_events();
        let Some(bounds) = page.bounds else {
            // Elements without a date say nothing: what lies behind them is looked for.
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

    /// Whether an answer without any event says nothing: a known one has to come, or the order is not known to be one in
    /// which hidden events only delay those behind them.
    fn needs_events(&self) -> bool {
        let has_expected_event = self.parameters.expected_event(self.retained_from).is_some();
        has_expected_event || self.parameters.order != Some(EventOrder::OldestFirst)
    }

    /// All up to the millisecond before the page's last date is covered; that millisecond may go on in the next page.
    fn oldest_first(&mut self, page: &Page, bounds: DateRange, longest: u64) -> Step {
        let is_new = self.met.take(page);
        let (last, before_last) = (bounds.last, bounds.newest - MILLISECOND);
        let first = self.parameters.first();
        if last <= first && self.from < first {
            // Nothing but what was known before the scan's own beginning.
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
            // One single millisecond fills the page: what does not fit cannot be reached.
            self.gaps.push((span, GapReason::Saturated));
            return self.go_on(last);
        }
        if page.elements >= longest {
            self.suspect = Some((span, page.elements));
            if last >= self.began_before {
                self.settle_suspect(0);
                return self.end();
            }
            // The watermark waits until it is known.
            return self.ask(last);
        }
        if is_new {
            self.cover(self.from, last);
            return self.go_on(last);
        }
        self.nothing()
    }

    /// A millisecond that filled an answer as large as any was cut, unless a larger answer comes. A limit of one event is
    /// not reckoned with; what is behind the watermark was judged before, and stays as it was.
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

    /// Only what is newer than the page's oldest date is covered; whether there is more cannot be asked.
    fn newest_first(&mut self, page: &Page, oldest: Time) -> Step {
        self.cover(oldest, DateTime::<Utc>::MAX_UTC);
        self.doubt = Some(page.elements).filter(|elements| *elements < self.parameters.page_size);
        self.end()
    }

    /// A page that holds fewer than another one of this scan: no limit cut it. Goes on behind its last event all the same,
    /// where it brought a new one: some may have been left out after the limit.
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

    /// A page without an order, shorter than asked for, and none was longer: it may be cut anywhere. If the same question
    /// from its oldest event on brings fewer, and none that was not met, that answer is whole; what is older stays in doubt.
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

    /// `whole_from`: the last look brought fewer from here on, but also events that were not met before. A cap explains that
    /// once; a tenant that leaves events out of any of them brings others each time, and then nothing is known.
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

    /// Reads on from a date.
    fn go_on(&mut self, from: Time) -> Step {
        self.from = from;
        if from >= self.began_before {
            // What has come since belongs to the next scan: a tenant that writes faster than we read has no end.
            return self.end();
        }
        Step::Read(from, self.advance(from.min(self.known_through)))
    }

    /// The answer brought nothing new: probes behind it, then ends.
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

    /// Of a tenant that goes from new to old a later bound hides as much as an earlier one.
    fn probes_help(&self) -> bool {
        self.parameters.order != Some(EventOrder::NewestFirst)
    }

    /// The tenant does not heed `fromDate`: going on would read the same page for ever. What lies ahead is a gap.
    fn unheeded(&mut self) -> Step {
        self.is_unheeded = true;
        self.end()
    }
}
