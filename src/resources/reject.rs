//! Describes an element that cannot be loaded, for `sync.rejects`.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use sha2::{Digest, Sha256};

use crate::model::batch::Reject;
use crate::model::page::{Broken, RejectReason};
use crate::model::personal_data::WITHHELD;

/// The most bytes of an element that are stored.
const RAW_LIMIT: usize = 64 * 1024;

/// The reject for a whole element.
pub(super) fn whole(
    element: &[u8],
    element_id: Option<String>,
    reason: RejectReason,
    detail: String,
) -> Reject {
    Reject {
        element_id,
        reason,
        detail,
        raw: shown(element),
        raw_bytes: element.len() as u64,
        sha256: Sha256::digest(element).into(),
    }
}

/// The reject for an element that the reader could not cut off, or that is too large.
pub(super) fn broken(broken: &Broken) -> Reject {
    Reject {
        element_id: readable_id(&broken.head),
        reason: broken.reason,
        detail: broken.detail.clone(),
        raw: shown(&broken.head),
        raw_bytes: broken.length,
        sha256: broken.sha256,
    }
}

/// The reject without anything that may be a value of a property: neither the element nor the words of its error.
pub(super) fn withheld(reject: Reject) -> Reject {
    Reject {
        detail: WITHHELD.to_owned(),
        raw: String::new(),
        ..reject
    }
}

/// The element's id, if it comes before the element's error. With the id, the reject is closed once the element loads, and
/// the sweep keeps the element's row until then.
fn readable_id(head: &[u8]) -> Option<String> {
    let mut found = None;
    // Parsing ends with the element's error; an id that was found before it counts.
    let _broken_off = serde_json::Deserializer::from_slice(head).deserialize_map(TopLevelId(&mut found));
    found.filter(|id| !id.is_empty() && !id.contains('\0'))
}

/// Stores the value of `id` as soon as it was read.
struct TopLevelId<'found>(&'found mut Option<String>);

impl<'de> Visitor<'de> for TopLevelId<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "id" {
                *self.0 = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The start of the bytes as text that PostgreSQL can store, at most [`RAW_LIMIT`] bytes.
fn shown(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(RAW_LIMIT)];
    let mut text = String::from_utf8_lossy(head).replace('\0', "\u{fffd}");
    if text.len() > RAW_LIMIT {
        let end = (0..=RAW_LIMIT)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_far_as_the_element_can_be() {
        let id = |head: &str| readable_id(head.as_bytes());
        assert_eq!(id(r#"{"id":"a","values":[tru]}"#).as_deref(), Some("a"));
        assert_eq!(
            id(r#"{"list":[{"id":"inner"}],"id":"a","text":"cut o"#).as_deref(),
            Some("a")
        );
        for without in [
            r#"{"list":[{"id":"inner"}]"#,
            r#"{"id":"cut o"#,
            r#"{"id":7}"#,
            r#"{"id":""}"#,
            "[",
            "",
        ] {
            assert_eq!(id(without), None, "{without}");
        }
    }
}
