//! Segments: `GET /segments`, one row each.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::batch::Batch;
use crate::model::table::{Column, ColumnKind, Merge, Table};

use super::fields::{Fields, Raw};
use super::list::{self, List, ListResource, Problem};

/// The scope that covers segments and the profiles in them.
pub(super) const SCOPE: &str = "read:segments";
/// Where segments are read.
pub(super) const PATH: &str = "/segments";
/// The envelope's array.
pub(super) const ARRAY: &str = "segments";

static TABLE: Table = Table {
    name: "segments",
    columns: &[
        Column::new("id", ColumnKind::Text),
        Column::new("name", ColumnKind::Text),
        Column::new("description", ColumnKind::Text),
        Column::new("tags", ColumnKind::TextArray),
        Column::new("profile_count", ColumnKind::Bigint),
        Column::new("creator", ColumnKind::Text),
        Column::new("created_at", ColumnKind::Timestamptz),
        Column::new("modified_at", ColumnKind::Timestamptz),
        Column::new("inverse_of", ColumnKind::Text),
        Column::new("inversed_by", ColumnKind::Text),
    ],
    key: &["id"],
    merge: Merge::Upsert,
};

/// Segments as a resource.
pub(super) type Segments = ListResource<SegmentList>;

/// What is particular to segments.
pub(super) struct SegmentList;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    description: Raw<'a>,
    #[serde(borrow)]
    tags: Raw<'a>,
    #[serde(borrow)]
    profile_count: Raw<'a>,
    #[serde(borrow)]
    creator: Option<Person<'a>>,
    #[serde(borrow)]
    creation_date: Raw<'a>,
    #[serde(borrow)]
    last_modified_date: Raw<'a>,
    #[serde(borrow)]
    inverse_of: Raw<'a>,
    #[serde(borrow)]
    inversed_by: Raw<'a>,
}

/// Somebody at the tenant.
#[derive(Deserialize)]
struct Person<'a> {
    #[serde(borrow, rename = "userName")]
    user_name: Option<&'a RawValue>,
}

impl List for SegmentList {
    const TABLE: &'static Table = &TABLE;
    const PATH: &'static str = PATH;
    const ARRAY: &'static str = ARRAY;
    const SCOPE: &'static str = SCOPE;

    fn identity(element: &[u8]) -> Result<String, Problem> {
        list::identity(element)
    }

    fn row(element: &[u8], fields: &mut Fields, into: &mut Batch) -> Result<(), Problem> {
        let segment: Segment<'_> = serde_json::from_slice(element)?;
        let id = list::id_of(segment.id)?;
        let name = fields.text("name", segment.name)?;
        let description = fields.text("description", segment.description)?;
        let tags = fields.texts("tags", segment.tags)?;
        let profile_count = fields.integer("profileCount", segment.profile_count)?;
        let creator = fields.text(
            "creator.userName",
            segment.creator.and_then(|person| person.user_name),
        )?;
        let created_at = fields.date("creationDate", segment.creation_date)?;
        let modified_at = fields.date("lastModifiedDate", segment.last_modified_date)?;
        let inverse_of = fields.text("inverseOf", segment.inverse_of)?;
        let inversed_by = fields.text("inversedBy", segment.inversed_by)?;
        into.rows
            .row(id.as_bytes(), modified_at, 10)
            .text(&id)
            .text_or_null(name.as_deref())
            .text_or_null(description.as_deref())
            .text_array(&tags)
            .bigint(profile_count)
            .text_or_null(creator.as_deref())
            .timestamp(created_at)
            .timestamp(modified_at)
            .text_or_null(inverse_of.as_deref())
            .text_or_null(inversed_by.as_deref());
        Ok(())
    }
}
