//! Converts a position in the listing to a profile id and back. The ids look random, yet none is stored: the mixing
//! is a bijection on 64 bits, so that a tenant of any size finds a profile by its id at once.

/// The odd constant of splitmix64.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The losers of generated merges have positions above every position of a listing.
pub(crate) const FIRST_LOSER: u64 = 1 << 48;

/// Ids set aside for the losers of one winner.
pub(crate) const LOSERS_PER_WINNER: u64 = 4;

/// The finalizer of splitmix64: a bijection whose bits all depend on all bits.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The inverse of [`mix`]: its multiplications by the inverse constants, in opposite order.
fn unmix(value: u64) -> u64 {
    let value = (value ^ (value >> 31) ^ (value >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let value = (value ^ (value >> 27) ^ (value >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    value ^ (value >> 30) ^ (value >> 60)
}

/// One of the choices, by the bits of a hash.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below the length of a slice"
)]
pub(crate) fn pick<T>(choices: &[T], hash: u64) -> &T {
    &choices[(hash % choices.len() as u64) as usize]
}

/// One of the words, by the bits of a hash.
pub(crate) fn word(words: &[&'static str], hash: u64) -> &'static str {
    let word: &&str = pick(words, hash);
    word
}

const VERSION: u64 = 0x4000;
const VERSION_MASK: u64 = 0xf000;
const VARIANT: u64 = 0x8000_0000_0000_0000;
const VARIANT_MASK: u64 = 0xc000_0000_0000_0000;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The ids of one tenant: text of version 4 UUIDs derived from the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identities {
    salt: u64,
}

impl Identities {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            salt: mix(seed ^ GOLDEN),
        }
    }

    /// The id at a position, as the 36 characters of a UUID.
    pub(crate) fn write(self, position: u64) -> [u8; 36] {
        let mixed = mix(position.wrapping_add(self.salt));
        let high = (mixed & !VERSION_MASK) | VERSION;
        // The nibble that the version replaces moves to the end, so that the whole position is kept.
        let low = (mix(mixed ^ self.salt) & !VARIANT_MASK & !0xf) | VARIANT | ((mixed & VERSION_MASK) >> 12);
        format_uuid(high, low)
    }

    pub(crate) fn text(self, position: u64) -> String {
        self.write(position).iter().copied().map(char::from).collect()
    }

    /// The position of this id, if this tenant made it.
    pub(crate) fn position(self, id: &str) -> Option<u64> {
        let (high, low) = uuid::Uuid::try_parse(id).ok()?.as_u64_pair();
        let mixed = (high & !VERSION_MASK) | ((low & 0xf) << 12);
        let position = unmix(mixed).wrapping_sub(self.salt);
        (self.write(position).as_slice() == id.as_bytes()).then_some(position)
    }
}

/// A UUID-like text from any hash, for ids of other elements than profiles.
pub(crate) fn uuid_text(hash: u64) -> String {
    let high = (mix(hash) & !VERSION_MASK) | VERSION;
    let low = (mix(hash ^ GOLDEN) & !VARIANT_MASK) | VARIANT;
    format_uuid(high, low).iter().copied().map(char::from).collect()
}

fn format_uuid(high: u64, low: u64) -> [u8; 36] {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for half in [high, low] {
        for digit in 0..16 {
            if matches!(at, 8 | 13 | 18 | 23) {
                at += 1;
            }
            text[at] = HEX[((half >> (60 - 4 * digit)) & 0xf) as usize];
            at += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_leads_back_to_its_position() {
        let identities = Identities::new(7);
        for position in (0..5_000).chain(FIRST_LOSER..FIRST_LOSER + 100) {
            let id = identities.text(position);
            assert_eq!(identities.position(&id), Some(position), "{id}");
            assert_eq!(
                uuid::Uuid::try_parse(&id).map(|uuid| uuid.get_version_num()),
                Ok(4),
                "{id}"
            );
        }
    }

    #[test]
    fn a_foreign_id_has_no_position() {
        let identities = Identities::new(7);
        assert_eq!(identities.position("41ebc321-b02b-4e8a-a368-82995c81fb18"), None);
        assert_eq!(identities.position("not a uuid"), None);
        assert_eq!(identities.position(&identities.text(3).to_uppercase()), None);
    }
}
