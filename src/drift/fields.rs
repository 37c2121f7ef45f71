//! Collects the fields of an answer from its schema and from its examples. The vendor's document contradicts itself: some lists
//! name the schema of a single item, and examples have fields that no schema has. Both together count as the answer's fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The most references that are followed from one schema; a document may refer to itself.
const DEEPEST: usize = 8;
/// The most fields of one answer.
const MOST_FIELDS: usize = 4000;
/// The most schemas that are read for one answer.
const MOST_STEPS: usize = 40_000;

/// The fields of an answer by path. A path has the names of fields, joined by dots; arrays do not show in it.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Each field with the values that its schema enumerates.
    pub(super) values: BTreeMap<String, BTreeSet<String>>,
    /// The keys of the outermost object that hold arrays.
    pub(super) arrays: BTreeSet<String>,
    /// Whether there were more fields than are collected, so that nothing follows from a missing one.
    pub(super) is_cut: bool,
    steps: usize,
}

impl Fields {
    /// Adds the fields of a schema.
    pub(super) fn add_schema(&mut self, document: &Value, schema: &Value) {
        self.schema(document, schema, "", &mut Vec::new());
    }

    fn schema<'a>(&mut self, document: &'a Value, schema: &'a Value, at: &str, followed: &mut Vec<&'a str>) {
        self.steps += 1;
        if self.steps > MOST_STEPS || self.values.len() > MOST_FIELDS {
            self.is_cut = true;
            return;
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            if followed.contains(&reference) || followed.len() >= DEEPEST {
                return;
            }
            let Some(target) = reference.strip_prefix('#').and_then(|at| document.pointer(at)) else {
                // A schema of another document may have any field.
                self.is_cut = true;
                return;
            };
            followed.push(reference);
            self.schema(document, target, at, followed);
            followed.pop();
            return;
        }
        for combined in ["allOf", "oneOf", "anyOf"] {
            for part in items(schema.get(combined)) {
                self.schema(document, part, at, followed);
            }
        }
        if let Some(within) = schema.get("items") {
            if let Some(name) = outermost(at) {
                self.arrays.insert(name.to_owned());
            }
            self.schema(document, within, at, followed);
        }
        for value in items(schema.get("enum")).iter().filter_map(Value::as_str) {
            self.field(at).insert(value.to_owned());
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let below = join(at, name);
            self.field(&below);
            self.schema(document, property, &below, followed);
        }
    }

    /// Adds the fields of an example.
    pub(super) fn add_example(&mut self, example: &Value, at: &str) {
        match example {
            Value::Array(elements) => {
                if let Some(name) = outermost(at) {
                    self.arrays.insert(name.to_owned());
                }
                for element in elements {
                    self.add_example(element, at);
                }
            }
            Value::Object(object) => {
                for (name, value) in object {
                    if self.values.len() > MOST_FIELDS {
                        self.is_cut = true;
                        return;
                    }
                    let below = join(at, name);
                    self.field(&below);
                    self.add_example(value, &below);
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, path: &str) -> &mut BTreeSet<String> {
        self.values.entry(path.to_owned()).or_default()
    }
}

/// The elements of an array; none if it is something else.
pub(super) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The path itself, if it names a field of the outermost object.
fn outermost(path: &str) -> Option<&str> {
    (!path.is_empty() && !path.contains('.')).then_some(path)
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    }
}

/// An example as JSON. The vendor writes most examples as texts, and escapes the quotes in some of them once too often; an
/// example that is no JSON all the same says nothing.
pub(super) fn example(value: &Value) -> Option<Value> {
    let Some(text) = value.as_str() else {
        return Some(value.clone());
    };
    let parsed = serde_json::from_str(text);
    parsed
        .or_else(|_| serde_json::from_str(&text.replace(r#"\\""#, r#"\""#).replace(r"\$", "$")))
        .ok()
}
