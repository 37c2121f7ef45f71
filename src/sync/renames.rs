//! Detects that the tenant renamed a value of audit events: several stored events arrive again with one field changed,
//! each time from the same old value to the same new one. No I/O.

use std::collections::{BTreeMap, HashSet};

use crate::model::Time;
use crate::model::event::{EventIdentity, Rename};

/// Events that must show a rename. One event that vanishes beside a new one is no pattern.
const TELLING: usize = 3;
/// Events that must show a rename on a page without order, which may lack events without a trace.
const TELLING_WITHOUT_ORDER: usize = 5;

/// The dates (inclusive) between which a page holds every visible event, and the number of events that must show a
/// rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    from: Time,
    to: Time,
    telling: usize,
}

impl Shown {
    /// The dates and the threshold for a page with these dates in order of arrival. `is_short`: it has fewer events than
    /// requested. The end at which a full page may be cut is left out.
    pub(super) fn of(dates: &[Time], is_short: bool) -> Option<Self> {
        let (oldest, newest) = (*dates.iter().min()?, *dates.iter().max()?);
        let step = chrono::TimeDelta::milliseconds(1);
        let (is_up, is_down) = (dates.is_sorted(), dates.iter().rev().is_sorted());
        // The table keeps microseconds.
        let whole = Self {
            from: oldest - chrono::TimeDelta::microseconds(1),
            to: newest,
            telling: TELLING,
        };
        match (is_short, is_up, is_down) {
            (true, false, false) => Some(Self {
                telling: TELLING_WITHOUT_ORDER,
                ..whole
            }),
            (true, ..) => Some(whole),
            (false, true, _) => Some(Self {
                to: newest - step,
                ..whole
            }),
            (false, _, true) => Some(Self {
                from: oldest + step,
                ..whole
            }),
            (false, false, false) => None,
        }
    }

    fn holds(&self, at: Time) -> bool {
        self.from <= at && at <= self.to
    }
}

/// Returns the renames that a page shows, compared with the stored rows at the dates of events that are not stored.
pub(super) fn found(
    shown: Shown,
    page: &[EventIdentity],
    stored: &[EventIdentity],
    known: &[Rename],
) -> Vec<Rename> {
    let came: HashSet<_> = page.iter().map(name).collect();
    let there: HashSet<_> = stored.iter().map(name).collect();
    let mut gone: BTreeMap<Time, Vec<&EventIdentity>> = BTreeMap::new();
    for event in stored
        .iter()
        .filter(|event| shown.holds(event.at) && !came.contains(&name(event)))
    {
        gone.entry(event.at).or_default().push(event);
    }
    let mut telling: BTreeMap<Rename, usize> = BTreeMap::new();
    for event in page.iter().filter(|event| !there.contains(&name(event))) {
        let Some(gone) = gone.get_mut(&event.at) else {
            continue;
        };
        let twin = gone.iter().enumerate().find_map(|(place, stored)| {
            let rename = only_difference(stored, event)?;
            Some((place, rename))
        });
        if let Some((place, rename)) = twin {
            gone.swap_remove(place);
            *telling.entry(rename).or_default() += 1;
        }
    }
    // A value that the tenant still sends was not renamed.
    telling.retain(|rename, _| {
        let comes = page.iter().any(|event| event.fields[rename.field] == rename.old);
        !comes
            && !known
                .iter()
                .any(|other| other == rename || other.is_reverse_of(rename))
    });
    telling
        .into_iter()
        .filter(|(_, events)| *events >= shown.telling)
        .map(|(rename, _)| rename)
        .collect()
}

fn name(event: &EventIdentity) -> (&[u8; 32], i32, Time) {
    (&event.key, event.occurrence, event.at)
}

/// The one field in which two events differ.
fn only_difference(stored: &EventIdentity, came: &EventIdentity) -> Option<Rename> {
    if stored.objects != came.objects {
        return None;
    }
    let mut differing = (0..stored.fields.len()).filter(|field| stored.fields[*field] != came.fields[*field]);
    let (field, None) = (differing.next()?, differing.next()) else {
        return None;
    };
    Some(Rename {
        field,
        old: stored.fields[field].clone(),
        new: came.fields[field].clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64, field: usize, value: &str) -> EventIdentity {
        let at = Time::from_timestamp_millis(1_700_000_000_000 + at).unwrap_or_default();
        let mut fields = [const { None }; 5];
        fields[4] = Some("1.2.3.4".to_owned());
        fields[field] = Some(value.to_owned());
        let mut key = [0; 32];
        key[0] = value.len().try_into().unwrap_or(0);
        key[1] = field.try_into().unwrap_or(0);
        EventIdentity {
            key,
            occurrence: 0,
            at,
            fields,
            objects: vec![Some("o".to_owned())],
        }
    }

    fn shown(page: &[EventIdentity]) -> Shown {
        let dates: Vec<Time> = page.iter().map(|event| event.at).collect();
        Shown::of(&dates, true).unwrap_or(Shown {
            from: Time::UNIX_EPOCH,
            to: Time::UNIX_EPOCH,
            telling: 0,
        })
    }

    #[test]
    fn several_events_that_come_with_another_value_and_never_with_the_old_one_are_a_rename() {
        let stored: Vec<_> = (0..3).map(|at| event(at, 2, "TIMEOUT")).collect();
        let page: Vec<_> = (0..3).map(|at| event(at, 2, "INACTIVITY")).collect();
        let rename = Rename {
            field: 2,
            old: Some("TIMEOUT".to_owned()),
            new: Some("INACTIVITY".to_owned()),
        };
        assert_eq!(found(shown(&page), &page, &stored, &[]), [rename]);
        // Two events are no pattern.
        assert_eq!(found(shown(&page), &page, &stored[1..], &[]), []);
    }

    #[test]
    fn a_rename_is_found_once() {
        let stored: Vec<_> = (0..3).map(|at| event(at, 2, "TIMEOUT")).collect();
        let page: Vec<_> = (0..3).map(|at| event(at, 2, "INACTIVITY")).collect();
        let renames = found(shown(&page), &page, &stored, &[]);
        assert_eq!(found(shown(&page), &page, &stored, &renames), []);
        assert_eq!(found(shown(&stored), &stored, &page, &renames), []);
    }

    #[test]
    fn two_values_that_come_side_by_side_are_two_events() {
        let stored: Vec<_> = (0..9).map(|at| event(at, 2, "A")).collect();
        let mut page: Vec<_> = (0..9).map(|at| event(at, 2, "BB")).collect();
        page.extend(stored.clone());
        page.sort_by_key(|event| event.at);
        assert_eq!(found(shown(&page), &page, &stored, &[]), []);
        // Also if some of the old ones have left the listing.
        page.remove(0);
        page.retain(|event| event.fields[2].as_deref() == Some("BB") || event.at != page_date(8));
        assert_eq!(found(shown(&page), &page, &stored, &[]), []);
    }

    fn page_date(at: i64) -> Time {
        event(at, 2, "A").at
    }

    #[test]
    fn what_differs_in_two_fields_or_in_its_objects_is_another_event() {
        let stored: Vec<_> = (0..9).map(|at| event(at, 2, "A")).collect();
        let mut page: Vec<_> = (0..9).map(|at| event(at, 2, "BB")).collect();
        for event in &mut page {
            event.fields[0] = Some("application".to_owned());
        }
        assert_eq!(found(shown(&page), &page, &stored, &[]), []);
        for event in &mut page {
            event.fields[0] = None;
        }
        assert_eq!(found(shown(&page), &page, &stored, &[]).len(), 1);
        for event in &mut page {
            event.objects = Vec::new();
        }
        assert_eq!(found(shown(&page), &page, &stored, &[]), []);
    }

    #[test]
    fn the_end_at_which_a_page_is_cut_tells_nothing() {
        let dates = |millis: &[i64]| -> Vec<Time> { millis.iter().map(|one| page_date(*one)).collect() };
        let before = chrono::TimeDelta::microseconds(1);
        let bounds = |millis: &[i64], is_short| {
            Shown::of(&dates(millis), is_short).map(|shown| (shown.from, shown.to, shown.telling))
        };
        assert_eq!(
            bounds(&[1, 2, 3], false),
            Some((page_date(1) - before, page_date(2), TELLING))
        );
        assert_eq!(
            bounds(&[3, 2, 1], false),
            Some((page_date(2), page_date(3), TELLING))
        );
        assert_eq!(bounds(&[3, 1, 2], false), None);
        assert_eq!(
            bounds(&[3, 1, 2], true),
            Some((page_date(1) - before, page_date(3), TELLING_WITHOUT_ORDER))
        );
    }
}
