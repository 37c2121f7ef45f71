//! All current data of the tenant: the generated base, and the changes since. All reading is
//! here; `mutators` changes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Base, Facts};
use crate::catalogue::group_properties;
use crate::changes::{Change, Extra, Lifecycle};
use crate::clock::milliseconds;
use crate::consent;
use crate::generation::{Collector, tell};
use crate::groups::Groups;
use crate::records::{audit_events, segments};
use crate::settings::Settings;
use crate::timeline;
use crate::token_order::TokenOrder;
use crate::truth::{AuditEvent, ConsentEvent, Profile, Property, PropertyDefinition, Segment};
use crate::vocabulary::OBJECTIVES;

/// A segment, and whether it still exists.
#[derive(Clone, Debug)]
pub(crate) struct SegmentRecord {
    pub(crate) segment: Segment,
    pub(crate) present: bool,
}

/// The tenant's state of one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    Unknown,
    Merged { survivor: String },
    Current(u64),
}

/// The tenant's data.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) base: Base,
    /// By position.
    pub(crate) changes: BTreeMap<u64, Change>,
    /// The current profiles with a date of modification in `changes`.
    pub(crate) by_modified: BTreeSet<(i64, u64)>,
    /// One beyond the last position.
    pub(crate) end: u64,
    /// The number of current profiles.
    pub(crate) current: u64,
    /// The order of the store's scan, for a tenant with two read paths.
    pub(crate) tokens: TokenOrder,
    /// Members by segment.
    pub(crate) counts: Vec<u64>,
    pub(crate) segments: Vec<SegmentRecord>,
    /// The bits of the current segments.
    pub(crate) present: u64,
    pub(crate) properties: Vec<PropertyDefinition>,
    pub(crate) group_properties: Vec<PropertyDefinition>,
    pub(crate) groups: Groups,
    /// Oldest first.
    pub(crate) audit_events: Vec<AuditEvent>,
    pub(crate) extras: BTreeMap<u64, Vec<Extra>>,
    pub(crate) skipped: BTreeSet<u64>,
    /// The most ids in `replaces` of an answer.
    pub(crate) replaces_most: Option<usize>,
    /// The delay of the search index, in milliseconds.
    pub(crate) index_lag: i64,
    /// The tenant's time of the last change.
    pub(crate) now: i64,
}

impl World {
    pub(crate) fn new(settings: &Settings, now: i64) -> Self {
        let base = Base::new(settings, now);
        let segments = segments(settings, now);
        let hidden = u64::from(settings.all_visitors.is_none());
        let present = (u64::MAX >> (64 - segments.len())) & !hidden;
        Self {
            counts: count_members(&base, segments.len()),
            properties: base.slots.iter().map(|slot| slot.definition.clone()).collect(),
            group_properties: group_properties(settings.seed, now),
            groups: Groups::new(settings, now),
            audit_events: audit_events(settings, now),
            end: base.profiles,
            current: base.profiles,
            tokens: match settings.read_paths {
                Some(_) => TokenOrder::new(settings.seed, base.profiles),
                None => TokenOrder::default(),
            },
            segments: segments
                .into_iter()
                .enumerate()
                .map(|(bit, segment)| SegmentRecord {
                    segment,
                    present: present >> bit & 1 == 1,
                })
                .collect(),
            present,
            changes: BTreeMap::new(),
            by_modified: BTreeSet::new(),
            extras: BTreeMap::new(),
            skipped: BTreeSet::new(),
            replaces_most: settings.replaces_most,
            index_lag: milliseconds(settings.index_lag),
            now,
            base,
        }
    }

    /// The first position from this one on at which a listing may differ from the generated data.
    pub(crate) fn next_other(&self, position: u64) -> u64 {
        let changed = self.changes.range(position..).next().map(|(other, _)| *other);
        let added = self.extras.range(position..).next().map(|(other, _)| *other);
        let skipped = self.skipped.range(position..).next().copied();
        [changed, added, skipped]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(u64::MAX)
    }

    /// The segments of a profile as bits, none if it is gone.
    pub(crate) fn membership(&self, position: u64, change: Option<&Change>) -> u64 {
        match change {
            Some(change) if change.lifecycle != Lifecycle::Current => 0,
            Some(Change {
                membership: Some(membership),
                ..
            }) => membership & self.present,
            _ => self.base.membership(position) & self.present,
        }
    }

    /// The facts with the changes applied.
    pub(crate) fn facts(&self, position: u64, change: Option<&Change>) -> Facts {
        let mut facts = self.base.facts(position);
        if let Some(change) = change {
            facts.created = change.created.unwrap_or(facts.created);
            facts.origin = change.created.unwrap_or(facts.origin);
            facts.modified = change.modified.unwrap_or(facts.modified);
            // A changed profile gets its properties; otherwise the change would not show.
            facts.has_properties |= change.modified.is_some() || !change.properties.is_empty();
        }
        facts
    }

    /// The number in `lastmodifieddate`, if the profile has that property.
    pub(crate) fn modified(&self, position: u64, change: Option<&Change>) -> Option<i64> {
        if let Some(replaced) = change.and_then(|change| change.properties.get("lastmodifieddate")) {
            return replaced.as_ref()?.first()?.parse().ok();
        }
        let facts = self.facts(position, change);
        facts.has_properties.then_some(facts.modified)
    }

    /// The date of modification under which the search index finds the profile at a time.
    pub(crate) fn indexed_modified(&self, position: u64, change: Option<&Change>, time: i64) -> Option<i64> {
        match change.and_then(|change| change.indexed_at(time)) {
            Some(indexed) => indexed.document.and_then(|document| document.modified),
            None => self.modified(position, change),
        }
    }

    /// The current values of one property; `None`: the profile lacks it.
    pub(crate) fn values(&self, position: u64, change: Option<&Change>, id: &str) -> Option<Vec<String>> {
        if let Some(replaced) = change.and_then(|change| change.properties.get(id)) {
            return replaced.clone();
        }
        let wanted = self.base.slots.iter().position(|slot| slot.definition.id == id)?;
        let mut collector = Collector::new(&self.base);
        tell(
            &self.base,
            &self.facts(position, change),
            |slot| slot == wanted,
            &mut collector,
        );
        Some(collector.properties.pop()?.values)
    }

    fn properties(&self, facts: &Facts, change: Option<&Change>) -> Option<Vec<Property>> {
        let mut collector = Collector::new(&self.base);
        tell(&self.base, facts, |_| true, &mut collector);
        let mut properties = collector.properties;
        for (id, replaced) in change.iter().flat_map(|change| &change.properties) {
            let at = properties.iter().position(|property| property.id == *id);
            match (at, replaced) {
                (Some(at), Some(values)) => properties[at].values.clone_from(values),
                (Some(at), None) => drop(properties.remove(at)),
                (None, Some(values)) => properties.push(Property {
                    id: id.clone(),
                    values: values.clone(),
                }),
                (None, None) => {}
            }
        }
        facts.has_properties.then_some(properties)
    }

    /// The current profile at a position; `None`: it is gone, or there was never one.
    pub(crate) fn profile(&self, position: u64) -> Option<Profile> {
        let change = self.changes.get(&position);
        if position >= self.end || change.is_some_and(|change| change.lifecycle != Lifecycle::Current) {
            return None;
        }
        let facts = self.facts(position, change);
        let membership = self.membership(position, change);
        Some(Profile {
            position,
            id: self.base.identities.text(position),
            creation_date: facts.shows_creation.then_some(facts.created),
            modified_at: self.modified(position, change),
            privacy_legislation: facts.legislation.map(str::to_owned),
            consented_objectives: facts.consented.map(objectives),
            refused_objectives: facts.refused.map(objectives),
            permission_level: facts.level.map(str::to_owned),
            properties: self.properties(&facts, change),
            segment_ids: self
                .members(membership)
                .map(|record| record.segment.id.clone())
                .collect(),
            replaces: self.replaces(position, change),
            events: timeline::events(&facts),
            groups: self
                .groups
                .of_profile(facts.key, change.and_then(|change| change.groups.as_ref())),
            stages: change
                .and_then(|change| change.stages.clone())
                .unwrap_or_else(|| self.groups.stages(facts.key)),
        })
    }

    /// The segments behind the bits of a membership.
    pub(crate) fn members(&self, membership: u64) -> impl Iterator<Item = &SegmentRecord> {
        let bits = self.segments.iter().enumerate();
        bits.filter(move |(bit, _)| membership >> bit & 1 == 1)
            .map(|(_, record)| record)
    }

    /// The history of a profile's consent, oldest first.
    pub(crate) fn consent_events(&self, position: u64) -> Vec<ConsentEvent> {
        let change = self.changes.get(&position);
        let mut events = consent::events(&self.facts(position, change));
        events.extend(
            change
                .iter()
                .flat_map(|change| change.consent_events.iter().cloned()),
        );
        events
    }

    fn replaces(&self, position: u64, change: Option<&Change>) -> Vec<String> {
        let made = self
            .base
            .losers(position)
            .map(|loser| self.base.identities.text(loser));
        made.chain(change.iter().flat_map(|change| change.absorbed.iter().cloned()))
            .collect()
    }

    pub(crate) fn lookup(&self, id: &str) -> Lookup {
        let Some(position) = self.base.identities.position(id) else {
            return Lookup::Unknown;
        };
        if let Some(winner) = self.base.winner(position) {
            return Lookup::Merged {
                survivor: self.base.identities.text(winner),
            };
        }
        match self.changes.get(&position).map(|change| &change.lifecycle) {
            Some(Lifecycle::Deleted) => Lookup::Unknown,
            Some(Lifecycle::Merged(survivor)) => Lookup::Merged {
                survivor: survivor.clone(),
            },
            _ if position < self.end => Lookup::Current(position),
            _ => Lookup::Unknown,
        }
    }

    /// The bit of a current segment.
    pub(crate) fn segment_bit(&self, id: &str) -> Option<usize> {
        self.segments
            .iter()
            .position(|record| record.present && record.segment.id == id)
    }

    /// A segment with its current count.
    pub(crate) fn segment(&self, bit: usize) -> Segment {
        let segment = self.segments[bit].segment.clone();
        Segment {
            profile_count: segment.profile_count.map(|_| self.counts[bit]),
            ..segment
        }
    }
}

pub(crate) fn objectives(bits: u64) -> Vec<String> {
    let all = OBJECTIVES.iter().enumerate();
    all.filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, objective)| (*objective).to_owned())
        .collect()
}

fn count_members(base: &Base, segments: usize) -> Vec<u64> {
    let mut counts = vec![0; segments];
    for position in 0..base.profiles {
        let mut membership = base.membership(position);
        while membership != 0 {
            counts[membership.trailing_zeros() as usize] += 1;
            membership &= membership - 1;
        }
    }
    counts
}
