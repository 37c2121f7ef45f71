//! Selects the audit events of an answer and their order. The document names no order; three are simulated, since a
//! client cannot know the order of its tenant.

use crate::identity::mix;
use crate::json::Writer;
use crate::settings::{AuditOrder, AuditSelection, Settings};
use crate::truth::AuditEvent;

/// The events of an answer: those after a date, at most `count` and the cap, without hidden ones.
pub(crate) fn select(
    events: &[AuditEvent],
    after: i64,
    count: usize,
    settings: &Settings,
) -> Vec<AuditEvent> {
    let mut chosen = in_order(events, after, count, settings);
    if let Some(hidden) = settings.audit_hidden {
        chosen.retain(|event| !hidden.hides(event.date));
    }
    chosen.truncate(settings.audit_cap.unwrap_or(count));
    chosen
}

/// The events after a date, at most `count`, from all of them oldest first.
fn in_order(events: &[AuditEvent], after: i64, count: usize, settings: &Settings) -> Vec<AuditEvent> {
    let events = &events[events.partition_point(|event| event.date <= after)..];
    let oldest = &events[..count.min(events.len())];
    let newest = &events[events.len().saturating_sub(count)..];
    let salt = mix(settings.seed ^ after.unsigned_abs());
    match settings.audit_order {
        AuditOrder::OldestFirst => oldest.to_vec(),
        AuditOrder::NewestFirst => newest.iter().rev().cloned().collect(),
        AuditOrder::Shuffled => {
            let mut chosen = match settings.audit_selection {
                AuditSelection::Newest => newest.to_vec(),
                AuditSelection::Oldest => oldest.to_vec(),
                AuditSelection::Arbitrary => events.to_vec(),
            };
            Writer::new(settings.shape, salt).shuffle(&mut chosen);
            chosen.truncate(count);
            chosen
        }
    }
}
