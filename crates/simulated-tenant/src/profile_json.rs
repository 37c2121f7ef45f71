//! A profile as JSON. The plain form of an unchanged profile, which is nearly every one in a benchmark, is rendered
//! directly into the buffer; every other form goes through a tree. A test proves that both are equal.

use std::collections::HashSet;

use crate::base::Facts;
use crate::changes::Change;
use crate::dates::{iso, write_iso};
use crate::generation::{Sink, tell};
use crate::groups::{group_node, matching_node, stages_node};
use crate::json::{Node, Separator, Writer, write_escaped, write_number};
use crate::shape::Shape;
use crate::timeline;
use crate::truth::{Profile, Segment, TimelineEvent};
use crate::vocabulary::OBJECTIVES;
use crate::world::World;

/// The part of a profile's segments that an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentDetail {
    pub(crate) tags: bool,
}

/// The events of a timeline that an answer holds.
#[derive(Clone, Debug)]
pub(crate) struct TimelineDetail {
    pub(crate) most: u64,
    pub(crate) types: Vec<String>,
    pub(crate) properties: Vec<String>,
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
}

/// The parts of a profile that an answer holds.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each expansion of the document"
)]
pub(crate) struct Detail {
    /// Ids of properties; `None`: all of them.
    pub(crate) properties: Option<HashSet<String>>,
    pub(crate) permissions: bool,
    pub(crate) replaces: bool,
    pub(crate) segments: Option<SegmentDetail>,
    pub(crate) timeline: Option<TimelineDetail>,
    pub(crate) groups: bool,
    pub(crate) matching_groups: bool,
}

/// Writes the profiles of one request.
#[derive(Debug)]
pub(crate) struct ProfileWriter {
    detail: Detail,
    writer: Writer,
    /// By slot, whether the property is requested.
    wanted: Vec<bool>,
    /// By bit, the segment as in a plain answer.
    segments: Vec<Vec<u8>>,
    /// Whether the plain form of a profile lacks nothing: it has neither groups nor stages, and `replaces` is complete.
    has_plain_form: bool,
}

impl ProfileWriter {
    pub(crate) fn new(world: &World, detail: Detail, writer: Writer) -> Self {
        let wants = |id: &String| {
            detail
                .properties
                .as_ref()
                .is_none_or(|properties| properties.contains(id))
        };
        let records = detail
            .segments
            .iter()
            .flat_map(|detail| world.segments.iter().map(move |record| (detail, record)));
        let written = records
            .map(|(detail, record)| Writer::new(Shape::default(), 0).document(&detail.node(&record.segment)));
        let segments = written.collect();
        let wanted = world
            .base
            .slots
            .iter()
            .map(|slot| wants(&slot.definition.id))
            .collect();
        let tells_groups = (detail.groups || detail.matching_groups) && !world.groups.is_empty();
        let has_plain_form = !tells_groups && !world.groups.has_lifecycles() && world.replaces_most.is_none();
        Self {
            detail,
            writer,
            wanted,
            segments,
            has_plain_form,
        }
    }

    /// Appends the current profile at a position.
    pub(crate) fn write(
        &mut self,
        world: &World,
        position: u64,
        change: Option<&Change>,
        into: &mut Vec<u8>,
    ) {
        if change.is_none() && self.has_plain_form && self.writer.shape.is_plain() {
            self.write_plain(world, position, into);
        } else if let Some(profile) = world.profile(position) {
            let node = self.node(world, &profile);
            self.writer.write(&node, 2, into);
        }
    }

    fn write_plain(&self, world: &World, position: u64, into: &mut Vec<u8>) {
        let facts = world.base.facts(position);
        into.extend_from_slice(b"{\"id\":\"");
        into.extend_from_slice(&world.base.identities.write(position));
        into.push(b'"');
        write_consent(&facts, into);
        if let Some(level) = facts.level.filter(|_| self.detail.permissions) {
            into.extend_from_slice(b",\"permissions\":{\"level\":\"");
            into.extend_from_slice(level.as_bytes());
            into.extend_from_slice(b"\"}");
        }
        if facts.has_properties {
            into.extend_from_slice(b",\"properties\":[");
            let mut sink = Direct {
                world,
                into,
                properties: Separator::default(),
                values: Separator::default(),
            };
            tell(&world.base, &facts, |slot| self.wanted[slot], &mut sink);
            into.push(b']');
        }
        self.write_expansions(world, position, &facts, into);
        into.push(b'}');
    }

    fn write_expansions(&self, world: &World, position: u64, facts: &Facts, into: &mut Vec<u8>) {
        if let Some(detail) = &self.detail.timeline {
            into.extend_from_slice(b",\"events\":");
            Writer::new(Shape::default(), 0).write(&detail.node(timeline::events(facts)), 0, into);
        }
        if self.detail.groups {
            into.extend_from_slice(b",\"groups\":[]");
        }
        if self.detail.matching_groups {
            into.extend_from_slice(b",\"matchingGroups\":[]");
        }
        if self.detail.replaces {
            into.extend_from_slice(b",\"replaces\":[");
            let mut separator = Separator::default();
            for loser in world.base.losers(position) {
                separator.before_next(into);
                into.push(b'"');
                into.extend_from_slice(&world.base.identities.write(loser));
                into.push(b'"');
            }
            into.push(b']');
        }
        if self.detail.segments.is_some() {
            into.extend_from_slice(b",\"segments\":[");
            let mut separator = Separator::default();
            let membership = world.membership(position, None);
            for (_, segment) in self
                .segments
                .iter()
                .enumerate()
                .filter(|(bit, _)| membership >> bit & 1 == 1)
            {
                separator.before_next(into);
                into.extend_from_slice(segment);
            }
            into.push(b']');
        }
    }

    /// The profile as a tree, in the order of the document's example.
    pub(crate) fn node(&self, world: &World, profile: &Profile) -> Node {
        let detail = &self.detail;
        let mut members = vec![("id", Node::text(profile.id.clone()))];
        let mut member = |key: &'static str, node: Option<Node>| members.extend(node.map(|node| (key, node)));
        member(
            "creationDate",
            profile.creation_date.map(|date| Node::text(iso(date))),
        );
        member(
            "privacyLegislation",
            profile.privacy_legislation.clone().map(Node::text),
        );
        member(
            "consentedObjectives",
            profile.consented_objectives.as_deref().map(Node::texts),
        );
        member(
            "refusedObjectives",
            profile.refused_objectives.as_deref().map(Node::texts),
        );
        let level = profile.permission_level.clone().filter(|_| detail.permissions);
        member(
            "permissions",
            level.map(|level| Node::Object(vec![("level", Node::text(level))])),
        );
        member("properties", self.properties(profile));
        let timeline = detail.timeline.as_ref();
        member(
            "events",
            timeline.map(|timeline| timeline.node(profile.events.clone())),
        );
        let groups = || {
            let found = profile.groups.iter().filter_map(|key| world.groups.find(key));
            Node::List(found.map(|group| group_node(group, None)).collect())
        };
        member("groups", detail.groups.then(groups));
        let matching = || matching_node(&profile.groups);
        member("matchingGroups", detail.matching_groups.then(matching));
        let has_stages = world.groups.has_lifecycles();
        member(
            "lifecycleStages",
            has_stages.then(|| stages_node(&profile.stages)),
        );
        let told = world
            .replaces_most
            .unwrap_or(usize::MAX)
            .min(profile.replaces.len());
        member(
            "replaces",
            detail.replaces.then(|| Node::texts(&profile.replaces[..told])),
        );
        let change = world.changes.get(&profile.position);
        let segments = || world.members(world.membership(profile.position, change));
        member(
            "segments",
            detail
                .segments
                .map(|detail| Node::List(segments().map(|record| detail.node(&record.segment)).collect())),
        );
        Node::Object(members)
    }

    fn properties(&self, profile: &Profile) -> Option<Node> {
        let wanted = |id: &String| {
            self.detail
                .properties
                .as_ref()
                .is_none_or(|wanted| wanted.contains(id))
        };
        let properties = profile
            .properties
            .as_ref()?
            .iter()
            .filter(|property| wanted(&property.id));
        let node = |id: &str, values: &[String]| {
            let values = values.iter().cloned().map(Node::Value).collect();
            Node::Object(vec![
                ("id", Node::text(id.to_owned())),
                ("values", Node::List(values)),
            ])
        };
        Some(Node::List(
            properties
                .map(|property| node(&property.id, &property.values))
                .collect(),
        ))
    }
}

impl SegmentDetail {
    fn node(self, segment: &Segment) -> Node {
        let mut members = vec![
            ("id", Node::text(segment.id.clone())),
            ("name", Node::text(segment.name.clone())),
        ];
        if self.tags {
            members.push(("tags", Node::texts(&segment.tags)));
        }
        Node::Object(members)
    }
}

impl TimelineDetail {
    fn node(&self, events: Vec<TimelineEvent>) -> Node {
        let listed = |event: &TimelineEvent| {
            self.from.is_none_or(|from| event.date > from)
                && self.to.is_none_or(|to| event.date < to)
                && (self.types.is_empty() || self.types.contains(&event.event_type_id))
        };
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        Node::List(
            events
                .into_iter()
                .filter(listed)
                .take(most)
                .map(|event| self.event(event))
                .collect(),
        )
    }

    /// As in the document's example, a value of `product` is itself a list of properties.
    fn event(&self, event: TimelineEvent) -> Node {
        let property = |id: &'static str, value: Node| {
            Node::Object(vec![("id", Node::text(id)), ("values", Node::List(vec![value]))])
        };
        let product = Node::List(vec![
            property("quantity", Node::Number(event.quantity)),
            property("id", Node::text(event.product)),
        ]);
        let data = [
            ("product", product),
            ("order_number", Node::text(event.order_number)),
        ];
        let wanted =
            |id: &str| self.properties.is_empty() || self.properties.iter().any(|wanted| wanted == id);
        let data = data
            .into_iter()
            .filter(|(id, _)| wanted(id))
            .map(|(id, value)| property(id, value))
            .collect();
        Node::Object(vec![
            ("data", Node::List(data)),
            ("date", Node::text(iso(event.date))),
            ("eventTypeId", Node::text(event.event_type_id)),
            ("id", Node::text(event.id)),
            ("source", Node::text(event.source)),
        ])
    }
}

fn write_consent(facts: &Facts, into: &mut Vec<u8>) {
    if facts.shows_creation {
        into.extend_from_slice(b",\"creationDate\":\"");
        write_iso(facts.created, into);
        into.push(b'"');
    }
    if let Some(legislation) = facts.legislation {
        into.extend_from_slice(b",\"privacyLegislation\":\"");
        into.extend_from_slice(legislation.as_bytes());
        into.push(b'"');
    }
    for (key, bits) in [
        ("consentedObjectives", facts.consented),
        ("refusedObjectives", facts.refused),
    ] {
        let Some(bits) = bits else { continue };
        into.extend_from_slice(b",\"");
        into.extend_from_slice(key.as_bytes());
        into.extend_from_slice(b"\":[");
        let mut separator = Separator::default();
        for (_, objective) in OBJECTIVES
            .iter()
            .enumerate()
            .filter(|(bit, _)| bits >> bit & 1 == 1)
        {
            separator.before_next(into);
            into.push(b'"');
            into.extend_from_slice(objective.as_bytes());
            into.push(b'"');
        }
        into.push(b']');
    }
}

/// Writes properties as minified JSON.
struct Direct<'a> {
    world: &'a World,
    into: &'a mut Vec<u8>,
    properties: Separator,
    values: Separator,
}

impl Sink for Direct<'_> {
    fn property(&mut self, slot: usize) {
        self.properties.before_next(self.into);
        self.into.extend_from_slice(&self.world.base.slots[slot].head);
        self.values = Separator::default();
    }

    fn open(&mut self) {
        self.values.before_next(self.into);
        self.into.push(b'"');
    }

    fn plain(&mut self, part: &str) {
        self.into.extend_from_slice(part.as_bytes());
    }

    fn text(&mut self, part: &str) {
        write_escaped(part, self.into);
    }

    fn number(&mut self, number: u64) {
        write_number(number, self.into);
    }

    fn close(&mut self) {
        self.into.push(b'"');
    }

    fn end(&mut self) {
        self.into.extend_from_slice(b"]}");
    }
}
