//! The timeline of a profile: orders with a nested product, newest first, rarely more than the default of twenty in an
//! answer.

use crate::base::{Facts, signed};
use crate::dates::{DAY, HOUR};
use crate::identity::{GOLDEN, mix, word};
use crate::truth::TimelineEvent;

const TYPES: [&str; 3] = ["order", "page_view", "form_submit"];
const SOURCES: [&str; 2] = ["notebook_9139fb0a-6e65-4e65-9dff-9dd971ac2b21", "connection_5c2d"];
const PRODUCTS: [&str; 4] = ["987644321", "rain coat \"XL\"", "fiets", "靴"];

/// All events of one profile: as many as the settings say, else at most the 250 that a tenant keeps.
pub(crate) fn events(facts: &Facts) -> Vec<TimelineEvent> {
    let hash = mix(facts.key ^ 0x71e);
    let chosen = if hash.is_multiple_of(64) {
        21 + (hash >> 8) % 230
    } else {
        (hash >> 8) % 5
    };
    (0..facts.timeline_events.unwrap_or(chosen))
        .map(|ordinal| event(facts, ordinal))
        .collect()
}

fn event(facts: &Facts, ordinal: u64) -> TimelineEvent {
    let hash = mix(facts.key.wrapping_sub((ordinal + 1).wrapping_mul(GOLDEN)));
    TimelineEvent {
        id: format!("order_{}", hash >> 40),
        event_type_id: word(&TYPES, hash).to_owned(),
        date: facts.origin - signed(ordinal) * DAY - signed(hash) % (20 * HOUR),
        source: word(&SOURCES, hash >> 4).to_owned(),
        product: word(&PRODUCTS, hash >> 8).to_owned(),
        quantity: signed(1 + (hash >> 16) % 9),
        order_number: (hash >> 30).to_string(),
    }
}
