//! A look-up of a profile by its id, and what its answer says.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::Fields;
use super::profile_row;
use crate::model::verdict::Verdict;

/// The path of a look-up by id, with a placeholder.
pub(super) const PATH: &str = "/profiles/{profileId}";
/// The fields without which a look-up says nothing.
pub(super) const FIELDS: [&str; 3] = ["id", "segments", "replacedBy"];
/// The OAuth scope of a look-up by id.
pub(super) const SCOPE: &str = "read:profiles";

/// The verdict from a profile that was looked up. A profile without segments is in none; witnesses show whether look-ups
/// return segments at all.
pub(super) fn judge(id: &str, segment: &str, bytes: &bytes::Bytes) -> Verdict {
    #[derive(Deserialize)]
    struct Found<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow, rename = "replacedBy")]
        replaced_by: Option<&'a RawValue>,
        #[serde(borrow)]
        replaces: Option<&'a RawValue>,
        #[serde(borrow)]
        segments: Option<&'a RawValue>,
    }
    let Ok(found) = serde_json::from_slice::<Found<'_>>(bytes) else {
        return Verdict::Kept;
    };
    let mut fields = Fields::default();
    let Ok(Some(answered)) = fields.text("id", found.id) else {
        return Verdict::Kept;
    };
    if answered != id {
        let Ok(replaced) = fields.texts("replaces", found.replaces) else {
            return Verdict::Kept;
        };
        let survivor = answered.into_owned();
        return match replaced.iter().any(|one| one == id) {
            _ if survivor.is_empty() => Verdict::Kept,
            true => Verdict::Merged { survivor },
            // A look-up may omit whom a profile replaces. A profile that lists others does not replace this one.
            false if replaced.is_empty() => Verdict::Redirected { survivor },
            false => Verdict::Kept,
        };
    }
    let Ok(replaced_by) = fields.text("replacedBy", found.replaced_by) else {
        return Verdict::Kept;
    };
    if let Some(survivor) = replaced_by.filter(|survivor| !survivor.is_empty()) {
        return Verdict::Merged {
            survivor: survivor.into_owned(),
        };
    }
    match profile_row::segment_ids(&mut fields, found.segments) {
        Ok(ids) if ids.iter().any(|one| one == segment) => Verdict::Missed(bytes.clone()),
        Ok(_) => Verdict::OutOfScope,
        Err(_) => Verdict::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_looked_up_profile_says_whether_it_is_missed_merged_or_elsewhere() {
        let judged = |json: &'static str| judge("a", "all", &bytes::Bytes::from_static(json.as_bytes()));
        assert!(matches!(
            judged(r#"{"id":"a","segments":[{"id":"x"},{"id":"all"}]}"#),
            Verdict::Missed(_)
        ));
        assert_eq!(judged(r#"{"id":"a","segments":[]}"#), Verdict::OutOfScope);
        assert_eq!(
            judged(r#"{"id":"a","replacedBy":"b"}"#),
            Verdict::Merged { survivor: "b".into() }
        );
        assert_eq!(
            judged(r#"{"id":"b","replaces":["x","a"],"segments":[]}"#),
            Verdict::Merged { survivor: "b".into() }
        );
        assert_eq!(judged(r#"{"id":"a"}"#), Verdict::OutOfScope);
        for redirected in [r#"{"id":"b","segments":[]}"#, r#"{"id":"b","replacedBy":"c"}"#] {
            assert_eq!(
                judged(redirected),
                Verdict::Redirected { survivor: "b".into() },
                "{redirected}"
            );
        }
        for unclear in [
            r#"{"id":"","segments":[]}"#,
            r#"{"id":"b","replaces":["c"],"segments":[{"id":"all"}]}"#,
            r#"{"replacedBy":"c"}"#,
            r#"{"id":"a","replacedBy":{}}"#,
            "{}",
            "[]",
            "<html>",
            r#"{"id":"a","segments":7}"#,
        ] {
            assert_eq!(judged(unclear), Verdict::Kept, "{unclear}");
        }
    }
}
