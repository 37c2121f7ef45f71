//! The groups of a tenant (companies and households), the lifecycles, and which of them a profile is in. What a profile is in
//! follows from its key until a test changes it.

use std::collections::{BTreeMap, HashSet};

use crate::base::signed;
use crate::dates::{DAY, iso};
use crate::identity::{mix, pick, uuid_text, word};
use crate::json::Node;
use crate::lists::json_of;
use crate::settings::Settings;
use crate::truth::{Group, GroupType, LifecycleStage, Property};
use crate::vocabulary as words;

/// Ids and names of the group types.
const TYPES: [(&str, &str, &str); 2] = [
    ("company", "Company", "Companies"),
    ("household", "Household", "Households"),
];
/// Stages of each lifecycle.
const STAGES: u64 = 3;

/// The type and the id of a group.
pub(crate) type GroupKey = (String, String);

/// The groups of one type.
#[derive(Debug)]
pub(crate) struct OfType {
    pub(crate) group_type: GroupType,
    pub(crate) groups: BTreeMap<String, Group>,
    /// The ids of the generated groups, of which some may be gone.
    generated: Vec<String>,
}

/// All groups and lifecycles.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) types: Vec<OfType>,
    /// Id and name of each lifecycle.
    lifecycles: Vec<(String, String)>,
}

impl Groups {
    pub(crate) fn new(settings: &Settings, now: i64) -> Self {
        let types = TYPES.iter().filter(|_| settings.groups > 0);
        let lifecycle = |number: u64| {
            let id = uuid_text(mix(settings.seed ^ 0x11fe) ^ number);
            (id, format!("Lifecycle {}", number + 1))
        };
        Self {
            types: types.map(|named| of_type(settings, *named, now)).collect(),
            lifecycles: (0..settings.lifecycles).map(lifecycle).collect(),
        }
    }

    /// Whether profiles have neither groups nor stages.
    pub(crate) fn is_empty(&self) -> bool {
        self.types.is_empty() && self.lifecycles.is_empty()
    }

    /// Whether profiles have stages.
    pub(crate) fn has_lifecycles(&self) -> bool {
        !self.lifecycles.is_empty()
    }

    /// The types as the API writes them.
    pub(crate) fn type_nodes(&self) -> Vec<Node> {
        let node = |of_type: &OfType| {
            let GroupType {
                id,
                name,
                plural_name,
            } = of_type.group_type.clone();
            Node::Object(vec![
                ("id", Node::text(id)),
                ("name", Node::text(name)),
                ("pluralName", Node::text(plural_name)),
            ])
        };
        self.types.iter().map(node).collect()
    }

    /// All groups as JSON, each with its type as the member `parent`; none for another path than that of their listings.
    pub(crate) fn listed(&self, path: &str) -> Vec<serde_json::Value> {
        let is_own = |path: &str| {
            path.strip_prefix("/groups/")
                .is_some_and(|rest| !rest.contains('/'))
        };
        let groups = self.types.iter().filter(|_| is_own(path));
        let groups = groups.flat_map(|of_type| of_type.groups.values());
        groups
            .map(|group| {
                let mut value = json_of(&group_node(group, None));
                value["parent"] = group.group_type_id.as_str().into();
                value
            })
            .collect()
    }

    pub(crate) fn of_type(&self, id: &str) -> Option<&OfType> {
        self.types.iter().find(|of_type| of_type.group_type.id == id)
    }

    pub(crate) fn of_type_mut(&mut self, id: &str) -> Option<&mut OfType> {
        self.types.iter_mut().find(|of_type| of_type.group_type.id == id)
    }

    pub(crate) fn find(&self, (group_type, id): &GroupKey) -> Option<&Group> {
        self.of_type(group_type)?.groups.get(id)
    }

    /// The existing groups of a profile. `key`: its key; `changed`: those that a test gave it.
    pub(crate) fn of_profile(&self, key: u64, changed: Option<&Vec<GroupKey>>) -> Vec<GroupKey> {
        let mut keys = changed.cloned().unwrap_or_else(|| self.generated(key));
        keys.retain(|key| self.find(key).is_some());
        keys
    }

    /// Some are in a company, some in a household, some in both.
    fn generated(&self, key: u64) -> Vec<GroupKey> {
        let mut keys = Vec::new();
        for (ordinal, of_type) in self.types.iter().enumerate() {
            let hash = mix(key ^ 0x9409 ^ (ordinal as u64) << 40);
            if hash % 10 < 6 && !of_type.generated.is_empty() {
                let id: &String = pick(&of_type.generated, hash >> 8);
                keys.push((of_type.group_type.id.clone(), id.clone()));
            }
        }
        keys
    }

    /// The stages of a profile, at most one of each lifecycle.
    pub(crate) fn stages(&self, key: u64) -> Vec<LifecycleStage> {
        let lifecycles = self.lifecycles.iter().enumerate();
        let stage = |(ordinal, (id, name)): (usize, &(String, String))| {
            let hash = mix(key ^ 0x57a9e ^ (ordinal as u64) << 40);
            let number = (hash >> 8) % STAGES;
            (!hash.is_multiple_of(4)).then(|| LifecycleStage {
                lifecycle_id: id.clone(),
                lifecycle_name: name.clone(),
                stage_id: uuid_text(mix(ordinal as u64 ^ 0x57a9e) ^ number),
                stage_name: format!("Stage {}", number + 1),
            })
        };
        lifecycles.filter_map(stage).collect()
    }
}

fn of_type(settings: &Settings, (id, name, plural): (&str, &str, &str), now: i64) -> OfType {
    let salt = id
        .bytes()
        .fold(mix(settings.seed), |hash, byte| mix(hash ^ u64::from(byte)));
    let groups = (0..settings.groups).map(|ordinal| group(id, mix(salt ^ ordinal), now));
    let groups: BTreeMap<String, Group> = groups.map(|group| (group.id.clone(), group)).collect();
    OfType {
        group_type: GroupType {
            id: id.to_owned(),
            name: name.to_owned(),
            plural_name: plural.to_owned(),
        },
        generated: groups.keys().cloned().collect(),
        groups,
    }
}

/// A group with the properties of its type: see the catalogue.
fn group(group_type: &str, hash: u64, now: i64) -> Group {
    let property = |id: &str, values: &[&str]| Property {
        id: id.to_owned(),
        values: values.iter().map(ToString::to_string).collect(),
    };
    let properties = if group_type == "company" {
        let location = [word(&words::CITIES, hash >> 12), word(&words::CITIES, hash >> 20)];
        vec![
            property("company_name", &[word(&words::COMPANIES, hash >> 4)]),
            property("company_location", &location[..(hash >> 28) as usize % 3]),
        ]
    } else {
        vec![property("household_size", &[&(1 + hash % 6).to_string()])]
    };
    let creation_date = now - signed(hash >> 24) % (700 * DAY);
    Group {
        group_type_id: group_type.to_owned(),
        id: uuid_text(hash),
        creation_date,
        last_modified_date: creation_date + signed(hash >> 16) % (now - creation_date).max(1),
        properties,
    }
}

/// A group as the API writes it. `wanted`: ids of properties; `None`: all of them.
pub(crate) fn group_node(group: &Group, wanted: Option<&HashSet<String>>) -> Node {
    let listed = |property: &&Property| wanted.is_none_or(|wanted| wanted.contains(&property.id));
    let property = |property: &Property| {
        Node::Object(vec![
            ("id", Node::text(property.id.clone())),
            (
                "values",
                Node::List(property.values.iter().cloned().map(Node::Value).collect()),
            ),
        ])
    };
    let properties = group.properties.iter().filter(listed).map(property);
    Node::Object(vec![
        ("id", Node::text(group.id.clone())),
        ("groupTypeId", Node::text(group.group_type_id.clone())),
        ("creationDate", Node::text(iso(group.creation_date))),
        ("lastModifiedDate", Node::text(iso(group.last_modified_date))),
        ("properties", Node::List(properties.collect())),
    ])
}

/// The groups of a profile by type, as the expansion of matching groups writes them.
pub(crate) fn matching_node(keys: &[GroupKey]) -> Node {
    let mut by_type: BTreeMap<&str, Vec<Node>> = BTreeMap::new();
    for (group_type, id) in keys {
        by_type
            .entry(group_type)
            .or_default()
            .push(Node::text(id.clone()));
    }
    let matching = by_type.into_iter().map(|(group_type, ids)| {
        Node::Object(vec![
            ("profilePropertyId", Node::text(group_type.to_owned())),
            ("groupIds", Node::List(ids)),
        ])
    });
    Node::List(matching.collect())
}

/// The stages of a profile as the API writes them.
pub(crate) fn stages_node(stages: &[LifecycleStage]) -> Node {
    let object = |id: &String, name: &String| {
        Node::Object(vec![
            ("id", Node::text(id.clone())),
            ("name", Node::text(name.clone())),
        ])
    };
    let stages = stages.iter().map(|stage| {
        Node::Object(vec![
            ("lifecycle", object(&stage.lifecycle_id, &stage.lifecycle_name)),
            ("stage", object(&stage.stage_id, &stage.stage_name)),
        ])
    });
    Node::List(stages.collect())
}
