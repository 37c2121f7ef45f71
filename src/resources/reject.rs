//! How an element that cannot be loaded is described for `sync.rejects`.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use sha2::{Digest, Sha256};

use crate::model::batch::Reject;
use crate::model::page::{Broken, RejectReason};

/// How much of an element is kept.
const RAW_LIMIT: usize = 64 * 1024;

/// A reject for an element that was cut off whole.
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

/// A reject for an element that the reader could not cut off, or found too large.
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

/// The element's id, if it stands before the place where the element goes wrong: it closes the reject when the element
/// loads after all, and keeps the element's row from the sweep meanwhile.
fn readable_id(head: &[u8]) -> Option<String> {
    let mut found = None;
    // It ends in an error wherever the element breaks off; what was found before that counts.
    let _broken_off = serde_json::Deserializer::from_slice(head).deserialize_map(TopLevelId(&mut found));
    found.filter(|id| !id.is_empty() && !id.contains('\0'))
}

/// Notes the value of `id` as soon as it has been read.
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

/// The head of the bytes as a text that PostgreSQL can store, at most [`RAW_LIMIT`] bytes long.
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
