//! The cursor of the next page: as in the document's example, base64 of a sort value and the id of
//! the last profile. A client must return it unchanged; every other text is refused. A scan of the store has a cursor of another
//! form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::identity::{Identities, mix};

/// Makes the text begin with `AoJ`, as in the example.
const HEAD: [u8; 3] = [0x02, 0x82, 0x72];
const BETWEEN: [u8; 2] = [0x3f, 0x05];
/// The first digits of a cursor of the store.
const SCAN_HEAD: &str = "0008";

/// The cursor of a page that begins after the profile at this position.
pub(crate) fn after(identities: Identities, position: u64) -> String {
    encode(identities, position ^ salt(identities), position)
}

fn encode(identities: Identities, sort_value: u64, position: u64) -> String {
    let mut bytes = Vec::with_capacity(49);
    bytes.extend(HEAD);
    bytes.extend(sort_value.to_be_bytes());
    bytes.extend(BETWEEN);
    bytes.extend(identities.write(position));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position at which a page begins; `None`: not a cursor of this tenant.
pub(crate) fn start(identities: Identities, cursor: &str) -> Option<u64> {
    if cursor == "*" {
        return Some(0);
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let sort_value = bytes.get(3..11)?.try_into().ok()?;
    let position = u64::from_be_bytes(sort_value) ^ salt(identities);
    (after(identities, position) == cursor).then_some(position.checked_add(1)?)
}

/// Makes the sort values of two tenants differ.
fn salt(identities: Identities) -> u64 {
    mix(u64::from(identities.write(0)[0]))
}

/// A cursor of a tenant with two read paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// The first page.
    Start,
    /// After this token of the store.
    Scan(i64),
    /// After this sort value and profile of the search index.
    Index { sort: i64, position: u64 },
}

/// The cursor of a page that begins after this place in the order of the search index.
pub(crate) fn of_index(identities: Identities, sort: i64, position: u64) -> String {
    encode(identities, sort.cast_unsigned(), position)
}

/// The cursor of a page that begins after this token of the store: the hex digits of a head, the token and a checksum.
pub(crate) fn of_scan(identities: Identities, token: i64) -> String {
    let token = token.cast_unsigned();
    let checksum = mix(token ^ salt(identities)) >> 48;
    format!("{SCAN_HEAD}{token:016x}{checksum:04x}")
}

/// The cursor behind a text; `None`: not a cursor of this tenant.
pub(crate) fn read(identities: Identities, text: &str) -> Option<Cursor> {
    if text == "*" {
        return Some(Cursor::Start);
    }
    if let Some(token) = text.strip_prefix(SCAN_HEAD).and_then(|rest| rest.get(..16)) {
        let token = u64::from_str_radix(token, 16).ok()?.cast_signed();
        return (of_scan(identities, token) == text).then_some(Cursor::Scan(token));
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let sort = i64::from_be_bytes(bytes.get(3..11)?.try_into().ok()?);
    let id = std::str::from_utf8(bytes.get(13..)?).ok()?;
    let position = identities.position(id)?;
    (of_index(identities, sort, position) == text).then_some(Cursor::Index { sort, position })
}

/// The cursor of a page of groups that begins after this date and id.
pub(crate) fn of_group(date: i64, id: &str) -> String {
    let mut bytes = Vec::with_capacity(49);
    bytes.extend(HEAD);
    bytes.extend(date.to_be_bytes());
    bytes.extend(BETWEEN);
    bytes.extend(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The date and the id behind a cursor of groups; `None`: not such a cursor.
pub(crate) fn read_group(text: &str) -> Option<(i64, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let date = i64::from_be_bytes(bytes.get(3..11)?.try_into().ok()?);
    let id = String::from_utf8(bytes.get(13..)?.to_vec()).ok()?;
    (of_group(date, &id) == text).then_some((date, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_behind_its_profile_and_a_broken_one_nowhere() {
        let identities = Identities::new(3);
        let cursor = after(identities, 41);
        assert!(cursor.starts_with("AoJ"), "{cursor}");
        assert_eq!(start(identities, &cursor), Some(42));
        assert_eq!(start(identities, "*"), Some(0));
        assert_eq!(start(identities, ""), None);
        assert_eq!(start(identities, &cursor[1..]), None);
        assert_eq!(start(identities, &format!("{cursor}A")), None);
        assert_eq!(start(Identities::new(4), &cursor), None);
    }

    #[test]
    fn each_read_path_knows_its_cursors() {
        let identities = Identities::new(3);
        let (scan, index) = (
            of_scan(identities, -7),
            of_index(identities, -1_700_000_000_000, 41),
        );
        let sort = -1_700_000_000_000;
        assert_eq!(read(identities, &scan), Some(Cursor::Scan(-7)));
        assert_eq!(
            read(identities, &index),
            Some(Cursor::Index { sort, position: 41 })
        );
        assert_eq!(read(identities, "*"), Some(Cursor::Start));
        for broken in [
            "",
            "0008",
            &scan[1..],
            &index[1..],
            &format!("{scan}0"),
            &scan.to_uppercase().replace('F', "G"),
        ] {
            assert_eq!(read(identities, broken), None, "{broken}");
        }
        assert_eq!(read(Identities::new(4), &scan), None);
        assert_eq!(read(Identities::new(4), &index), None);
    }
}
