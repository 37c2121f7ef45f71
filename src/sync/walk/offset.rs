//! The walk of a listing that is paged by `startIndex`. Such a listing shifts while it is read, so what counts is
//! whether the distinct ids add up to the total; if they do not, it is read again.

use std::collections::HashSet;

/// How often a listing that does not add up is read again: what shifted while it was read comes then.
const READ_AGAIN: u32 = 2;
/// How often one is whose last page brought nothing new. Its total is more than there is, and will be the next time.
const READ_AGAIN_IN_VAIN: u32 = 1;

/// One reading of a listing from its start.
#[derive(Debug, Default)]
pub(crate) struct OffsetWalk {
    next: u64,
    ids: HashSet<String>,
    unidentified: u64,
    total: Option<u64>,
    /// The total was not the same on all pages: what it counts shifted while it was read.
    shifted: bool,
    ended_in_vain: bool,
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read the page that begins at this index.
    Read(u64),
    /// The reading is at its end.
    End,
}

impl OffsetWalk {
    /// Takes in a page: how many elements it held, the ids among them, rejected elements without an id, and the total
    /// that it told.
    pub(crate) fn page(
        &mut self,
        elements: u64,
        ids: impl Iterator<Item = String>,
        unidentified: u64,
        total: Option<u64>,
    ) -> Step {
        let before = self.ids.len();
        self.ids.extend(ids);
        self.unidentified += unidentified;
        self.shifted |= self
            .total
            .is_some_and(|before| total.is_some_and(|now| now != before));
        self.total = total.or(self.total);
        self.next += elements;
        let brought_something = self.ids.len() > before || unidentified > 0;
        let more = self.total.is_none_or(|total| self.next < total);
        self.ended_in_vain = !brought_something;
        if brought_something && more {
            Step::Read(self.next)
        } else {
            Step::End
        }
    }

    /// How often the listing may be read again if this reading is not complete.
    pub(crate) fn read_again(&self) -> u32 {
        if self.ended_in_vain {
            READ_AGAIN_IN_VAIN
        } else {
            READ_AGAIN
        }
    }

    /// `total - distinct`, as far as a total was told; a reading whose difference is 0 (or unknown) is complete.
    pub(crate) fn difference(&self) -> Option<i64> {
        let total = i64::try_from(self.total?).unwrap_or(i64::MAX);
        let read = i64::try_from(self.ids.len() as u64 + self.unidentified).unwrap_or(i64::MAX);
        Some(total - read)
    }

    /// Whether what was read adds up to the total, which stayed the same.
    pub(crate) fn is_complete(&self) -> bool {
        !self.shifted && self.difference().is_none_or(|difference| difference == 0)
    }

    /// Whether another reading brought exactly the same ids.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.ids == other.ids
    }

    /// Distinct ids read.
    pub(crate) fn distinct(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Rejected elements without a readable id: whichever row is theirs was not seen, though they are there.
    pub(crate) fn unidentified(&self) -> u64 {
        self.unidentified
    }

    /// The total that the last page told.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
        range.map(|id| id.to_string())
    }

    #[test]
    fn pages_follow_one_another_by_what_they_held_until_the_total() {
        let mut walk = OffsetWalk::default();
        assert_eq!(walk.page(2, ids(0..2), 0, Some(5)), Step::Read(2));
        assert_eq!(walk.page(2, ids(2..4), 0, Some(5)), Step::Read(4));
        assert_eq!(walk.page(1, ids(4..5), 0, Some(5)), Step::End);
        assert!(walk.is_complete());
    }

    #[test]
    fn an_element_that_comes_twice_is_noticed_as_one_that_is_missing() {
        let mut walk = OffsetWalk::default();
        walk.page(3, ids(0..3), 0, Some(5));
        assert_eq!(walk.page(2, ids(2..4), 0, Some(5)), Step::End);
        assert_eq!((walk.is_complete(), walk.difference()), (false, Some(1)));
        assert_eq!(walk.read_again(), 2);
    }

    #[test]
    fn a_page_without_a_new_id_ends_a_listing_that_never_adds_up() {
        let mut walk = OffsetWalk::default();
        assert_eq!(walk.page(2, ids(0..2), 0, Some(144)), Step::Read(2));
        assert_eq!(walk.page(2, ids(0..2), 0, Some(144)), Step::End);
        assert_eq!(walk.difference(), Some(142));
        // The first page and this one once more: two reads.
        assert_eq!(walk.read_again(), 1);
    }

    #[test]
    fn a_total_that_shrinks_between_two_pages_makes_no_complete_listing() {
        let mut walk = OffsetWalk::default();
        assert_eq!(walk.page(3, ids(0..3), 0, Some(9)), Step::Read(3));
        assert_eq!(walk.page(3, ids(3..6), 0, Some(6)), Step::End);
        assert_eq!((walk.difference(), walk.is_complete()), (Some(0), false));
        assert_eq!(walk.read_again(), 2);
    }

    #[test]
    fn without_a_total_an_empty_page_ends_it() {
        let mut walk = OffsetWalk::default();
        assert_eq!(walk.page(2, ids(0..2), 0, None), Step::Read(2));
        assert_eq!(walk.page(0, ids(0..0), 0, None), Step::End);
        assert!(walk.is_complete());
    }
}
