//! Tracks the pages that are being loaded. A page's tail may be loaded after all its other batches and after the tails
//! of all earlier pages. What those batches left over waits here for it. No I/O.

use std::collections::VecDeque;

use crate::model::position::CursorPosition;
use crate::model::seen::SeenIds;

use super::raw_batch::RawBatch;

/// Ids of a page that are recorded before its tail: 512 KiB of hashes.
const RECORDED_AT_ONCE: usize = 65_536;

/// The tail of a page: its last batch, and the position that moves with it.
#[derive(Debug)]
pub(super) struct Tail {
    /// The last elements of the page; may be empty.
    pub(super) raw: RawBatch,
    /// The position of the walk after the page.
    pub(super) position: CursorPosition,
}

/// What the batches of a page leave to a later batch of it, so that the database has less to do.
#[derive(Debug, Default)]
pub(super) struct LeftOver {
    /// The ids that they read, to be recorded.
    pub(super) seen: SeenIds,
    /// The few elements of each that differ or may differ from what is stored, to be loaded.
    pub(super) changed: Vec<RawBatch>,
}

impl LeftOver {
    /// The bytes of the elements.
    pub(super) fn bytes(&self) -> usize {
        self.changed.iter().map(RawBatch::bytes).sum()
    }

    fn append(&mut self, mut later: Self) {
        self.seen.append(later.seen);
        self.changed.append(&mut later.changed);
    }
}

/// The counts of a page's elements, complete once its tail is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PageCounts {
    /// Ids that were read, repeats included.
    pub(super) ids: u64,
    /// Ids among them that were compared with those that this process had read before.
    pub(super) judged: u64,
    /// Those among the compared ones that it had certainly not read before.
    pub(super) new_ids: u64,
    /// Rejected elements whose id could not be read.
    pub(super) unidentified: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    under_way: usize,
    tail: Option<Tail>,
    tail_under_way: bool,
    counts: PageCounts,
    /// What its loaded batches left over, and no other batch has taken over yet.
    left_over: LeftOver,
}

/// The pages whose tails are not loaded yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pages {
    open: VecDeque<Open>,
    next_number: u64,
    /// A batch failed: no position may move any more.
    broken: bool,
}

impl Pages {
    /// Opens the next page and gives its number.
    pub(super) fn open(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let counts = PageCounts::default();
        self.open.push_back(Open {
            number,
            under_way: 0,
            tail: None,
            tail_under_way: false,
            counts,
            left_over: LeftOver::default(),
        });
        number
    }

    /// How many pages are open.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    /// Batches and tails that were handed over and not reported yet.
    pub(super) fn under_way(&self) -> usize {
        self.open
            .iter()
            .map(|page| page.under_way + usize::from(page.tail_under_way))
            .sum()
    }

    /// A batch of a page was handed over.
    pub(super) fn sent(&mut self, number: u64) {
        if let Some(page) = self.find(number) {
            page.under_way += 1;
        }
    }

    /// The page ended whole; its tail waits for the earlier batches.
    pub(super) fn ended(&mut self, number: u64, tail: Tail) {
        if let Some(page) = self.find(number) {
            page.tail = Some(tail);
        }
    }

    /// Keeps what a loaded batch of a page left over.
    pub(super) fn leave(&mut self, number: u64, left_over: LeftOver) {
        if let Some(page) = self.find(number) {
            page.left_over.append(left_over);
        }
    }

    /// What the next batch of a page has to take over. Until there are many ids or so many bytes of elements, that is nothing: most
    /// pages leave all of it to their tails. Ids are never recorded before their elements are loaded.
    pub(super) fn take_much(&mut self, number: u64, bytes: usize) -> LeftOver {
        let Some(page) = self.find(number) else {
            return LeftOver::default();
        };
        if page.left_over.seen.len() >= RECORDED_AT_ONCE {
            return std::mem::take(&mut page.left_over);
        }
        let mut taken = LeftOver::default();
        if page.left_over.bytes() >= bytes {
            taken.changed = std::mem::take(&mut page.left_over.changed);
        }
        taken
    }

    /// Removes the elements that were left over, with the numbers of their pages.
    pub(super) fn take_changed(&mut self) -> Vec<(u64, Vec<RawBatch>)> {
        let open = self.open.iter_mut();
        open.map(|page| (page.number, std::mem::take(&mut page.left_over.changed)))
            .filter(|(_, changed)| !changed.is_empty())
            .collect()
    }

    /// A batch failed. No tail is released any more, since its position would skip the missing rows.
    pub(super) fn failed(&mut self, number: u64) {
        self.broken = true;
        self.loaded(number, PageCounts::default());
    }

    /// A batch was loaded. Returns the page's counts if the batch was its tail.
    pub(super) fn loaded(&mut self, number: u64, counts: PageCounts) -> Option<PageCounts> {
        let page = self.find(number)?;
        page.counts.ids += counts.ids;
        page.counts.judged += counts.judged;
        page.counts.new_ids += counts.new_ids;
        page.counts.unidentified += counts.unidentified;
        if page.under_way > 0 {
            page.under_way -= 1;
            return None;
        }
        let all = page.counts;
        self.open.retain(|page| page.number != number);
        Some(all)
    }

    /// Whether a batch failed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The next tail that may be loaded, with its page's number, the counts of the page's other batches, and what they left over.
    pub(super) fn next_tail(&mut self) -> Option<(u64, Tail, PageCounts, LeftOver)> {
        if self.broken {
            return None;
        }
        let page = self.open.front_mut()?;
        if page.under_way > 0 {
            return None;
        }
        let tail = page.tail.take()?;
        page.tail_under_way = true;
        let left_over = std::mem::take(&mut page.left_over);
        Some((page.number, tail, page.counts, left_over))
    }

    /// Removes the tails that may no longer be loaded.
    pub(super) fn take_tails(&mut self) -> Vec<(u64, Tail)> {
        let open = self.open.iter_mut();
        open.filter_map(|page| Some((page.number, page.tail.take()?)))
            .collect()
    }

    fn find(&mut self, number: u64) -> Option<&mut Open> {
        self.open.iter_mut().find(|page| page.number == number)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use crate::model::page::Block;
    use crate::model::position::WalkHistory;
    use crate::model::seen::IdHasher;

    use super::*;

    fn tail() -> Tail {
        let time = chrono::DateTime::UNIX_EPOCH;
        let position = CursorPosition {
            walk_id: uuid::Uuid::nil(),
            segment: String::new(),
            cursor: String::new(),
            range: None,
            began_at: time,
            opened_at: time,
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
        };
        Tail {
            raw: RawBatch::default(),
            position,
        }
    }

    fn ids(new_ids: u64) -> PageCounts {
        PageCounts {
            ids: 2 * new_ids,
            judged: 2 * new_ids,
            new_ids,
            unidentified: 0,
        }
    }

    #[test]
    fn after_a_lost_batch_no_tail_is_given_out() {
        let mut pages = Pages::default();
        let (one, two) = (pages.open(), pages.open());
        pages.sent(one);
        pages.ended(one, tail());
        pages.ended(two, tail());
        pages.failed(one);
        assert!(pages.next_tail().is_none());
        assert_eq!(pages.under_way(), 0);
    }

    #[test]
    fn a_tail_waits_for_its_own_batches_and_for_the_tails_before_it() {
        let mut pages = Pages::default();
        let (one, two) = (pages.open(), pages.open());
        pages.sent(one);
        pages.sent(two);
        pages.ended(two, tail());
        assert_eq!(pages.loaded(two, ids(3)), None);
        assert!(pages.next_tail().is_none(), "page one has not ended");
        pages.ended(one, tail());
        assert!(pages.next_tail().is_none(), "page one has a batch under way");
        assert_eq!(pages.loaded(one, ids(4)), None);
        let (number, _, counts, _) = pages.next_tail().unwrap();
        assert_eq!((number, counts), (one, ids(4)));
        assert!(pages.next_tail().is_none(), "the tail of page one is under way");
        assert_eq!(pages.loaded(one, ids(1)), Some(ids(5)));
        assert_eq!(pages.next_tail().unwrap().0, two);
        assert_eq!(
            (pages.under_way(), pages.loaded(two, ids(0)), pages.count()),
            (1, Some(ids(3)), 0)
        );
    }

    fn seen(ids: &[&str]) -> LeftOver {
        let hasher = IdHasher::new(uuid::Uuid::nil(), Vec::new());
        LeftOver {
            seen: SeenIds::of(&hasher, ids.iter().copied()),
            ..LeftOver::default()
        }
    }

    fn changed(bytes: usize) -> LeftOver {
        let mut raw = RawBatch::default();
        raw.push(Block {
            bytes: vec![b' '; bytes].into(),
            ..Block::default()
        });
        LeftOver {
            changed: vec![raw],
            ..LeftOver::default()
        }
    }

    fn amounts(left_over: &LeftOver) -> (usize, usize) {
        (left_over.seen.len(), left_over.bytes())
    }

    #[test]
    fn what_is_left_over_waits_for_the_tail_unless_it_is_much() {
        let names: Vec<String> = (0..RECORDED_AT_ONCE).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut pages = Pages::default();
        let page = pages.open();
        pages.leave(page, seen(&["a", "b"]));
        pages.leave(page, changed(9));
        assert_eq!(amounts(&pages.take_much(page, 10)), (0, 0));
        pages.leave(page, changed(1));
        assert_eq!(amounts(&pages.take_much(page, 10)), (0, 10), "the ids wait");
        assert_eq!(amounts(&pages.take_much(page, 10)), (0, 0));
        pages.leave(page, changed(1));
        pages.leave(page, seen(&names));
        assert_eq!(amounts(&pages.take_much(page, 10)), (RECORDED_AT_ONCE + 2, 1));
        assert_eq!(amounts(&pages.take_much(page, 10)), (0, 0));
        pages.leave(page, seen(&["a", "b"]));
        pages.leave(page, changed(3));
        pages.ended(page, tail());
        assert_eq!(amounts(&pages.next_tail().unwrap().3), (2, 3));
        assert!(pages.take_changed().is_empty());
    }

    #[test]
    fn elements_of_a_page_without_a_tail_are_taken_at_the_end() {
        let mut pages = Pages::default();
        let (_, two) = (pages.open(), pages.open());
        pages.leave(two, changed(1));
        pages.leave(two, changed(2));
        let taken = pages.take_changed();
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].0, taken[0].1.len()), (two, 2));
        assert!(pages.take_changed().is_empty());
    }
}
