//! The order in which a scan of the store meets profiles: by a token of the id, as in a partitioned store. It is unlike every
//! other order of the tenant.

use crate::identity::{GOLDEN, mix};

/// The profiles by token.
#[derive(Debug, Default)]
pub(crate) struct TokenOrder {
    /// Whether the tenant has a path of this kind; else nothing is kept.
    is_kept: bool,
    salt: u64,
    /// Tokens and positions, ascending; also those of profiles that are gone.
    entries: Vec<(i64, u64)>,
}

impl TokenOrder {
    /// The order of the positions from 0 to `end`.
    pub(crate) fn new(seed: u64, end: u64) -> Self {
        let mut order = Self {
            is_kept: true,
            salt: mix(seed ^ GOLDEN.rotate_left(7)),
            entries: Vec::new(),
        };
        order.extend(0..end);
        order
    }

    /// Adds positions.
    pub(crate) fn extend(&mut self, positions: std::ops::Range<u64>) {
        if !self.is_kept {
            return;
        }
        let added: Vec<_> = positions.map(|position| (self.of(position), position)).collect();
        self.entries.extend(added);
        self.entries.sort_unstable();
    }

    /// The token of a position. No two positions share one.
    pub(crate) fn of(&self, position: u64) -> i64 {
        mix(position ^ self.salt).cast_signed()
    }

    /// The position with this token.
    pub(crate) fn at(&self, token: i64) -> Option<u64> {
        let found = self.entries.binary_search_by_key(&token, |entry| entry.0).ok()?;
        self.entries.get(found).map(|entry| entry.1)
    }

    /// The positions behind a token, or all of them.
    pub(crate) fn after(&self, token: Option<i64>) -> impl Iterator<Item = u64> + '_ {
        let start = token.map_or(0, |token| self.entries.partition_point(|entry| entry.0 <= token));
        self.entries[start..].iter().map(|entry| entry.1)
    }
}
