//! The generated small lists: segments and audit events. They are kept in memory.

use crate::base::signed;
use crate::clock::milliseconds;
use crate::dates::DAY;
use crate::identity::{mix, uuid_text, word};
use crate::settings::Settings;
use crate::truth::{AuditEvent, Segment};
use crate::vocabulary as words;

/// The segments in the order of their bits; the first is that of all visitors, even if the tenant hides it.
pub(crate) fn segments(settings: &Settings, now: i64) -> Vec<Segment> {
    let ids: Vec<String> = (0..=settings.segments as u64)
        .map(|ordinal| uuid_text(mix(settings.seed) ^ ordinal))
        .collect();
    let segment = |ordinal: usize| {
        let hash = mix(settings.seed ^ 0x5e6 ^ ordinal as u64);
        let creation_date = now - 800 * DAY + signed(hash >> 40);
        // The second and third segment are opposites by name only; it has no effect.
        let opposite = |of: usize, other: usize| {
            if ordinal == of {
                ids.get(other).cloned().unwrap_or_default()
            } else {
                String::new()
            }
        };
        Segment {
            id: ids[ordinal].clone(),
            name: name(ordinal),
            description: if hash.is_multiple_of(3) {
                String::new()
            } else {
                format!("Made for \"{}\"", name(ordinal))
            },
            tags: words::TAGS
                .iter()
                .take((hash >> 8) as usize % 3)
                .map(|tag| (*tag).to_owned())
                .collect(),
            creation_date,
            last_modified_date: creation_date + signed(hash >> 16) % (700 * DAY),
            creator: word(&words::USERS, hash >> 24).to_owned(),
            inverse_of: opposite(2, 3),
            inversed_by: opposite(3, 2),
            profile_count: (ordinal % 4 != 3).then_some(0),
        }
    };
    let mut segments: Vec<Segment> = (0..ids.len()).map(segment).collect();
    segments[0].id = settings.all_visitors.clone().unwrap_or_default();
    segments
}

fn name(ordinal: usize) -> String {
    let Some(further) = ordinal.checked_sub(1) else {
        return "All Visitors".to_owned();
    };
    match words::SEGMENTS.get(further) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("Segment {ordinal}"),
    }
}

/// Object types of the document's enum, and the one that only its example knows.
const OBJECT_TYPES: [&str; 10] = [
    "SEGMENT",
    "CONNECTION",
    "LISTENER",
    "DIALOGUE",
    "USER",
    "PROFILE",
    "PROFILE_PROPERTY",
    "PROFILEPROPERTY",
    "OAUTH_TOKEN",
    "NOTEBOOK",
];
const OPERATIONS: [&str; 5] = ["CREATE", "UPDATE", "DELETE", "READ", "SCHEDULED_RUN"];

/// The audit events, oldest first, with ties within a millisecond and events that are equal in every field.
pub(crate) fn audit_events(settings: &Settings, now: i64) -> Vec<AuditEvent> {
    let span = milliseconds(settings.audit_history);
    let step = (span / signed(settings.audit_events as u64).max(1)).max(1);
    let mut events: Vec<AuditEvent> = Vec::with_capacity(settings.audit_events);
    for ordinal in 0..settings.audit_events as u64 {
        let hash = mix(settings.seed ^ 0xa0d1 ^ (ordinal << 20));
        let date = now - span + signed(ordinal) * step + signed(hash >> 33) % step;
        let event = match events.last() {
            Some(last) if hash.is_multiple_of(29) => last.clone(),
            Some(last) if hash.is_multiple_of(7) => audit_event(settings, hash, last.date),
            _ => audit_event(settings, hash, date),
        };
        events.push(event);
    }
    events
}

fn audit_event(settings: &Settings, hash: u64, date: i64) -> AuditEvent {
    let later = settings.later_enums && hash.is_multiple_of(97);
    let failed = hash.is_multiple_of(17);
    let (object_type, operation) = if later {
        ("AGENT_2027", "DELEGATE")
    } else if failed {
        ("USER", "LOGIN_FAILED")
    } else {
        (word(&OBJECT_TYPES, hash >> 8), word(&OPERATIONS, hash >> 12))
    };
    AuditEvent {
        date,
        object_type: object_type.to_owned(),
        operation: operation.to_owned(),
        application: (!hash.is_multiple_of(31)).then(|| "blueconic".to_owned()),
        user_name: (!failed).then(|| word(&words::USERS, hash >> 16).to_owned()),
        ip_address: (!hash.is_multiple_of(13))
            .then(|| format!("192.168.{}.{}", hash >> 24 & 255, hash >> 40 & 255)),
        objects: objects(hash),
    }
}

fn objects(hash: u64) -> Option<Vec<(String, String)>> {
    let count = match hash >> 48 & 0x1f {
        0 => return None,
        1 | 2 => 0,
        3 => 3,
        _ => 1,
    };
    let object = |number: u64| {
        let id = uuid_text(hash % 1_000 + number);
        (id, word(&words::COMPANIES, hash >> 20).to_owned())
    };
    Some((0..count).map(object).collect())
}
