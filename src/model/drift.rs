//! Drift: the differences between the API as this program uses it and the API as a tenant's own document describes it. A usage
//! says what a resource needs of the API; a finding is one difference.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Time;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// What the program uses is gone: a resource cannot be read as before, or a column gets no more values.
    Breaks,
    /// A column or a table stays empty until the tenant is upgraded, since its release is older than the descriptions of this program.
    /// Also something that the document no longer mentions in its prose, where a text may merely be worded in another way.
    Loses,
    /// Nothing is lost.
    Note,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Breaks, Self::Loses, Self::Note];

    /// The word in `sync.drift.severity`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breaks => "breaks",
            Self::Loses => "loses",
            Self::Note => "note",
        }
    }
}

/// What kind of difference a finding is; the words of `sync.drift.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// A path that is read is not in the document.
    MissingPath,
    /// A query parameter that is sent is not declared.
    MissingParameter,
    /// A value that is sent in a query parameter is not documented.
    MissingOption,
    /// The envelope has none of the arrays that may hold the elements.
    MissingArray,
    /// The envelope has another array in place of the one that is read.
    RenamedArray,
    /// A field that fills a column is not in the document.
    MissingField,
    /// The document asks for another OAuth scope than the one that messages name.
    OtherScope,
    /// A field of an element that no column reads.
    UnknownField,
    /// A value that this program does not know, of a field whose values it knows.
    UnknownValue,
    /// A list that no resource reads.
    UnreadPath,
    /// The document got a path that can be read.
    NewPath,
    /// The document lost a path.
    GonePath,
    /// An operation got a query parameter.
    NewParameter,
    /// An operation lost a query parameter.
    GoneParameter,
    /// An operation got a field.
    NewField,
    /// An operation lost a field.
    GoneField,
    /// A field got a value.
    NewValue,
    /// A field lost a value.
    GoneValue,
    /// A field lost one value and got another one.
    RenamedValue,
}

impl DriftKind {
    /// The word in `sync.drift.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingPath => "missing_path",
            Self::MissingParameter => "missing_parameter",
            Self::MissingOption => "missing_option",
            Self::MissingArray => "missing_array",
            Self::RenamedArray => "renamed_array",
            Self::MissingField => "missing_field",
            Self::OtherScope => "other_scope",
            Self::UnknownField => "unknown_field",
            Self::UnknownValue => "unknown_value",
            Self::UnreadPath => "unread_path",
            Self::NewPath => "new_path",
            Self::GonePath => "gone_path",
            Self::NewParameter => "new_parameter",
            Self::GoneParameter => "gone_parameter",
            Self::NewField => "new_field",
            Self::GoneField => "gone_field",
            Self::NewValue => "new_value",
            Self::GoneValue => "gone_value",
            Self::RenamedValue => "renamed_value",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of difference it is.
    pub kind: DriftKind,
    /// The resource; empty for an operation that no resource reads.
    pub resource: String,
    /// The path of the operation, as the document writes it.
    pub path: String,
    /// The parameter, array or field, and the value if there is one (`FIELD = VALUE`); empty for a path.
    pub name: String,
    /// What follows from it, for a person.
    pub detail: String,
}

/// What a resource uses of one operation of the API.
#[derive(Debug, Clone)]
pub struct Usage {
    /// The resource.
    pub resource: &'static str,
    /// Whether the settings enable it. What a resource that is off lacks is only a note.
    pub enabled: bool,
    /// Whether the service cannot do its work without the operation: true for profiles and audit events. A plain list may belong to
    /// a later release than the tenant's.
    pub essential: bool,
    /// The path below the API, with placeholders.
    pub path: String,
    /// The OAuth scope.
    pub scope: &'static str,
    /// The query parameters that are sent, with their values.
    pub query: Vec<(&'static str, String)>,
    /// The keys of the envelope that may hold the elements; none for a single object.
    pub arrays: &'static [&'static str],
    /// The path of another operation that answers with the same element; its fields count, too, since the document may describe some
    /// of them there alone.
    pub twin: Option<&'static str>,
    /// The fields of the envelope that are needed.
    pub envelope: &'static [&'static str],
    /// The fields of an element that are read.
    pub fields: Vec<UsedField>,
    /// What happens to fields that are not read.
    pub rest: Rest,
    /// The fields whose values are known.
    pub values: &'static [KnownValues],
}

/// What happens to the fields of an element that are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// The column `body` keeps the whole element.
    Kept,
    /// They are not stored.
    Dropped,
    /// Another usage of the same element tells of them.
    Untold,
}

/// A field that is read.
#[derive(Debug, Clone)]
pub struct UsedField {
    /// Its path in the element, such as `creator.userName`; several where the vendor spells it in more than one way.
    pub paths: Vec<String>,
    /// What it is for.
    pub role: Role,
}

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Elements cannot be read without it.
    Key,
    /// It fills a column, or a table of its own.
    Fills(&'static str),
    /// It tells which elements belong to another list. Before the tenant had that list, there was no such field.
    Owner,
}

impl UsedField {
    /// Its spellings.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }
}

/// The known values of a field.
#[derive(Debug, Clone, Copy)]
pub struct KnownValues {
    /// Its path in the element.
    pub field: &'static str,
    /// The values, sorted.
    pub values: &'static [&'static str],
}

impl KnownValues {
    /// Whether a value is known.
    pub fn knows(&self, value: &str) -> bool {
        self.values.binary_search(&value).is_ok()
    }
}

/// The most different names that are counted for one run; elements may have any number.
const MOST_NAMES: usize = 100;
/// The longest name that is counted, in bytes.
const LONGEST_NAME: usize = 200;

/// How often elements had a field or a value that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownCounts {
    by_kind: BTreeMap<DriftKind, BTreeMap<String, u64>>,
    names: usize,
}

impl UnknownCounts {
    /// Counts a field or a value. Names beyond the first hundred are left out, and very long ones.
    pub fn count(&mut self, kind: DriftKind, name: &str) {
        self.add(kind, name, 1);
    }

    fn add(&mut self, kind: DriftKind, name: &str, times: u64) {
        let of_kind = self.by_kind.entry(kind).or_default();
        if let Some(count) = of_kind.get_mut(name) {
            *count += times;
        } else if self.names < MOST_NAMES && name.len() <= LONGEST_NAME {
            of_kind.insert(name.to_owned(), times);
            self.names += 1;
        }
    }

    /// Adds the counts of a part of a run.
    pub fn merge(&mut self, others: &Self) {
        for (kind, name, times) in others.iter() {
            self.add(kind, name, times);
        }
    }

    /// Each kind and name with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DriftKind, &str, u64)> {
        self.by_kind
            .iter()
            .flat_map(|(kind, names)| names.iter().map(|(name, count)| (*kind, name.as_str(), *count)))
    }

    /// Whether nothing was counted.
    pub const fn is_empty(&self) -> bool {
        self.names == 0
    }
}

/// What is known of the drift of a tenant, for the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftStatus {
    /// The tenant's release, as its document says.
    pub release: Option<String>,
    /// When the document was last read.
    pub read_at: Time,
    /// What the document lacks that is used.
    pub breaks: i64,
    /// What the document does not have yet.
    pub loses: i64,
    /// What else differs.
    pub notes: i64,
    /// The different fields and values in elements that neither this program nor the document knows.
    pub unknown_in_data: i64,
    /// What breaks and what stays empty, the worst first; at most 100.
    pub findings: Vec<OpenFinding>,
}

/// A finding of the last document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "each column of sync.drift has its comment in the database"
)]
pub struct OpenFinding {
    pub severity: String,
    pub kind: String,
    pub resource: String,
    pub path: String,
    pub name: String,
    pub detail: String,
    pub first_seen_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_counted_up_to_a_bound() {
        let mut counts = UnknownCounts::default();
        assert!(counts.is_empty());
        counts.count(DriftKind::UnknownField, &"x".repeat(LONGEST_NAME + 1));
        assert!(counts.is_empty());
        let mut part = UnknownCounts::default();
        for number in 0..2 * MOST_NAMES {
            part.count(DriftKind::UnknownValue, &number.to_string());
        }
        counts.count(DriftKind::UnknownValue, "7");
        counts.merge(&part);
        counts.merge(&part);
        assert_eq!(counts.iter().count(), MOST_NAMES);
        let seven = counts.iter().find(|(_, name, _)| *name == "7");
        assert_eq!(seven, Some((DriftKind::UnknownValue, "7", 3)));
    }
}
