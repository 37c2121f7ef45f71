//! The size of requested pages: a gateway on the way to the tenant may fail on large pages. No I/O.

/// Faults in a row after which a page is requested at half the size; a single fault may be an accident.
const SHRINK_AFTER: u32 = 2;
/// Whole pages in a row after which the double size is tried.
const GROW_AFTER: u32 = 4;
/// The upper bound of that number, which doubles after each failed attempt.
const GROW_AFTER_AT_MOST: u32 = 256;

/// By how many halvings pages are smaller than the settings say.
#[derive(Debug, Clone)]
pub(crate) struct PageSize {
    shrink: u32,
    faults: u32,
    whole: u32,
    patience: u32,
    /// Whether the size was just doubled and no page of it has come yet.
    trying: bool,
}

impl PageSize {
    /// Starts with the size that worked before.
    pub(crate) fn of(shrink: u32) -> Self {
        Self {
            shrink,
            faults: 0,
            whole: 0,
            patience: GROW_AFTER,
            trying: false,
        }
    }

    /// How often to halve the size.
    pub(crate) fn shrink(&self) -> u32 {
        self.shrink
    }

    /// Notes that a page did not come whole. `smallest`: no smaller size exists. True if the next page is to be smaller.
    pub(crate) fn fault(&mut self, smallest: bool) -> bool {
        self.whole = 0;
        self.faults += 1;
        if self.trying {
            self.patience = (self.patience * 2).min(GROW_AFTER_AT_MOST);
        }
        let shrinks = !smallest && (self.trying || self.faults >= SHRINK_AFTER);
        self.trying = false;
        self.shrink += u32::from(shrinks);
        shrinks
    }

    /// Notes that a page that was requested with `asked` halvings came whole.
    pub(crate) fn whole(&mut self, asked: u32) {
        self.faults = 0;
        self.whole += 1;
        if asked <= self.shrink {
            self.trying = false;
        }
        if self.shrink > 0 && !self.trying && self.whole >= self.patience {
            self.whole = 0;
            self.shrink -= 1;
            self.trying = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests pages of 16 from a tenant that delivers at most `most` elements, and returns the sizes.
    fn asked(mut size: PageSize, most: u32, requests: usize) -> Vec<u32> {
        (0..requests)
            .map(|_| {
                let shrink = size.shrink();
                let count = 16 >> shrink;
                if count > most {
                    size.fault(count == 1);
                } else {
                    size.whole(shrink);
                }
                count
            })
            .collect()
    }

    #[test]
    fn pages_shrink_until_they_come_and_are_tried_larger_ever_more_rarely() {
        let sizes = asked(PageSize::of(0), 4, 24);
        assert_eq!(sizes[..8], [16, 16, 8, 4, 4, 4, 4, 8]);
        assert_eq!(sizes[8..17], [4, 4, 4, 4, 4, 4, 4, 4, 8]);
        assert!(sizes[17..].iter().all(|size| *size == 4));
    }

    #[test]
    fn pages_grow_again_up_to_the_setting() {
        assert_eq!(asked(PageSize::of(2), 16, 10), [4, 4, 4, 4, 8, 8, 8, 8, 16, 16]);
        assert_eq!(asked(PageSize::of(0), 16, 20), [16; 20]);
    }

    #[test]
    fn the_smallest_page_stays_and_one_accident_changes_nothing() {
        let mut size = PageSize::of(3);
        for _ in 0..9 {
            assert!(!size.fault(true));
        }
        assert_eq!(size.shrink(), 3);
        let mut size = PageSize::of(0);
        assert!(!size.fault(false));
        size.whole(0);
        assert!(!size.fault(false));
    }
}
