//! Who may use the tenant's user interface, and what is installed there: roles, users, plugins.

use super::common::{BODY, CREATED_AT, CREATOR, DESCRIPTION, ID, MODIFIED_AT, NAME, TABLE, TAGS};
use crate::model::description::{Description, List, Reading};
use crate::model::table::ColumnKind::{Bool, Jsonb, Text, TextArray, Timestamptz};
use crate::model::table::{Column, Table};

pub(super) const ROLES: Description = Description {
    title: "Roles",
    holds: "Roles that users of the tenant may have, one row each.",
    path: "/roles",
    arrays: &["roles"],
    oauth_scope: "read:roles",
    table: &Table {
        name: "roles",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            Column::new("permissions", TextArray)
                .from("permissions")
                .comment("Its permissions; empty when there are none."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "42 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const USERS: Description = Description {
    title: "Users",
    holds: "People who may use the tenant's user interface, one row each.",
    path: "/users",
    arrays: &["users"],
    oauth_scope: "read:users",
    table: &Table {
        name: "users",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            Column::new("active", Bool)
                .from("isActive")
                .comment("Whether the person may log in."),
            Column::new("all_domains", Bool)
                .from("hasAllDomains")
                .comment("Whether the person sees all domains."),
            Column::new("roles", Jsonb)
                .from("roles")
                .comment("The person's roles: an array of {id, name}."),
            Column::new("permissions", TextArray)
                .from("permissions")
                .comment("What those roles permit; empty when there is nothing."),
            Column::new("last_login_at", Timestamptz)
                .from("lastLoginDate")
                .comment("When the person last logged in."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "44 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const PLUGINS: Description = Description {
    title: "Plugins",
    holds: "Plugins that are installed at the tenant, one row each.",
    path: "/plugins",
    arrays: &["plugins"],
    oauth_scope: "read:plugins",
    table: &Table {
        name: "plugins",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            Column::new("type", Text)
                .from("type")
                .comment("Its type, such as batchconnection or globallistener."),
            Column::new("version", Text)
                .from("version")
                .comment("Its version."),
            Column::new("latest_version", Bool)
                .from("latestVersion")
                .comment("Whether there is no newer version."),
            Column::new("support_level", Text)
                .from("supportLevel")
                .comment("How far the vendor supports it."),
            Column::new("channel_types", TextArray)
                .from("channelTypes")
                .comment("Types of channels that it works for; empty when there are none."),
            Column::new("labels", Jsonb)
                .from("labels")
                .comment("Its names by language: an array of {key, value}."),
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "56 */6 * * *",
        ..List::PLAIN
    }),
};
