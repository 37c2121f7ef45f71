//! A bitmap of the quotes, backslashes and control characters of a text. It is filled in one pass, which the compiler
//! vectorizes; the reader then finds the end of a JSON string from a few bits.

use crate::json::unsupported::{FastResult, UnsupportedJson};

/// Bytes of one block: one bit each in a word.
const BLOCK: usize = 64;

/// One bit for each byte of a text. The memory is reused for the next text.
#[derive(Debug, Default)]
pub(crate) struct Bitmap(Vec<u64>);

impl Bitmap {
    /// Fills the bitmap for another text.
    pub(crate) fn set(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        self.0.clear();
        self.0.extend(blocks.iter().map(bits));
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.0.push(bits(&last));
    }

    /// The first set bit at or after a place.
    #[inline]
    pub(crate) fn next(&self, place: usize) -> FastResult<usize> {
        let mut block = place / BLOCK;
        let mut word = self.0.get(block).ok_or(UnsupportedJson)? >> (place % BLOCK);
        if word != 0 {
            return Ok(place + word.trailing_zeros() as usize);
        }
        while word == 0 {
            block += 1;
            word = *self.0.get(block).ok_or(UnsupportedJson)?;
        }
        Ok(block * BLOCK + word.trailing_zeros() as usize)
    }
}

/// The bits of a block; the first byte is the lowest bit.
#[inline]
fn bits(block: &[u8; BLOCK]) -> u64 {
    let flags = block.map(|byte| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\'));
    let (eights, _) = flags.as_chunks::<8>();
    let gathered = eights
        .iter()
        .enumerate()
        .map(|(place, eight)| gather(*eight) << (8 * place));
    gathered.fold(0, |all, bits| all | bits)
}

/// Packs eight flags into eight bits. The multiplication places each flag once in the highest byte, and no addition carries.
#[inline]
const fn gather(flags: [u8; 8]) -> u64 {
    u64::from_le_bytes(flags).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_marked_or_not_wherever_it_stands() {
        let mut found = Bitmap::default();
        for byte in 0..=u8::MAX {
            for place in 0..200 {
                let mut text = [b'x'; 200];
                text[place] = byte;
                found.set(&text);
                let marked = byte < b' ' || byte == b'"' || byte == b'\\';
                assert_eq!(found.next(0).ok(), marked.then_some(place), "{byte} at {place}");
                assert_eq!(found.next(place).is_ok(), marked);
                assert_eq!(found.next(place + 1), Err(UnsupportedJson));
            }
        }
    }

    #[test]
    fn the_next_mark_is_found_from_anywhere() {
        let text: Vec<u8> = (0..700_usize)
            .map(|place| {
                if place.is_multiple_of(7) || place % 150 < 5 {
                    b'"'
                } else {
                    b' '
                }
            })
            .collect();
        let mut found = Bitmap::default();
        for length in 0..text.len() {
            found.set(&text[..length]);
            for place in 0..length + 130 {
                let expected = (place..length).find(|place| text[*place] == b'"');
                assert_eq!(found.next(place).ok(), expected, "{place} of {length}");
            }
        }
    }
}
