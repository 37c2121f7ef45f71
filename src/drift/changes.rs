//! Compares two documents of the API, an earlier and a later one: what came, what went, and what was renamed. All of it are
//! notes; `check.rs` judges what matters to the program.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{Api, Operation, fits};
use super::check::lists;
use crate::model::drift::{DriftKind, Finding, Severity};

/// The changes from one document to another one, in the order of paths. `is_read` tells which operations are compared in detail; of
/// the others only those that came and went are told.
pub fn changes(before: &Api, after: &Api, is_read: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, operation) in &after.operations {
        // A placeholder with another name is no other path.
        let former = before.operations.iter().find(|(former, _)| is_same(former, path));
        match former {
            None => findings.push(note(DriftKind::NewPath, path, "")),
            Some((_, former)) if is_read(path) => Changed {
                path,
                findings: &mut findings,
            }
            .operation(former, operation),
            Some(_) => {}
        }
    }
    let gone = before.operations.keys();
    let gone = gone.filter(|path| !after.operations.keys().any(|other| is_same(path, other)));
    findings.extend(gone.map(|path| note(DriftKind::GonePath, path, "")));
    findings
}

fn is_same(one: &str, other: &str) -> bool {
    fits(one, other) && fits(other, one)
}

fn note(kind: DriftKind, path: &str, name: &str) -> Finding {
    Finding {
        severity: Severity::Note,
        kind,
        resource: String::new(),
        path: path.to_owned(),
        name: name.to_owned(),
        detail: String::new(),
    }
}

/// The changes of one operation.
struct Changed<'a> {
    path: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Changed<'_> {
    fn note(&mut self, kind: DriftKind, name: &str) {
        self.findings.push(note(kind, self.path, name));
    }

    fn operation(&mut self, before: &Operation, after: &Operation) {
        for name in after
            .parameters
            .keys()
            .filter(|name| !before.parameters.contains_key(*name))
        {
            self.note(DriftKind::NewParameter, name);
        }
        for name in before
            .parameters
            .keys()
            .filter(|name| !after.parameters.contains_key(*name))
        {
            self.note(DriftKind::GoneParameter, name);
        }
        if before.is_cut || after.is_cut {
            return;
        }
        let renamed = renamed_array(before, after);
        if let Some((old, new)) = renamed {
            self.note(DriftKind::RenamedArray, &format!("{old} -> {new}"));
        }
        self.fields(before, after, renamed);
    }

    fn fields(&mut self, before: &Operation, after: &Operation, renamed: Option<(&str, &str)>) {
        // A field of a renamed array keeps its name below the new one.
        let today = |path: &str| match renamed {
            Some((old, new)) if path == old => new.to_owned(),
            Some((old, new)) => match path.strip_prefix(old).and_then(|rest| rest.strip_prefix('.')) {
                Some(rest) => format!("{new}.{rest}"),
                None => path.to_owned(),
            },
            None => path.to_owned(),
        };
        let mut former: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, values) in &before.fields {
            former
                .entry(today(path))
                .or_default()
                .extend(values.iter().cloned());
        }
        let mut told = String::new();
        for (path, values) in &after.fields {
            match former.get(path) {
                Some(old) => self.values(path, old, values),
                // What a new object holds is new, too.
                None if is_below(path, &told) => {}
                None => {
                    self.note(DriftKind::NewField, path);
                    told.clone_from(path);
                }
            }
        }
        told.clear();
        for path in former.keys().filter(|path| !after.fields.contains_key(*path)) {
            if !is_below(path, &told) {
                self.note(DriftKind::GoneField, path);
                told.clone_from(path);
            }
        }
    }

    fn values(&mut self, field: &str, before: &BTreeSet<String>, after: &BTreeSet<String>) {
        // A field whose values are no longer listed, or for the first time, has not changed.
        if before.is_empty() || after.is_empty() {
            return;
        }
        let new: Vec<&String> = after.difference(before).collect();
        let gone: Vec<&String> = before.difference(after).collect();
        if let ([new], [old]) = (new.as_slice(), gone.as_slice()) {
            self.note(DriftKind::RenamedValue, &format!("{field} = {old} -> {new}"));
            return;
        }
        for value in new {
            self.note(DriftKind::NewValue, &format!("{field} = {value}"));
        }
        for value in gone {
            self.note(DriftKind::GoneValue, &format!("{field} = {value}"));
        }
    }
}

fn is_below(path: &str, outer: &str) -> bool {
    !outer.is_empty() && path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
}

/// An array that went, and the one in its place: the one that came, or the only one that is left of a document that had both
/// names.
fn renamed_array<'a>(before: &'a Operation, after: &'a Operation) -> Option<(&'a str, &'a str)> {
    let gone: Vec<&str> = lists(before)
        .filter(|array| !after.fields.contains_key(*array))
        .collect();
    let left: Vec<&str> = lists(after).collect();
    let new = || left.iter().filter(|array| !before.fields.contains_key(**array));
    match (gone.as_slice(), left.as_slice()) {
        ([gone], [only]) => Some((gone, only)),
        ([gone], _) if new().count() == 1 => new().next().map(|new| (*gone, *new)),
        _ => None,
    }
}
