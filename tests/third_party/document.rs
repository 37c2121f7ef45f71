//! The vendor's document: found, read, and repaired where its examples are not the JSON that they are meant to be.
//! It knows nothing of the service: what is expected of tables is worked out from here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The document as it stands, and parsed.
pub(crate) struct Document {
    text: String,
    pub(crate) value: Value,
}

impl Document {
    /// Where it is: `BLUECONIC_OPENAPI`, or beside this repository.
    pub(crate) fn path() -> PathBuf {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/blueconic/openapi.json");
        std::env::var_os("BLUECONIC_OPENAPI").map_or(beside, PathBuf::from)
    }

    /// Reads it.
    pub(crate) fn load() -> Self {
        let path = Self::path();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!(
                "the vendor's document is not at {}: {error}; name it in BLUECONIC_OPENAPI",
                path.display()
            )
        });
        let value = serde_json::from_str(&text).unwrap();
        Self { text, value }
    }

    /// All examples of answers: the text as it stands.
    fn examples(&self) -> impl Iterator<Item = &str> {
        let operations = self.value["paths"].as_object().unwrap().values();
        operations
            .flat_map(|path| path.as_object().unwrap().values())
            .filter_map(|operation| operation["responses"].as_object())
            .flat_map(|responses| responses.values())
            .filter_map(|response| response["content"].as_object())
            .flat_map(|content| content.values())
            .filter_map(|content| content["examples"].as_object())
            .flat_map(|examples| examples.values())
            .map(|example| example["value"].as_str().unwrap())
    }

    /// One example of a 200, as the JSON that it is meant to be.
    pub(crate) fn example(&self, path: &str, method: &str, title: &str) -> Value {
        let content = &self.value["paths"][path][method]["responses"]["200"]["content"]["application/json"];
        let text = content["examples"][title]["value"].as_str();
        let text = text.unwrap_or_else(|| panic!("{method} {path} has no example `{title}`"));
        serde_json::from_str(&repaired(text)).unwrap()
    }

    /// The example of a 200 that stands first in the document, which is the one that a mock answers.
    pub(crate) fn first_example(&self, path: &str) -> Value {
        let content = &self.value["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
        let titles = content["examples"].as_object().unwrap().keys();
        let title = titles.min_by_key(|title| self.text.find(&Value::from(title.as_str()).to_string()));
        self.example(path, "get", title.unwrap())
    }

    /// The example of a 200 with elements of an owner.
    pub(crate) fn example_of(&self, path: &str, array: &str, owner: &str) -> Value {
        let content = &self.value["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
        let titles = content["examples"].as_object().unwrap().keys();
        let mut examples = titles.map(|title| self.example(path, "get", title));
        let is_owned = |example: &Value| example[array][0][owner].is_string();
        examples
            .find(is_owned)
            .unwrap_or_else(|| panic!("{path}: no example has `{owner}`"))
    }

    /// A schema, or the one that it refers to.
    pub(crate) fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                self.value.pointer(pointer).unwrap()
            }
            None => schema,
        }
    }

    /// The document with its examples as JSON in place of texts (a mock serves a text as a JSON string), everything
    /// else in its order as it was: the first example of several is the one that a mock answers.
    pub(crate) fn servable(&self) -> String {
        const KEY: &str = "\"value\" : ";
        let examples: BTreeMap<&str, String> = self.examples().map(|text| (text, repaired(text))).collect();
        let mut replaced = BTreeSet::new();
        let mut served = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find(KEY) {
            let (before, after) = rest.split_at(at + KEY.len());
            served.push_str(before);
            let mut literals = serde_json::Deserializer::from_str(after).into_iter::<Value>();
            let literal = literals.next().unwrap().unwrap();
            let end = literals.byte_offset();
            match literal.as_str().and_then(|text| examples.get_key_value(text)) {
                Some((text, json)) => {
                    served.push_str(json);
                    replaced.insert(*text);
                }
                None => served.push_str(&after[..end]),
            }
            rest = &after[end..];
        }
        served.push_str(rest);
        assert_eq!(replaced.len(), examples.len(), "examples made servable");
        served
    }
}

/// Undoes the one escape too many in a text that is no JSON as it stands: `\\"` for `\"`, and once `\$` for `$`.
fn repaired(text: &str) -> String {
    if is_json(text) {
        text.to_owned()
    } else {
        text.replace(r#"\\""#, r#"\""#).replace(r"\$", "$")
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

#[test]
fn thirteen_of_the_examples_need_their_repair_and_all_are_json_after_it() {
    let document = Document::load();
    let broken = document.examples().filter(|text| !is_json(text)).count();
    assert_eq!((document.examples().count(), broken), (87, 13));
    assert!(document.examples().all(|text| is_json(&repaired(text))));
    let served: Value = serde_json::from_str(&document.servable()).unwrap();
    assert_eq!(
        served["paths"]["/segments"]["get"]["responses"]["200"]["content"]["application/json"]["examples"]["Example segment response"]
            ["value"]["totalResults"],
        5
    );
}
