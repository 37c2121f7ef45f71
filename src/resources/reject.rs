//! How an element that cannot be loaded is described for `sync.rejects`.

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
        element_id: None,
        reason: broken.reason,
        detail: broken.detail.clone(),
        raw: shown(&broken.head),
        raw_bytes: broken.length,
        sha256: broken.sha256,
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
