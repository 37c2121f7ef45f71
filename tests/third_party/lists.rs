//! Every plain list of the registry beside the vendor's document: its path, its scope, its envelope, its columns, and the rows that
//! the document's example makes. A new list is tested without a change here.

use std::collections::BTreeMap;

use blueconic_sync::model::description::{Description, Named};
use blueconic_sync::model::table::{Column, ColumnKind, REST};
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use super::document::Document;
use super::service::Service;
use super::support::registry::{self, FEW_URLS};
use super::table::{Cell, Expected};

/// A list and the example that a mock answers to a request for it.
pub(crate) struct VendorList {
    pub(crate) description: &'static Description,
    example: Value,
    /// The ids of its parents, each with a listing of its own; none: it has one listing.
    parents: Option<Vec<String>>,
}

/// Every list of the registry, with its example.
fn every(document: &Document) -> Vec<VendorList> {
    let lists = RESOURCES.lists();
    lists.map(|(list, _)| VendorList::of(document, list)).collect()
}

/// The same without lists by day, whose rows follow from the day of the test.
pub(crate) fn all(document: &Document) -> Vec<VendorList> {
    let mut lists = every(document);
    lists.retain(|list| !list.is_by_day());
    lists
}

/// The path in the document, which has a name of its own for each part that is a variable.
pub(crate) fn path_in(document: &Document, list: &Description) -> String {
    let plain = |path: &str| {
        let parts = path.split('/');
        let parts: Vec<&str> = parts
            .map(|part| if part.starts_with('{') { "{}" } else { part })
            .collect();
        parts.join("/")
    };
    let mut paths = document.value["paths"].as_object().unwrap().keys();
    let found = paths.find(|path| plain(path) == plain(list.path));
    found
        .unwrap_or_else(|| panic!("there is no `{}`", list.path))
        .clone()
}

/// Reads every list, whatever its default, in pages of this size.
pub(crate) fn enable_all(service: &mut Service, page_size: &str) {
    for (description, _) in RESOURCES.lists() {
        let section = format!("BLUECONIC_SYNC__RESOURCES__{}", description.name().to_uppercase());
        service.set(&format!("{section}__ENABLED"), "true");
        service.set(&format!("{section}__PAGE_SIZE"), page_size);
    }
    for (name, value) in registry::of_urls(&registry::urls(FEW_URLS)) {
        service.set(&name, &value);
    }
}

impl VendorList {
    fn of(document: &Document, description: &'static Description) -> Self {
        let each = description.as_list().unwrap().each;
        Self {
            description,
            example: match (description.as_list().unwrap().owner, each) {
                // A request that names the owner has an example of its own, which the mock is asked for.
                (Some(owner), Some(_)) => {
                    document.example_of(&path_in(document, description), description.arrays[0], owner)
                }
                _ => document.first_example(&path_in(document, description)),
            },
            parents: each.map(|each| {
                let Some(parents) = each.table() else {
                    return registry::urls(FEW_URLS);
                };
                let parents = Self::of(document, RESOURCES.named(parents.name).unwrap());
                let ids = parents.elements().into_iter();
                ids.map(|element| element["id"].as_str().unwrap().to_owned())
                    .collect()
            }),
        }
    }

    fn is_by_day(&self) -> bool {
        let each = self.description.as_list().unwrap().each;
        each.is_some_and(|each| matches!(each.named, Named::ByDay(_)))
    }

    /// The member that holds an element's id.
    fn id(&self) -> &'static str {
        let table = self.description.table;
        let mut columns = table.columns.iter();
        columns
            .find(|column| Some(&column.name) == table.key.last())
            .unwrap()
            .source
    }

    /// The elements of one listing as they stand.
    fn listed(&self) -> &[Value] {
        let mut arrays = self.description.arrays.iter();
        arrays.find_map(|array| self.example[*array].as_array()).unwrap()
    }

    /// The elements of one listing that fill a row, by id. Of two with one id, which one of the examples has, the last one stays.
    fn elements(&self) -> Vec<Value> {
        let mut arrays = self.description.arrays.iter();
        let elements = arrays.find_map(|array| self.example[*array].as_array()).unwrap();
        let list = self.description.as_list().unwrap();
        let is_own = |element: &&Value| match (list.owner, &self.parents) {
            (None, _) => true,
            (Some(owner), None) => element[owner].is_null(),
            (Some(owner), Some(parents)) => parents.iter().any(|parent| element[owner] == parent.as_str()),
        };
        let wanted = elements.iter().filter(is_own);
        let by_id: BTreeMap<&str, &Value> = wanted
            .map(|element| (element[self.id()].as_str().unwrap(), element))
            .collect();
        by_id.into_values().cloned().collect()
    }

    /// The number of its listings.
    fn listings(&self) -> i64 {
        let count = self.parents.as_ref().map_or(1, Vec::len);
        count.try_into().unwrap()
    }

    /// How many elements there are by the example, if it says so.
    pub(crate) fn total(&self) -> Option<i64> {
        Some(self.example["totalResults"].as_i64()? * self.listings())
    }

    /// How many rows the example makes.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.elements().len()).unwrap() * self.listings()
    }

    /// Whether the example holds all elements that it counts.
    pub(crate) fn is_complete(&self) -> bool {
        self.total().is_none_or(|total| total == self.rows())
    }

    /// The calls of a backfill, each with its number: one page of a listing or, of one that never adds up, a page that brings nothing
    /// new, and both again.
    pub(crate) fn calls(&self) -> Vec<(String, usize)> {
        let path = self.description.path;
        let each = self.description.as_list().unwrap().each;
        let requests = match self.description.as_list() {
            // The second page has the cursor that was sent as its next one.
            Some(list) if list.by_cursor => 2,
            _ if self.is_complete() => 1,
            _ => 4,
        };
        match (each.map(|each| each.named), &self.parents) {
            (Some(Named::InPath), Some(parents)) => {
                let path = |parent: &String| format!("GET {}", path.replace("{parent}", parent));
                parents.iter().map(|parent| (path(parent), requests)).collect()
            }
            (_, parents) => {
                let listings = parents.as_ref().map_or(1, Vec::len);
                vec![(format!("GET {path}"), requests * listings)]
            }
        }
    }

    /// The rows that the example makes, in the order of their keys.
    pub(crate) fn expected(&self) -> Vec<Expected> {
        let columns = self.description.table.columns;
        let row = |parent: Option<&String>, element: &Value| -> Expected {
            let cells = columns.iter();
            let cells = cells.map(|column| {
                let cell = match column.source {
                    "" => Cell::Text(parent.cloned()),
                    REST => Cell::Json(self.rest(element)),
                    _ => cell(column, element),
                };
                (column.name, cell)
            });
            cells.chain([("synced_at", Cell::Own)]).collect()
        };
        let of = |parent| {
            self.elements()
                .iter()
                .map(|element| row(parent, element))
                .collect()
        };
        match &self.parents {
            None => of(None),
            Some(parents) => parents
                .iter()
                .flat_map(|parent| -> Vec<Expected> { of(Some(parent)) })
                .collect(),
        }
    }

    /// The members that neither a column nor the list's owner holds as a whole.
    fn rest(&self, element: &Value) -> Value {
        let columns = self.description.table.columns.iter();
        let owner = self.description.as_list().unwrap().owner;
        let whole: Vec<&str> = columns.map(|column| column.source).chain(owner).collect();
        let members = element.as_object().unwrap().iter();
        let rest = members.filter(|(name, value)| !value.is_null() && !whole.contains(&name.as_str()));
        let rest = rest.map(|(name, value)| (name.clone(), plain(value)));
        rest.collect::<serde_json::Map<_, _>>().into()
    }

    /// The columns of its key.
    pub(crate) fn key(&self) -> String {
        self.description.table.key.join(", ")
    }

    /// The stored rows, in the order of their keys, without columns that the database computes.
    pub(crate) fn query(&self) -> String {
        let columns = self.description.table.columns.iter();
        let columns: Vec<String> = columns.map(|column| format!("\"{}\"", column.name)).collect();
        format!(
            "select {}, synced_at from blueconic.{} order by {}",
            columns.join(", "),
            self.description.name(),
            self.key()
        )
    }
}

/// The value with whole numbers as such, as the mock writes them.
pub(crate) fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "the examples have small numbers")]
            Some(float) if float.fract() == 0.0 => (float as i64).into(),
            _ => value.clone(),
        },
        Value::Array(values) => values.iter().map(plain).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), plain(value)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

/// The value at a path.
fn at<'a>(element: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(element, |value, key| &value[key])
}

/// What a column must hold of an element.
fn cell(column: &Column, element: &Value) -> Cell {
    let value = at(element, column.source);
    match column.kind {
        ColumnKind::Text => Cell::text(value),
        ColumnKind::TextArray => Cell::texts(value),
        ColumnKind::Bigint => Cell::Bigint(value.as_i64()),
        ColumnKind::Int => Cell::Int(value.as_i64().map(|number| number.try_into().unwrap())),
        ColumnKind::Bool => Cell::Bool(value.as_bool()),
        ColumnKind::Timestamptz => Cell::date(value),
        ColumnKind::Jsonb if value.is_null() => Cell::NoJson,
        ColumnKind::Jsonb if column.keyed => Cell::Json(keyed(value)),
        ColumnKind::Jsonb => Cell::Json(plain(value)),
        ColumnKind::Date | ColumnKind::Bytea => panic!("`{}` is no column of a plain list", column.name),
    }
}

/// An array of {id, values} as an object.
fn keyed(listed: &Value) -> Value {
    let listed = listed.as_array().unwrap().iter();
    let entries = listed.map(|one| (one["id"].as_str().unwrap().to_owned(), one["values"].clone()));
    entries.collect::<serde_json::Map<_, _>>().into()
}

/// The type of a column in the words of the document's schemas.
fn schema_of(kind: ColumnKind) -> Vec<Value> {
    match kind {
        ColumnKind::Text => vec![json!(["string", null])],
        ColumnKind::Timestamptz => vec![json!(["string", "date-time"])],
        ColumnKind::Int => vec![json!(["integer", "int32"])],
        ColumnKind::Bigint => vec![json!(["integer", "int32"]), json!(["integer", "int64"])],
        ColumnKind::Bool => vec![json!(["boolean", null])],
        ColumnKind::TextArray => vec![json!(["array", "string"])],
        ColumnKind::Jsonb | ColumnKind::Date | ColumnKind::Bytea => Vec::new(),
    }
}

/// What a schema of the document says of a value: its type, and its format or the type of its items.
fn told_of(document: &Document, schema: &Value) -> Value {
    let schema = document.resolved(schema);
    if schema["type"] == "array" {
        json!(["array", document.resolved(&schema["items"])["type"]])
    } else {
        json!([schema["type"], schema["format"]])
    }
}

/// The schema of an element. For some lists the document names that of the single element in place of the envelope's.
fn element_of<'a>(document: &'a Document, list: &Description, operation: &'a Value) -> &'a Value {
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let schema = document.resolved(schema);
    let mut arrays = list.arrays.iter().map(|array| &schema["properties"][*array]);
    if let Some(array) = arrays.find(|array| array.is_object()) {
        return document.resolved(&array["items"]);
    }
    let is_element = schema["properties"]["id"].is_object() || schema["properties"]["runId"].is_object();
    assert!(
        is_element,
        "{}: neither an envelope nor an element: {schema}",
        list.path
    );
    schema
}

#[test]
fn every_list_is_in_the_document_with_its_path_its_scope_and_each_of_its_columns() {
    let document = Document::load();
    let (mut seen, mut in_examples_alone) = (0, Vec::new());
    for vendor in every(&document) {
        let list = vendor.description;
        let operation = &document.value["paths"][path_in(&document, list)]["get"];
        // Interactions are what every visitor may see.
        if !operation["security"].is_null() {
            let scope = json!([{"oauth2": [list.oauth_scope]}]);
            assert_eq!(operation["security"], scope, "{}", list.path);
        }
        let element = element_of(&document, list, operation);
        for column in list.table.columns {
            if matches!(column.source, "" | REST) {
                continue;
            }
            seen += 1;
            let mut schema = element;
            for key in column.source.split('.') {
                schema = &document.resolved(schema)["properties"][key];
            }
            if !schema.is_object() {
                let mut elements = vendor.listed().iter();
                let has = elements.any(|element| !at(element, column.source).is_null());
                assert!(has, "{} has no `{}`", list.path, column.source);
                in_examples_alone.push(format!("{}.{}", list.name(), column.name));
                continue;
            }
            let told = told_of(&document, schema);
            let wanted = schema_of(column.kind);
            assert!(
                wanted.is_empty() || wanted.contains(&told),
                "{}: `{}` is {told}",
                list.path,
                column.source
            );
        }
        let owner = list.as_list().unwrap().owner;
        assert!(
            owner.is_none_or(|owner| element["properties"][owner].is_object()),
            "{}",
            list.path
        );
    }
    assert!(seen > 150, "only {seen} columns were looked at");
    // The document contradicts itself here.
    assert_eq!(
        in_examples_alone
            .iter()
            .filter(|name| !name.contains("_statistics."))
            .collect::<Vec<_>>(),
        [
            "plugins.tags",
            "interactions.parameters",
            "page_interactions.parameters"
        ]
    );
}
