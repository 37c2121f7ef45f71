//! Changes to a tenant's data while it serves, and access to the data, with which tests compare the tables.
//! Every change is one step: a request sees all of it or nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::changes::{Change, Extra, Indexed, Lifecycle};
use crate::tenant::Tenant;
use crate::truth::{AuditEvent, Profile, PropertyDefinition, Segment};
use crate::world::World;

impl Tenant {
    /// One beyond the last position of a profile.
    pub fn positions(&self) -> u64 {
        self.state.world().end
    }

    /// The id of the present, former or possible profile at a position.
    pub fn id(&self, position: u64) -> String {
        self.state.world().base.identities.text(position)
    }

    /// The position of a profile.
    pub fn position(&self, id: &str) -> Option<u64> {
        let world = self.state.world();
        world
            .base
            .identities
            .position(id)
            .filter(|position| *position < world.end)
    }

    /// The current profile at a position; `None`: it is gone.
    pub fn profile(&self, position: u64) -> Option<Profile> {
        self.state.world().profile(position)
    }

    /// All current profiles in the order of listings, each read when the iterator reaches it.
    pub fn profiles(&self) -> impl Iterator<Item = Profile> + '_ {
        (0..self.positions()).filter_map(|position| self.profile(position))
    }

    /// Every id that lost a merge, with the id that replaced it, even if that is gone.
    pub fn aliases(&self) -> Vec<(String, String)> {
        let world = self.state.world();
        let id = |position| world.base.identities.text(position);
        let made = (0..world.base.profiles)
            .flat_map(|winner| world.base.losers(winner).map(move |loser| (loser, winner)))
            .map(|(loser, winner)| (id(loser), id(winner)));
        let later = world
            .changes
            .iter()
            .filter_map(|(position, change)| match &change.lifecycle {
                Lifecycle::Merged(survivor) => Some((id(*position), survivor.clone())),
                Lifecycle::Current | Lifecycle::Deleted => None,
            });
        made.chain(later).collect()
    }

    /// The number of current profiles.
    pub fn profile_count(&self) -> u64 {
        self.state.world().counts[0]
    }

    /// The current segments, in the order of the list.
    pub fn segments(&self) -> Vec<Segment> {
        let world = self.state.world();
        (0..world.segments.len())
            .filter(|bit| world.segments[*bit].present)
            .map(|bit| world.segment(bit))
            .collect()
    }

    /// The number of profiles in a segment, even if the list leaves it out.
    pub fn member_count(&self, segment: &str) -> Option<u64> {
        let world = self.state.world();
        world.segment_bit(segment).map(|bit| world.counts[bit])
    }

    /// The definitions of the properties of profiles.
    pub fn properties(&self) -> Vec<PropertyDefinition> {
        self.state.world().properties.clone()
    }

    /// The definitions of the properties of groups.
    pub fn group_properties(&self) -> Vec<PropertyDefinition> {
        self.state.world().group_properties.clone()
    }

    /// All audit events, oldest first, also those beyond the retention.
    pub fn audit_events(&self) -> Vec<AuditEvent> {
        self.state.world().audit_events.clone()
    }

    /// Sets values of a property, and `lastmodifieddate` to now. Returns whether the profile exists.
    pub fn touch(&self, position: u64, property: &str, values: &[&str]) -> bool {
        let now = self.now();
        self.state.change_world().change(position, |change| {
            change.properties.insert(
                property.to_owned(),
                Some(values.iter().map(ToString::to_string).collect()),
            );
            change.modify(now);
        })
    }

    /// Sets values of a property, or removes it, without a new `lastmodifieddate`.
    pub fn set_property(&self, position: u64, property: &str, values: Option<&[&str]>) -> bool {
        let values = values.map(|values| values.iter().map(ToString::to_string).collect());
        self.state.change_world().change(position, |change| {
            change.properties.insert(property.to_owned(), values);
        })
    }

    /// Sets `lastmodifieddate`.
    pub fn set_modified(&self, position: u64, milliseconds: i64) -> bool {
        self.state
            .change_world()
            .change(position, |change| change.modify(milliseconds))
    }

    /// Deletes a profile.
    pub fn delete(&self, position: u64) -> bool {
        self.state
            .change_world()
            .change(position, |change| change.lifecycle = Lifecycle::Deleted)
    }

    /// Restores a deleted or merged profile.
    pub fn restore(&self, position: u64) -> bool {
        self.state
            .change_world()
            .change_any(position, |change| change.lifecycle = Lifecycle::Current)
    }

    /// Merges one profile into another and sets its `lastmodifieddate` to now. Returns whether both exist.
    pub fn merge(&self, loser: u64, winner: u64) -> bool {
        let now = self.now();
        let mut world = self.state.change_world();
        let (loser_id, winner_id) = (
            world.base.identities.text(loser),
            world.base.identities.text(winner),
        );
        if loser == winner || world.profile(loser).is_none() || world.profile(winner).is_none() {
            return false;
        }
        world.change(loser, |change| change.lifecycle = Lifecycle::Merged(winner_id));
        world.change(winner, |change| {
            change.absorbed.push(loser_id);
            change.modify(now);
        })
    }

    /// Adds profiles at the end, created now. Returns the first position.
    pub fn add_profiles(&self, count: u64) -> u64 {
        let now = self.now();
        self.state.change_world().add(count, now)
    }

    /// Adds a profile to a segment or removes it, without a new `lastmodifieddate`.
    pub fn set_member(&self, position: u64, segment: &str, member: bool) -> bool {
        let mut world = self.state.change_world();
        let Some(bit) = world.segment_bit(segment) else {
            return false;
        };
        let generated = world.base.membership(position);
        world.change(position, |change| {
            let membership = change.membership.unwrap_or(generated) & !(1 << bit);
            change.membership = Some(membership | u64::from(member) << bit);
        })
    }

    /// Renames a segment.
    pub fn rename_segment(&self, segment: &str, name: &str) -> bool {
        let now = self.now();
        let mut world = self.state.change_world();
        let Some(bit) = world.segment_bit(segment) else {
            return false;
        };
        let segment = &mut world.segments[bit].segment;
        name.clone_into(&mut segment.name);
        segment.last_modified_date = now;
        true
    }

    /// Sets only the modification date of a segment.
    pub fn redate_segment(&self, segment: &str, milliseconds: i64) -> bool {
        let mut world = self.state.change_world();
        let Some(bit) = world.segment_bit(segment) else {
            return false;
        };
        world.segments[bit].segment.last_modified_date = milliseconds;
        true
    }

    /// Sets the sensitivity of a property, with the given date.
    pub fn reclassify_property(&self, property: &str, sensitivity: &'static str, milliseconds: i64) -> bool {
        let mut world = self.state.change_world();
        let mut properties = world.properties.iter_mut();
        let Some(definition) = properties.find(|definition| definition.id == property) else {
            return false;
        };
        definition.data_sensitivity = sensitivity;
        definition.last_modified_date = milliseconds;
        true
    }

    /// Removes a segment; its profiles stay.
    pub fn remove_segment(&self, segment: &str) -> bool {
        let mut world = self.state.change_world();
        let Some(bit) = world.segment_bit(segment) else {
            return false;
        };
        world.segments[bit].present = false;
        world.present &= !(1 << bit);
        true
    }

    /// Removes a property from the catalogue; values of profiles stay.
    pub fn remove_property(&self, property: &str) -> bool {
        let properties = &mut self.state.change_world().properties;
        let before = properties.len();
        properties.retain(|definition| definition.id != property);
        properties.len() < before
    }

    /// Adds a property to the catalogue; no profile has values of it.
    pub fn add_property(&self, definition: PropertyDefinition) {
        self.state.change_world().properties.push(definition);
    }

    /// Adds audit events with any dates.
    pub fn push_audit_events(&self, events: impl IntoIterator<Item = AuditEvent>) {
        let mut world = self.state.change_world();
        world.audit_events.extend(events);
        world.audit_events.sort_by_key(|event| event.date);
    }

    /// Renames an object type of audit events, also in old events. Returns the number of events that have it.
    pub fn rename_object_type(&self, old: &str, new: &str) -> usize {
        let mut world = self.state.change_world();
        let renamed = world
            .audit_events
            .iter_mut()
            .filter(|event| event.object_type == old)
            .map(|event| new.clone_into(&mut event.object_type));
        renamed.count()
    }

    /// Adds raw bytes to every listing, directly before the profile at a position, without counting them.
    pub fn insert_raw(&self, position: u64, element: impl Into<Bytes>) {
        let mut world = self.state.change_world();
        world
            .extras
            .entry(position)
            .or_default()
            .push(Extra::Raw(element.into()));
    }

    /// Lists a profile again, directly before the one at another position, without counting it.
    pub fn repeat(&self, position: u64, before: u64) {
        let mut world = self.state.change_world();
        world
            .extras
            .entry(before)
            .or_default()
            .push(Extra::Copy(position));
    }

    /// Leaves a profile out of listings, although totals count it and it can be read by its id.
    pub fn skip(&self, position: u64) {
        self.state.change_world().skipped.insert(position);
    }

    /// Removes all raw elements, repetitions and omissions.
    pub fn list_truly(&self) {
        let mut world = self.state.change_world();
        world.extras = BTreeMap::new();
        world.skipped.clear();
    }
}

impl World {
    /// Changes a current profile; returns whether there is one.
    pub(crate) fn change(&mut self, position: u64, change: impl FnOnce(&mut Change)) -> bool {
        let current = self
            .changes
            .get(&position)
            .is_none_or(|change| change.lifecycle == Lifecycle::Current);
        current && self.change_any(position, change)
    }

    /// Changes a profile and updates the counts and the index of dates.
    fn change_any(&mut self, position: u64, change: impl FnOnce(&mut Change)) -> bool {
        if position >= self.end {
            return false;
        }
        let mut changed = self.changes.remove(&position).unwrap_or_default();
        self.forget(position, &changed);
        if self.index_lag > 0 {
            let document = self.document(position, Some(&changed));
            let until = self.now + self.index_lag;
            changed.indexed.push(Indexed { until, document });
        }
        change(&mut changed);
        self.remember(position, &changed);
        self.changes.insert(position, changed);
        true
    }

    fn add(&mut self, count: u64, now: i64) -> u64 {
        let first = self.end;
        let indexed = (self.index_lag > 0).then(|| Indexed {
            until: now + self.index_lag,
            document: None,
        });
        for position in first..first + count {
            let change = Change {
                created: Some(now),
                modified: Some(now),
                indexed: Vec::from_iter(indexed),
                ..Change::default()
            };
            self.remember(position, &change);
            self.changes.insert(position, change);
        }
        self.end += count;
        self.tokens.extend(first..self.end);
        first
    }

    fn forget(&mut self, position: u64, change: &Change) {
        for bit in self.bits(position, change) {
            self.counts[bit] -= 1;
        }
        self.current -= u64::from(change.lifecycle == Lifecycle::Current);
        if let Some(modified) = self.modified(position, Some(change)) {
            self.by_modified.remove(&(modified, position));
        }
    }

    fn remember(&mut self, position: u64, change: &Change) {
        for bit in self.bits(position, change) {
            self.counts[bit] += 1;
        }
        self.current += u64::from(change.lifecycle == Lifecycle::Current);
        let modified = self.modified(position, Some(change));
        if let Some(modified) = modified.filter(|_| change.lifecycle == Lifecycle::Current) {
            self.by_modified.insert((modified, position));
        }
    }

    /// The segments of a profile, removed ones included, since a later test may use their counts.
    fn bits(&self, position: u64, change: &Change) -> Vec<usize> {
        let membership = match change.lifecycle {
            Lifecycle::Current => change
                .membership
                .unwrap_or_else(|| self.base.membership(position)),
            Lifecycle::Deleted | Lifecycle::Merged(_) => 0,
        };
        (0..self.segments.len())
            .filter(|bit| membership >> bit & 1 == 1)
            .collect()
    }
}
