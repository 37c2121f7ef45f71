//! Decides what follows the refusal of a cursor, before its listing is read again from the start. A refused cursor may be valid:
//! the tenant has two read paths, each with an order and with cursors of its own, and it may read a segment of nearly all
//! profiles by either. So a refused cursor is sent once more, and a walk keeps its place in both orders.

use std::time::Duration;

use crate::model::fault::Kind;
use crate::model::position::{Aside, CursorPosition};

/// Requests after a refusal of a walk that has one place.
const WITH_ONE_PLACE: u32 = 1;
/// Requests after a refusal of a walk that has a place in two orders: ten seconds, within which a path that changes back and forth
/// takes one of the two cursors.
const WITH_TWO_PLACES: u32 = 11;
/// The pause before the first request. It doubles with every other one.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The refusals since a run last read an element.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Elements that the walk had read in both orders.
    read: Option<u64>,
    in_a_row: u32,
}

/// What follows a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Again {
    /// Where the walk goes on.
    pub(super) position: CursorPosition,
    /// The pause before.
    pub(super) pause: Duration,
}

impl Refusals {
    /// Where a walk goes on whose cursor was refused: at the same place, or at its place in the other order; none after some
    /// requests without progress.
    pub(super) fn next(&mut self, refused: &CursorPosition, kind: &Kind) -> Option<Again> {
        if !matches!(kind, Kind::CursorRefused | Kind::Absent | Kind::Final) {
            return None;
        }
        let read = refused.read + refused.aside.as_ref().map_or(0, |aside| aside.read);
        if self.read != Some(read) {
            *self = Self {
                read: Some(read),
                in_a_row: 0,
            };
        }
        self.in_a_row += 1;
        let other = other_place(refused);
        let most = if other.is_some() {
            WITH_TWO_PLACES
        } else {
            WITH_ONE_PLACE
        };
        let position = other
            .filter(|_| self.in_a_row.is_multiple_of(2))
            .unwrap_or_else(|| refused.clone());
        let pause = LONGEST_PAUSE.min(PAUSE * 2_u32.saturating_pow(self.in_a_row / 2));
        (self.in_a_row <= most).then_some(Again { position, pause })
    }
}

/// The walk at its place in the other order.
fn other_place(refused: &CursorPosition) -> Option<CursorPosition> {
    let aside = refused.aside.as_ref()?;
    (aside.cursor != refused.cursor).then(|| CursorPosition {
        cursor: aside.cursor.clone(),
        read: aside.read,
        unidentified: aside.unidentified,
        aside: Some(place(refused)),
        ..refused.clone()
    })
}

/// The place to keep when the listing is read again from its start: of two, the one that is farther.
pub(super) fn kept(refused: &CursorPosition) -> Aside {
    let here = place(refused);
    match &refused.aside {
        Some(aside) if aside.read > here.read => aside.clone(),
        _ => here,
    }
}

fn place(position: &CursorPosition) -> Aside {
    Aside {
        cursor: position.cursor.clone(),
        read: position.read,
        unidentified: position.unidentified,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;
    use crate::model::position::WalkHistory;

    fn at(cursor: &str, read: u64, aside: Option<(&str, u64)>) -> CursorPosition {
        let time = chrono::DateTime::UNIX_EPOCH;
        CursorPosition {
            walk_id: uuid::Uuid::nil(),
            segment: String::new(),
            cursor: cursor.to_owned(),
            range: None,
            began_at: time,
            opened_at: time,
            properties: Vec::new(),
            timelines: false,
            pages: 0,
            read,
            divided_at: None,
            from_empty: false,
            unidentified: 0,
            total: None,
            passed: None,
            finished: None,
            aside: aside.map(|(cursor, read)| Aside {
                cursor: cursor.to_owned(),
                read,
                unidentified: 0,
            }),
            course: WalkHistory::default(),
        }
    }

    /// The cursors that are sent after a refusal, until none is left.
    fn tried(refusals: &mut Refusals, mut position: CursorPosition) -> String {
        let mut cursors = String::new();
        while let Some(again) = refusals.next(&position, &Kind::CursorRefused) {
            assert!(again.pause >= PAUSE && again.pause <= LONGEST_PAUSE);
            cursors.push_str(&again.position.cursor);
            position = again.position;
        }
        cursors
    }

    #[test]
    fn both_places_are_tried_by_turns_and_again_only_after_progress() {
        let mut refusals = Refusals::default();
        assert_eq!(tried(&mut refusals, at("a", 20, None)), "a");
        assert_eq!(tried(&mut refusals, at("a", 20, None)), "");
        assert_eq!(tried(&mut refusals, at("b", 10, Some(("a", 20)))), "baabbaabbaa");
        assert_eq!(tried(&mut refusals, at("b", 10, Some(("a", 20)))), "");
        assert_eq!(tried(&mut refusals, at("c", 30, Some(("c", 30)))), "c");
        assert_eq!(refusals.next(&at("d", 40, None), &Kind::Transient), None);
    }

    #[test]
    fn the_places_are_exchanged_and_the_farther_one_is_kept() {
        let mut refusals = Refusals::default();
        let position = at("b", 10, Some(("a", 20)));
        refusals.next(&position, &Kind::CursorRefused).unwrap();
        let other = refusals.next(&position, &Kind::CursorRefused).unwrap().position;
        assert_eq!(other, at("a", 20, Some(("b", 10))));
        assert_eq!(kept(&other).cursor, "a");
        assert_eq!(kept(&position).cursor, "a");
    }
}
