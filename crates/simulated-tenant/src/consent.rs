//! The history of a profile's consent: a few changes, oldest first, and those that a test adds.

use crate::base::{Facts, signed};
use crate::dates::DAY;
use crate::identity::{GOLDEN, mix, word};
use crate::truth::{ConsentEvent, Property};
use crate::vocabulary as words;

const SOURCES: [&str; 3] = ["REST", "CLIENTSIDE", "IMPORT"];

/// The generated events of a profile.
pub(crate) fn events(facts: &Facts) -> Vec<ConsentEvent> {
    let hash = mix(facts.key ^ 0xc0527);
    (0..hash % 4).map(|ordinal| event(facts, ordinal)).collect()
}

fn event(facts: &Facts, ordinal: u64) -> ConsentEvent {
    let hash = mix(facts.key ^ (ordinal + 1).wrapping_mul(GOLDEN));
    let property = |id: &str, values: Vec<String>| Property {
        id: id.to_owned(),
        values,
    };
    let objectives = |bits: u64| {
        let all = words::OBJECTIVES.iter().enumerate();
        all.filter(|(bit, _)| bits >> bit & 1 == 1)
            .map(|(_, objective)| (*objective).to_owned())
            .collect()
    };
    let one = |text: &str| vec![text.to_owned()];
    let is_level = hash.is_multiple_of(5);
    let properties = if is_level {
        vec![
            property("FromLevel", one(word(&words::PERMISSION_LEVELS, hash >> 8))),
            property("ToLevel", one(word(&words::PERMISSION_LEVELS, hash >> 16))),
        ]
    } else {
        vec![
            property("FromConsented", objectives(hash >> 8)),
            property("ToConsented", objectives(hash >> 16)),
            property("FromRefused", objectives(hash >> 24)),
            property("ToRefused", objectives(hash >> 32)),
            property("ToLegislation", one(word(&words::LEGISLATIONS, hash >> 40))),
            property("Source", one(word(&SOURCES, hash >> 48))),
        ]
    };
    ConsentEvent {
        date: facts.created + signed(ordinal) * DAY + signed(hash) % DAY,
        event_type: if is_level {
            "PermissionLevelChanged"
        } else {
            "ConsentChanged"
        }
        .to_owned(),
        properties,
    }
}
