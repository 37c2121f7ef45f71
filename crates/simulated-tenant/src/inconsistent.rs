//! Complete, well-formed pages with wrong content: too short, with a wrong total, without the cursor
//! of the next page. A faulty server may send them, and one page alone does not show the fault.

use axum::body::{Body, to_bytes};
use axum::http::header;
use axum::response::Response;
use serde_json::Value;

use crate::faults::Inconsistency;

/// The arrays of the listings.
const ARRAYS: [&str; 3] = ["profiles", "segments", "profileProperties"];

/// The page with the ordered inconsistency; an answer that is no page stays unchanged.
pub(crate) async fn inconsistent(response: Response, inconsistency: Inconsistency) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let Some(page) = page(&whole, inconsistency) else {
        return Response::from_parts(parts, whole.into());
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, page.into())
}

fn page(whole: &[u8], inconsistency: Inconsistency) -> Option<String> {
    let mut page: Value = serde_json::from_slice(whole).ok()?;
    let members = page.as_object_mut()?;
    let array = ARRAYS.iter().find(|array| members.contains_key(**array))?;
    let elements = members.get_mut(*array)?.as_array_mut()?;
    let is_hidden = |element: &Value| inconsistency.hides.is_some_and(|id| element["id"] == id);
    let before = elements.len();
    elements.retain(|element| !is_hidden(element));
    let hidden = before - elements.len();
    elements.truncate(elements.len().saturating_sub(inconsistency.short_by));
    if let Some(total) = members.get("totalResults").and_then(Value::as_i64) {
        let off = inconsistency.total_off - i64::try_from(hidden).unwrap_or(0);
        let total = if inconsistency.no_total {
            (-1).into()
        } else {
            (total + off).max(0).into()
        };
        members.insert("totalResults".to_owned(), total);
    }
    if inconsistency.no_next {
        members.remove("nextCursor");
    }
    Some(page.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_inconsistent_as_ordered_and_nothing_else_is() {
        let whole = br#"{"totalResults":9,"nextCursor":"c","profiles":[{"id":"a"},{"id":"b"}]}"#;
        let altered = |inconsistency| page(whole, inconsistency).unwrap_or_default();
        assert_eq!(
            altered(Inconsistency {
                short_by: 1,
                total_off: -2,
                no_next: false,
                ..Inconsistency::default()
            }),
            r#"{"nextCursor":"c","profiles":[{"id":"a"}],"totalResults":7}"#
        );
        assert_eq!(
            altered(Inconsistency {
                short_by: usize::MAX,
                total_off: -20,
                no_next: true,
                ..Inconsistency::default()
            }),
            r#"{"profiles":[],"totalResults":0}"#
        );
        assert_eq!(
            altered(Inconsistency {
                hides: Some("a"),
                ..Inconsistency::default()
            }),
            r#"{"nextCursor":"c","profiles":[{"id":"b"}],"totalResults":8}"#
        );
        assert_eq!(page(br#"{"message":"no"}"#, Inconsistency::default()), None);
        assert_eq!(page(b"<html>", Inconsistency::default()), None);
    }
}
