//! Reads gzip (RFC 1952): a sequence of members, each with a header, a deflated body, and the checksum and length of its
//! content. Servers that close their stream at each flush send many members.

use flate2::{Crc, Decompress};

use crate::blueconic::inflate::{DecompressError, inflate, padding};

/// The longest plausible header, in bytes: it holds at most a name and a comment.
const LONGEST_HEAD: usize = 4096;
/// The length of a header without name, comment or extra field, in bytes.
const SHORTEST_HEAD: usize = 10;
/// Checksum and length, four bytes each.
const TAIL: usize = 8;

// The bits of a header's flags.
const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// The reader's place in a member.
enum Place {
    /// Before the first member, or after a member.
    Between,
    /// Within a header, with its received part.
    Head(Vec<u8>),
    Body,
    Tail(Vec<u8>),
    /// Zeros after the last member.
    Padding,
}

/// A reader over gzip members.
pub(super) struct Gzip {
    place: Place,
    inflate: Decompress,
    checksum: Crc,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            place: Place::Between,
            inflate: Decompress::new(false),
            checksum: Crc::new(),
        }
    }
}

impl Gzip {
    /// Whether a body may end here.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.place, Place::Between | Place::Padding)
    }

    /// Decompresses some bytes; returns how many were read and written.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(usize, usize), DecompressError> {
        match &mut self.place {
            Place::Between if input.first() == Some(&0) => {
                self.place = Place::Padding;
                padding(input).map(|read| (read, 0))
            }
            Place::Between => {
                self.place = Place::Head(Vec::new());
                self.step(input, output)
            }
            Place::Padding => padding(input).map(|read| (read, 0)),
            Place::Head(head) => {
                let (read, whole) = take_head(head, input)?;
                if whole {
                    self.inflate.reset(false);
                    self.checksum.reset();
                    self.place = Place::Body;
                }
                Ok((read, 0))
            }
            Place::Body => {
                let (read, written, ended) = inflate(&mut self.inflate, input, output)?;
                self.checksum.update(&output[..written]);
                if ended {
                    self.place = Place::Tail(Vec::with_capacity(TAIL));
                }
                Ok((read, written))
            }
            Place::Tail(tail) => {
                let read = input.len().min(TAIL - tail.len());
                tail.extend_from_slice(&input[..read]);
                if tail.len() == TAIL {
                    let trailer = (number(&tail[..4]), number(&tail[4..]));
                    if trailer != (self.checksum.sum(), self.checksum.amount()) {
                        return Err(DecompressError::broken(
                            "a gzip member is garbled: its checksum differs",
                        ));
                    }
                    self.place = Place::Between;
                }
                Ok((read, 0))
            }
        }
    }
}

/// Adds input to a header; returns how many bytes belong to it, and whether it is whole.
fn take_head(head: &mut Vec<u8>, input: &[u8]) -> Result<(usize, bool), DecompressError> {
    let before = head.len();
    let room = LONGEST_HEAD - before;
    head.extend_from_slice(&input[..input.len().min(room)]);
    match head_length(head)? {
        Some(length) => Ok((length - before, true)),
        None if head.len() == LONGEST_HEAD => {
            Err(DecompressError::broken("the head of a gzip member does not end"))
        }
        None => Ok((head.len() - before, false)),
    }
}

/// The length of a header; none if it is not whole.
fn head_length(head: &[u8]) -> Result<Option<usize>, DecompressError> {
    if head
        .iter()
        .zip([0x1f, 0x8b, 8])
        .any(|(given, wanted)| *given != wanted)
    {
        return Err(DecompressError::broken(
            "other bytes stand where a gzip member should begin",
        ));
    }
    let Some(&flags) = head.get(3).filter(|_| head.len() >= SHORTEST_HEAD) else {
        return Ok(None);
    };
    if flags & RESERVED != 0 {
        return Err(DecompressError::broken("a gzip member's flags are unknown"));
    }
    let mut at = SHORTEST_HEAD;
    if flags & HAS_EXTRA != 0 {
        let Some(&[low, high]) = head.get(at..at + 2) else {
            return Ok(None);
        };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            let Some(end) = head
                .get(at..)
                .and_then(|rest| rest.iter().position(|byte| *byte == 0))
            else {
                return Ok(None);
            };
            at += end + 1;
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        at += 2;
    }
    Ok(Some(at).filter(|length| *length <= head.len()))
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}
