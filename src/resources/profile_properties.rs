//! Profile properties: `GET /profileProperties`, the catalogue of types. Properties of groups are read past.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::batch::Batch;
use crate::model::table::{Column, ColumnKind, Merge, Table};

use super::fields::{Fields, Raw, wrong};
use super::list::{self, List, ListResource, Problem};

/// The scope that covers profile properties.
pub(super) const SCOPE: &str = "read:profile-properties";

static TABLE: Table = Table {
    name: "profile_properties",
    columns: &[
        Column::new("id", ColumnKind::Text),
        Column::new("name", ColumnKind::Text),
        Column::new("description", ColumnKind::Text),
        Column::new("filter_type", ColumnKind::Text),
        Column::new("precision", ColumnKind::Int),
        Column::new("currency", ColumnKind::Text),
        Column::new("data_sensitivity", ColumnKind::Text),
        Column::new("permission_level", ColumnKind::Text),
        Column::new("merge_strategy", ColumnKind::Text),
        Column::new("indexed", ColumnKind::Bool),
        Column::new("tags", ColumnKind::TextArray),
        Column::new("profile_count", ColumnKind::Bigint),
        Column::new("created_at", ColumnKind::Timestamptz),
        Column::new("modified_at", ColumnKind::Timestamptz),
    ],
    key: &["id"],
    merge: Merge::Upsert,
};

/// Profile properties as a resource.
pub(super) type ProfileProperties = ListResource<PropertyList>;

/// What is particular to profile properties.
pub(super) struct PropertyList;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Property<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    description: Raw<'a>,
    #[serde(borrow)]
    filter_type: Raw<'a>,
    #[serde(borrow)]
    precision: Raw<'a>,
    #[serde(borrow)]
    currency: Option<Currency<'a>>,
    #[serde(borrow)]
    data_sensitivity: Raw<'a>,
    #[serde(borrow)]
    permission_level: Raw<'a>,
    #[serde(borrow)]
    merge_strategy: Raw<'a>,
    #[serde(borrow)]
    indexed: Raw<'a>,
    #[serde(borrow)]
    tags: Raw<'a>,
    #[serde(borrow)]
    profile_count: Raw<'a>,
    #[serde(borrow)]
    creation_date: Raw<'a>,
    #[serde(borrow)]
    last_modified_date: Raw<'a>,
    #[serde(borrow)]
    group_type_id: Raw<'a>,
}

#[derive(Deserialize)]
struct Currency<'a> {
    #[serde(borrow, rename = "isoCode")]
    iso_code: Option<&'a RawValue>,
}

/// The group type of a property; none or empty for a profile property.
fn group_type(property: &Property<'_>) -> Result<Option<String>, Problem> {
    let group = Fields::default().text("groupTypeId", property.group_type_id)?;
    Ok(group
        .filter(|group| !group.is_empty())
        .map(std::borrow::Cow::into_owned))
}

impl List for PropertyList {
    const TABLE: &'static Table = &TABLE;
    const PATH: &'static str = "/profileProperties";
    const ARRAY: &'static str = "profileProperties";
    const SCOPE: &'static str = SCOPE;

    /// A property of a group counts as read under its group's name: two groups may have properties of one id.
    fn identity(element: &[u8]) -> Result<String, Problem> {
        list::object(element)?;
        let property: Property<'_> = serde_json::from_slice(element)?;
        let id = list::id_of(property.id)?;
        Ok(match group_type(&property)? {
            Some(group) => format!("{group}\u{1f}{id}"),
            None => id,
        })
    }

    fn row(element: &[u8], fields: &mut Fields, into: &mut Batch) -> Result<(), Problem> {
        let property: Property<'_> = serde_json::from_slice(element)?;
        if group_type(&property)?.is_some() {
            return Ok(());
        }
        let id = list::id_of(property.id)?;
        let name = fields.text("name", property.name)?;
        let description = fields.text("description", property.description)?;
        let filter_type = fields.text("filterType", property.filter_type)?;
        let precision = fields.integer("precision", property.precision)?;
        let precision = precision.map(i32::try_from).transpose().map_err(|_| {
            wrong(
                "precision",
                "a number of digits",
                &precision.unwrap_or_default().to_string(),
            )
        })?;
        let currency = fields.text("currency.isoCode", property.currency.and_then(|one| one.iso_code))?;
        let data_sensitivity = fields.text("dataSensitivity", property.data_sensitivity)?;
        let permission_level = fields.text("permissionLevel", property.permission_level)?;
        let merge_strategy = fields.text("mergeStrategy", property.merge_strategy)?;
        let indexed = fields.boolean("indexed", property.indexed)?;
        let tags = fields.texts("tags", property.tags)?;
        let profile_count = fields.integer("profileCount", property.profile_count)?;
        let created_at = fields.date("creationDate", property.creation_date)?;
        let modified_at = fields.date("lastModifiedDate", property.last_modified_date)?;
        into.rows
            .row(id.as_bytes(), modified_at, 14)
            .text(&id)
            .text_or_null(name.as_deref())
            .text_or_null(description.as_deref())
            .text_or_null(filter_type.as_deref())
            .int(precision)
            .text_or_null(currency.as_deref())
            .text_or_null(data_sensitivity.as_deref())
            .text_or_null(permission_level.as_deref())
            .text_or_null(merge_strategy.as_deref())
            .bool(indexed)
            .text_array(&tags)
            .bigint(profile_count)
            .timestamp(created_at)
            .timestamp(modified_at);
        Ok(())
    }
}
