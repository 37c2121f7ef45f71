//! What profiles belong to beside segments: two child tables, one for their groups and one for their lifecycle stages. Both hold what
//! the latest reading of a profile listed.

use crate::model::table::{Child, Column, ColumnKind, Merge, Table};

/// The array of groups in a profile. The vendor's document has no expansion of a look-up by id that brings it.
const GROUPS: &str = "groups";

/// The groups of profiles. A group comes whole with each of its profiles; what it is stands in the table of groups.
static PROFILE_GROUPS: Table = Table {
    name: "profile_groups",
    columns: &[
        Column::new("profile_id", ColumnKind::Text).comment("The profile's id."),
        Column::new("group_type_id", ColumnKind::Text)
            .from("groupTypeId")
            .comment("The id of the group's type: see group_types."),
        Column::new("group_id", ColumnKind::Text)
            .from("id")
            .comment("The group's id: see groups."),
    ],
    key: &["profile_id", "group_type_id", "group_id"],
    merge: Merge::Child,
    children: &[],
};

/// The lifecycle stages of profiles. Names are in the table of lifecycles: here, a new name would rewrite a row for each profile.
static PROFILE_LIFECYCLE_STAGES: Table = Table {
    name: "profile_lifecycle_stages",
    columns: &[
        Column::new("profile_id", ColumnKind::Text).comment("The profile's id."),
        Column::new("lifecycle_id", ColumnKind::Text)
            .from("lifecycle.id")
            .comment("The lifecycle's id: see lifecycles."),
        Column::new("stage_id", ColumnKind::Text)
            .from("stage.id")
            .comment("The id of the stage that the profile is in: see lifecycles.stages."),
    ],
    key: &["profile_id", "lifecycle_id", "stage_id"],
    merge: Merge::Child,
    children: &[],
};

/// The child table of groups.
pub(super) const fn groups(is_read: bool) -> Child {
    Child {
        is_read,
        ..Child::new(&PROFILE_GROUPS, GROUPS)
    }
}

/// The child table of lifecycle stages.
pub(super) const fn lifecycle_stages(is_read: bool) -> Child {
    Child {
        is_read,
        ..Child::new(&PROFILE_LIFECYCLE_STAGES, "lifecycleStages")
    }
}

/// Whether a listing brings the array, and a look-up by id does not.
pub(super) fn is_listed_only(child: &Child) -> bool {
    child.source == GROUPS
}
