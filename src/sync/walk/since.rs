//! The walk of a listing that is read by date: audit events, which have no id, no cursor, no upper bound and no known
//! order. It says what is covered, and what cannot be known becomes a gap.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::Time;
use crate::model::batch::{Advance, GapReason, Span};
use crate::sync::task::EventOrder;

use super::pressure::Pressure;

/// Distinct dates in a page after which its order is trusted.
const TRUSTED_AFTER: usize = 5;
/// The tenant's clean-up is not exact: keep so far away from the end of its retention.
const RETENTION_MARGIN: TimeDelta = TimeDelta::hours(1);
const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);

/// What a scan is bound by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// Complete through, before the scan.
    pub(crate) watermark: Option<Time>,
    /// Where the scan begins instead, when a person says so.
    pub(crate) since: Option<Time>,
    /// How far the scan reaches back behind it.
    pub(crate) overlap: TimeDelta,
    /// How long events may take to show up.
    pub(crate) settle: TimeDelta,
    /// How long the tenant keeps events.
    pub(crate) retention: TimeDelta,
    /// The order, where the settings say it.
    pub(crate) order: Option<EventOrder>,
    /// Events asked for at once; a page with fewer is the last one.
    pub(crate) page_size: u64,
    /// The tenant's time when the scan began.
    pub(crate) now: Time,
}

/// A scan under way.
#[derive(Debug)]
pub(crate) struct SinceWalk {
    frame: Frame,
    /// Where the scan began (exclusive).
    first: Time,
    /// The lower bound of the request under way.
    from: Time,
    /// Bounds of the bisection, once the order turned out to be none: a bound whose page is full, one whose is short.
    bisection: Option<(Time, Time)>,
    covered: Vec<Span>,
    gaps: Vec<(Span, GapReason)>,
}

/// What follows from a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask from this date on; what is known by now moves the cursor with the page.
    Read(Time, Advance),
    /// The scan is at its end.
    End(Advance),
    /// The page is full and says nothing about where to go on.
    Stuck,
}

impl SinceWalk {
    /// Begins a scan: `max(W - overlap, now - retention + margin)`, and a gap for what the tenant has dropped since.
    pub(crate) fn new(frame: Frame) -> Self {
        let floor = frame.now - frame.retention + RETENTION_MARGIN;
        let behind = frame
            .watermark
            .map_or(floor, |watermark| watermark - frame.overlap);
        let wanted = frame.since.unwrap_or(behind);
        let first = millis(wanted.max(floor));
        // What lies between W and the start is passed over: the tenant has dropped it, or a person said so.
        let reason = if first > millis(floor) {
            GapReason::Interrupted
        } else {
            GapReason::Retention
        };
        let passed = frame.watermark.filter(|watermark| *watermark < first);
        let gaps = passed
            .map(|from| (Span { from, to: first }, reason))
            .into_iter()
            .collect();
        Self {
            frame,
            first,
            from: first,
            bisection: None,
            covered: Vec::new(),
            gaps,
        }
    }

    /// The same scan by the tenant's clock, which the first answer tells; what was asked for stays.
    pub(crate) fn told(mut self, now: Time) -> Self {
        self.frame.now = now;
        self
    }

    /// The lower bound (exclusive) of the next request.
    pub(crate) fn from(&self) -> Time {
        self.from
    }

    /// How near the page is to hiding events; none where nothing can be hidden. To be asked before the page is taken in,
    /// since only the scan's first page, which reaches back behind the watermark, tells.
    pub(crate) fn pressure(&self, dates: &[Time]) -> Option<Pressure> {
        let watermark = self.frame.watermark?;
        let order = self.frame.order.or_else(|| order_of(dates));
        if self.from != self.first || watermark < self.first || order == Some(EventOrder::OldestFirst) {
            return None;
        }
        let newer: Vec<Time> = dates.iter().copied().filter(|date| *date > watermark).collect();
        let events = newer.len() as u64;
        // A page that is full of them tells nothing of what came before its oldest.
        let oldest = newer.into_iter().min().filter(|_| events >= self.frame.page_size);
        let since = oldest.unwrap_or(watermark);
        Some(Pressure::new(
            events,
            self.frame.page_size,
            self.frame.now - since,
        ))
    }

    /// Takes in a page: how many elements it held, and their dates in order of arrival.
    pub(crate) fn page(&mut self, elements: u64, dates: &[Time]) -> Step {
        if elements < self.frame.page_size {
            return self.short_page();
        }
        let (Some(oldest), Some(newest)) = (dates.iter().min(), dates.iter().max()) else {
            return Step::Stuck;
        };
        let (oldest, newest) = (millis(*oldest), millis(*newest));
        if newest <= self.from {
            // The tenant does not heed `fromDate`: going on would read the same page for ever.
            return Step::Stuck;
        }
        if self.bisection.is_some() {
            return self.bisect(self.from);
        }
        match self.frame.order.or_else(|| order_of(dates)) {
            Some(EventOrder::OldestFirst) => self.oldest_first(newest),
            Some(EventOrder::NewestFirst) => self.newest_first(oldest),
            None => self.bisect(self.from),
        }
    }

    fn short_page(&mut self) -> Step {
        if let Some((full, _)) = self.bisection {
            self.bisection = Some((full, self.from));
            return self.halve();
        }
        self.covered.push(Span {
            from: self.from,
            to: DateTime::<Utc>::MAX_UTC,
        });
        self.end()
    }

    /// All up to the millisecond before the page's last date is covered; that millisecond may go on in the next page.
    fn oldest_first(&mut self, last: Time) -> Step {
        let before_last = last - MILLISECOND;
        if before_last > self.from {
            self.covered.push(Span {
                from: self.from,
                to: before_last,
            });
            self.from = before_last;
        } else {
            // One single millisecond fills the page: what does not fit cannot be reached.
            self.gaps.push((
                Span {
                    from: self.from,
                    to: last,
                },
                GapReason::Saturated,
            ));
            self.from = last.max(self.from + MILLISECOND);
        }
        let advance = self.so_far();
        Step::Read(self.from, advance)
    }

    /// Only what is newer than the page's oldest date is covered; the rest cannot be reached.
    fn newest_first(&mut self, oldest: Time) -> Step {
        self.covered.push(Span {
            from: oldest,
            to: DateTime::<Utc>::MAX_UTC,
        });
        self.end()
    }

    /// Without an order, the lowest bound that gives a short page covers all behind it.
    fn bisect(&mut self, full: Time) -> Step {
        let short = self
            .bisection
            .map_or_else(|| millis(self.frame.now) + TimeDelta::days(1), |(_, short)| short);
        self.bisection = Some((full, short));
        self.halve()
    }

    fn halve(&mut self) -> Step {
        let Some((full, short)) = self.bisection else {
            return Step::Stuck;
        };
        if short - full <= MILLISECOND {
            self.covered.push(Span {
                from: short,
                to: DateTime::<Utc>::MAX_UTC,
            });
            return self.end();
        }
        self.from = millis(full + (short - full) / 2);
        Step::Read(self.from, Advance::default())
    }

    /// What an oldest-first scan may store before its end: all up to the bound of the next request.
    fn so_far(&self) -> Advance {
        Advance {
            position: None,
            watermark: Some(self.from.min(self.complete_through())),
            gaps: self.gaps.clone(),
            covered: self.known(),
        }
    }

    /// The gaps are what lies between the scan's start (or W, where the scan began before it) and now, minus what is
    /// covered; nothing before W is ever opened.
    fn end(&mut self) -> Step {
        let through = self.complete_through();
        let lower = self
            .frame
            .watermark
            .map_or(self.first, |watermark| watermark.max(self.first));
        let saturated: Vec<Span> = self.gaps.iter().map(|(span, _)| *span).collect();
        for span in minus(
            Span {
                from: lower,
                to: through,
            },
            self.covered.iter().chain(&saturated),
        ) {
            self.gaps.push((span, GapReason::Unreachable));
        }
        Step::End(Advance {
            position: None,
            watermark: Some(through),
            gaps: self.gaps.clone(),
            covered: self.known(),
        })
    }

    /// Events newer than this may still show up.
    fn complete_through(&self) -> Time {
        millis(self.frame.now - self.frame.settle)
    }

    /// What is covered, up to where late events may still come.
    fn known(&self) -> Vec<Span> {
        let through = self.complete_through();
        self.covered
            .iter()
            .map(|span| Span {
                from: span.from,
                to: span.to.min(through),
            })
            .filter(|span| span.from < span.to)
            .collect()
    }
}

/// The order of a page, where it has one and shows enough distinct dates to be trusted.
fn order_of(dates: &[Time]) -> Option<EventOrder> {
    let mut distinct: Vec<Time> = dates.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < TRUSTED_AFTER {
        return None;
    }
    if dates.is_sorted() {
        Some(EventOrder::OldestFirst)
    } else if dates.iter().rev().is_sorted() {
        Some(EventOrder::NewestFirst)
    } else {
        None
    }
}

/// What is left of a span without the others.
fn minus<'a>(whole: Span, others: impl Iterator<Item = &'a Span>) -> Vec<Span> {
    let mut others: Vec<Span> = others.copied().collect();
    others.sort_unstable_by_key(|span| span.from);
    let mut left = Vec::new();
    let mut from = whole.from;
    for other in others {
        if other.from > from && from < whole.to {
            left.push(Span {
                from,
                to: other.from.min(whole.to),
            });
        }
        from = from.max(other.to);
    }
    if from < whole.to {
        left.push(Span { from, to: whole.to });
    }
    left
}

/// Down to the millisecond, in which the tenant counts.
fn millis(time: Time) -> Time {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "a test says what it needs by panicking")]

    use super::*;

    fn at(millis: i64) -> Time {
        DateTime::from_timestamp_millis(1_700_000_000_000 + millis).unwrap_or_default()
    }

    fn frame(watermark: Option<i64>) -> Frame {
        Frame {
            watermark: watermark.map(at),
            since: None,
            overlap: TimeDelta::milliseconds(100),
            settle: TimeDelta::milliseconds(10),
            retention: TimeDelta::days(30),
            order: None,
            page_size: 6,
            now: at(10_000),
        }
    }

    fn dates(millis: &[i64]) -> Vec<Time> {
        millis.iter().map(|one| at(*one)).collect()
    }

    #[test]
    fn a_short_page_covers_all_behind_its_bound() {
        let mut walk = SinceWalk::new(frame(Some(5_000)));
        assert_eq!(walk.from(), at(4_900));
        let Step::End(advance) = walk.page(2, &dates(&[6_000, 7_000])) else {
            panic!("not at its end")
        };
        assert_eq!(advance.watermark, Some(at(9_990)));
        assert_eq!(advance.gaps, []);
        assert_eq!(
            advance.covered,
            [Span {
                from: at(4_900),
                to: at(9_990)
            }]
        );
    }

    #[test]
    fn oldest_first_goes_on_from_the_millisecond_before_the_last() {
        let mut walk = SinceWalk::new(frame(Some(5_000)));
        let Step::Read(from, advance) = walk.page(6, &dates(&[6_000, 6_001, 6_002, 6_003, 6_004, 6_004]))
        else {
            panic!("does not go on")
        };
        assert_eq!((from, advance.watermark), (at(6_003), Some(at(6_003))));
        let Step::End(advance) = walk.page(3, &dates(&[6_004, 6_004, 6_004])) else {
            panic!("not at its end")
        };
        assert_eq!(advance.gaps, []);
    }

    #[test]
    fn a_millisecond_that_fills_a_page_is_a_gap_and_the_scan_goes_on_behind_it() {
        let mut walk = SinceWalk::new(Frame {
            order: Some(EventOrder::OldestFirst),
            ..frame(Some(5_000))
        });
        assert!(matches!(walk.page(6, &dates(&[6_000; 6])), Step::Read(from, _) if from == at(5_999)));
        assert!(matches!(walk.page(6, &dates(&[6_000; 6])), Step::Read(from, _) if from == at(6_000)));
        let Step::End(advance) = walk.page(0, &[]) else {
            panic!("not at its end")
        };
        assert_eq!(
            advance.gaps,
            [(
                Span {
                    from: at(5_999),
                    to: at(6_000)
                },
                GapReason::Saturated
            )]
        );
    }

    #[test]
    fn newest_first_hides_what_is_older_than_its_page() {
        let mut walk = SinceWalk::new(frame(Some(5_000)));
        let Step::End(advance) = walk.page(6, &dates(&[9_005, 9_004, 9_003, 9_002, 9_001, 9_000])) else {
            panic!("not at its end")
        };
        assert_eq!(
            advance.gaps,
            [(
                Span {
                    from: at(5_000),
                    to: at(9_000)
                },
                GapReason::Unreachable
            )]
        );
        assert_eq!(advance.watermark, Some(at(9_990)));
    }

    #[test]
    fn without_order_the_bound_of_the_first_short_page_is_searched() {
        // 6 events fill a page; events lie at every 1000 ms, so the lowest short bound is 5000 (6000..9000 and 9500).
        let events: Vec<i64> = (1..10).map(|one| one * 1000).collect();
        let mut walk = SinceWalk::new(Frame {
            page_size: 5,
            ..frame(Some(0))
        });
        for _ in 0..64 {
            let from = walk.from();
            let mut page: Vec<i64> = events
                .iter()
                .copied()
                .filter(|one| at(*one) > from)
                .take(5)
                .collect();
            let half = page.len() / 2;
            page.rotate_left(half);
            match walk.page(page.len() as u64, &dates(&page)) {
                Step::Read(..) => {}
                Step::End(advance) => {
                    assert_eq!(
                        advance.gaps,
                        [(
                            Span {
                                from: at(0),
                                to: at(5_000)
                            },
                            GapReason::Unreachable
                        )]
                    );
                    return;
                }
                Step::Stuck => panic!("stuck"),
            }
        }
        panic!("no end")
    }

    #[test]
    fn only_what_can_be_hidden_presses() {
        let percent = |order, watermark, events: &[i64]| {
            let walk = SinceWalk::new(Frame {
                order,
                ..frame(watermark)
            });
            walk.pressure(&dates(events)).map(|pressure| pressure.percent)
        };
        let newest = [9_005, 9_004, 9_003, 9_002, 9_001, 4_990];
        assert_eq!(percent(None, Some(5_000), &newest), Some(83));
        assert_eq!(
            percent(None, None, &newest),
            None,
            "the first scan has nothing to lose"
        );
        assert_eq!(percent(Some(EventOrder::OldestFirst), Some(5_000), &newest), None);
        let mut oldest = newest;
        oldest.reverse();
        assert_eq!(percent(None, Some(5_000), &oldest), None);
        assert_eq!(
            percent(Some(EventOrder::NewestFirst), Some(5_000), &[9_000]),
            Some(16)
        );
    }

    #[test]
    fn what_the_tenant_dropped_is_a_gap() {
        let day = 86_400_000;
        let mut walk = SinceWalk::new(Frame {
            now: at(40 * day),
            ..frame(Some(0))
        });
        assert_eq!(walk.from(), at(10 * day + 3_600_000));
        let Step::End(advance) = walk.page(0, &[]) else {
            panic!("not at its end")
        };
        let gap = Span {
            from: at(0),
            to: at(10 * day + 3_600_000),
        };
        assert_eq!(advance.gaps, [(gap, GapReason::Retention)]);
    }

    #[test]
    fn the_first_scan_ever_opens_no_gap_before_its_start() {
        let mut walk = SinceWalk::new(frame(None));
        let Step::End(advance) = walk.page(1, &dates(&[9_000])) else {
            panic!("not at its end")
        };
        assert_eq!(advance.gaps, []);
    }
}
