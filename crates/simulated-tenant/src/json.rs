//! A small tree of JSON and its writer, which applies a [`Shape`]. Unlike `serde_json::Value` it keeps the order of
//! members, and it marks the values of properties.

use std::borrow::Cow;

use crate::identity::{GOLDEN, mix};
use crate::shape::{KeyOrder, Layout, Shape};

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(Cow<'static, str>),
    /// A value of a profile property: text by the document, a number if the shape swaps them.
    Value(String),
    Number(i64),
    Flag(bool),
    List(Vec<Node>),
    Object(Vec<(&'static str, Node)>),
}

/// Lists whose order has no meaning.
const UNORDERED: [&str; 6] = [
    "properties",
    "segments",
    "consentedObjectives",
    "refusedObjectives",
    "tags",
    "replaces",
];

/// A member that is not in the document.
const UNKNOWN: &str = r#"{"since":"104.0","list":[1,-2.5e3,null,true,[]],"text":"\"}]"}"#;

impl Node {
    pub(crate) fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn texts(texts: &[String]) -> Self {
        Self::List(texts.iter().map(|text| Self::text(text.clone())).collect())
    }

    pub(crate) fn count(count: u64) -> Self {
        Self::Number(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// Writes trees in one shape; `salt` makes the shuffles of two requests differ.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shape: Shape,
    state: u64,
}

impl Writer {
    pub(crate) fn new(shape: Shape, salt: u64) -> Self {
        Self {
            shape,
            state: mix(salt),
        }
    }

    /// The whole document as bytes.
    pub(crate) fn document(mut self, node: &Node) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4096);
        self.write(node, 0, &mut bytes);
        bytes
    }

    /// Appends a value that is `depth` levels deep.
    pub(crate) fn write(&mut self, node: &Node, depth: usize, into: &mut Vec<u8>) {
        match node {
            Node::Text(text) => self.string(text, into),
            Node::Value(text) if self.shape.numbers_swapped && is_number(text) => {
                into.extend_from_slice(text.as_bytes());
            }
            Node::Value(text) => self.string(text, into),
            Node::Number(number) if self.shape.numbers_swapped => self.string(&number.to_string(), into),
            Node::Number(number) => into.extend_from_slice(number.to_string().as_bytes()),
            Node::Flag(flag) => into.extend_from_slice(if *flag { b"true" } else { b"false" }),
            Node::List(items) => self.list(items, false, depth, into),
            Node::Object(members) => self.object(members, depth, into),
        }
    }

    /// Appends `"key":` with the white space of the shape.
    pub(crate) fn key(&self, key: &str, into: &mut Vec<u8>) {
        self.string(key, into);
        into.extend_from_slice(match self.shape.layout {
            Layout::Minified => b":",
            Layout::Pretty => b": ",
            Layout::Airy => b" : ",
        });
    }

    /// Appends the white space before a member at this depth.
    pub(crate) fn new_line(&self, depth: usize, into: &mut Vec<u8>) {
        match self.shape.layout {
            Layout::Minified => {}
            Layout::Pretty => {
                into.push(b'\n');
                into.resize(into.len() + 2 * depth, b' ');
            }
            Layout::Airy => into.extend_from_slice(if depth.is_multiple_of(2) { b"\r\n\t " } else { b" " }),
        }
    }

    /// The members in the order of the shape, with an unknown one if the shape has one.
    pub(crate) fn arranged<'a>(
        &mut self,
        members: &'a [(&'static str, Node)],
    ) -> Vec<&'a (&'static str, Node)> {
        let absent = self.shape.empty_arrays_absent;
        let kept = members
            .iter()
            .filter(|(_, node)| !(absent && matches!(node, Node::List(items) if items.is_empty())));
        let mut arranged: Vec<_> = kept.collect();
        match self.shape.key_order {
            KeyOrder::Documented => {}
            KeyOrder::Reversed => arranged.reverse(),
            KeyOrder::Shuffled => self.shuffle(&mut arranged),
        }
        arranged
    }

    /// Appends a member that is not in the document.
    pub(crate) fn unknown(&self, depth: usize, into: &mut Vec<u8>) {
        self.new_line(depth, into);
        self.key("xFutureField", into);
        into.extend_from_slice(UNKNOWN.as_bytes());
    }

    fn object(&mut self, members: &[(&'static str, Node)], depth: usize, into: &mut Vec<u8>) {
        let arranged = self.arranged(members);
        into.push(b'{');
        let mut separator = Separator::default();
        if self.shape.unknown_keys {
            separator.before_next(into);
            self.unknown(depth + 1, into);
        }
        for (key, node) in arranged {
            separator.before_next(into);
            self.new_line(depth + 1, into);
            self.key(key, into);
            match node {
                Node::List(items) => self.list(items, UNORDERED.contains(key), depth + 1, into),
                other => self.write(other, depth + 1, into),
            }
        }
        self.new_line(depth, into);
        into.push(b'}');
    }

    fn list(&mut self, items: &[Node], unordered: bool, depth: usize, into: &mut Vec<u8>) {
        let mut arranged: Vec<&Node> = items.iter().collect();
        if unordered && self.shape.shuffled_lists {
            self.shuffle(&mut arranged);
        }
        into.push(b'[');
        let mut separator = Separator::default();
        for item in arranged {
            separator.before_next(into);
            self.new_line(depth + 1, into);
            self.write(item, depth + 1, into);
        }
        if !items.is_empty() {
            self.new_line(depth, into);
        }
        into.push(b']');
    }

    /// Fisher-Yates shuffle, with this request's own random numbers.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the remainder is below the length of a slice"
    )]
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            self.state = self.state.wrapping_add(GOLDEN);
            items.swap(last, (mix(self.state) % (last as u64 + 1)) as usize);
        }
    }

    fn string(&self, text: &str, into: &mut Vec<u8>) {
        into.push(b'"');
        if self.shape.escaped {
            write_ascii(text, into);
        } else {
            write_escaped(text, into);
        }
        into.push(b'"');
    }
}

/// Writes the commas between members or elements.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Separator {
    begun: bool,
}

impl Separator {
    /// The state after a first member or element.
    pub(crate) fn after_one() -> Self {
        Self { begun: true }
    }

    pub(crate) fn before_next(&mut self, into: &mut Vec<u8>) {
        if self.begun {
            into.push(b',');
        }
        self.begun = true;
    }
}

/// Appends a number.
pub(crate) fn write_number(mut number: u64, into: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    into.extend_from_slice(&digits[at..]);
}

/// Appends the text with the escapes that JSON requires.
pub(crate) fn write_escaped(text: &str, into: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        into.extend_from_slice(&bytes[copied..at]);
        write_escape(u32::from(*byte), into);
        copied = at + 1;
    }
    into.extend_from_slice(&bytes[copied..]);
}

fn write_escape(code: u32, into: &mut Vec<u8>) {
    match code {
        0x22 => into.extend_from_slice(b"\\\""),
        0x5c => into.extend_from_slice(b"\\\\"),
        0x0a => into.extend_from_slice(b"\\n"),
        0x09 => into.extend_from_slice(b"\\t"),
        0x2f => into.extend_from_slice(b"\\/"),
        other => into.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
    }
}

fn write_ascii(text: &str, into: &mut Vec<u8>) {
    let mut units = [0; 2];
    for character in text.chars() {
        match character {
            '"' | '\\' | '/' => write_escape(u32::from(character), into),
            ' '..='~' => into.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            other => {
                for unit in other.encode_utf16(&mut units) {
                    write_escape(u32::from(*unit), into);
                }
            }
        }
    }
}

/// Whether this text is the canonical JSON form of a number.
fn is_number(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Node {
        Node::Object(vec![
            ("id", Node::text("a/\"b\"\\\n\u{0}é🎉")),
            ("tags", Node::texts(&["x".into(), "y".into(), "z".into()])),
            ("none", Node::List(Vec::new())),
            ("count", Node::Number(-3)),
            ("flag", Node::Flag(true)),
        ])
    }

    #[test]
    fn every_shape_is_json_with_the_same_meaning() -> serde_json::Result<()> {
        let expected: serde_json::Value =
            serde_json::from_slice(&Writer::new(Shape::default(), 1).document(&sample()))?;
        for layout in [Layout::Minified, Layout::Pretty, Layout::Airy] {
            for key_order in [KeyOrder::Documented, KeyOrder::Reversed, KeyOrder::Shuffled] {
                for escaped in [false, true] {
                    let shape = Shape {
                        layout,
                        key_order,
                        escaped,
                        ..Shape::default()
                    };
                    let bytes = Writer::new(shape, 1).document(&sample());
                    assert_eq!(
                        serde_json::from_slice::<serde_json::Value>(&bytes)?,
                        expected,
                        "{shape:?}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn liberties_are_taken_only_where_asked_for() {
        let swapped = Shape {
            numbers_swapped: true,
            ..Shape::default()
        };
        let node = Node::List(vec![
            Node::Value("7".into()),
            Node::Value("07".into()),
            Node::Number(7),
        ]);
        assert_eq!(Writer::new(swapped, 1).document(&node), br#"[7,"07","7"]"#);
        assert_eq!(
            Writer::new(Shape::default(), 1).document(&node),
            br#"["7","07",7]"#
        );
    }
}
