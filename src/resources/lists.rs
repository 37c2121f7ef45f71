//! The plain lists, one description each: read by `startIndex`, known by an id, fields that become columns one by one.
//!
//! A new plain list is an entry of [`LISTS`] here and a migration that makes its table; nothing else names it. The column
//! `modified_at`, where there is one, tells which of two readings of an element is the later.

use crate::model::description::{Description, List, Reading};
use crate::model::table::ColumnKind::{Bigint, Bool, Int, Text, TextArray, Timestamptz};
use crate::model::table::{Column, Merge, Table};

/// The segments, which profiles are walked by.
pub(super) const SEGMENTS: Description = Description {
    title: "Segments",
    holds: "Segments of the tenant, one row each.",
    path: "/segments",
    arrays: &["segments"],
    oauth_scope: "read:segments",
    table: &Table {
        name: "segments",
        columns: &[
            Column::new("id", Text).from("id").meaning("The segment's id at the tenant. Text: not every id is a UUID."),
            Column::new("name", Text).from("name").meaning("Its name."),
            Column::new("description", Text).from("description").meaning("Its description."),
            Column::new("tags", TextArray).from("tags").meaning("Its tags; empty when there are none."),
            Column::new("profile_count", Bigint).from("profileCount").meaning("Profiles in it, as the tenant counts (may differ a little from profile_segments while the tenant changes)."),
            Column::new("creator", Text).from("creator.userName").meaning("User name of the person who made it."),
            Column::new("created_at", Timestamptz).from("creationDate").meaning("When it was made at the tenant."),
            Column::new("modified_at", Timestamptz).from("lastModifiedDate").meaning("When it was last changed at the tenant."),
            Column::new("inverse_of", Text).from("inverseOf").meaning("Id of the segment whose complement this one is."),
            Column::new("inversed_by", Text).from("inversedBy").meaning("Id of the segment that is the complement of this one."),
        ],
        key: &["id"],
        merge: Merge::Upsert,
        children: &[],
    },
    reading: Reading::List(List {
        enabled: true,
        schedule: "*/15 * * * *",
        page_size: 1000,
        owner: None,
    }),
};

/// Every plain list.
pub(super) const LISTS: &[Description] = &[
    SEGMENTS,
    Description {
        title: "Profile properties",
        holds: "The catalogue of profile properties: which keys profiles.properties may have, and of what type their values are.",
        path: "/profileProperties",
        arrays: &["profileProperties"],
        oauth_scope: "read:profile-properties",
        table: &Table {
            name: "profile_properties",
            columns: &[
            Column::new("id", Text).from("id").meaning("The property's id, which is its key in profiles.properties."),
            Column::new("name", Text).from("name").meaning("Its name."),
            Column::new("description", Text).from("description").meaning("Its description."),
            Column::new("filter_type", Text).from("filterType").meaning("Its type as the tenant filters it: RANGE, CURRENCY, DECIMAL, SELECT, EMAIL, DATETIME or None."),
            Column::new("precision", Int).from("precision").meaning("Decimal places of a DECIMAL or CURRENCY."),
            Column::new("currency", Text).from("currency.isoCode").meaning("ISO 4217 code of a CURRENCY."),
            Column::new("data_sensitivity", Text).from("dataSensitivity").meaning("PII or NON_PII; a property may become PII at any time."),
            Column::new("permission_level", Text).from("permissionLevel").meaning("The consent that storing it takes: DO_NOT_TRACK, ANONYMOUS or PERSONAL."),
            Column::new("merge_strategy", Text).from("mergeStrategy").meaning("What a merge of two profiles keeps; BOTH keeps several values."),
            Column::new("indexed", Bool).from("indexed").meaning("Whether the tenant indexes it."),
            Column::new("tags", TextArray).from("tags").meaning("Its tags; empty when there are none."),
            Column::new("profile_count", Bigint).from("profileCount").meaning("Profiles that have a value of it, as the tenant counts."),
            Column::new("created_at", Timestamptz).from("creationDate").meaning("When it was made at the tenant."),
            Column::new("modified_at", Timestamptz).from("lastModifiedDate").meaning("When it was last changed at the tenant."),
            ],
            key: &["id"],
            merge: Merge::Upsert,
            children: &[],
        },
        reading: Reading::List(List {
            enabled: true,
            schedule: "7 * * * *",
            page_size: 1000,
            // Properties of groups come in the same listing; two groups may have properties of one id.
            owner: Some("groupTypeId"),
        }),
    },
    Description {
        title: "Channels",
        holds: "Channels of the tenant, one row each: websites, mobile apps, e-mail and connected TV.",
        path: "/channels",
        arrays: &["channels"],
        oauth_scope: "read:channels",
        table: &Table {
            name: "channels",
            columns: &[
            Column::new("id", Text).from("id").meaning("The channel's id at the tenant."),
            Column::new("name", Text).from("name").meaning("Its name."),
            Column::new("type", Text).from("type").meaning("WEBSITE, MOBILE, EMAIL or CTV."),
            Column::new("hostname", Text).from("hostname").meaning("Host name of a website, app id of a mobile or TV app; empty for e-mail."),
            Column::new("aliases", TextArray).from("aliases").meaning("Other host names of a website; empty when there are none."),
            Column::new("domain_id", Text).from("domain.id").meaning("Id of the domain that it belongs to."),
            Column::new("domain_name", Text).from("domain.name").meaning("Name of that domain."),
            Column::new("tags", TextArray).from("tags").meaning("Its tags; empty when there are none."),
            Column::new("visitor_count", Bigint).from("visitorCount").meaning("Visitors of it, as the tenant counts."),
            ],
            key: &["id"],
            merge: Merge::Upsert,
            children: &[],
        },
        reading: Reading::List(List {
            enabled: false,
            schedule: "22 * * * *",
            page_size: 1000,
            owner: None,
        }),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::ColumnKind::{Bytea, Jsonb};

    #[test]
    fn a_plain_list_has_only_columns_that_its_rows_can_fill() {
        for list in LISTS {
            for column in list.table.columns {
                assert!(
                    !matches!(column.kind, Jsonb | Bytea),
                    "{}.{}",
                    list.table.name,
                    column.name
                );
            }
        }
    }
}
