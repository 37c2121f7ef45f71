//! Cuts the elements out of a body while it streams. The walker accepts the envelope's keys in any order, returns whole
//! elements, skips broken ones to their end, and is the only place that attests that a body ended whole. It knows neither
//! HTTP nor the meaning of an element. Its memory is bounded by the largest element that is loaded.

use std::ops::Range;

use bytes::BytesMut;

use crate::blueconic::skip_broken::SkipBroken;
use crate::json::object_end::{ObjectEnd, object_end};
use crate::json::tolerant::{Scan, TolerantScanner};
use crate::json::value::{ValueEnd, is_blank, non_blank_after, value_end};
use crate::model::Time;
use crate::model::page::{Block, Broken, Head, PageEnd, RejectReason};

mod envelope;
#[cfg(test)]
mod tests;

/// Bytes that are gathered before they are scanned, since decompressors deliver 4 KiB at a time.
const GATHER: usize = 64 * 1024;

/// Why a body is not the requested page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The structure of the body is lost, as after a garbled or cut transfer.
    #[error("{why} at byte {at} of the body")]
    Garbled {
        /// Bytes from the start of the decompressed body.
        at: u64,
        /// What was found.
        why: String,
    },
    /// The body is something else: another server's page, or an error with status 200.
    #[error("{why}")]
    Foreign {
        /// What was found.
        why: String,
    },
}

/// The walker's place in the envelope.
enum Place {
    Start,
    Key { first: bool },
    Colon(Role),
    Value(Role),
    Skipping(TolerantScanner),
    AfterValue,
    Element { first: bool },
    SkippingBroken(Box<SkipBroken>),
    AfterElement,
    Closed,
}

/// The use of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Array,
    NextCursor,
    TotalResults,
    Other,
}

/// Whether the walker can continue with the buffered bytes.
#[derive(PartialEq, Eq)]
enum Step {
    On,
    Pause,
}

/// What was cut from the head of the buffer.
#[derive(Default)]
struct Cut {
    at: usize,
    elements: Vec<Range<usize>>,
    broken: Vec<Broken>,
}

/// The walker over one body.
pub struct Elements {
    /// The keys whose array holds the elements.
    arrays: &'static [&'static str],
    largest: usize,
    buffer: BytesMut,
    want: usize,
    consumed: u64,
    over: bool,
    place: Place,
    head: Head,
    cursor_seen: bool,
    array_seen: bool,
    foreign_key: Option<String>,
    count: u64,
}

impl Elements {
    /// A walker for the elements of the array under one of these keys. Elements larger than `largest` bytes become rejects.
    pub fn new(arrays: &'static [&'static str], largest: usize, server_time: Option<Time>) -> Self {
        Self {
            arrays,
            largest,
            buffer: BytesMut::new(),
            want: GATHER,
            consumed: 0,
            over: false,
            place: Place::Start,
            head: Head {
                server_time,
                ..Head::default()
            },
            cursor_seen: false,
            array_seen: false,
            foreign_key: None,
            count: 0,
        }
    }

    /// Whether [`Self::take`] should wait for more bytes.
    pub fn is_hungry(&self) -> bool {
        !self.over && self.buffer.len() < self.want
    }

    /// The capacity of the walker's buffer in bytes, as the measure of its memory.
    pub fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Adds the next bytes of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.buffer.capacity() - self.buffer.len() < chunk.len() {
            // `reserve` would double the buffer, which costs much memory for one of the largest elements. The last chunk may
            // exceed the wanted size.
            let room = self.want.max(self.buffer.len()) + chunk.len();
            let mut buffer = BytesMut::with_capacity(room);
            buffer.extend_from_slice(&self.buffer);
            self.buffer = buffer;
        }
        self.buffer.extend_from_slice(chunk);
    }

    /// Notes that the body ended without a fault of the transport.
    pub fn end(&mut self) {
        self.over = true;
    }

    /// Whether the body has ended.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The envelope's scalars so far.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The whole elements in the buffer; none if more bytes are needed or the body has ended.
    pub fn take(&mut self) -> Result<Option<Block>, Malformed> {
        let mut cut = Cut::default();
        while self.step(&mut cut)? == Step::On {}
        let block = self.block(cut);
        match self.place {
            _ if block.is_some() || !self.over => Ok(block),
            Place::Closed => Ok(None),
            Place::Start => Err(Malformed::Foreign {
                why: "the answer is empty".to_owned(),
            }),
            _ => Err(self.garbled(0, "the body is truncated,")),
        }
    }

    /// Attests that the body ended whole, or returns what is missing.
    pub fn whole(self) -> Result<PageEnd, Malformed> {
        if !(self.over && matches!(self.place, Place::Closed) && self.buffer.is_empty()) {
            return Err(self.garbled(0, "the body was not read to its end"));
        }
        let signs = self.head.total_results.unwrap_or(0) > 0
            || self.head.next_cursor.is_some()
            || self.foreign_key.is_some();
        if !self.array_seen && signs {
            let beside = self
                .foreign_key
                .map_or_else(String::new, |key| format!(", but `{key}`"));
            let why = format!(
                "the answer has no \"{}\" array{beside}",
                self.arrays.join("\" or \"")
            );
            return Err(Malformed::Foreign { why });
        }
        Ok(PageEnd::whole(self.head, self.count))
    }

    fn block(&mut self, cut: Cut) -> Option<Block> {
        let bytes = self.buffer.split_to(cut.at).freeze();
        self.consumed += bytes.len() as u64;
        // An element that does not fit is scanned again once the buffer has doubled, so that the work is never quadratic.
        let enough = self.largest.saturating_add(1).max(GATHER);
        let doubled = (2 * self.buffer.len()).clamp(GATHER, enough);
        self.want = doubled.max(self.buffer.len() + 1);
        (!cut.elements.is_empty() || !cut.broken.is_empty()).then_some(Block {
            bytes,
            elements: cut.elements,
            broken: cut.broken,
        })
    }

    fn step(&mut self, cut: &mut Cut) -> Result<Step, Malformed> {
        match &mut self.place {
            Place::Skipping(_) => return self.skip(cut),
            Place::SkippingBroken(_) => return self.go_on_skipping(cut),
            _ => {}
        }
        let Some(byte) = self.next_solid(cut) else {
            return Ok(Step::Pause);
        };
        match (&self.place, byte) {
            (Place::Start, b'{') => Ok(self.pass(cut, Place::Key { first: true })),
            (Place::Start, _) => Err(self.foreign(cut)),
            (Place::Key { first: true } | Place::AfterValue, b'}') => Ok(self.pass(cut, Place::Closed)),
            (Place::Key { .. }, b'"') => self.key(cut),
            (Place::Colon(role), b':') => Ok(self.pass(cut, Place::Value(*role))),
            (Place::Value(role), _) => self.value(cut, *role, byte),
            (Place::AfterValue, b',') => Ok(self.pass(cut, Place::Key { first: false })),
            (Place::Element { first: true } | Place::AfterElement, b']') => {
                Ok(self.pass(cut, Place::AfterValue))
            }
            (Place::Element { .. }, b']' | b'}' | b',') => Err(self.unexpected(cut, byte)),
            (Place::Element { .. }, _) => self.element(cut),
            (Place::AfterElement, b',') => Ok(self.pass(cut, Place::Element { first: false })),
            _ => Err(self.unexpected(cut, byte)),
        }
    }

    /// Skips one byte of structure.
    fn pass(&mut self, cut: &mut Cut, place: Place) -> Step {
        cut.at += 1;
        self.place = place;
        Step::On
    }

    /// Skips whitespace and returns the next byte, if there is one.
    fn next_solid(&self, cut: &mut Cut) -> Option<u8> {
        let rest = &self.buffer[cut.at..];
        let blank = rest.iter().position(|byte| !is_blank(*byte));
        cut.at += blank.unwrap_or(rest.len());
        blank.map(|at| rest[at])
    }

    /// Cuts off an element whose brackets match and that a comma or bracket follows. Of any other element a JSON reader finds
    /// what is wrong.
    fn element(&mut self, cut: &mut Cut) -> Result<Step, Malformed> {
        let rest = &self.buffer[cut.at..];
        if rest[0] != b'{' {
            return self.value_or_broken(cut);
        }
        match object_end(rest) {
            ObjectEnd::Ends(end) => match non_blank_after(rest, end) {
                Some((_, b',' | b']')) => Ok(self.cut_off(cut, end)),
                Some(_) => self.value_or_broken(cut),
                None if rest.len() > self.largest.max(GATHER) => Ok(self.cut_off(cut, end)),
                None => Ok(Step::Pause),
            },
            ObjectEnd::Continues if rest.len() <= self.largest => Ok(Step::Pause),
            ObjectEnd::Continues => self.skip_large(cut),
            ObjectEnd::Unclear => self.value_or_broken(cut),
        }
    }

    fn value_or_broken(&mut self, cut: &mut Cut) -> Result<Step, Malformed> {
        let rest = &self.buffer[cut.at..];
        match value_end(rest) {
            ValueEnd::Whole(end) => match non_blank_after(rest, end) {
                Some((_, b',' | b']')) => Ok(self.cut_off(cut, end)),
                // This much whitespace delimits a number as well. The text after it is judged later, in the same way
                // whether it is buffered already or not.
                Some((at, _)) if at > self.largest.max(GATHER) => Ok(self.cut_off(cut, end)),
                Some(_) => self.skip_broken(cut, RejectReason::NotJson, "text behind the value".to_owned()),
                None if rest.len() > self.largest.max(GATHER) => Ok(self.cut_off(cut, end)),
                None => Ok(Step::Pause),
            },
            ValueEnd::Partial if rest.len() > self.largest => self.skip_large(cut),
            ValueEnd::Partial => Ok(Step::Pause),
            ValueEnd::Wrong(why) => self.skip_broken(cut, RejectReason::NotJson, why),
        }
    }

    fn cut_off(&mut self, cut: &mut Cut, length: usize) -> Step {
        let range = cut.at..cut.at + length;
        cut.at = range.end;
        if length > self.largest {
            let element = &self.buffer[range];
            cut.broken.push(SkipBroken::whole(
                RejectReason::TooLarge,
                self.too_large(),
                element,
            ));
        } else {
            cut.elements.push(range);
        }
        self.count += 1;
        self.place = Place::AfterElement;
        Step::On
    }

    fn skip_large(&mut self, cut: &mut Cut) -> Result<Step, Malformed> {
        let detail = self.too_large();
        self.skip_broken(cut, RejectReason::TooLarge, detail)
    }

    fn skip_broken(
        &mut self,
        cut: &mut Cut,
        reason: RejectReason,
        detail: String,
    ) -> Result<Step, Malformed> {
        self.place = Place::SkippingBroken(Box::new(SkipBroken::begin(reason, detail)));
        self.go_on_skipping(cut)
    }

    fn go_on_skipping(&mut self, cut: &mut Cut) -> Result<Step, Malformed> {
        let rest = &self.buffer[cut.at..];
        let Place::SkippingBroken(mut broken) = std::mem::replace(&mut self.place, Place::AfterElement)
        else {
            return Ok(Step::On);
        };
        match broken.feed(rest) {
            Scan::More => {
                cut.at = self.buffer.len();
                self.place = Place::SkippingBroken(broken);
                Ok(Step::Pause)
            }
            Scan::End(end) => {
                cut.at += end;
                cut.broken.push(self.judged(broken.finish()));
                self.count += 1;
                Ok(Step::On)
            }
            Scan::Lost(at) => {
                let byte = rest[at];
                cut.at += at;
                Err(self.unexpected(cut, byte))
            }
        }
    }

    /// An element that is too large is reported as such, whatever else is wrong with it: what else is seen of it depends on
    /// the chunks.
    fn judged(&self, broken: Broken) -> Broken {
        if usize::try_from(broken.length).is_ok_and(|length| length <= self.largest) {
            return broken;
        }
        Broken {
            reason: RejectReason::TooLarge,
            detail: self.too_large(),
            ..broken
        }
    }

    fn too_large(&self) -> String {
        format!("larger than `limits.element_size` ({} bytes)", self.largest)
    }

    fn garbled(&self, at: usize, why: &str) -> Malformed {
        Malformed::Garbled {
            at: self.consumed + at as u64,
            why: why.to_owned(),
        }
    }

    fn unexpected(&self, cut: &Cut, byte: u8) -> Malformed {
        let why = format!("unexpected `{}`", (byte as char).escape_default());
        self.garbled(cut.at, &why)
    }

    fn foreign(&self, cut: &Cut) -> Malformed {
        let found = String::from_utf8_lossy(&self.buffer[cut.at..]);
        Malformed::Foreign {
            why: format!("the answer is not a JSON object: {}", clip(&found)),
        }
    }
}

/// The start of a foreign text, for one line of a message.
fn clip(text: &str) -> String {
    crate::blueconic::answer::clean(text, 120)
}
