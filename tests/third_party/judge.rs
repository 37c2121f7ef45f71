//! Holds a request against the document: does its path exist, are its parameters declared for the operation and of their
//! schema's type, is what is required there. Written from OpenAPI's rules and the document's words, without a line of
//! the service.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::document::Document;
use super::recorder::Recorded;

/// What a request is by the document.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// `operationId`; none: there is no such path.
    pub(crate) operation: Option<String>,
    /// What the document does not allow, in words; empty: all is well.
    pub(crate) objections: Vec<String>,
}

/// Judges a request whose path stands below `api_path`.
pub(crate) fn judge(document: &Document, api_path: &str, request: &Recorded) -> Verdict {
    let mut objections = Vec::new();
    let operation = request
        .path
        .strip_prefix(api_path)
        .and_then(|path| find(document, &request.method, path));
    let Some(operation) = operation else {
        return Verdict {
            operation: None,
            objections: vec![format!("there is no `{} {}`", request.method, request.path)],
        };
    };
    let rules = Rules { document };
    rules.parameters(operation, &request.query, &mut objections);
    rules.body(operation, request, &mut objections);
    if operation["security"].is_array() && request.scheme.as_deref() != Some("Bearer") {
        objections.push(format!("its scheme is {:?}, not `Bearer`", request.scheme));
    }
    if request.accept.as_deref() != Some("application/json") {
        objections.push(format!("it accepts {:?}", request.accept));
    }
    Verdict {
        operation: operation["operationId"].as_str().map(str::to_owned),
        objections,
    }
}

/// The operation of a path: of two templates that fit, the one with fewer placeholders.
fn find<'a>(document: &'a Document, method: &str, path: &str) -> Option<&'a Value> {
    let given: Vec<&str> = path.split('/').collect();
    let paths = document.value["paths"].as_object().unwrap();
    let fitting = paths.iter().filter_map(|(template, operations)| {
        let parts: Vec<&str> = template.split('/').collect();
        let placeholders = parts.iter().filter(|part| part.starts_with('{')).count();
        let fits = parts.len() == given.len()
            && parts
                .iter()
                .zip(&given)
                .all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()));
        fits.then_some((placeholders, operations))
    });
    let (_, operations) = fitting.min_by_key(|(placeholders, _)| *placeholders)?;
    operations.get(method.to_ascii_lowercase())
}

struct Rules<'a> {
    document: &'a Document,
}

impl Rules<'_> {
    fn parameters(&self, operation: &Value, query: &str, objections: &mut Vec<String>) {
        let declared = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let declared: Vec<&Value> = declared.iter().filter(|one| one["in"] == "query").collect();
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            given
                .entry(name.into_owned())
                .or_default()
                .push(value.into_owned());
        }
        for parameter in &declared {
            let name = parameter["name"].as_str().unwrap();
            match given.remove(name) {
                Some(values) => self.parameter(parameter, name, &values, objections),
                None if parameter["required"] == true => objections.push(format!("`{name}` is missing")),
                None => {}
            }
        }
        for name in given.keys() {
            objections.push(format!("`{name}` is not declared"));
        }
    }

    fn parameter(&self, parameter: &Value, name: &str, values: &[String], objections: &mut Vec<String>) {
        let schema = &parameter["schema"];
        let description = parameter["description"].as_str().unwrap();
        let instance = match (schema["type"].as_str(), values) {
            (Some("array"), values) => json!(values),
            (Some("integer"), [value]) => {
                let parsed = value.parse::<i64>();
                let wide = schema["format"] != "int32";
                match parsed {
                    Ok(number) if wide || i32::try_from(number).is_ok() => json!(number),
                    _ => json!(value),
                }
            }
            (Some("boolean"), [value]) => value.parse::<bool>().map_or_else(|_| json!(value), Value::from),
            (Some("string"), [value]) => json!(value),
            // The one parameter whose schema is an object: JSON, by its description.
            (None, [value]) => match serde_json::from_str(value) {
                Ok(object) => {
                    refinement(&object, description, objections);
                    object
                }
                Err(error) => return objections.push(format!("`{name}` is no JSON: {error}")),
            },
            _ => return objections.push(format!("`{name}` comes {} times", values.len())),
        };
        self.validate(schema, &instance, &format!("`{name}`"), objections);
        if name == "expand" {
            // Its values stand in its description only.
            let unknown = values.iter().filter(|value| {
                ![format!("`{value}`"), format!("\"{value}\"")]
                    .iter()
                    .any(|quoted| description.contains(quoted))
            });
            objections.extend(unknown.map(|value| format!("`expand` cannot be `{value}`")));
        }
        if name == "fromDate" || name == "toDate" {
            date(&instance, objections);
        }
    }

    fn body(&self, operation: &Value, request: &Recorded, objections: &mut Vec<String>) {
        let Some(contents) = operation["requestBody"]["content"].as_object() else {
            if !request.body.is_empty() {
                objections.push("it has a body".to_owned());
            }
            return;
        };
        let content_type = request.content_type.clone().unwrap_or_default();
        let Some(content) = contents.get(content_type.split(';').next().unwrap().trim()) else {
            return objections.push(format!("its body is `{content_type}`"));
        };
        let mut schema = content["schema"].clone();
        schema["additionalProperties"] = false.into();
        let mut fields = serde_json::Map::new();
        for (name, value) in form_urlencoded::parse(&request.body) {
            if fields.insert(name.to_string(), json!(value)).is_some() {
                objections.push(format!("`{name}` comes twice in its body"));
            }
        }
        self.validate(&schema, &fields.into(), "its body", objections);
    }

    fn validate(&self, schema: &Value, instance: &Value, what: &str, objections: &mut Vec<String>) {
        let mut components = self.document.value["components"].clone();
        // An unknown key would do nothing at the tenant, silently: the whole listing would come.
        components["schemas"]["RefinementBean"]["additionalProperties"] = false.into();
        let schema = json!({"allOf": [schema], "components": components});
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors = validator.iter_errors(instance);
        objections.extend(errors.map(|error| format!("{what}: {error} at `{}`", error.instance_path())));
    }
}

/// What the description says of a refinement beyond its schema: which operators there are.
fn refinement(refinement: &Value, description: &str, objections: &mut Vec<String>) {
    let operator = refinement["operator"].as_str().unwrap_or_default();
    if operator.is_empty() || !description.contains(&format!("| {operator} ")) {
        objections.push(format!("a refinement's operator cannot be `{operator}`"));
    }
    for name in ["fromDate", "toDate"] {
        if let Some(value) = refinement.get(name) {
            date(value, objections);
        }
    }
    for filter in refinement["filters"].as_array().into_iter().flatten() {
        self::refinement(filter, description, objections);
    }
}

/// ISO 8601 as the document writes it: `2025-01-22T11:21:33.872Z`.
fn date(value: &Value, objections: &mut Vec<String>) {
    let text = value.as_str().unwrap_or_default();
    let parsed = text.parse::<DateTime<Utc>>();
    if parsed.is_err() || parsed.is_ok_and(|date| date.to_rfc3339_opts(SecondsFormat::Millis, true) != text) {
        objections.push(format!("{value} is no date in the document's form"));
    }
}
