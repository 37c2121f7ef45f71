//! A page of profiles, rendered while it is sent: 64 KiB at a time, so that a page of a million profiles takes no
//! more memory than a page of ten. The tenant may change between two pieces.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::changes::Extra;
use crate::json::{Node, Separator, Writer};
use crate::listing::{Plan, Scope};
use crate::profile_json::ProfileWriter;
use crate::shape::{LastPage, NextCursor};
use crate::state::State;
use crate::world::World;

/// Bytes after which a piece is sent.
const PIECE: usize = 64 * 1024;

/// A page that is being sent.
pub(crate) struct Page {
    pub(crate) state: Arc<State>,
    pub(crate) scope: Scope,
    pub(crate) plan: Plan,
    pub(crate) profiles: ProfileWriter,
    /// Writes the envelope.
    pub(crate) writer: Writer,
    /// The members before and after the array.
    pub(crate) head: Vec<(&'static str, Node)>,
    pub(crate) tail: Vec<(&'static str, Node)>,
}

/// The content of a page's envelope.
pub(crate) struct Envelope {
    pub(crate) cursor: String,
    pub(crate) count: u64,
    /// The address of this listing, without cursor and count.
    pub(crate) address: String,
}

#[derive(Clone, Copy)]
enum Stage {
    Head,
    Elements { next: u64, separator: Separator },
    Done,
}

impl Envelope {
    /// The members before and after the array of profiles.
    pub(crate) fn members(self, plan: &Plan, writer: &Writer) -> [Vec<(&'static str, Node)>; 2] {
        let next = plan.next_cursor.clone();
        let mut links = vec![self.link("first", "*", writer)];
        links.extend(next.as_ref().map(|next| self.link("next", next, writer)));
        let mut head = vec![
            ("itemsPerPage", Node::count(self.count)),
            ("totalPages", Node::count(plan.total.div_ceil(self.count))),
            ("totalResults", Node::count(plan.total)),
            ("cursor", Node::text(self.cursor.clone())),
        ];
        let mut tail = Vec::new();
        let next = next.or_else(|| (writer.shape.last_page == LastPage::SameCursor).then_some(self.cursor));
        let next = next.map(|next| ("nextCursor", Node::text(next)));
        match writer.shape.next_cursor {
            NextCursor::BeforeProfiles => head.extend(next),
            NextCursor::AfterProfiles => tail.extend(next),
        }
        head.push(("links", Node::List(links)));
        [head, tail]
    }

    fn link(&self, relation: &'static str, cursor: &str, writer: &Writer) -> Node {
        let cursor: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
        link(
            format!("{}?cursor={cursor}&count={}", self.address, self.count),
            relation,
            writer,
        )
    }
}

/// A link, with keys spelled as in the examples or as in the schema.
pub(crate) fn link(address: String, relation: &'static str, writer: &Writer) -> Node {
    let upper = writer.shape.links_upper_case;
    let key = |example: &'static str, schema: &'static str| if upper { schema } else { example };
    Node::Object(vec![
        (key("href", "Href"), Node::text(address)),
        (key("rel", "Rel"), Node::text(relation)),
        (key("type", "Type"), Node::text("application/json")),
    ])
}

impl Page {
    /// Whether it is a page of all profiles in the document's form, without parts that depend on the request.
    pub(crate) fn is_plain(&self) -> bool {
        self.scope.is_all() && self.plan.listed.is_none() && self.writer.shape.is_plain()
    }

    /// The body in pieces.
    pub(crate) fn stream(self) -> impl Stream<Item = Bytes> + Send + 'static {
        stream::unfold((self, Stage::Head), |(mut page, stage)| async move {
            let (piece, stage) = page.piece(stage)?;
            Some((piece, (page, stage)))
        })
    }

    fn piece(&mut self, stage: Stage) -> Option<(Bytes, Stage)> {
        let mut buffer = Vec::with_capacity(PIECE + 16 * 1024);
        let (mut next, mut separator) = match stage {
            Stage::Head => {
                self.write_head(&mut buffer);
                (self.plan.start, Separator::default())
            }
            Stage::Elements { next, separator } => (next, separator),
            Stage::Done => return None,
        };
        let tenant = Arc::clone(&self.state);
        let world = tenant.world();
        let is_full = match self.plan.listed.clone() {
            None => self.fill(&world, &mut next, &mut separator, &mut buffer),
            Some(listed) => self.fill_with(&listed, &world, &mut next, &mut separator, &mut buffer),
        };
        if is_full {
            return Some((buffer.into(), Stage::Elements { next, separator }));
        }
        self.write_tail(&mut buffer);
        Some((buffer.into(), Stage::Done))
    }

    /// Writes candidates from `next` on. Returns whether the piece is full before the page's end.
    fn fill(
        &mut self,
        world: &World,
        next: &mut u64,
        separator: &mut Separator,
        buffer: &mut Vec<u8>,
    ) -> bool {
        let candidates = Arc::clone(&self.plan.candidates);
        for (position, change) in candidates.from(world, *next) {
            if position >= self.plan.end {
                break;
            }
            *next = position + 1;
            if self.scope.holds(world, position, change) {
                self.write_element(world, position, separator, buffer);
            }
            if buffer.len() >= PIECE {
                return true;
            }
        }
        false
    }

    /// Writes the listed profiles from place `next` on, unless they are gone meanwhile. Returns whether the piece is full before
    /// the page's end.
    fn fill_with(
        &mut self,
        listed: &[u64],
        world: &World,
        next: &mut u64,
        separator: &mut Separator,
        buffer: &mut Vec<u8>,
    ) -> bool {
        let first = usize::try_from(*next).unwrap_or(usize::MAX);
        for position in listed.iter().skip(first) {
            *next += 1;
            self.write_element(world, *position, separator, buffer);
            if buffer.len() >= PIECE {
                return true;
            }
        }
        false
    }

    /// The content of a listing at a position: the profile, and the elements before it.
    pub(crate) fn write_element(
        &mut self,
        world: &World,
        position: u64,
        separator: &mut Separator,
        into: &mut Vec<u8>,
    ) {
        for extra in world.extras.get(&position).into_iter().flatten() {
            match extra {
                Extra::Raw(bytes) => {
                    separator.before_next(into);
                    into.extend_from_slice(bytes);
                }
                Extra::Copy(of) => self.write_profile(world, *of, separator, into),
            }
        }
        if !world.skipped.contains(&position) {
            self.write_profile(world, position, separator, into);
        }
    }

    fn write_profile(&mut self, world: &World, position: u64, separator: &mut Separator, into: &mut Vec<u8>) {
        let change = world.changes.get(&position);
        if world.membership(position, change) == 0 {
            return;
        }
        separator.before_next(into);
        self.writer.new_line(2, into);
        self.profiles.write(world, position, change, into);
    }

    /// Everything up to the first profile.
    pub(crate) fn write_head(&mut self, into: &mut Vec<u8>) {
        into.push(b'{');
        if self.writer.shape.unknown_keys {
            self.writer.unknown(1, into);
            into.push(b',');
        }
        let head = std::mem::take(&mut self.head);
        for (key, node) in self.writer.arranged(&head) {
            self.writer.new_line(1, into);
            self.writer.key(key, into);
            self.writer.write(node, 1, into);
            into.push(b',');
        }
        self.writer.new_line(1, into);
        self.writer.key("profiles", into);
        into.push(b'[');
    }

    /// Everything behind the last profile.
    pub(crate) fn write_tail(&mut self, into: &mut Vec<u8>) {
        self.writer.new_line(1, into);
        into.push(b']');
        let tail = std::mem::take(&mut self.tail);
        for (key, node) in self.writer.arranged(&tail) {
            into.push(b',');
            self.writer.new_line(1, into);
            self.writer.key(key, into);
            self.writer.write(node, 1, into);
        }
        self.writer.new_line(0, into);
        into.push(b'}');
    }
}
