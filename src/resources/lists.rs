//! The plain lists, one description each. A plain list is paged by `startIndex` or by `cursor`, its elements have an id, and their fields
//! become columns. It may have a listing for each row of another list, or for each URL of its settings.
//!
//! A new plain list is an entry of [`LISTS`] with its description beside the others, and a migration that makes its table;
//! nothing else names it. An optional column `modified_at` shows which of two readings of an element is the later one, and a
//! column of [`Column::rest`] keeps the members that have no column.
//!
//! [`Column::rest`]: crate::model::table::Column::rest

mod administration;
mod audience;
mod campaigns;
mod common;
mod data;

use administration::{PLUGINS, ROLES, USERS};
pub(super) use audience::SEGMENTS;
use audience::{
    GROUP_PROPERTIES, GROUP_TYPES, GROUPS, OBJECTIVES, PROFILE_PROPERTIES, TIMELINE_EVENT_ROLLUPS,
    TIMELINE_EVENT_TYPES,
};
use campaigns::{
    CHANNELS, DIALOGUE_STATISTICS, DIALOGUES, INTERACTIONS, LIFECYCLES, LISTENERS, PAGE_INTERACTIONS,
};
use data::{
    CONNECTION_RUNS, CONNECTIONS, CONTENT_STORE_ITEMS, CONTENT_STORES, MODELS, NOTEBOOK_RUNS, NOTEBOOKS,
};

use crate::model::description::Description;

/// Every plain list, in the order of a backfill. The parents of a listing come before it.
pub(super) const LISTS: &[Description] = &[
    SEGMENTS,
    PROFILE_PROPERTIES,
    CHANNELS,
    CONNECTIONS,
    CONNECTION_RUNS,
    DIALOGUES,
    LISTENERS,
    LIFECYCLES,
    OBJECTIVES,
    GROUP_TYPES,
    GROUP_PROPERTIES,
    GROUPS,
    TIMELINE_EVENT_TYPES,
    TIMELINE_EVENT_ROLLUPS,
    ROLES,
    USERS,
    NOTEBOOKS,
    NOTEBOOK_RUNS,
    MODELS,
    CONTENT_STORES,
    CONTENT_STORE_ITEMS,
    PLUGINS,
    INTERACTIONS,
    PAGE_INTERACTIONS,
    DIALOGUE_STATISTICS,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::description::Named;
    use crate::model::table::ColumnKind::Bytea;
    use crate::model::table::Table;

    #[test]
    fn a_plain_list_has_only_columns_that_its_rows_can_fill() {
        for list in LISTS {
            for column in list.table.columns {
                assert_ne!(column.kind, Bytea, "{}.{}", list.table.name, column.name);
            }
        }
    }

    #[test]
    fn the_parents_of_a_listing_come_before_it_and_its_first_column_is_theirs() {
        for (place, list) in LISTS.iter().enumerate() {
            let Some(each) = list.as_list().and_then(|list| list.each) else {
                assert_eq!(list.table.key.len(), 1, "{}", list.table.name);
                continue;
            };
            let mut before = LISTS.iter().take(place).map(Description::name);
            let is_before = |parents: &Table| before.any(|name| name == parents.name);
            assert!(each.table().is_none_or(is_before), "{}", list.table.name);
            assert_eq!(list.table.key.len(), 2, "{}", list.table.name);
            assert_eq!(list.table.columns[0].name, list.table.key[0]);
            assert_eq!(list.table.columns[0].source, "");
            assert_eq!(
                each.named == Named::InPath,
                list.path.contains("{parent}"),
                "{}",
                list.path
            );
        }
    }
}
