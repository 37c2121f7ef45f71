//! Hashes and drops the values of properties before anything of a profile is encoded, hashed for comparison or staged.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::personal_data::{Action, Treatment};

use super::property_order::{head, jsonb_order};

/// What is hashed to tell keys apart. No value of a property has a NUL.
const KEY_CHECK: &[u8] = b"\0blueconic-sync: which key is it";
/// What is hashed to make a seed.
const SEED: &[u8] = b"\0blueconic-sync: the seed of the hashes over elements";
/// The bytes of such a hash that are shown.
const CHECKED: usize = 8;

/// Hashes values with the key of the settings. It never reveals the key.
#[derive(Clone)]
pub(in crate::resources) struct ValueHasher(Hmac<Sha256>);

impl fmt::Debug for ValueHasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ValueHasher")
    }
}

impl ValueHasher {
    /// A hasher with this key.
    pub(in crate::resources) fn new(key: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
        let keyed = Hmac::new_from_slice(key).expect("a key of any length");
        Self(keyed)
    }

    fn code(&self, bytes: &[u8]) -> [u8; 32] {
        let mut keyed = self.0.clone();
        keyed.update(bytes);
        keyed.finalize().into_bytes().into()
    }

    /// The hash of a value, in hexadecimal digits.
    pub(super) fn hash(&self, value: &str) -> String {
        hex::encode(self.code(value.as_bytes()))
    }

    /// A secret for the seed of the hash over elements, so that nobody can test guesses of what was hashed or left out.
    pub(in crate::resources) fn seed(&self) -> String {
        hex::encode(self.code(SEED))
    }

    /// Tells this key apart from others.
    pub(in crate::resources) fn key_check(&self) -> String {
        hex::encode(&self.code(KEY_CHECK)[..CHECKED])
    }
}

/// What becomes of one property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    Hash,
    Drop,
    /// It is dropped only because nothing is known of it yet.
    DropUnknown,
}

/// A treatment, prepared for many profiles.
#[derive(Debug)]
pub(in crate::resources) struct Treating {
    /// The properties that the treatment names, in the order of their ids ([`jsonb_order`]).
    named: Vec<(u64, String, Fate)>,
    /// What becomes of all others.
    others: Fate,
    hasher: Option<ValueHasher>,
}

impl Treating {
    /// Prepares a treatment. Without a key, what is to be hashed is dropped.
    pub(in crate::resources) fn new(treatment: &Treatment, hasher: Option<ValueHasher>) -> Arc<Self> {
        let fate = |action: Action| match action {
            Action::Keep => Fate::Keep,
            Action::Hash if hasher.is_some() => Fate::Hash,
            Action::Hash | Action::Drop => Fate::Drop,
        };
        let actions = treatment.actions.iter().map(|(id, action)| (id, fate(*action)));
        let kept = treatment.kept.iter().flatten().map(|id| (id, Fate::Keep));
        let mut named: Vec<_> = kept
            .chain(actions)
            .map(|(id, fate)| (head(id.as_bytes()), id.clone(), fate))
            .collect();
        named.sort_by(|(_, one, _), (_, other, _)| jsonb_order(one).cmp(&jsonb_order(other)));
        Arc::new(Self {
            named,
            others: if treatment.kept.is_some() {
                Fate::DropUnknown
            } else {
                Fate::Keep
            },
            hasher,
        })
    }

    /// What becomes of a property, by its id and the number that [`head`] gives for it.
    pub(super) fn fate(&self, number: u64, id: &str) -> Fate {
        let found = self.named.binary_search_by(|(head, named, _)| {
            let by_head = head.cmp(&number);
            by_head.then_with(|| jsonb_order(named).cmp(&jsonb_order(id)))
        });
        found.map_or(self.others, |place| self.named[place].2)
    }

    /// The hash of a value; none without a key.
    pub(super) fn hash(&self, value: &str) -> Option<String> {
        self.hasher.as_ref().map(|hasher| hasher.hash(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn it_is_the_hmac_that_others_compute() {
        let hasher = ValueHasher::new(b"Jefe");
        assert_eq!(
            hasher.hash("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(format!("{hasher:?}"), "ValueHasher");
    }
}
