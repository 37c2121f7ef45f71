//! How large the pages are that are asked for: something between here and the tenant may give up on large ones. No I/O.

/// Faults in a row of one page after which it is asked for at half the size: one may be an accident.
const SHRINK_AFTER: u32 = 2;
/// Whole pages in a row after which twice the size is tried.
const GROW_AFTER: u32 = 4;
/// The most of them: after each attempt in vain twice as many are waited for.
const GROW_AFTER_AT_MOST: u32 = 256;

/// By how many halvings pages are smaller than the settings want them.
#[derive(Debug, Clone)]
pub(crate) struct PageSize {
    shrink: u32,
    faults: u32,
    whole: u32,
    patience: u32,
    /// The size has just been doubled, and no page of it has come yet.
    trying: bool,
}

impl PageSize {
    /// The size that worked before.
    pub(crate) fn of(shrink: u32) -> Self {
        Self {
            shrink,
            faults: 0,
            whole: 0,
            patience: GROW_AFTER,
            trying: false,
        }
    }

    /// How often the size is to be halved.
    pub(crate) fn shrink(&self) -> u32 {
        self.shrink
    }

    /// A page did not come whole. `smallest`: there is no smaller one. True when the next one is to be smaller.
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

    /// A page that was asked for at so many halvings came whole.
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

    /// Asks for pages of 16 against something that lets pass at most so many; gives the sizes.
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
