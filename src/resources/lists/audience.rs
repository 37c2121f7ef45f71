//! What the tenant knows of profiles: their segments, properties, objectives, groups and events.

use super::common::{BODY, CREATED_AT, CREATOR, DESCRIPTION, ENABLED, ID, MODIFIED_AT, NAME, TABLE, TAGS};
use crate::model::description::{Description, Each, List, Named, Parents, Reading};
use crate::model::table::ColumnKind::{Bigint, Bool, Int, Jsonb, Text, TextArray, Timestamptz};
use crate::model::table::{Column, Merge, Table};

/// The segments; a walk over profiles reads one of them.
pub(in crate::resources) const SEGMENTS: Description = Description {
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
        schedule: "*/15 * * * *",
        optional: false,
        ..List::PLAIN
    }),
};

pub(super) const PROFILE_PROPERTIES: Description = Description {
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
        schedule: "7 * * * *",
        // The listing also has the properties of groups, and two groups may have properties with the same id.
        owner: Some("groupTypeId"),
        optional: false,
        ..List::PLAIN
    }),
};

pub(super) const OBJECTIVES: Description = Description {
    title: "Objectives",
    holds: "Objectives that a profile can consent to or refuse, one row each.",
    path: "/objectives",
    arrays: &["objectives"],
    oauth_scope: "read:objectives",
    table: &Table {
        name: "objectives",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            Column::new("title", Text)
                .from("title")
                .comment("Its title, as a visitor sees it."),
            Column::new("objective_description", Text)
                .from("objectiveDescription")
                .comment("Its text, as a visitor sees it."),
            Column::new("needs_consent", Bool)
                .from("needsConsent")
                .comment("Whether it takes a consent."),
            Column::new("legislations", TextArray)
                .from("legislations")
                .comment("Privacy legislations that it applies to; empty when there are none."),
            Column::new("consented_profile_count", Bigint)
                .from("consentedProfileCount")
                .comment("Profiles that consented to it, as the tenant counts."),
            Column::new("refused_profile_count", Bigint)
                .from("refusedProfileCount")
                .comment("Profiles that refused it, as the tenant counts."),
            Column::new("total_profile_count", Bigint)
                .from("totalProfileCount")
                .comment("Profiles that it applies to, as the tenant counts."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "34 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const GROUP_TYPES: Description = Description {
    title: "Group types",
    holds: "Types of groups, such as households or companies, one row each.",
    path: "/groupTypes",
    arrays: &["groupTypes"],
    oauth_scope: "read:group-types",
    table: &Table {
        name: "group_types",
        columns: &[
            ID,
            NAME,
            Column::new("plural_name", Text)
                .from("pluralName")
                .comment("Its name in the plural."),
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "36 */6 * * *",
        paged: false,
        ..List::PLAIN
    }),
};

pub(super) const GROUPS: Description = Description {
    title: "Groups",
    holds: "Groups of the tenant, such as households or companies, one row each. See profile_groups for their profiles.",
    path: "/groups/{parent}",
    arrays: &["groups"],
    oauth_scope: "read:groups",
    table: &Table {
        name: "groups",
        columns: &[
            Column::new("group_type_id", Text).comment("Id of its type: see group_types."),
            ID,
            Column::new("properties", Jsonb)
                .from("properties")
                .keyed()
                .comment("Property id to its values, an array of texts: {\"company_name\": [\"Acme\"]}. See group_properties for the ids."),
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["group_type_id", "id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "48 */6 * * *",
        by_cursor: true,
        each: Some(Each {
            parents: Parents::Stored(GROUP_TYPES.table),
            named: Named::InPath,
        }),
        ..List::PLAIN
    }),
};

pub(super) const GROUP_PROPERTIES: Description = Description {
    title: "Properties of groups",
    holds: "The catalogue of group properties: which keys groups.properties may have, and of what type their values are.",
    path: "/profileProperties",
    arrays: &["profileProperties"],
    oauth_scope: "read:profile-properties",
    table: &Table {
        name: "group_properties",
        columns: &[
            Column::new("group_type_id", Text).comment("Id of the type of groups that has it: see group_types."),
            Column::new("id", Text)
                .from("id")
                .comment("The property's id, which is its key in groups.properties."),
            NAME,
            DESCRIPTION,
            Column::new("filter_type", Text)
                .from("filterType")
                .comment("Its type as the tenant filters it: RANGE, CURRENCY, DECIMAL, SELECT, EMAIL, DATETIME or None."),
            Column::new("precision", Int)
                .from("precision")
                .comment("Decimal places of a DECIMAL or CURRENCY."),
            Column::new("currency", Text)
                .from("currency.isoCode")
                .comment("ISO 4217 code of a CURRENCY."),
            Column::new("data_sensitivity", Text)
                .from("dataSensitivity")
                .comment("PII or NON_PII; a property may become PII at any time."),
            Column::new("permission_level", Text)
                .from("permissionLevel")
                .comment("The consent that storing it takes: DO_NOT_TRACK, ANONYMOUS or PERSONAL."),
            Column::new("indexed", Bool)
                .from("indexed")
                .comment("Whether the tenant indexes it."),
            TAGS,
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["group_type_id", "id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "50 */6 * * *",
        owner: Some("groupTypeId"),
        each: Some(Each {
            parents: Parents::Stored(GROUP_TYPES.table),
            named: Named::ByParameter("groupTypeId"),
        }),
        ..List::PLAIN
    }),
};

pub(super) const TIMELINE_EVENT_TYPES: Description = Description {
    title: "Timeline event types",
    holds: "Types of timeline events, one row each, with the types of their fields.",
    path: "/timelineEventTypes",
    arrays: &["timelineEventTypes"],
    oauth_scope: "read:timeline-event-types",
    table: &Table {
        name: "timeline_event_types",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            Column::new("priority", Text)
                .from("priority")
                .comment("HIGH, or LOW: the tenant forgets events of low priority sooner."),
            Column::new("retention_days", Int)
                .from("retentionPeriod")
                .comment("How long the tenant keeps its events."),
            Column::new("source", Text)
                .from("source")
                .comment("Who made it: PLUGIN or REST."),
            Column::new("field_types", Jsonb).from("fieldTypes").comment(
                "Its fields: an array of {key, value, dataSensitivity}; value is a type or the fields below.",
            ),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "38 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const TIMELINE_EVENT_ROLLUPS: Description = Description {
    title: "Timeline event roll-ups",
    holds: "Roll-ups that sum up timeline events into profile properties, one row each.",
    path: "/timelineEventRollups",
    arrays: &["timelineEventRollups"],
    oauth_scope: "read:timeline_event_rollups",
    table: &Table {
        name: "timeline_event_rollups",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            ENABLED,
            Column::new("query_type", Text)
                .from("query.type")
                .comment("BASIC or SQL."),
            Column::new("event_type_ids", TextArray)
                .from("query.eventTypeIds")
                .comment("Ids of the event types that it reads; empty when there are none."),
            Column::new("sql_query", Text)
                .from("query.sqlQuery")
                .comment("Its query, where its type is SQL."),
            Column::new("profiles_updated", Bigint)
                .from("profilesUpdated")
                .comment("Profiles that its last run changed."),
            Column::new("last_statistics_at", Timestamptz)
                .from("lastStatisticsUpdate")
                .comment("When its numbers were last counted."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "40 */6 * * *",
        ..List::PLAIN
    }),
};
