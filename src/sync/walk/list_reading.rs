//! One reading of a whole list: of its one listing, or of the listings of all its parents.

use std::collections::HashSet;

use super::offset::OffsetWalk;

/// The listings that were read so far, taken together.
#[derive(Debug, Default)]
pub(crate) struct ListReading {
    /// Hashes of the ids.
    ids: HashSet<u128>,
    unidentified: u64,
    /// The sum of the totals; none if no listing has a total.
    total: Option<u64>,
    /// The sum of the differences to the totals; none if no listing has a total.
    difference: Option<i64>,
    /// Whether a listing did not add up.
    is_incomplete: bool,
    has_no_end: bool,
    /// How often the list may be read again: as often as the listing that may be read again most often.
    read_again: u32,
}

impl ListReading {
    /// Adds a listing that was read to its end.
    pub(crate) fn add(&mut self, listing: OffsetWalk) {
        self.unidentified += listing.unidentified();
        self.is_incomplete |= !listing.is_complete();
        self.has_no_end |= listing.has_no_end();
        self.read_again = self.read_again.max(listing.read_again());
        if let (Some(total), Some(difference)) = (listing.total(), listing.difference()) {
            self.total = Some(self.total.unwrap_or(0) + total);
            self.difference = Some(self.difference.unwrap_or(0) + difference);
        }
        let ids = listing.into_ids();
        if self.ids.is_empty() {
            self.ids = ids;
        } else {
            self.ids.extend(ids);
        }
    }

    /// Whether every listing was complete.
    pub(crate) fn is_complete(&self) -> bool {
        !self.is_incomplete
    }

    /// Whether more elements came than is plausible.
    pub(crate) fn has_no_end(&self) -> bool {
        self.has_no_end
    }

    /// How often the list may be read again if this reading is not complete.
    pub(crate) fn read_again(&self) -> u32 {
        self.read_again
    }

    /// Whether another reading brought exactly the same ids.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.ids == other.ids
    }

    /// Distinct ids read.
    pub(crate) fn distinct(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Rejected elements without a readable id; their rows count as not seen although the elements exist.
    pub(crate) fn unidentified(&self) -> u64 {
        self.unidentified
    }

    /// The tenant's total of all listings that have one.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// The total minus the distinct elements, over all listings that have a total.
    pub(crate) fn difference(&self) -> Option<i64> {
        self.difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(ids: &[&str], total: Option<u64>) -> OffsetWalk {
        let mut walk = OffsetWalk::default();
        walk.take(ids.iter().map(|id| id.as_bytes()), 0);
        walk.page(ids.len() as u64, total);
        walk
    }

    #[test]
    fn a_list_is_complete_if_each_of_its_listings_is() {
        let mut reading = ListReading::default();
        assert!(
            reading.is_complete(),
            "a list whose parents have no listing is empty"
        );
        reading.add(listing(&["a", "b"], Some(2)));
        reading.add(listing(&["c"], Some(1)));
        assert!(reading.is_complete());
        assert_eq!(
            (reading.distinct(), reading.total(), reading.difference()),
            (3, Some(3), Some(0))
        );
        reading.add(listing(&["d"], Some(2)));
        assert!(!reading.is_complete());
        assert_eq!((reading.total(), reading.difference()), (Some(5), Some(1)));
        assert_eq!(reading.read_again(), 2);
    }

    #[test]
    fn two_readings_are_the_same_if_all_of_their_listings_brought_the_same_ids() {
        let read = |listings: &[&[&str]]| {
            let mut reading = ListReading::default();
            for ids in listings {
                reading.add(listing(ids, None));
            }
            reading
        };
        assert!(read(&[&["a"], &["b"]]).is_same_as(&read(&[&["b"], &["a"]])));
        assert!(!read(&[&["a"], &["b"]]).is_same_as(&read(&[&["a"]])));
    }
}
