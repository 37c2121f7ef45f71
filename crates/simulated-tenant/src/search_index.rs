//! What the search index knows of profiles: it is late by a setting, and it lists by a sort value and the id.

use crate::changes::{Change, Document, Lifecycle};
use crate::listing::{Candidates, Scope};
use crate::read_paths::Sort;
use crate::world::World;

impl World {
    /// The state of a profile in the store, as the index will have it; none if it is gone.
    pub(crate) fn document(&self, position: u64, change: Option<&Change>) -> Option<Document> {
        let is_gone = |change: &Change| change.lifecycle != Lifecycle::Current;
        let document = || Document {
            modified: self.modified(position, change),
            membership: change
                .and_then(|change| change.membership)
                .unwrap_or_else(|| self.base.membership(position)),
        };
        (!change.is_some_and(is_gone)).then(document)
    }

    /// The state of a profile in the index at a time.
    fn indexed(&self, position: u64, change: Option<&Change>, time: i64) -> Option<Document> {
        match change.and_then(|change| change.indexed_at(time)) {
            Some(indexed) => indexed.document,
            None => self.document(position, change),
        }
    }
}

/// The positions of the profiles that the index finds for a scope.
pub(crate) fn found<'a>(world: &'a World, scope: &'a Scope) -> impl Iterator<Item = u64> + 'a {
    let holds = |position: u64, change: Option<&Change>| {
        let document = world.indexed(position, change, scope.now);
        let filter = scope.filter.as_ref();
        document.is_some_and(|document| document.membership >> scope.segment & 1 == 1)
            && filter.is_none_or(|filter| filter.passes(world, position, change, scope.now))
    };
    let candidates = Candidates::new(world, scope);
    candidates
        .into_all(world)
        .filter_map(move |(position, change)| holds(position, change).then_some(position))
}

/// The same in the order of the index.
pub(crate) fn listed(world: &World, scope: &Scope, sort: Sort) -> Vec<u64> {
    let keyed = |position| (key(world, sort, scope.now, position), position);
    let mut keyed: Vec<_> = found(world, scope).map(keyed).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, position)| position).collect()
}

/// The place of a profile in the order of the index at a time: the sort value and the id.
pub(crate) fn key(world: &World, sort: Sort, time: i64, position: u64) -> (i64, [u8; 36]) {
    let change = world.changes.get(&position);
    let modified = || {
        let document = world.indexed(position, change, time);
        document.and_then(|document| document.modified).unwrap_or(0)
    };
    let value = match sort {
        Sort::Modified => modified(),
        Sort::NewestModified => -modified(),
        Sort::Created => world.facts(position, change).created,
    };
    (value, world.base.identities.write(position))
}
