//! What is missing from a child table: items that cannot be stored, and arrays that may be cut off. Each reason becomes a row of a
//! sibling table, which is replaced with each reading of the parent.

use std::collections::BTreeMap;

use crate::model::Time;
use crate::model::children::Children;
use crate::model::sanitize;
use crate::model::table::{Column, ColumnKind};

/// The columns of a table of gaps.
#[rustfmt::skip]
pub(super) const GAP_COLUMNS: &[Column] = &[
    Column::new("profile_id", ColumnKind::Text).comment("The profile's id."),
    Column::new("reason", ColumnKind::Text).comment("full_answer: as many events came as were asked for, so that older ones may be missing. no_id, no_type, no_date: events without it, which have no key. wrong_shape: events that cannot be read."),
    Column::new("events", ColumnKind::Bigint).comment("For full_answer, how many events came; otherwise how many of them are not stored."),
    Column::new("listed_from", ColumnKind::Timestamptz).comment("For full_answer, the date of the oldest event that came: events before it may be missing."),
    Column::new("detail", ColumnKind::Text).comment("What is wrong with the first of the events that are not stored."),
];

/// Why something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GapReason {
    /// As many items came as were asked for.
    FullAnswer,
    /// An item lacks this part of its key: the reason's word.
    Keyless(&'static str),
    /// An item cannot be read.
    WrongShape,
}

impl GapReason {
    /// The reason for an item without the value of a column of its key.
    pub(super) fn without(column: &str) -> Self {
        match column {
            "event_id" => Self::Keyless("no_id"),
            "event_type_id" => Self::Keyless("no_type"),
            "occurred_at" => Self::Keyless("no_date"),
            _ => Self::Keyless("no_key"),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::FullAnswer => "full_answer",
            Self::Keyless(word) => word,
            Self::WrongShape => "wrong_shape",
        }
    }
}

/// The gaps of one parent.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    found: BTreeMap<GapReason, Gap>,
}

#[derive(Debug, Default)]
struct Gap {
    items: i64,
    listed_from: Option<Time>,
    detail: Option<String>,
}

impl Gaps {
    /// Notes an item that is not stored.
    pub(super) fn note(&mut self, reason: GapReason, detail: &str) {
        let gap = self.found.entry(reason).or_default();
        gap.items += 1;
        gap.detail
            .get_or_insert_with(|| sanitize::line(detail).into_owned());
    }

    /// Notes an array of `items` items that may be cut off after its oldest one.
    pub(super) fn note_full(&mut self, items: usize, listed_from: Option<Time>) {
        let gap = Gap {
            items: i64::try_from(items).unwrap_or(i64::MAX),
            listed_from,
            detail: None,
        };
        self.found.insert(GapReason::FullAnswer, gap);
    }

    /// Adds the rows to the table at this index.
    pub(super) fn write(self, place: usize, parent: &str, into: &mut Children) {
        for (reason, gap) in self.found {
            let word = reason.as_str();
            let fields = u16::try_from(GAP_COLUMNS.len()).unwrap_or(u16::MAX);
            into.row(place, word.as_bytes(), fields)
                .text(parent)
                .text(word)
                .bigint(Some(gap.items))
                .timestamp(gap.listed_from)
                .text_or_null(gap.detail.as_deref());
        }
    }
}
