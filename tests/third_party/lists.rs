//! Every plain list of the registry beside the vendor's document: its path, its scope, its envelope, its columns, and the rows that
//! the document's example makes. A new list is tested without a change here.

use blueconic_sync::model::description::Description;
use blueconic_sync::model::table::{Column, ColumnKind};
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use super::document::Document;
use super::service::Service;
use super::table::{Cell, Expected};

/// A list and the example that a mock answers to a request for it.
pub(crate) struct VendorList {
    pub(crate) description: &'static Description,
    example: Value,
}

/// Every list of the registry, with its example.
pub(crate) fn all(document: &Document) -> Vec<VendorList> {
    let lists = RESOURCES.lists();
    lists
        .map(|(description, _)| VendorList {
            description,
            example: document.first_example(description.path),
        })
        .collect()
}

/// Reads every list, whatever its default, in pages of this size.
pub(crate) fn enable_all(service: &mut Service, page_size: &str) {
    for (description, _) in RESOURCES.lists() {
        let section = format!("BLUECONIC_SYNC__RESOURCES__{}", description.name().to_uppercase());
        service.set(&format!("{section}__ENABLED"), "true");
        service.set(&format!("{section}__PAGE_SIZE"), page_size);
    }
}

impl VendorList {
    /// The elements of the example that fill a row, by id.
    fn elements(&self) -> Vec<Value> {
        let mut arrays = self.description.arrays.iter();
        let elements = arrays.find_map(|array| self.example[*array].as_array());
        let mut elements = elements.unwrap().clone();
        let list = self.description.as_list().unwrap();
        elements.retain(|element| list.owner.is_none_or(|owner| element[owner].is_null()));
        elements.sort_by_key(|element| element["id"].as_str().unwrap().to_owned());
        elements
    }

    /// How many elements there are by the example.
    pub(crate) fn total(&self) -> i64 {
        self.example["totalResults"].as_i64().unwrap()
    }

    /// How many rows the example makes.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.elements().len()).unwrap()
    }

    /// Whether the example holds all elements that it counts.
    pub(crate) fn is_complete(&self) -> bool {
        self.total() == self.rows()
    }

    /// The rows that the example makes, in the order of their ids.
    pub(crate) fn expected(&self) -> Vec<Expected> {
        let row = |element: &Value| -> Expected {
            let cells = self.description.table.columns.iter();
            let cells = cells.map(|column| (column.name, cell(column, element)));
            cells.chain([("synced_at", Cell::Own)]).collect()
        };
        self.elements().iter().map(row).collect()
    }

    /// The stored rows, in the order of their ids.
    pub(crate) fn query(&self) -> String {
        format!("select * from blueconic.{} order by id", self.description.name())
    }
}

/// What a column must hold of an element.
fn cell(column: &Column, element: &Value) -> Cell {
    let value = column.source.split('.').fold(element, |value, key| &value[key]);
    match column.kind {
        ColumnKind::Text => Cell::text(value),
        ColumnKind::TextArray => Cell::texts(value),
        ColumnKind::Bigint => Cell::Bigint(value.as_i64()),
        ColumnKind::Int => Cell::Int(value.as_i64().map(|number| number.try_into().unwrap())),
        ColumnKind::Bool => Cell::Bool(value.as_bool()),
        ColumnKind::Timestamptz => Cell::date(value),
        ColumnKind::Jsonb | ColumnKind::Bytea => panic!("`{}` is no column of a plain list", column.name),
    }
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
        ColumnKind::Jsonb | ColumnKind::Bytea => Vec::new(),
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

#[test]
fn every_list_is_in_the_document_with_its_path_its_scope_and_each_of_its_columns() {
    let document = Document::load();
    let mut seen = 0;
    for (list, _) in RESOURCES.lists() {
        let operation = &document.value["paths"][list.path]["get"];
        assert!(operation.is_object(), "there is no `GET {}`", list.path);
        assert_eq!(
            operation["security"],
            json!([{"oauth2": [list.oauth_scope]}]),
            "{}",
            list.path
        );
        let envelope = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let envelope = &document.resolved(envelope)["properties"];
        let array = list.arrays.iter().find(|array| envelope[**array].is_object());
        let array = array.unwrap_or_else(|| panic!("{}: none of {:?} in {envelope}", list.path, list.arrays));
        let element = document.resolved(&envelope[*array]["items"]);
        for column in list.table.columns {
            let mut schema = element;
            for key in column.source.split('.') {
                schema = &document.resolved(schema)["properties"][key];
                assert!(schema.is_object(), "{} has no `{}`", list.path, column.source);
            }
            let told = told_of(&document, schema);
            let wanted = schema_of(column.kind);
            assert!(
                wanted.contains(&told),
                "{}: `{}` is {told}",
                list.path,
                column.source
            );
            seen += 1;
        }
        let owner = list.as_list().unwrap().owner;
        assert!(
            owner.is_none_or(|owner| element["properties"][owner].is_object()),
            "{}",
            list.path
        );
    }
    assert!(seen > 20, "only {seen} columns were looked at");
}
