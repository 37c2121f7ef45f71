//! Changes to groups and to what profiles are in, while the tenant serves, and access to them for tests.

use crate::groups::GroupKey;
use crate::identity::{mix, uuid_text};
use crate::tenant::Tenant;
use crate::truth::{ConsentEvent, Group, GroupType, LifecycleStage, Property};

impl Tenant {
    /// The types of groups.
    pub fn group_types(&self) -> Vec<GroupType> {
        let world = self.state.world();
        let types = world.groups.types.iter();
        types.map(|of_type| of_type.group_type.clone()).collect()
    }

    /// The current groups of a type, by id.
    pub fn groups(&self, group_type: &str) -> Vec<Group> {
        let world = self.state.world();
        let of_type = world.groups.of_type(group_type);
        of_type.map_or_else(Vec::new, |of_type| of_type.groups.values().cloned().collect())
    }

    /// Adds an empty group, created now. Returns its id; `None`: there is no such type.
    pub fn add_group(&self, group_type: &str) -> Option<String> {
        let now = self.now();
        let mut world = self.state.change_world();
        let of_type = world.groups.of_type_mut(group_type)?;
        let id = uuid_text(mix(now.unsigned_abs()) ^ of_type.groups.len() as u64);
        let group = Group {
            group_type_id: group_type.to_owned(),
            id: id.clone(),
            creation_date: now,
            last_modified_date: now,
            properties: Vec::new(),
        };
        of_type.groups.insert(id.clone(), group);
        Some(id)
    }

    /// Sets values of a group's property, and its modification date to now. Returns whether the group exists.
    pub fn change_group(&self, group_type: &str, id: &str, property: &str, values: &[&str]) -> bool {
        let now = self.now();
        let mut world = self.state.change_world();
        let of_type = world.groups.of_type_mut(group_type);
        let Some(group) = of_type.and_then(|of_type| of_type.groups.get_mut(id)) else {
            return false;
        };
        group.last_modified_date = now;
        group.properties.retain(|known| known.id != property);
        group.properties.push(Property {
            id: property.to_owned(),
            values: values.iter().map(ToString::to_string).collect(),
        });
        true
    }

    /// Deletes a group; its profiles stay, without it.
    pub fn delete_group(&self, group_type: &str, id: &str) -> bool {
        let mut world = self.state.change_world();
        let of_type = world.groups.of_type_mut(group_type);
        of_type.is_some_and(|of_type| of_type.groups.remove(id).is_some())
    }

    /// Sets the groups of a profile, by type and id, without a new `lastmodifieddate`.
    pub fn set_groups(&self, position: u64, groups: &[GroupKey]) -> bool {
        let mut world = self.state.change_world();
        world.change(position, |change| change.groups = Some(groups.to_vec()))
    }

    /// Sets the lifecycle stages of a profile, without a new `lastmodifieddate`.
    pub fn set_stages(&self, position: u64, stages: &[LifecycleStage]) -> bool {
        let mut world = self.state.change_world();
        world.change(position, |change| change.stages = Some(stages.to_vec()))
    }

    /// The history of a profile's consent, oldest first.
    pub fn consent_events(&self, position: u64) -> Vec<ConsentEvent> {
        self.state.world().consent_events(position)
    }

    /// Adds an event to the history of a profile's consent.
    pub fn add_consent_event(&self, position: u64, event: ConsentEvent) -> bool {
        let mut world = self.state.change_world();
        world.change(position, |change| change.consent_events.push(event))
    }
}
