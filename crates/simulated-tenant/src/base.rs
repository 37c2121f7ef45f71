//! The generated tenant: every fact about profile `i` is a function of the seed and `i`, so that five million
//! profiles take no memory. `world` holds later changes.

use std::ops::Range;

use crate::catalogue::{Slot, slots};
use crate::clock::milliseconds;
use crate::dates::DAY;
use crate::identity::{FIRST_LOSER, GOLDEN, Identities, LOSERS_PER_WINNER, mix, word};
use crate::settings::Settings;
use crate::vocabulary as words;

/// Within a block of so many positions the order of modification is shuffled; from block to block it rises. So a span of
/// time is roughly a span of positions, and yet no listing is sorted by time.
const BLOCK: u64 = 4096;
/// Odd, so that multiplying by it permutes a block.
const STRIDE: u64 = 2653;

/// The generated data, which never changes.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) identities: Identities,
    pub(crate) profiles: u64,
    pub(crate) slots: Vec<Slot>,
    /// So many profiles differ; the others are copies with ids and dates of their own.
    pub(crate) distinct: u64,
    pub(crate) zero_characters: bool,
    /// Of 1,000 values so many are odd.
    pub(crate) odd_values_per_thousand: u64,
    key: u64,
    oldest: i64,
    /// Milliseconds between two ranks of modification.
    step: i64,
    /// The share of each segment, of 256; the first bit of a membership is the segment of all profiles.
    shares: Vec<u64>,
    merged_per_thousand: u64,
    lacking_per_thousand: u64,
    timeline_events: Option<u64>,
}

/// The cheap facts about one profile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// All further choices about this profile follow from it.
    pub(crate) key: u64,
    pub(crate) created: i64,
    /// The source of other dates: they stay when the profile changes.
    pub(crate) origin: i64,
    pub(crate) modified: i64,
    /// Whether the profile has the field `creationDate`.
    pub(crate) shows_creation: bool,
    /// Whether the profile has the property `creationdate`.
    pub(crate) has_created: bool,
    /// Whether there are properties at all.
    pub(crate) has_properties: bool,
    pub(crate) legislation: Option<&'static str>,
    /// A bit for each objective.
    pub(crate) consented: Option<u64>,
    pub(crate) refused: Option<u64>,
    pub(crate) level: Option<&'static str>,
    /// How many events its timeline has; none: as its key chooses.
    pub(crate) timeline_events: Option<u64>,
}

impl Base {
    pub(crate) fn new(settings: &Settings, now: i64) -> Self {
        let ranks = i64::try_from(settings.profiles.next_multiple_of(BLOCK).max(BLOCK)).unwrap_or(i64::MAX);
        let history = milliseconds(settings.history);
        let shares = (0..settings.segments).map(|ordinal| match words::SEGMENTS.get(ordinal) {
            Some((_, share)) => *share,
            None => 5 + mix(ordinal as u64) % 100,
        });
        Self {
            identities: Identities::new(settings.seed),
            profiles: settings.profiles,
            slots: slots(settings, now),
            distinct: settings
                .distinct
                .unwrap_or(u64::MAX)
                .clamp(1, settings.profiles.max(1)),
            zero_characters: settings.zero_characters,
            odd_values_per_thousand: settings.odd_values_per_thousand,
            key: mix(settings.seed.wrapping_mul(GOLDEN)),
            oldest: now - history,
            step: (history / ranks).max(1),
            shares: shares.collect(),
            merged_per_thousand: settings.merged_per_thousand,
            lacking_per_thousand: settings.lacking_per_thousand,
            timeline_events: settings.timeline_events,
        }
    }

    /// Whether some profiles differ only in ids and dates.
    pub(crate) fn repeats(&self) -> bool {
        self.distinct < self.profiles
    }

    /// The position of the profile that this one is a copy of.
    fn model(&self, position: u64) -> u64 {
        if self.repeats() {
            position % self.distinct
        } else {
            position
        }
    }

    fn key(&self, position: u64) -> u64 {
        mix(self.model(position).wrapping_mul(GOLDEN) ^ self.key)
    }

    /// The segments of a profile as bits.
    pub(crate) fn membership(&self, position: u64) -> u64 {
        let key = self.key(position);
        let mut bits = 1;
        for (chunk, shares) in self.shares.chunks(8).enumerate() {
            let mut hash = mix(key ^ (0x5e9 + chunk as u64));
            for (within, share) in shares.iter().enumerate() {
                bits |= u64::from(hash & 0xff < *share) << (1 + 8 * chunk + within);
                hash >>= 8;
            }
        }
        bits
    }

    /// The generated date of a profile's last change.
    pub(crate) fn modified(&self, position: u64) -> i64 {
        let block = position / BLOCK;
        let rank = block * BLOCK + (position % BLOCK * STRIDE + mix(block)) % BLOCK;
        self.oldest + signed(rank) * self.step + signed(self.key(position) >> 20) % self.step
    }

    /// A span that contains every position of the base whose profile changed in this span of time, and others.
    pub(crate) fn positions(&self, from: i64, to: i64) -> Range<u64> {
        if to < from || to < self.oldest {
            return 0..0;
        }
        let rank = |time: i64| u64::try_from(time.saturating_sub(self.oldest) / self.step).unwrap_or(0);
        let start = rank(from) / BLOCK * BLOCK;
        let end = (rank(to) / BLOCK + 1).saturating_mul(BLOCK);
        start.min(self.profiles)..end.min(self.profiles)
    }

    pub(crate) fn facts(&self, position: u64) -> Facts {
        let key = self.key(position);
        let lack = mix(key ^ 0x1ac4);
        let lacking = lack % 1000 < self.lacking_per_thousand;
        let has = |bit: u32| !lacking || lack >> (20 + bit) & 1 == 0;
        let origin = self.modified(self.model(position));
        let choice = mix(key ^ 0xc0de);
        let consented = choice & 0x1f;
        Facts {
            key,
            created: origin - signed(choice >> 16) % (700 * DAY),
            origin,
            modified: self.modified(position),
            shows_creation: has(0),
            has_created: has(1),
            has_properties: !lacking || lack >> 40 & 7 != 0,
            legislation: has(2).then(|| word(&words::LEGISLATIONS, choice >> 5)),
            consented: has(3).then_some(consented),
            refused: has(3).then_some(!consented & (choice >> 10) & 0x1f),
            timeline_events: self.timeline_events,
            level: has(4).then(|| word(&words::PERMISSION_LEVELS, (choice >> 50 & 7).saturating_sub(5))),
        }
    }

    /// The positions of the ids of the generated profiles that this one replaced.
    pub(crate) fn losers(&self, position: u64) -> Range<u64> {
        let hash = mix(self.key(position) ^ 0x3e46e);
        let first = FIRST_LOSER + position * LOSERS_PER_WINNER;
        let won = position < self.profiles && hash % 1000 < self.merged_per_thousand;
        first
            ..first
                + if won {
                    1 + (hash >> 32) % (LOSERS_PER_WINNER - 1)
                } else {
                    0
                }
    }

    /// The position of the profile that replaced this loser.
    pub(crate) fn winner(&self, loser: u64) -> Option<u64> {
        let winner = loser.checked_sub(FIRST_LOSER)? / LOSERS_PER_WINNER;
        self.losers(winner).contains(&loser).then_some(winner)
    }
}

/// A hash or rank as a time; a value that is too large loses its top bit.
#[expect(clippy::cast_possible_wrap, reason = "the top bit is cleared")]
pub(crate) fn signed(number: u64) -> i64 {
    (number & (u64::MAX >> 1)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_is_found_by_position() {
        let settings = Settings {
            profiles: 20_000,
            ..Settings::default()
        };
        let base = Base::new(&settings, 1_700_000_000_000);
        let (from, to) = (1_690_000_000_000, 1_690_500_000_000);
        let span = base.positions(from, to);
        let inside: Vec<u64> = (0..20_000)
            .filter(|position| (from..=to).contains(&base.modified(*position)))
            .collect();
        assert!(!inside.is_empty(), "the span holds somebody");
        assert!(inside.iter().all(|position| span.contains(position)));
        assert!(span.end - span.start <= 3 * BLOCK, "{span:?}");
        assert!(
            inside
                .windows(2)
                .any(|pair| base.modified(pair[0]) > base.modified(pair[1])),
            "no order by time"
        );
    }

    #[test]
    fn losers_know_their_winner() {
        let base = Base::new(
            &Settings {
                merged_per_thousand: 300,
                ..Settings::default()
            },
            0,
        );
        let losers: Vec<u64> = (0..1_000).flat_map(|winner| base.losers(winner)).collect();
        assert!(losers.len() > 300, "{}", losers.len());
        assert!(losers.iter().all(|loser| {
            base.winner(*loser)
                .is_some_and(|winner| base.losers(winner).contains(loser))
        }));
        assert_eq!(base.winner(5), None);
    }
}
