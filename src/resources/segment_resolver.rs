//! Chooses the segment that is walked: the configured one; if the tenant does not list it, the segment of the last walk;
//! otherwise the one with the largest `profileCount`, which may lag or be absent.

use std::collections::BTreeMap;

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::page::{Request, halved};
use crate::model::ports::SegmentResolver;
use crate::model::segment::{Choice, SegmentCount};

use super::lists::SEGMENTS;
use super::{list, segment_counter};

/// Segments per page.
const PAGE_SIZE: u32 = 1000;
/// The most characters of a name in the notice.
const LONGEST_NAME: usize = 100;

/// Finds the segment that holds all profiles.
pub(super) struct ProfileSegmentResolver {
    wanted: String,
    configured: String,
    found: bool,
    /// Name and count of the listed segments by id, so that the choice between two of the same size does not depend on the
    /// order of the listing.
    listed: BTreeMap<String, (String, u64)>,
}

impl ProfileSegmentResolver {
    /// Looks for the `wanted` segment.
    pub(super) fn new(wanted: &str, configured: &str) -> Self {
        Self {
            wanted: wanted.to_owned(),
            configured: configured.to_owned(),
            found: false,
            listed: BTreeMap::new(),
        }
    }

    fn other(&self, id: &str, why: &str) -> Choice {
        let (name, count) = self.listed.get(id).cloned().unwrap_or_default();
        let notice = format!(
            "the tenant has no segment `{}`; reading profiles from {why}, `{id}` ({name}, {count} profiles)",
            self.wanted
        );
        Choice {
            segment: id.to_owned(),
            is_wanted: false,
            is_configured: id == self.configured,
            notice: Some(notice),
        }
    }
}

impl SegmentResolver for ProfileSegmentResolver {
    fn request(&self, start_index: u64, shrink: u32) -> Request {
        let count = halved(PAGE_SIZE, shrink);
        list::page(&SEGMENTS, start_index, count)
    }

    fn take(&mut self, element: &[u8]) {
        let Some(SegmentCount {
            id,
            name,
            profile_count,
        }) = segment_counter::segment_count(element)
        else {
            return;
        };
        self.found |= id == self.wanted;
        let name = name.chars().take(LONGEST_NAME).collect();
        self.listed.insert(id, (name, profile_count.unwrap_or(0)));
    }

    fn resolve(self: Box<Self>, last: Option<&str>) -> Outcome<Choice> {
        if self.found {
            return Ok(Choice {
                is_wanted: true,
                is_configured: self.wanted == self.configured,
                segment: self.wanted,
                notice: None,
            });
        }
        if let Some(last) = last.filter(|last| self.listed.contains_key(*last)) {
            return Ok(self.other(last, "that of the last walk"));
        }
        let largest = self.listed.iter().filter(|(_, (_, count))| *count > 0);
        // Of several with the same count, the first by id.
        let largest = largest.rev().max_by_key(|(_, (_, count))| *count);
        let Some((id, _)) = largest else {
            return Err(Fault::new(
                Kind::Final,
                format!("there is no segment `{}` to read profiles from", self.wanted),
            )
            .because("the tenant's list of segments has no such id, and none with a `profileCount`")
            .hint("set `resources.profiles.segment` to the id of the segment that holds all visitors"));
        };
        Ok(self.other(&id.clone(), "its largest one"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    fn chosen(listed: &[&str], last: Option<&str>) -> Outcome<Choice> {
        let mut choice = ProfileSegmentResolver::new("allvisitors", "allvisitors");
        for element in listed {
            choice.take(element.as_bytes());
        }
        Box::new(choice).resolve(last)
    }

    #[test]
    fn the_largest_segment_stands_in_for_a_missing_one() {
        let listed = [
            r#"{"id":"s1","profileCount":5}"#,
            r#"{"id":"s3","name":"As large","profileCount":50}"#,
            r#"{"id":"s2","name":"Everyone","profileCount":"50"}"#,
            r#"{"id":"s4"}"#,
        ];
        let choice = chosen(&listed, Some("gone")).unwrap();
        assert_eq!((choice.segment.as_str(), choice.is_wanted), ("s2", false));
        assert!(choice.notice.unwrap().contains("Everyone"));
        assert!(chosen(&[], None).is_err());
        assert!(chosen(&[r#"{"id":"s4"}"#], None).is_err());
    }

    #[test]
    fn the_segment_of_the_last_walk_comes_before_larger_ones_and_after_the_wanted_one() {
        let listed = [
            r#"{"id":"s1","profileCount":50}"#,
            r#"{"id":"s2"}"#,
            r#"{"id":"allvisitors"}"#,
        ];
        assert_eq!(chosen(&listed[..2], Some("s2")).unwrap().segment, "s2");
        let choice = chosen(&listed, Some("s2")).unwrap();
        assert_eq!((choice.segment.as_str(), choice.is_wanted), ("allvisitors", true));
    }
}
