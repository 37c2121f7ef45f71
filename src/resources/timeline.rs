//! The timelines of profiles: two child tables, one for the events and one for what is missing from them.

use crate::model::table::{Child, Column, ColumnKind, Merge, Table};

use super::child_gaps::GAP_COLUMNS;

/// The array of a timeline in a profile.
const ARRAY: &str = "events";

/// Whether events are read, and whether they stay when the tenant no longer lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timelines {
    Unread,
    Kept,
    WhileListed,
}

/// The events. They are kept when the tenant no longer lists them.
static EVENTS: Table = events(Merge::ChildHistory);
/// The same where they are not kept.
static LISTED_EVENTS: Table = events(Merge::ListedHistory);

const fn events(merge: Merge) -> Table {
    Table {
        name: "timeline_events",
        columns: EVENT_COLUMNS,
        key: &["profile_id", "event_type_id", "event_id", "occurred_at"],
        merge,
        children: &[],
    }
}

#[rustfmt::skip]
const EVENT_COLUMNS: &[Column] = &[
    Column::new("profile_id", ColumnKind::Text).comment("The profile's id."),
    Column::new("event_type_id", ColumnKind::Text).from("eventTypeId").comment("The id of the event's type."),
    Column::new("event_id", ColumnKind::Text).from("id").comment("The event's id. It is unique only together with the profile, the type and the date."),
    Column::new("occurred_at", ColumnKind::Timestamptz).from("date").comment("When it happened."),
    Column::new("source", ColumnKind::Text).from("source").comment("What recorded it, such as a connection or a notebook with its id."),
    Column::new("data", ColumnKind::Jsonb).from("data").keyed().comment("Its data: each id with the array of its values, as {\"order_number\": [\"17\"]}. A value that is itself a list of data is such an object, too: {\"product\": [{\"id\": [\"9876\"], \"quantity\": [2]}]}."),
];

/// What is missing from the timelines, as of their latest readings.
static GAPS: Table = Table {
    name: "timeline_gaps",
    columns: GAP_COLUMNS,
    key: &["profile_id", "reason"],
    merge: Merge::Child,
    children: &[],
};

/// The child tables: the events, then the gaps. Where they are not read, rows of an earlier time leave with their profiles.
pub(super) const fn children(timelines: Timelines) -> [Child; 2] {
    let is_read = !matches!(timelines, Timelines::Unread);
    [
        Child {
            table: match timelines {
                Timelines::WhileListed => &LISTED_EVENTS,
                Timelines::Unread | Timelines::Kept => &EVENTS,
            },
            source: ARRAY,
            gaps: Some(1),
            is_read,
        },
        Child {
            table: &GAPS,
            source: "",
            gaps: None,
            is_read,
        },
    ]
}
