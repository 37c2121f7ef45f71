//! The walk of a listing that is paged by `startIndex`. Such a listing shifts while it is read, so what counts is
//! whether the distinct ids add up to the total; if they do not, it is read again. Without a total only an empty page
//! shows that there is no more.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::limit;

/// How often a listing that does not add up is read again: what shifted while it was read comes then.
const READ_AGAIN: u32 = 2;
/// How often one is whose last page brought nothing new. Its total is more than there is, and will be the next time.
const READ_AGAIN_IN_VAIN: u32 = 1;

/// One reading of a listing from its start.
#[derive(Debug, Default)]
pub(crate) struct OffsetWalk {
    next: u64,
    /// Hashes of the ids: a listing without end may bring long ones.
    ids: HashSet<u128>,
    unidentified: u64,
    /// The page that is being read: it counts only once it has ended whole.
    page: PartialPage,
    total: Option<u64>,
    /// The total was not the same on all pages: what it counts shifted while it was read.
    shifted: bool,
    /// Whether the total is not believed either before a page behind it brought nothing.
    thorough: bool,
    end: End,
}

/// What came of a page so far.
#[derive(Debug, Default)]
struct PartialPage {
    ids: Vec<u128>,
    unidentified: u64,
}

/// How a reading ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    /// It has not, or where the total is.
    #[default]
    Total,
    /// With an empty page.
    Empty,
    /// With a page that brought what was known.
    Repeats,
    /// It brought more than is plausible.
    TooMuch,
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read the page at this index.
    Read(u64),
    /// The reading is at its end.
    End,
}

impl OffsetWalk {
    /// A reading that asks behind the total as well: before something is removed because it was not read.
    pub(crate) fn thorough() -> Self {
        Self {
            thorough: true,
            ..Self::default()
        }
    }

    /// Takes in elements of the page that is being read: the ids among them, and rejected elements without an id.
    pub(crate) fn take<'id>(&mut self, ids: impl Iterator<Item = &'id [u8]>, unidentified: u64) {
        self.page.ids.extend(ids.map(xxh3_128));
        self.page.unidentified += unidentified;
    }

    /// The page broke off and is read again.
    pub(crate) fn again(&mut self) {
        self.page = PartialPage::default();
    }

    /// Whether so many elements of the page that is being read are more than is plausible. `reported`: its total;
    /// `stored`: rows of the table.
    pub(crate) fn is_too_much(&mut self, elements: u64, reported: Option<u64>, stored: u64) -> bool {
        let most = limit::of_list(self.total.or(reported), stored);
        let too_much = self.next + elements > most;
        if too_much {
            self.end = End::TooMuch;
        }
        too_much
    }

    /// The page has ended whole: how many elements it held, and the total that it told.
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
        let brought_something = self.ids.len() > before || page.unidentified > 0;
        if !brought_something {
            // A page behind a total that came true is empty, or none at all.
            self.end = match elements {
                _ if was_at_the_total => End::Total,
                0 => End::Empty,
                _ => End::Repeats,
            };
            return Step::End;
        }
        // More elements than the total tells of: it is none.
        if self.is_at_the_total() && !self.thorough {
            Step::End
        } else {
            Step::Read(self.next)
        }
    }

    /// Whether as many elements were read as the total tells of.
    pub(crate) fn is_at_the_total(&self) -> bool {
        self.total == Some(self.next)
    }

    /// Whether more came than can be believed.
    pub(crate) fn has_no_end(&self) -> bool {
        self.end == End::TooMuch
    }

    /// How often the listing may be read again if this reading is not complete.
    pub(crate) fn read_again(&self) -> u32 {
        match self.end {
            End::Total => READ_AGAIN,
            End::Empty | End::Repeats => READ_AGAIN_IN_VAIN,
            End::TooMuch => 0,
        }
    }

    /// `total - distinct`, as far as a total was told; a reading whose difference is 0 is complete.
    pub(crate) fn difference(&self) -> Option<i64> {
        let total = i64::try_from(self.total?).unwrap_or(i64::MAX);
        let read = i64::try_from(self.ids.len() as u64 + self.unidentified).unwrap_or(i64::MAX);
        Some(total - read)
    }

    /// Whether what was read adds up to the total, which stayed the same; without a total, whether it ended with an
    /// empty page. A page that came before is none: the listing may not heed where it is to begin.
    pub(crate) fn is_complete(&self) -> bool {
        let adds_up = match self.difference() {
            Some(difference) => difference == 0,
            None => self.end == End::Empty,
        };
        adds_up && !self.shifted && self.end != End::TooMuch
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
