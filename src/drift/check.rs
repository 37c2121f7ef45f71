//! Compares what the program uses with what a tenant's document has. What is used and missing breaks something, or stays empty
//! where the tenant's release is older than the descriptions of this program. What is there and not used is a note.

use std::collections::BTreeSet;

use super::api::{Api, Operation};
use super::release;
use crate::model::drift::{DriftKind, Finding, Rest, Role, Severity, Usage, UsedField};

/// Compares the usages of all resources with a document. `known_release` is the release of the document that the usages follow.
/// The worst findings come first.
pub fn check(usages: &[Usage], api: &Api, known_release: &str) -> Vec<Finding> {
    let is_behind = release::is_older(api.release.as_deref(), known_release);
    let mut findings = Vec::new();
    let mut read = BTreeSet::new();
    for usage in usages {
        let twin = usage.twin.and_then(|path| api.find(path));
        let mut checked = Checked {
            usage,
            twin: twin.map(|(_, operation)| operation),
            path: &usage.path,
            is_behind,
            findings: Vec::new(),
        };
        match api.find(&usage.path) {
            Some((path, operation)) => {
                read.insert(path);
                checked.path = path;
                checked.operation(operation);
            }
            None => checked.missing_path(),
        }
        findings.append(&mut checked.findings);
    }
    findings.extend(unread(api, &read));
    findings.sort();
    findings.dedup();
    findings
}

/// The lists of a document that nobody reads.
fn unread<'a>(api: &'a Api, read: &'a BTreeSet<&str>) -> impl Iterator<Item = Finding> {
    let others = api.operations.iter().filter(|(path, operation)| {
        !read.contains(path.as_str())
            && !operation.fields.contains_key("id")
            && lists(operation).next().is_some()
    });
    others.map(|(path, _)| Finding {
        severity: Severity::Note,
        kind: DriftKind::UnreadPath,
        resource: String::new(),
        path: path.clone(),
        name: String::new(),
        detail: "a list that no resource reads".to_owned(),
    })
}

/// The arrays of an answer whose elements are objects.
pub(super) fn lists(operation: &Operation) -> impl Iterator<Item = &str> {
    let arrays = operation.arrays.iter().map(String::as_str);
    arrays.filter(|array| *array != "links" && operation.below(Some(array)).next().is_some())
}

/// A usage beside the operation that serves it.
struct Checked<'a> {
    usage: &'a Usage,
    twin: Option<&'a Operation>,
    path: &'a str,
    is_behind: bool,
    findings: Vec<Finding>,
}

impl Checked<'_> {
    fn find(&mut self, severity: Severity, kind: DriftKind, name: &str, detail: String) {
        self.findings.push(Finding {
            severity,
            kind,
            resource: self.usage.resource.to_owned(),
            path: self.path.to_owned(),
            name: name.to_owned(),
            detail,
        });
    }

    /// The severity of what is missing and needed; a resource that is off needs nothing.
    fn needed(&self) -> Severity {
        if self.usage.enabled {
            Severity::Breaks
        } else {
            Severity::Note
        }
    }

    /// The severity of what is missing, where it may be of a later release than the tenant's.
    fn awaited(&self) -> Severity {
        match self.needed() {
            Severity::Breaks if self.is_behind => Severity::Loses,
            severity => severity,
        }
    }

    /// The severity of a missing path or parameter.
    fn of_operation(&self) -> Severity {
        if self.usage.essential {
            self.needed()
        } else {
            self.awaited()
        }
    }

    fn missing_path(&mut self) {
        let detail = match self.of_operation() {
            Severity::Loses => "the table stays empty until the tenant's release has this list",
            Severity::Breaks => "it cannot be read",
            Severity::Note => "it could not be read, but it is off",
        };
        self.find(self.of_operation(), DriftKind::MissingPath, "", detail.to_owned());
    }

    fn operation(&mut self, operation: &Operation) {
        self.query(operation);
        let scopes = &operation.scopes;
        if !scopes.is_empty() && !scopes.contains(self.usage.scope) {
            let detail = format!("messages of this program name `{}`", self.usage.scope);
            let named: Vec<&str> = scopes.iter().map(String::as_str).collect();
            self.find(Severity::Note, DriftKind::OtherScope, &named.join(" "), detail);
        }
        if operation.fields.is_empty() {
            // The document says nothing about the answer.
            return;
        }
        for name in self.usage.envelope {
            if !operation.is_cut && !operation.fields.contains_key(*name) {
                let detail = "the listing cannot be followed without it".to_owned();
                self.find(self.needed(), DriftKind::MissingField, name, detail);
            }
        }
        if let Some(elements) = self.elements(operation) {
            let mut described = elements.clone();
            described.extend(self.twin.into_iter().flat_map(|twin| twin.below(None)));
            let is_cut = operation.is_cut || self.twin.is_some_and(|twin| twin.is_cut);
            self.used_fields(&described, is_cut);
            self.unknown_fields(&elements);
            self.unknown_values(&elements);
        }
    }

    fn query(&mut self, operation: &Operation) {
        let mut named = BTreeSet::new();
        for (name, value) in &self.usage.query {
            match operation.parameters.get(*name) {
                None if named.insert(*name) => {
                    let detail = "it is sent with every request".to_owned();
                    self.find(self.of_operation(), DriftKind::MissingParameter, name, detail);
                }
                None => {}
                Some(values) => self.options(operation, name, value, values),
            }
        }
    }

    /// The words of a value that is sent: each has to be enumerated, or mentioned in the description of the parameter.
    fn options(&mut self, operation: &Operation, name: &str, value: &str, values: &BTreeSet<String>) {
        for word in words(value) {
            let option = format!("{name} = {word}");
            if !values.is_empty() {
                if !values.contains(&word) {
                    let detail = "the tenant does not list the value that is sent".to_owned();
                    self.find(self.of_operation(), DriftKind::MissingOption, &option, detail);
                }
            } else if !operation.words.get(name).is_none_or(|text| mentions(text, &word)) {
                let detail = "the tenant's document no longer mentions the value that is sent".to_owned();
                let severity = self.needed().max(Severity::Loses);
                self.find(severity, DriftKind::MissingOption, &option, detail);
            }
        }
    }

    /// The fields of an element. None: the envelope has none of the arrays.
    fn elements<'o>(&mut self, operation: &'o Operation) -> Option<Elements<'o>> {
        let arrays = self.usage.arrays;
        let known = arrays
            .iter()
            .copied()
            .find(|array| operation.arrays.contains(*array));
        // Some lists name the schema of a single item; its fields are those of an element.
        let names_item = operation.fields.contains_key("id");
        if arrays.is_empty() || names_item || known.is_some() {
            let mut elements: Elements<'o> = operation.below(known).collect();
            if known.is_some() && names_item {
                elements.extend(operation.below(None));
            }
            if let (None, [_, ..]) = (known, arrays) {
                for array in lists(operation) {
                    elements.extend(operation.below(Some(array)));
                }
            }
            return Some(elements);
        }
        if operation.is_cut {
            return None;
        }
        let names: Vec<&str> = lists(operation).collect();
        let wanted = arrays.join("` or `");
        if let [renamed] = names.as_slice() {
            let detail = format!("the elements are read from `{wanted}`");
            let name = format!("{wanted} -> {renamed}");
            self.find(self.needed(), DriftKind::RenamedArray, &name, detail);
        } else {
            let detail = "the answer has no such array".to_owned();
            self.find(self.needed(), DriftKind::MissingArray, &wanted, detail);
        }
        None
    }

    fn used_fields(&mut self, elements: &Elements<'_>, is_cut: bool) {
        for field in &self.usage.fields {
            if is_cut || field.paths.iter().any(|path| may_have(elements, path)) {
                continue;
            }
            let name = field.paths.join(" or ");
            let (severity, detail) = match field.role {
                Role::Key => (self.needed(), "elements cannot be read without it".to_owned()),
                Role::Fills(what) => (self.awaited(), format!("`{what}` gets no value from it")),
                Role::Owner if self.is_behind => continue,
                Role::Owner => (
                    self.needed(),
                    "elements of another list cannot be told from those of this one".to_owned(),
                ),
            };
            self.find(severity, DriftKind::MissingField, &name, detail);
        }
    }

    fn unknown_fields(&mut self, elements: &Elements<'_>) {
        let used: Vec<&str> = self.usage.fields.iter().flat_map(UsedField::all).collect();
        let detail = match self.usage.rest {
            Rest::Kept => "kept in the column `body`",
            Rest::Dropped => "not stored",
            Rest::Untold => return,
        };
        let mut last: Option<&str> = None;
        for path in elements.keys() {
            let is_read = used
                .iter()
                .any(|used| is_within(path, used) || is_within(used, path));
            if is_read || last.is_some_and(|last| is_within(path, last)) || self.is_array(path) {
                continue;
            }
            last = Some(path);
            self.find(Severity::Note, DriftKind::UnknownField, path, detail.to_owned());
        }
    }

    /// Whether a field is the array of the elements itself, which an answer has beside the fields of a single item.
    fn is_array(&self, path: &str) -> bool {
        self.usage.arrays.iter().any(|array| is_within(path, array))
    }

    fn unknown_values(&mut self, elements: &Elements<'_>) {
        for known in self.usage.values {
            let listed = elements
                .get(known.field)
                .into_iter()
                .flat_map(|values| values.iter());
            for value in listed.filter(|value| !known.knows(value)) {
                let name = format!("{} = {value}", known.field);
                let detail = "stored as it is".to_owned();
                self.find(Severity::Note, DriftKind::UnknownValue, &name, detail);
            }
        }
    }
}

/// The fields of an element by path, with the values that they enumerate.
type Elements<'o> = std::collections::BTreeMap<&'o str, &'o BTreeSet<String>>;

/// Whether a path is another one, or below it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether the document has a field, or an object around it of which it names no fields at all.
fn may_have(elements: &Elements<'_>, path: &str) -> bool {
    if elements.contains_key(path) {
        return true;
    }
    let Some((outer, _)) = path.rsplit_once('.') else {
        return false;
    };
    if !elements.contains_key(outer) {
        return false;
    }
    !elements
        .keys()
        .any(|other| *other != outer && is_within(other, outer))
}

/// The words of a value that are part of the API: those of an expansion, and the keys and the operator of a refinement.
/// Numbers, dates, cursors and ids are the tenant's.
fn words(value: &str) -> Vec<String> {
    if let Ok(serde_json::Value::Object(refinement)) = serde_json::from_str(value) {
        let operator = refinement.get("operator").and_then(|operator| operator.as_str());
        let operator = operator.map(str::to_owned);
        return refinement.keys().cloned().chain(operator).collect();
    }
    let is_expansion = value.starts_with("profiles.") || value.starts_with("profile.");
    is_expansion.then(|| value.to_owned()).into_iter().collect()
}

/// Whether a text has a word on its own, not as a part of a longer one.
fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + word.len()..].chars();
        let starts = !before.is_some_and(|one| one.is_alphanumeric() || one == '_' || one == '.');
        let ends = match after.next() {
            Some('.') => !after.next().is_some_and(char::is_alphanumeric),
            Some(one) => !one.is_alphanumeric() && one != '_',
            None => true,
        };
        starts && ends
    })
}
