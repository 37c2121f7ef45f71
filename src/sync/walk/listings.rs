//! The walk of listings that are paged by cursor, one after the other. No I/O.

use uuid::Uuid;

use super::cursor;
use crate::model::Time;
use crate::model::page::{Head, PageEnd};
use crate::model::position::ListingsPosition;

/// The cursor of the first page of a listing.
pub(crate) const FIRST: &str = "*";

/// The position at which a walk opens.
pub(crate) fn start(walk_id: Uuid, opened_at: Time, listings: Vec<String>) -> ListingsPosition {
    ListingsPosition {
        walk_id,
        opened_at,
        listings,
        place: 0,
        cursor: FIRST.to_owned(),
        read: 0,
        read_here: 0,
        unidentified: 0,
        total: Some(0),
        total_here: None,
    }
}

/// The position behind a whole page at `position`, which had so many elements without a readable id. The listing ends if `nextCursor`
/// is absent, empty or equal to the cursor that was sent; the next one follows.
pub(crate) fn after(position: &ListingsPosition, end: &PageEnd, unidentified: u64) -> ListingsPosition {
    behind_page(position, end.head(), end.elements(), unidentified)
}

fn behind_page(
    position: &ListingsPosition,
    head: &Head,
    elements: u64,
    unidentified: u64,
) -> ListingsPosition {
    let here = ListingsPosition {
        read: position.read + elements,
        read_here: position.read_here + elements,
        unidentified: position.unidentified + unidentified,
        total_here: head.total_results.or(position.total_here),
        ..position.clone()
    };
    match cursor::next_cursor(&position.cursor, head) {
        Some(cursor) => ListingsPosition { cursor, ..here },
        None => behind(&here, here.total_here),
    }
}

/// The position behind the listing at `position`, of which the tenant reports this total.
pub(crate) fn behind(position: &ListingsPosition, total: Option<u64>) -> ListingsPosition {
    let sum = position.total.zip(total);
    ListingsPosition {
        place: position.place + 1,
        total: sum.map(|(before, here)| before.saturating_add(here)),
        ..from_start(position)
    }
}

/// The start of the listing at `position`.
pub(crate) fn from_start(position: &ListingsPosition) -> ListingsPosition {
    ListingsPosition {
        cursor: FIRST.to_owned(),
        read_here: 0,
        total_here: None,
        ..position.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The position behind a page with this next cursor, this total and so many elements, `unidentified` of them without an id.
    fn page(
        position: &ListingsPosition,
        next: Option<&str>,
        total: Option<u64>,
        (elements, unidentified): (u64, u64),
    ) -> ListingsPosition {
        let head = Head {
            next_cursor: next.map(str::to_owned),
            total_results: total,
            ..Head::default()
        };
        behind_page(position, &head, elements, unidentified)
    }

    fn opened() -> ListingsPosition {
        let about = ["a", "b"].map(str::to_owned).to_vec();
        start(Uuid::nil(), Time::UNIX_EPOCH, about)
    }

    #[test]
    fn a_listing_follows_the_one_before_it_and_their_totals_add_up() {
        let next = page(&opened(), Some("x"), Some(5), (3, 1));
        assert_eq!((next.place, next.cursor.as_str(), next.read_here), (0, "x", 3));
        let next = page(&next, None, Some(5), (2, 0));
        assert_eq!((next.place, next.cursor.as_str()), (1, FIRST));
        assert_eq!((next.read, next.read_here, next.unidentified), (5, 0, 1));
        assert_eq!((next.total, next.total_here), (Some(5), None));
        let last = page(&next, Some(FIRST), Some(1), (1, 0));
        assert_eq!((last.place, last.total, last.read), (2, Some(6), 6));
    }

    #[test]
    fn a_listing_without_a_total_leaves_none_and_an_absent_one_counts_as_empty() {
        let first = behind(&opened(), Some(0));
        assert_eq!((first.place, first.total), (1, Some(0)));
        assert_eq!(page(&first, None, None, (1, 0)).total, None);
    }

    #[test]
    fn a_listing_that_begins_anew_keeps_what_was_read() {
        let next = page(&opened(), Some("x"), Some(5), (3, 2));
        let anew = from_start(&next);
        assert_eq!((anew.place, anew.cursor.as_str()), (0, FIRST));
        assert_eq!((anew.read, anew.read_here, anew.unidentified), (3, 0, 2));
    }
}
