//! The two ways in which the vendor reads a segment. A request for nearly the whole tenant scans the store; a smaller one asks
//! the search index, which is late and has an order and a cursor of its own. Neither is a snapshot.
//!
//! The vendor's support describes the ways and the share at which they part. The orders and the cursors are assumed.

use crate::identity::mix;

/// How the tenant chooses between its two read paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPaths {
    /// A request for at least so many of 1,000 profiles scans the store.
    pub scan_from: u64,
    /// The order of the search index.
    pub sort: Sort,
    /// Where the share is close to the limit, the path changes from time to time.
    pub flips: Option<Flips>,
    /// The answer to a cursor of the other path.
    pub other_cursor: OtherCursor,
}

/// Changes of the path near the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flips {
    /// So many thousandths of the tenant on either side of the limit are close.
    pub within: u64,
    /// After so many listings the path changes. The seed decides when it does so first.
    pub every: u64,
}

/// The answer to a cursor of the other path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherCursor {
    /// [`Settings::refused_cursor`](crate::settings::Settings::refused_cursor), as to any unknown cursor.
    #[default]
    Refused,
    /// The page that follows the cursor's last profile in the order of this path: profiles are left out and repeated.
    Taken,
}

/// The sort value of the search index; the id decides between equal values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The date of modification, oldest first: a profile that changes during a walk may come twice.
    #[default]
    Modified,
    /// The date of modification, newest first: a profile that changes during a walk may not come at all.
    NewestModified,
    /// The date of creation.
    Created,
}

impl Default for ReadPaths {
    fn default() -> Self {
        Self {
            scan_from: 950,
            sort: Sort::default(),
            flips: None,
            other_cursor: OtherCursor::default(),
        }
    }
}

/// A read path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Scan,
    Index,
}

/// What decides a change of the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// The number of listings before this one.
    pub(crate) listings: u64,
    /// The tenant's seed.
    pub(crate) seed: u64,
}

impl ReadPaths {
    /// The path for a request of so many profiles of all.
    pub(crate) fn path(&self, hits: u64, all: u64, turn: Turn) -> Path {
        let share = hits * 1000 / all.max(1);
        let by_share = if share >= self.scan_from {
            Path::Scan
        } else {
            Path::Index
        };
        match self
            .flips
            .filter(|flips| share.abs_diff(self.scan_from) <= flips.within)
        {
            Some(flips) => {
                let every = flips.every.max(1);
                match (turn.listings + mix(turn.seed) % every) / every % 2 {
                    0 => Path::Scan,
                    _ => Path::Index,
                }
            }
            None => by_share,
        }
    }
}
