//! The history of profiles' consent: a table with a row for each profile whose history was read, and one for the events of it.

use crate::model::table::ColumnKind::{Bigint, Bytea, Int, Jsonb, Text, TextArray, Timestamptz};
use crate::model::table::{Child, Column, Merge, Table};

/// The array of events in an answer.
pub(super) const ARRAY: &str = "events";

/// The events. They are kept when the tenant no longer lists them.
pub(super) static EVENTS: Table = Table {
    name: "consent_events",
    columns: &[
        Column::new("profile_id", Text).comment("The profile's id."),
        Column::new("occurred_at", Timestamptz)
            .from("date")
            .comment("When it happened."),
        Column::new("event_type", Text)
            .from("type")
            .comment("ConsentChanged or PermissionLevelChanged."),
        Column::new("ordinal", Int).comment("The number of the event among those of the profile with the same date and type, from 0."),
        Column::new("from_legislation", Text).comment("The legislation that applied before, such as GDPR (FromLegislation)."),
        Column::new("to_legislation", Text).comment("The legislation that applies since (ToLegislation)."),
        Column::new("from_level", Text).comment("The permission level before: DO_NOT_TRACK, ANONYMOUS or PERSONAL (FromLevel)."),
        Column::new("to_level", Text).comment("The permission level since (ToLevel)."),
        Column::new("from_consented", TextArray).comment("Objectives consented to before (FromConsented); null where the event does not say."),
        Column::new("to_consented", TextArray).comment("Objectives consented to since (ToConsented); null where the event does not say."),
        Column::new("from_refused", TextArray).comment("Objectives refused before (FromRefused); null where the event does not say."),
        Column::new("to_refused", TextArray).comment("Objectives refused since (ToRefused); null where the event does not say."),
        Column::new("source", Text).comment("Where it was changed, such as CLIENTSIDE or REST (Source)."),
        Column::new("properties", Jsonb)
            .from("properties")
            .keyed()
            .comment("Everything that the event says: each id with the array of its values, those of the other columns included."),
    ],
    key: &["profile_id", "occurred_at", "event_type", "ordinal"],
    merge: Merge::ChildHistory,
    children: &[],
};

/// The profiles whose history was read.
pub(super) static HISTORY: Table = Table {
    name: "consent_history",
    columns: &[
        Column::new("profile_id", Text).comment("The profile's id."),
        Column::new("source_hash", Bytea).comment("The profile's source_hash when its history was read. Where that of the profile differs, the history is read again."),
        Column::new("events", Bigint).comment("How many events the tenant listed; consent_events may hold older ones, too."),
        Column::new("not_stored", Bigint).comment("How many of them are not in consent_events, since they have no date or type or cannot be read."),
        Column::new("detail", Text).comment("What is wrong with the first of the events that are not stored."),
    ],
    key: &["profile_id"],
    merge: Merge::OfProfile,
    children: &[Child::new(&EVENTS, ARRAY)],
};

/// Both as child tables of profiles: their rows leave with the profile, and the events move to the survivor of a merge. Profiles do not
/// bring them.
pub(super) const fn children() -> [Child; 2] {
    [
        Child {
            is_read: false,
            ..Child::new(&EVENTS, "")
        },
        Child {
            is_read: false,
            ..Child::new(&HISTORY, "")
        },
    ]
}
