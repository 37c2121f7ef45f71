//! The walk of a listing that is paged by cursor.

use crate::model::Time;
use crate::model::clocks::{TOLERANCE, later_by};
use crate::model::page::{Head, PageEnd};
use crate::model::position::{CursorPosition, Finished, WalkHistory};

/// Pages in a row without a new id after which a listing is taken to repeat itself.
const MOST_PAGES_WITHOUT_NEW_IDS: u32 = 3;
/// Empty pages in a row after which a walk ends, once it has read as many profiles as the tenant reports. More than a
/// fault that empties a page or two.
const EMPTY_AT_THE_END: u32 = 3;
/// Empty pages in a row after which a walk ends, however many profiles are missing: 20 seconds at five requests a second.
const EMPTY_AT_MOST: u32 = 100;

/// What follows from a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read the page at this position.
    Read(CursorPosition),
    /// The listing has ended. The position is stored with the last page and is not marked as finished yet.
    End(CursorPosition),
}

/// What follows a whole page at `position`. The listing ends if `nextCursor` is absent, empty or equal to the cursor that
/// was sent.
pub(crate) fn after(position: &CursorPosition, end: &PageEnd, unidentified: u64) -> Step {
    let mut next = CursorPosition {
        pages: position.pages + 1,
        read: position.read + end.elements(),
        unidentified: position.unidentified + unidentified,
        total: end.head().total_results.or(position.total),
        course: WalkHistory {
            failed_here: 0,
            first_total: position.course.first_total.or(end.head().total_results),
            ..position.course
        },
        // A response from before the walk's start, such as a cached one, shows nothing of later changes.
        began_at: (end.head().server_time).map_or(position.began_at, |spoken| spoken.min(position.began_at)),
        ..position.clone()
    };
    match next_cursor(&position.cursor, end.head()) {
        Some(cursor) => {
            next.cursor = cursor;
            Step::Read(next)
        }
        None => Step::End(next),
    }
}

/// The cursor of the next page, once the head of the page that `sent` asked for contains it.
pub(crate) fn next_cursor(sent: &str, head: &Head) -> Option<String> {
    head.next_cursor
        .clone()
        .filter(|next| !next.is_empty() && next != sent)
}

/// The open walk as it may be continued. If the clock that gave its start was ahead, the start becomes the database's time
/// at that moment. None for an increment whose range begins after its own start, because of such a watermark: it cannot
/// read what changed before.
pub(crate) fn bounded_by_own_clocks(walk: CursorPosition) -> Option<CursorPosition> {
    let latest = later_by(walk.opened_at, TOLERANCE);
    if walk.range.is_some_and(|(from, _)| from > latest) {
        return None;
    }
    let began_at = if walk.began_at > latest {
        walk.opened_at
    } else {
        walk.began_at
    };
    Some(CursorPosition { began_at, ..walk })
}

/// Counts pages in a row that bring no new id, and their ids. A page without any id says nothing: it neither repeats nor goes
/// on.
#[derive(Debug, Default)]
pub(crate) struct PagesWithoutNewIds {
    pages: u32,
    judged: u64,
}

impl PagesWithoutNewIds {
    /// Takes in a page with so many new ids among those that were judged. Returns whether the listing goes round in circles:
    /// some pages brought nothing new, and `is_stale` says that their ids are too many for chance.
    pub(crate) fn page(&mut self, new: u64, judged: u64, is_stale: impl Fn(u64) -> bool) -> bool {
        if new > 0 {
            *self = Self::default();
            return false;
        }
        self.pages += 1;
        self.judged += judged;
        self.pages >= MOST_PAGES_WITHOUT_NEW_IDS && is_stale(self.judged)
    }
}

/// Counts empty pages in a row that have a next cursor.
#[derive(Debug, Default)]
pub(crate) struct EmptyPages(u32);

/// What follows from empty pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyPagesVerdict {
    /// Elements may follow: read the next page.
    GoOn,
    /// The walk ends if it has read as many profiles as the tenant reports.
    EndIfAllCame,
    /// The walk ends; the missing elements will not come.
    End,
}

impl EmptyPages {
    /// Counts a page by its number of elements.
    pub(crate) fn page(&mut self, elements: u64) -> EmptyPagesVerdict {
        self.0 = if elements == 0 { self.0 + 1 } else { 0 };
        match self.0 {
            EMPTY_AT_MOST.. => EmptyPagesVerdict::End,
            EMPTY_AT_THE_END => EmptyPagesVerdict::EndIfAllCame,
            _ => EmptyPagesVerdict::GoOn,
        }
    }
}

/// Whether a walk has read at least as many different profiles as the tenant reports.
pub(crate) fn all_came(distinct: u64, unidentified: u64, total: Option<u64>) -> bool {
    total.is_some_and(|total| distinct + unidentified >= total)
}

/// How complete a finished walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Completeness {
    /// `totalResults` minus what was read; none without a total.
    pub(crate) difference: Option<i64>,
    /// Whether changes during the walk can explain the difference: 10 rows or 1%. False without a total.
    pub(crate) within_tolerance: bool,
}

/// How many profiles of a total a walk may miss or read in excess, since profiles change during the walk.
pub(crate) fn tolerance(total: u64) -> u64 {
    (total / 100).max(10)
}

/// Compares the distinct ids that a walk read with the total of its last page. `unidentified` counts rejected elements
/// without a readable id, which the total includes.
pub(crate) fn completeness(distinct: u64, unidentified: u64, total: Option<u64>) -> Completeness {
    let Some(total) = total else {
        return Completeness {
            difference: None,
            within_tolerance: false,
        };
    };
    let read = distinct + unidentified;
    Completeness {
        difference: Some(i64::try_from(total).unwrap_or(i64::MAX) - i64::try_from(read).unwrap_or(i64::MAX)),
        within_tolerance: total.abs_diff(read) <= tolerance(total),
    }
}

/// Marks a position as read to its end.
pub(crate) fn finished(position: CursorPosition, at: Time, distinct: u64) -> CursorPosition {
    CursorPosition {
        finished: Some(Finished {
            at,
            distinct,
            awaits_approval: false,
        }),
        ..position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(next: Option<&str>) -> Head {
        Head {
            next_cursor: next.map(str::to_owned),
            ..Head::default()
        }
    }

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_700_000_000 + seconds, 0).unwrap_or_default()
    }

    fn walk(began_at: i64, range: Option<(i64, i64)>) -> CursorPosition {
        CursorPosition {
            walk_id: uuid::Uuid::nil(),
            segment: "allvisitors".to_owned(),
            cursor: "*".to_owned(),
            range: range.map(|(from, to)| (at(from), at(to))),
            began_at: at(began_at),
            opened_at: at(0),
            properties: Vec::new(),
            timelines: false,
            pages: 0,
            read: 0,
            divided_at: None,
            from_empty: false,
            unidentified: 0,
            total: None,
            passed: None,
            finished: None,
            aside: None,
            course: WalkHistory::default(),
        }
    }

    #[test]
    fn an_open_walk_claims_no_time_that_had_not_come() {
        let began = |walk: CursorPosition| bounded_by_own_clocks(walk).map(|walk| walk.began_at);
        assert_eq!(began(walk(-7_200, None)), Some(at(-7_200)));
        assert_eq!(began(walk(2, Some((-600, 2)))), Some(at(2)));
        assert_eq!(began(walk(1_200, None)), Some(at(0)));
        assert_eq!(began(walk(1_200, Some((600, 1_200)))), None);
    }

    #[test]
    fn the_end_is_an_absent_an_empty_or_the_same_cursor() {
        assert_eq!(next_cursor("a", &head(Some("b"))), Some("b".to_owned()));
        for end in [None, Some(""), Some("a")] {
            assert_eq!(next_cursor("a", &head(end)), None);
        }
    }

    #[test]
    fn three_pages_in_a_row_without_new_ids_are_a_circle() {
        let mut without_new_ids = PagesWithoutNewIds::default();
        let verdicts: Vec<bool> = [(0, 9), (0, 9), (1, 9), (0, 9), (0, 9), (0, 2), (0, 9)]
            .into_iter()
            .map(|(new, judged)| without_new_ids.page(new, judged, |judged| judged > 20))
            .collect();
        assert_eq!(verdicts, [false, false, false, false, false, false, true]);
    }

    #[test]
    fn empty_pages_end_a_walk_early_only_if_all_came() {
        let mut empty = EmptyPages::default();
        let verdicts: Vec<EmptyPagesVerdict> = [0, 0, 5, 0, 0, 0, 0]
            .into_iter()
            .map(|page| empty.page(page))
            .collect();
        let [go_on, end_if] = [EmptyPagesVerdict::GoOn, EmptyPagesVerdict::EndIfAllCame];
        assert_eq!(verdicts, [go_on, go_on, go_on, go_on, go_on, end_if, go_on]);
        let end = (0..2 * EMPTY_AT_MOST).position(|_| empty.page(0) == EmptyPagesVerdict::End);
        assert_eq!(end, Some(EMPTY_AT_MOST as usize - 5));
        assert!(all_came(99, 1, Some(100)) && !all_came(99, 0, Some(100)) && !all_came(99, 0, None));
    }

    #[test]
    fn ten_rows_or_one_percent_may_be_missing() {
        assert!(completeness(90, 0, Some(100)).within_tolerance);
        assert!(!completeness(89, 0, Some(100)).within_tolerance);
        assert!(completeness(89, 1, Some(100)).within_tolerance);
        assert!(completeness(99_000, 0, Some(100_000)).within_tolerance);
        assert!(!completeness(98_999, 0, Some(100_000)).within_tolerance);
        assert!(!completeness(101_001, 0, Some(100_000)).within_tolerance);
        assert_eq!(
            completeness(5, 0, None),
            Completeness {
                difference: None,
                within_tolerance: false
            }
        );
        assert_eq!(completeness(120, 0, Some(100)).difference, Some(-20));
    }
}
