//! The walk of a listing that is paged by `startIndex`. Such a listing shifts while it is read, so a reading is complete
//! only if its distinct ids add up to the total; otherwise the listing is read again. Without a total, only an empty page
//! shows the end.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::limit;

/// How often a listing that does not add up is read again, to find the elements that shifted.
const READ_AGAIN: u32 = 2;
/// How often a listing is read again whose last page brought nothing new: its total is too high, and will be so again.
const READ_AGAIN_IN_VAIN: u32 = 1;

/// One reading of a listing from its start.
#[derive(Debug, Default)]
pub(crate) struct OffsetWalk {
    next: u64,
    /// Hashes of the ids, since a listing without end may have long ids.
    ids: HashSet<u128>,
    unidentified: u64,
    /// The page that is being read; it counts only once it has ended whole.
    page: PartialPage,
    total: Option<u64>,
    /// Whether the total changed between pages, since the listing shifted.
    shifted: bool,
    /// Whether the end must also be confirmed by a page after the total that brings nothing.
    thorough: bool,
    /// Whether one answer is the whole listing.
    unpaged: bool,
    end: End,
}

/// What a page has brought so far.
#[derive(Debug, Default)]
struct PartialPage {
    ids: Vec<u128>,
    unidentified: u64,
}

/// How a reading ended, if it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    /// It has not ended, or it ended at the total.
    #[default]
    Total,
    /// It ended with an empty page.
    Empty,
    /// It ended with a page of known elements.
    Repeats,
    /// It brought more elements than is plausible.
    TooManyElements,
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read the page at this index.
    Read(u64),
    /// The reading has ended.
    End,
}

impl OffsetWalk {
    /// A reading that also reads the page after the total, for use before rows are removed because they were not read.
    pub(crate) fn thorough() -> Self {
        Self {
            thorough: true,
            ..Self::default()
        }
    }

    /// The same of a listing with pages, or of one that is whole in one answer.
    #[must_use]
    pub(crate) fn paged(self, is_paged: bool) -> Self {
        Self {
            unpaged: !is_paged,
            ..self
        }
    }

    /// Adds elements of the current page: their ids, and the number of rejected elements without an id.
    pub(crate) fn take<'id>(&mut self, ids: impl Iterator<Item = &'id [u8]>, unidentified: u64) {
        self.page.ids.extend(ids.map(xxh3_128));
        self.page.unidentified += unidentified;
    }

    /// Discards the current page, which broke off and is read again.
    pub(crate) fn again(&mut self) {
        self.page = PartialPage::default();
    }

    /// Whether the current page has more elements than is plausible. `reported`: its total; `stored`: rows of the table.
    pub(crate) fn is_too_much(&mut self, elements: u64, reported: Option<u64>, stored: u64) -> bool {
        let most = limit::of_list(self.total.or(reported), stored);
        let too_much = self.next + elements > most;
        if too_much {
            self.end = End::TooManyElements;
        }
        too_much
    }

    /// Closes the current page, which ended whole, with the number of its elements and its total.
    pub(crate) fn page(&mut self, elements: u64, total: Option<u64>) -> Step {
        let before = self.ids.len();
        let page = std::mem::take(&mut self.page);
        self.ids.extend(page.ids);
        self.unidentified += page.unidentified;
        self.shifted |= self
            .total
            .is_some_and(|before| total.is_some_and(|now| now != before));
        self.total = total.or(self.total);
        let was_at_the_total = self.is_at_the_total();
        self.next += elements;
        if self.unpaged {
            self.end = if self.total.is_some() {
                End::Total
            } else {
                End::Empty
            };
            return Step::End;
        }
        let brought_something = self.ids.len() > before || page.unidentified > 0;
        if !brought_something {
            // A page after a total that was reached is empty, or repeats known elements.
            self.end = match elements {
                _ if was_at_the_total => End::Total,
                0 => End::Empty,
                _ => End::Repeats,
            };
            return Step::End;
        }
        // With more elements than the total, the total is not believed.
        if self.is_at_the_total() && !self.thorough {
            Step::End
        } else {
            Step::Read(self.next)
        }
    }

    /// Whether as many elements were read as the total says.
    pub(crate) fn is_at_the_total(&self) -> bool {
        self.total == Some(self.next)
    }

    /// Whether more elements came than is plausible.
    pub(crate) fn has_no_end(&self) -> bool {
        self.end == End::TooManyElements
    }

    /// How often the listing may be read again if this reading is not complete.
    pub(crate) fn read_again(&self) -> u32 {
        match self.end {
            End::Total => READ_AGAIN,
            End::Empty | End::Repeats => READ_AGAIN_IN_VAIN,
            End::TooManyElements => 0,
        }
    }

    /// `total - distinct`; none without a total. A reading with the difference 0 is complete.
    pub(crate) fn difference(&self) -> Option<i64> {
        let total = i64::try_from(self.total?).unwrap_or(i64::MAX);
        let read = i64::try_from(self.ids.len() as u64 + self.unidentified).unwrap_or(i64::MAX);
        Some(total - read)
    }

    /// Whether the reading adds up to a total that stayed the same or, without a total, ended with an empty page. A repeated
    /// page does not show the end, since the tenant may ignore `startIndex`.
    pub(crate) fn is_complete(&self) -> bool {
        let adds_up = match self.difference() {
            Some(difference) => difference == 0,
            None => self.end == End::Empty,
        };
        adds_up && !self.shifted && self.end != End::TooManyElements
    }

    /// Distinct ids read.
    #[cfg(test)]
    fn distinct(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Hashes of the distinct ids read.
    pub(crate) fn into_ids(self) -> HashSet<u128> {
        self.ids
    }

    /// Rejected elements without a readable id; their rows count as not seen although the elements exist.
    pub(crate) fn unidentified(&self) -> u64 {
        self.unidentified
    }

    /// The total of the last page.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(walk: &mut OffsetWalk, ids: std::ops::Range<u32>, total: Option<u64>) -> Step {
        let elements = ids.len() as u64;
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        walk.take(ids.iter().map(String::as_bytes), 0);
        walk.page(elements, total)
    }

    #[test]
    fn pages_follow_one_another_by_what_they_held_until_the_total() {
        let mut walk = OffsetWalk::default();
        assert_eq!(page(&mut walk, 0..2, Some(5)), Step::Read(2));
        assert_eq!(page(&mut walk, 2..4, Some(5)), Step::Read(4));
        assert_eq!(page(&mut walk, 4..5, Some(5)), Step::End);
        assert!(walk.is_complete());
    }

    #[test]
    fn an_element_that_comes_twice_is_noticed_as_one_that_is_missing() {
        let mut walk = OffsetWalk::default();
        page(&mut walk, 0..3, Some(5));
        assert_eq!(page(&mut walk, 2..4, Some(5)), Step::End);
        assert_eq!((walk.is_complete(), walk.difference()), (false, Some(1)));
        assert_eq!(walk.read_again(), 2);
    }

    #[test]
    fn a_page_without_a_new_id_ends_a_listing_that_never_adds_up() {
        let mut walk = OffsetWalk::default();
        assert_eq!(page(&mut walk, 0..2, Some(144)), Step::Read(2));
        assert_eq!(page(&mut walk, 0..2, Some(144)), Step::End);
        assert_eq!(walk.difference(), Some(142));
        // The first page and this one once more: two reads.
        assert_eq!(walk.read_again(), 1);
    }

    #[test]
    fn a_total_that_shrinks_between_two_pages_makes_no_complete_listing() {
        let mut walk = OffsetWalk::default();
        assert_eq!(page(&mut walk, 0..3, Some(9)), Step::Read(3));
        assert_eq!(page(&mut walk, 3..6, Some(6)), Step::End);
        assert_eq!((walk.difference(), walk.is_complete()), (Some(0), false));
        assert_eq!(walk.read_again(), 2);
    }

    #[test]
    fn without_a_total_an_empty_page_ends_it_and_a_repeated_one_proves_nothing() {
        let mut walk = OffsetWalk::default();
        assert_eq!(page(&mut walk, 0..2, None), Step::Read(2));
        assert_eq!(page(&mut walk, 0..0, None), Step::End);
        assert!(walk.is_complete());
        let mut walk = OffsetWalk::default();
        page(&mut walk, 0..2, None);
        assert_eq!(page(&mut walk, 0..2, None), Step::End);
        assert!(!walk.is_complete());
    }

    #[test]
    fn a_total_that_is_passed_is_none_and_all_is_read() {
        let mut walk = OffsetWalk::default();
        assert_eq!(page(&mut walk, 0..4, Some(3)), Step::Read(4));
        assert_eq!(page(&mut walk, 4..6, Some(3)), Step::Read(6));
        assert_eq!(page(&mut walk, 6..6, Some(3)), Step::End);
        assert_eq!((walk.is_complete(), walk.distinct()), (false, 6));
    }

    #[test]
    fn a_thorough_reading_asks_behind_the_total() {
        let mut walk = OffsetWalk::thorough();
        assert_eq!(page(&mut walk, 0..3, Some(3)), Step::Read(3));
        assert_eq!(page(&mut walk, 0..0, Some(3)), Step::End);
        assert!(walk.is_complete());
        let mut walk = OffsetWalk::thorough();
        page(&mut walk, 0..3, Some(3));
        assert_eq!(page(&mut walk, 3..5, Some(3)), Step::Read(5));
        assert_eq!(page(&mut walk, 5..5, Some(3)), Step::End);
        assert!(!walk.is_complete());
    }

    #[test]
    fn a_listing_without_pages_ends_with_its_one_answer() {
        for (total, is_complete) in [(None, true), (Some(2), true), (Some(3), false)] {
            let mut walk = OffsetWalk::default().paged(false);
            assert_eq!(page(&mut walk, 0..2, total), Step::End);
            assert_eq!(walk.is_complete(), is_complete, "{total:?}");
        }
        let mut empty = OffsetWalk::thorough().paged(false);
        assert_eq!(page(&mut empty, 0..0, None), Step::End);
        assert!(empty.is_complete());
    }

    #[test]
    fn a_page_that_broke_off_counts_once_and_a_listing_without_end_stops() {
        let mut walk = OffsetWalk::default();
        walk.take([b"0".as_slice()].into_iter(), 1);
        walk.again();
        assert_eq!(page(&mut walk, 0..2, Some(4)), Step::Read(2));
        assert_eq!(walk.unidentified(), 0);
        assert!(!walk.is_too_much(1_006, Some(4), 0));
        assert!(walk.is_too_much(1_007, Some(4), 0));
        assert!(walk.has_no_end() && !walk.is_complete());
    }
}
