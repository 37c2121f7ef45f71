//! The cursor of the next page: as in the document's example, base64 of a sort value and the id of
//! the last profile. A client must return it unchanged; every other text is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::identity::{Identities, mix};

/// Makes the text begin with `AoJ`, as in the example.
const HEAD: [u8; 3] = [0x02, 0x82, 0x72];
const BETWEEN: [u8; 2] = [0x3f, 0x05];

/// The cursor of a page that begins after the profile at this position.
pub(crate) fn after(identities: Identities, position: u64) -> String {
    let mut bytes = Vec::with_capacity(49);
    bytes.extend(HEAD);
    bytes.extend((position ^ salt(identities)).to_be_bytes());
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
}
