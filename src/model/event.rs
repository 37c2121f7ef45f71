//! The identity of an audit event. The tenant gives events no id, and renames values of their fields from one release to
//! the next.

use super::Time;

/// The fields whose values may be renamed, in the order of [`EventIdentity::fields`].
pub const FIELDS: [&str; 5] = [
    "application",
    "user_name",
    "object_type",
    "operation",
    "ip_address",
];

/// The key of an event.
pub type EventKey = [u8; 32];

/// An event of the tenant, or a stored one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventIdentity {
    /// The key over all of it.
    pub key: EventKey,
    /// Its number among equal ones.
    pub occurrence: i32,
    /// Its date in the resolution of the table (microseconds).
    pub at: Time,
    /// Its fields, in the order of [`FIELDS`].
    pub fields: [Option<String>; 5],
    /// The ids of its objects, in order.
    pub objects: Vec<Option<String>>,
}

/// A value that the tenant writes in place of another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rename {
    /// Which of [`FIELDS`].
    pub field: usize,
    /// The former value.
    pub old: Option<String>,
    /// The new value.
    pub new: Option<String>,
}

impl Rename {
    /// Whether it reverses another rename.
    pub fn is_reverse_of(&self, other: &Self) -> bool {
        self.field == other.field && self.old == other.new && self.new == other.old
    }

    /// One sentence about the rename. Values that may name a person, or that are longer than a word, are left out.
    pub fn sentence(&self) -> String {
        let is_word = |value: &str| {
            value.len() <= 80
                && value
                    .chars()
                    .all(|one| one.is_ascii_alphanumeric() || "_- ".contains(one))
        };
        let spoken = |value: &Option<String>| match value.as_deref() {
            None => Some("no value".to_owned()),
            Some(value) if is_word(value) => Some(format!("`{value}`")),
            Some(_) => None,
        };
        let names_persons = matches!(self.field_name(), "user_name" | "ip_address");
        let words = spoken(&self.old)
            .zip(spoken(&self.new))
            .filter(|_| !names_persons);
        let what = words.map_or_else(
            || "another value than before".to_owned(),
            |(old, new)| format!("{new} where it wrote {old}"),
        );
        format!(
            "the tenant writes {what} in `{}` of audit events, in stored ones too: they stay as they are and are not stored \
             again; sync.audit_renames holds it",
            self.field_name()
        )
    }

    /// The field's name.
    pub fn field_name(&self) -> &'static str {
        FIELDS[self.field]
    }
}

/// The keys under which a staged event with a renamed value may be stored already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlternateKeys {
    /// The key with the event's own values.
    pub key: EventKey,
    /// Its number among equal ones.
    pub occurrence: i32,
    /// The keys with older values; an event that is not stored yet gets the last one.
    pub older: Vec<EventKey>,
}

/// The key that an earlier release gave a staged event whose date is finer than a millisecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerKey {
    /// The key of the earlier release.
    pub former: EventKey,
    /// The key of this release.
    pub key: EventKey,
    /// Its number among equal ones.
    pub occurrence: i32,
    /// Its date.
    pub at: Time,
}
