//! The tenant's counts of profiles by segment: in the listing of segments, and in the envelope of a segment's profiles.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::page::Request;
use crate::model::ports::SegmentCounter;
use crate::model::segment::SegmentCount;

use super::fields::Fields;
use super::identity::id_of;
use super::lists::SEGMENTS;
use super::segment_profiles::{ARRAYS, is_addressable, path_of};

/// Reads the tenant's counts of profiles.
pub(super) struct ProfileSegmentCounter;

impl SegmentCounter for ProfileSegmentCounter {
    fn segment(&self, element: &[u8]) -> Option<SegmentCount> {
        segment_count(element)
    }

    /// Requests one profile with one property; the count is in the envelope.
    fn profiles_in(&self, segment: &str) -> Option<Request> {
        is_addressable(segment).then(|| Request {
            path: path_of(segment),
            query: vec![
                ("cursor", "*".to_owned()),
                ("count", "1".to_owned()),
                ("profileProperty", "lastmodifieddate".to_owned()),
            ],
            arrays: ARRAYS,
            scope: SEGMENTS.oauth_scope,
        })
    }
}

/// The id, name and profile count of a segment; none without an id.
pub(super) fn segment_count(element: &[u8]) -> Option<SegmentCount> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Counted<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        name: Option<&'a RawValue>,
        #[serde(borrow)]
        profile_count: Option<&'a RawValue>,
    }
    let segment: Counted<'_> = serde_json::from_slice(element).ok()?;
    let mut fields = Fields::default();
    let id = id_of(segment.id).ok()?;
    let name = fields.text("name", segment.name).ok().flatten();
    let count = fields
        .integer("profileCount", segment.profile_count)
        .ok()
        .flatten();
    Some(SegmentCount {
        id,
        name: name.unwrap_or_default().into_owned(),
        profile_count: count.and_then(|count| u64::try_from(count).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_read_with_whatever_count_it_has() {
        let read =
            |json: &str| segment_count(json.as_bytes()).map(|one| (one.id, one.name, one.profile_count));
        let segment = |name: &str, count| Some(("s".to_owned(), name.to_owned(), count));
        assert_eq!(
            read(r#"{"id":"s","name":"All","profileCount":5}"#),
            segment("All", Some(5))
        );
        assert_eq!(read(r#"{"id":"s","profileCount":"50"}"#), segment("", Some(50)));
        assert_eq!(
            read(r#"{"id":"s","name":"x","profileCount":-1}"#),
            segment("x", None)
        );
        assert_eq!(read(r#"{"name":"x"}"#), None);
        assert_eq!(read("<html>"), None);
    }
}
