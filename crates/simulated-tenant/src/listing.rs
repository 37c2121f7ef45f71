//! Selects the profiles of a listing, their order, and the pages. The order is that of positions, unless the tenant has
//! read paths; a page is found without a walk over earlier pages. A listing is no snapshot: changes during a walk show.

use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::{Bound, Range};
use std::sync::Arc;

use crate::changes::Change;
use crate::cursor;
use crate::refinement::Filter;
use crate::world::World;

/// The scope of a listing: a segment, optionally refined.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The segment's bit.
    pub(crate) segment: usize,
    pub(crate) filter: Option<Filter>,
    /// The tenant's time: a filter uses the state of the search index at this time.
    pub(crate) now: i64,
}

/// The candidates for the profiles of a scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    /// All profiles in these positions,
    span: Range<u64>,
    /// and these positions, ascending, outside of that span.
    others: Vec<u64>,
}

/// One page, selected before its first byte is written.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) candidates: Arc<Candidates>,
    pub(crate) start: u64,
    /// One beyond the last position of this page.
    pub(crate) end: u64,
    pub(crate) total: u64,
    pub(crate) next_cursor: Option<String>,
    /// Of a read path: these profiles in this order, and no candidates. `start` and `end` are places in it.
    pub(crate) listed: Option<Arc<[u64]>>,
}

impl Plan {
    /// A page of these profiles in this order.
    pub(crate) fn listed(listed: Arc<[u64]>, total: u64, next_cursor: Option<String>) -> Self {
        Self {
            candidates: Arc::default(),
            start: 0,
            end: listed.len() as u64,
            total,
            next_cursor,
            listed: Some(listed),
        }
    }
}

impl Candidates {
    pub(crate) fn new(world: &World, scope: &Scope) -> Self {
        let Some((from, to)) = scope.filter.as_ref().and_then(Filter::window) else {
            return Self {
                span: 0..world.end,
                others: Vec::new(),
            };
        };
        let span = world.base.positions(from, to);
        let changed = (from <= to).then(|| world.by_modified.range((from, 0)..=(to, u64::MAX)));
        let mut others: Vec<u64> = changed
            .into_iter()
            .flatten()
            .map(|(_, position)| *position)
            .collect();
        if world.index_lag > 0 {
            // Profiles that the index still has under another date.
            let lagging = world
                .changes
                .iter()
                .filter(|(_, change)| change.indexed_at(scope.now).is_some());
            others.extend(lagging.map(|(position, _)| *position));
        }
        others.retain(|position| !span.contains(position));
        others.sort_unstable();
        others.dedup();
        Self { span, others }
    }

    /// All positions, each with its change.
    pub(crate) fn into_all(self, world: &World) -> impl Iterator<Item = (u64, Option<&Change>)> {
        let changed = |position: u64| (position, world.changes.get(&position));
        self.span.chain(self.others).map(changed)
    }

    /// The positions from `start` on, each with its change.
    pub(crate) fn from<'a>(
        &'a self,
        world: &'a World,
        start: u64,
    ) -> impl Iterator<Item = (u64, Option<&'a Change>)> + 'a {
        let split = self
            .others
            .partition_point(|position| *position < self.span.start);
        let single = |position: &u64| (*position, world.changes.get(position));
        let (before, after) = self.others.split_at(split);
        let later = move |position: &&u64| **position >= start;
        before
            .iter()
            .filter(later)
            .map(single)
            .chain(Walk::new(world, self.span.start.max(start)..self.span.end))
            .chain(after.iter().filter(later).map(single))
    }
}

/// Positions together with their changes, without a search for each.
struct Walk<'a> {
    positions: Range<u64>,
    changes: Peekable<btree_map::Range<'a, u64, Change>>,
}

impl<'a> Walk<'a> {
    fn new(world: &'a World, positions: Range<u64>) -> Self {
        let changes = world
            .changes
            .range((Bound::Included(positions.start), Bound::Unbounded))
            .peekable();
        Self { positions, changes }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (u64, Option<&'a Change>);

    fn next(&mut self) -> Option<Self::Item> {
        let position = self.positions.next()?;
        let change = self.changes.next_if(|(changed, _)| **changed == position);
        Some((position, change.map(|(_, change)| change)))
    }
}

impl Scope {
    /// Whether the profile at this position is listed.
    pub(crate) fn holds(&self, world: &World, position: u64, change: Option<&Change>) -> bool {
        world.membership(position, change) >> self.segment & 1 == 1
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.passes(world, position, change, self.now))
    }

    /// Selects the page of `count` profiles from a position on.
    pub(crate) fn plan(&self, world: &World, start: u64, count: u64) -> Plan {
        let candidates = Candidates::new(world, self);
        // A listing of all profiles without changes needs no check of single profiles.
        if self.is_all() && world.changes.is_empty() {
            return self.plain(world, candidates, start, count);
        }
        let mut last = None;
        let mut found = 0;
        let mut more = false;
        for (position, change) in candidates.from(world, start) {
            if !self.holds(world, position, change) {
                continue;
            }
            if found == count {
                more = true;
                break;
            }
            found += 1;
            last = Some(position);
        }
        Plan {
            total: self.total(world, &candidates),
            start,
            end: last.map_or(start, |last| last + 1),
            next_cursor: last
                .filter(|_| more)
                .map(|last| cursor::after(world.base.identities, last)),
            candidates: Arc::new(candidates),
            listed: None,
        }
    }

    /// Whether all profiles are listed.
    pub(crate) fn is_all(&self) -> bool {
        self.segment == 0 && self.filter.is_none()
    }

    fn plain(&self, world: &World, candidates: Candidates, start: u64, count: u64) -> Plan {
        let end = start.saturating_add(count).min(world.end).max(start);
        Plan {
            total: self.total(world, &candidates),
            start,
            end,
            next_cursor: (end < world.end).then(|| cursor::after(world.base.identities, end - 1)),
            candidates: Arc::new(candidates),
            listed: None,
        }
    }

    fn total(&self, world: &World, candidates: &Candidates) -> u64 {
        if self.filter.is_none() {
            return world.counts[self.segment];
        }
        candidates
            .from(world, 0)
            .filter(|(position, change)| self.holds(world, *position, *change))
            .count() as u64
    }
}
