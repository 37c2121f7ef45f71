//! The API of a tenant as its document describes it: for each path that can be read, the query parameters, the envelope's
//! arrays and the fields of the answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{self, Fields, items};

/// The read operations of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// The release, `info.version`.
    pub release: Option<String>,
    /// The operations by path.
    pub operations: BTreeMap<String, Operation>,
}

/// One operation: `GET` of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The query parameters by name, with the values that they enumerate.
    pub parameters: BTreeMap<String, BTreeSet<String>>,
    /// The words in which the document describes each parameter. They are not compared between documents, since texts change.
    #[serde(skip)]
    pub(super) words: BTreeMap<String, String>,
    /// The OAuth scopes, any of which is enough; empty: none is named.
    pub scopes: BTreeSet<String>,
    /// The keys of the answer that hold arrays.
    pub arrays: BTreeSet<String>,
    /// The fields of the answer by path, with the values that they enumerate.
    pub fields: BTreeMap<String, BTreeSet<String>>,
    /// Whether the fields are not all: nothing follows from a missing one.
    pub is_cut: bool,
}

impl Api {
    /// Reads a document. None: it is no OpenAPI document with paths.
    pub fn read(document: &Value) -> Option<Self> {
        document.get("openapi").or_else(|| document.get("swagger"))?;
        let paths = document.get("paths")?.as_object()?;
        let release = document.pointer("/info/version").and_then(Value::as_str);
        let gets = paths.iter().filter_map(|(path, item)| {
            let get = item.get("get")?;
            Some((path.clone(), Operation::read(document, item, get)))
        });
        Some(Self {
            release: release
                .map(|text| text.trim().chars().take(32).collect())
                .filter(|text: &String| !text.is_empty()),
            operations: gets.collect(),
        })
    }

    /// The operation for a path, whose placeholders may have other names, or values in their place. Of several the one with the
    /// fewest placeholders.
    pub fn find(&self, path: &str) -> Option<(&str, &Operation)> {
        let fitting = self
            .operations
            .iter()
            .filter(|(template, _)| fits(template, path));
        fitting
            .min_by_key(|(template, _)| template.matches('{').count())
            .map(|(template, operation)| (template.as_str(), operation))
    }
}

/// Whether two paths are the same where neither has a placeholder.
pub(super) fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let is_open = |part: &str| part.starts_with('{');
    let same = |(one, other): (&&str, &&str)| one == other || (is_open(one) && !other.is_empty());
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

impl Operation {
    fn read(document: &Value, item: &Value, get: &Value) -> Self {
        let mut operation = Self::default();
        let shared = items(item.get("parameters")).iter();
        for parameter in shared.chain(items(get.get("parameters"))) {
            operation.parameter(document, resolved(document, parameter));
        }
        let schemes = items(get.get("security")).iter().filter_map(Value::as_object);
        let scopes = schemes
            .flat_map(|scheme| scheme.values())
            .flat_map(|scopes| items(Some(scopes)));
        operation.scopes = scopes.filter_map(Value::as_str).map(str::to_owned).collect();
        let mut fields = Fields::default();
        for content in answers(document, get) {
            if let Some(schema) = content.get("schema") {
                fields.add_schema(document, schema);
            }
            for example in examples(document, content) {
                fields.add_example(&example, "");
            }
        }
        operation.arrays = fields.arrays;
        operation.fields = fields.values;
        operation.is_cut = fields.is_cut;
        operation
    }

    fn parameter(&mut self, document: &Value, parameter: &Value) {
        let name = parameter.get("name").and_then(Value::as_str);
        let (Some(name), Some("query")) = (name, parameter.get("in").and_then(Value::as_str)) else {
            return;
        };
        let schema = resolved(document, parameter.get("schema").unwrap_or(&Value::Null));
        let within = resolved(document, schema.get("items").unwrap_or(&Value::Null));
        let listed = items(schema.get("enum")).iter().chain(items(within.get("enum")));
        let values = listed.filter_map(Value::as_str).map(str::to_owned).collect();
        self.parameters.insert(name.to_owned(), values);
        self.words
            .insert(name.to_owned(), format!("{parameter} {schema}"));
    }

    /// The names of the fields below a key of the answer, without that key; none: of the whole answer.
    pub(super) fn below<'a>(
        &'a self,
        array: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a BTreeSet<String>)> {
        self.fields.iter().filter_map(move |(path, values)| match array {
            None => Some((path.as_str(), values)),
            Some(array) => Some((path.strip_prefix(array)?.strip_prefix('.')?, values)),
        })
    }
}

/// A value, or the one that it refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value.get("$ref").and_then(Value::as_str);
    let target = reference.and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(value)
}

/// The contents of the answers with a body, by their media types.
fn answers<'a>(document: &'a Value, get: &'a Value) -> impl Iterator<Item = &'a Value> {
    let responses = get.get("responses").and_then(Value::as_object);
    let good = responses
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2') || status.as_str() == "default");
    good.filter_map(move |(_, answer)| resolved(document, answer).get("content")?.as_object())
        .flat_map(|content| content.values())
}

/// The examples of an answer.
fn examples(document: &Value, content: &Value) -> Vec<Value> {
    let several = content.get("examples").and_then(Value::as_object);
    let several = several.into_iter().flat_map(|examples| examples.values());
    let values = several.filter_map(|example| resolved(document, example).get("value"));
    values
        .chain(content.get("example"))
        .filter_map(fields::example)
        .collect()
}
