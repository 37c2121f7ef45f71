//! Plain lists that the tenant serves beside its own. Its caller describes each list as data: its path, and
//! the members of its elements. The elements are generated from the tenant's seed.

use crate::dates::{DAY, iso};
use crate::identity::{GOLDEN, mix, uuid_text, word};
use crate::json::{Node, Writer};
use crate::query::Query;
use crate::shape::Shape;
use crate::vocabulary::TAGS;

/// The number of elements of each list: more than one page of the default size.
const ELEMENTS: u64 = 23;

/// What runs of connections count. The document leaves the ids open.
const STATISTICS: [&str; 3] = ["profilesProcessed", "profilesCreated", "profilesExported"];

/// A list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its path below the API. The tenant's own routes win.
    pub path: &'static str,
    /// The key of the envelope that holds its elements.
    pub array: &'static str,
    /// The OAuth scope for reading it.
    pub scope: &'static str,
    /// The member that holds an element's id, which is always there.
    pub id: &'static str,
    /// Whether a listing has pages.
    pub paged: bool,
    /// The members of its elements.
    pub members: Vec<Member>,
    /// The list whose elements have a listing of their own each, if it is such a list.
    pub each: Option<Each>,
}

/// The parents of the listings of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Each {
    /// The path of the parents' list; none: any text is a parent.
    pub of: Option<&'static str>,
    /// How a request names the parent.
    pub named: Named,
}

/// How a request names the parent of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// In the path, in place of `{parent}`.
    InPath,
    /// By this parameter.
    ByParameter(&'static str),
    /// Several parents by the first parameter, and a day by the second. There is an element for each of the parents, with its id.
    ByDay(&'static str, &'static str),
}

/// A member of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its place in the element: `name`, or `domain.name` for a member of a member.
    pub path: &'static str,
    /// Its kind.
    pub kind: MemberKind,
}

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// A whole number.
    Number,
    /// True or false.
    Flag,
    /// A date as text.
    Date,
    /// An object.
    Object,
    /// An array of properties: ids with a whole number each, as a text.
    Counts,
}

/// A list with its elements.
#[derive(Clone, Debug)]
pub(crate) struct ServedList {
    pub(crate) list: List,
    /// One listing, or one for each parent of another list.
    pub(crate) listings: Vec<Listing>,
}

/// A listing with its elements.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The id of its parent; empty for a list without parents.
    pub(crate) parent: String,
    pub(crate) elements: Vec<Node>,
}

/// Generates the elements of all lists. The first of a list is dated `made_from`, each other one a day after the one before.
pub(crate) fn served(lists: &[List], seed: u64, made_from: i64) -> Vec<ServedList> {
    let salt = |path: &str| {
        let fold = |hash: u64, byte: u8| mix(hash ^ u64::from(byte));
        path.bytes().fold(seed ^ GOLDEN, fold)
    };
    let listing = |list: &List, parent: String, salt: u64, count: u64| Listing {
        elements: (0..count)
            .map(|ordinal| element(list, salt, ordinal, made_from))
            .collect(),
        parent,
    };
    let made = |list: &List| {
        let own = salt(list.path);
        let listings = match list.each {
            None => vec![listing(list, String::new(), own, ELEMENTS)],
            Some(
                Each {
                    named: Named::ByDay(..),
                    ..
                }
                | Each { of: None, .. },
            ) => Vec::new(),
            Some(Each { of: Some(of), .. }) => (0..ELEMENTS)
                .map(|ordinal| {
                    let parent = id(salt(of), ordinal);
                    // Some parents have no element, some more than a page of the tests.
                    listing(list, parent, mix(own ^ ordinal), ordinal % 6)
                })
                .collect(),
        };
        ServedList {
            listings,
            list: list.clone(),
        }
    };
    lists.iter().map(made).collect()
}

/// The id of an element.
fn id(salt: u64, ordinal: u64) -> String {
    uuid_text(mix(salt ^ ordinal))
}

/// A number that follows from a text.
fn number(text: &str) -> u64 {
    text.bytes()
        .fold(GOLDEN, |hash, byte| mix(hash ^ u64::from(byte)))
}

fn element(list: &List, salt: u64, ordinal: u64, made_from: i64) -> Node {
    let mut members = vec![(list.id, Node::text(id(salt, ordinal)))];
    for (place, member) in list.members.iter().enumerate() {
        let hash = mix(salt ^ mix(ordinal) ^ place as u64);
        // Some elements lack members that others have, as in every list of the tenant.
        if member.path != list.id && !hash.is_multiple_of(8) {
            put(&mut members, member.path, value(member, hash, ordinal, made_from));
        }
    }
    Node::Object(members)
}

fn value(member: &Member, hash: u64, ordinal: u64, made_from: i64) -> Node {
    match member.kind {
        MemberKind::Text => Node::text(format!("{} {}", member.path, ordinal + 1)),
        MemberKind::Texts => {
            let count = usize::try_from(hash % 3).unwrap_or_default();
            let texts: Vec<String> = (0..count).map(|turn| tag(hash, turn)).collect();
            Node::texts(&texts)
        }
        MemberKind::Number => Node::count(hash % 10_000),
        MemberKind::Flag => Node::Flag(hash.is_multiple_of(2)),
        MemberKind::Object => Node::Object(vec![
            ("number", Node::count(hash % 10)),
            ("text", Node::text(tag(hash, 0))),
        ]),
        MemberKind::Counts => {
            let count = |statistic: u64| {
                let values = vec![Node::text((mix(hash ^ statistic) % 100_000).to_string())];
                Node::Object(vec![
                    ("id", Node::text(word(&STATISTICS, statistic))),
                    ("values", Node::List(values)),
                ])
            };
            Node::List((0..=hash % 3).map(count).collect())
        }
        MemberKind::Date => Node::text(iso(made_from + DAY * i64::try_from(ordinal).unwrap_or_default())),
    }
}

fn tag(hash: u64, turn: usize) -> String {
    word(&TAGS, (hash >> 8) + turn as u64).to_owned()
}

/// Puts a value at its path and makes the objects on the way.
fn put(members: &mut Vec<(&'static str, Node)>, path: &'static str, value: Node) {
    let Some((outer, inner)) = path.split_once('.') else {
        members.push((path, value));
        return;
    };
    let known = members.iter().position(|(name, _)| *name == outer);
    let at = known.unwrap_or_else(|| {
        members.push((outer, Node::Object(Vec::new())));
        members.len() - 1
    });
    if let Some((_, Node::Object(below))) = members.get_mut(at) {
        put(below, inner, value);
    }
}

/// An element as JSON, in the form of the document.
pub(crate) fn json_of(node: &Node) -> serde_json::Value {
    let written = Writer::new(Shape::default(), 0).document(node);
    serde_json::from_slice(&written).unwrap_or_default()
}

impl ServedList {
    /// The elements as JSON, in the form of the document; those with a parent have its id as the member `parent`. Of a list with any
    /// text as a parent, those of `texts`.
    pub(crate) fn values(&self, texts: &[String]) -> Vec<serde_json::Value> {
        let value = |listing: &Listing, node: &Node| {
            let mut value = json_of(node);
            if !listing.parent.is_empty() {
                value["parent"] = listing.parent.as_str().into();
            }
            value
        };
        let of = |listing: &Listing| -> Vec<serde_json::Value> {
            listing.elements.iter().map(|node| value(listing, node)).collect()
        };
        let about = texts.iter().map(|text| self.about(text)).collect();
        let listings = if self.is_of_texts() {
            &about
        } else {
            &self.listings
        };
        listings.iter().flat_map(of).collect()
    }

    /// Whether any text is a parent.
    pub(crate) fn is_of_texts(&self) -> bool {
        self.list.each.is_some_and(|each| each.of.is_none())
    }

    /// The listing of a text, which is the same whenever it is asked for. Some texts have no element.
    fn about(&self, text: &str) -> Listing {
        let salt = number(text);
        Listing {
            elements: (0..salt % 6)
                .map(|ordinal| element(&self.list, salt, ordinal, 0))
                .collect(),
            parent: text.to_owned(),
        }
    }

    /// The elements for these parents and this day as JSON, of a list by day.
    pub(crate) fn values_of_day(&self, parents: &[String], day: &str) -> Vec<serde_json::Value> {
        let nodes = self.of_day(parents.iter().map(String::as_str), day);
        nodes.iter().map(json_of).collect()
    }

    /// The elements of the listing for a request with this path and these parameters.
    pub(crate) fn elements(&self, path: &str, query: &Query) -> Option<Vec<Node>> {
        let is_here = path == self.list.path;
        let named = self.list.each.map(|each| each.named);
        let parent = match named {
            None if is_here => "",
            Some(Named::ByParameter(name)) if is_here && self.is_of_texts() => {
                return Some(self.about(query.one(name)?).elements);
            }
            Some(Named::ByParameter(name)) if is_here => query.one(name)?,
            Some(Named::ByDay(ids, day)) if is_here => {
                return Some(self.of_day(query.all(ids), query.one(day)?));
            }
            None | Some(Named::ByParameter(_) | Named::ByDay(..)) => return None,
            Some(Named::InPath) => {
                let (before, after) = self.list.path.split_once("{parent}")?;
                path.strip_prefix(before)?.strip_suffix(after)?
            }
        };
        let listing = self.listings.iter().find(|listing| listing.parent == parent)?;
        Some(listing.elements.clone())
    }

    /// An element for each of the parents, which is the same whenever it is asked for.
    fn of_day<'id>(&self, parents: impl Iterator<Item = &'id str>, day: &str) -> Vec<Node> {
        let of = |parent: &str| {
            let salt = number(day) ^ number(parent);
            match element(&self.list, salt, 0, 0) {
                Node::Object(mut members) => {
                    members[0].1 = Node::text(parent.to_owned());
                    Node::Object(members)
                }
                other => other,
            }
        };
        parents.map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_one_object_stand_in_it() {
        let mut members = Vec::new();
        put(&mut members, "name", Node::text("n"));
        put(&mut members, "domain.id", Node::text("i"));
        put(&mut members, "domain.name", Node::text("d"));
        let domain = Node::Object(vec![("id", Node::text("i")), ("name", Node::text("d"))]);
        assert_eq!(members, [("name", Node::text("n")), ("domain", domain)]);
    }
}
