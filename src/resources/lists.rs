//! The plain lists, one description each. A plain list is paged by `startIndex`, its elements have an id, and their fields
//! become columns.
//!
//! A new plain list is an entry of [`LISTS`] here and a migration that makes its table; nothing else names it. An optional
//! column `modified_at` shows which of two readings of an element is the later one.

use crate::model::description::{Description, List, Reading};
use crate::model::table::ColumnKind::{Bigint, Bool, Int, Text, TextArray, Timestamptz};
use crate::model::table::{Column, Merge, Table};

/// The segments; a walk over profiles reads one of them.
pub(super) const SEGMENTS: Description = Description {
    title: "Segments",
    holds: "Segments of the tenant, one row each.",
    path: "/segments",
    arrays: &["segments"],
    oauth_scope: "read:segments",
    table: &Table {
        name: "segments",
        columns: &[
            Column::new("id", Text).from("id").comment("The segment's id at the tenant. Text: not every id is a UUID."),
            Column::new("name", Text).from("name").comment("Its name."),
            Column::new("description", Text).from("description").comment("Its description."),
            Column::new("tags", TextArray).from("tags").comment("Its tags; empty when there are none."),
            Column::new("profile_count", Bigint).from("profileCount").comment("Profiles in it, as the tenant counts (may differ a little from profile_segments while the tenant changes)."),
            Column::new("creator", Text).from("creator.userName").comment("User name of the person who made it."),
            Column::new("created_at", Timestamptz).from("creationDate").comment("When it was made at the tenant."),
            Column::new("modified_at", Timestamptz).from("lastModifiedDate").comment("When it was last changed at the tenant."),
            Column::new("inverse_of", Text).from("inverseOf").comment("Id of the segment whose complement this one is."),
            Column::new("inversed_by", Text).from("inversedBy").comment("Id of the segment that is the complement of this one."),
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
            Column::new("id", Text).from("id").comment("The property's id, which is its key in profiles.properties."),
            Column::new("name", Text).from("name").comment("Its name."),
            Column::new("description", Text).from("description").comment("Its description."),
            Column::new("filter_type", Text).from("filterType").comment("Its type as the tenant filters it: RANGE, CURRENCY, DECIMAL, SELECT, EMAIL, DATETIME or None."),
            Column::new("precision", Int).from("precision").comment("Decimal places of a DECIMAL or CURRENCY."),
            Column::new("currency", Text).from("currency.isoCode").comment("ISO 4217 code of a CURRENCY."),
            Column::new("data_sensitivity", Text).from("dataSensitivity").comment("PII or NON_PII; a property may become PII at any time."),
            Column::new("permission_level", Text).from("permissionLevel").comment("The consent that storing it takes: DO_NOT_TRACK, ANONYMOUS or PERSONAL."),
            Column::new("merge_strategy", Text).from("mergeStrategy").comment("What a merge of two profiles keeps; BOTH keeps several values."),
            Column::new("indexed", Bool).from("indexed").comment("Whether the tenant indexes it."),
            Column::new("tags", TextArray).from("tags").comment("Its tags; empty when there are none."),
            Column::new("profile_count", Bigint).from("profileCount").comment("Profiles that have a value of it, as the tenant counts."),
            Column::new("created_at", Timestamptz).from("creationDate").comment("When it was made at the tenant."),
            Column::new("modified_at", Timestamptz).from("lastModifiedDate").comment("When it was last changed at the tenant."),
            ],
            key: &["id"],
            merge: Merge::Upsert,
            children: &[],
        },
        reading: Reading::List(List {
            enabled: true,
            schedule: "7 * * * *",
            page_size: 1000,
            // The listing also has the properties of groups, and two groups may have properties with the same id.
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
            Column::new("id", Text).from("id").comment("The channel's id at the tenant."),
            Column::new("name", Text).from("name").comment("Its name."),
            Column::new("type", Text).from("type").comment("WEBSITE, MOBILE, EMAIL or CTV."),
            Column::new("hostname", Text).from("hostname").comment("Host name of a website, app id of a mobile or TV app; empty for e-mail."),
            Column::new("aliases", TextArray).from("aliases").comment("Other host names of a website; empty when there are none."),
            Column::new("domain_id", Text).from("domain.id").comment("Id of the domain that it belongs to."),
            Column::new("domain_name", Text).from("domain.name").comment("Name of that domain."),
            Column::new("tags", TextArray).from("tags").comment("Its tags; empty when there are none."),
            Column::new("visitor_count", Bigint).from("visitorCount").comment("Visitors of it, as the tenant counts."),
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
