//! The check and the comparison over small documents.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

use serde_json::{Value, json};

use super::api::Api;
use super::changes::changes;
use super::check::check;
use crate::model::drift::{DriftKind, Finding, KnownValues, Rest, Role, Severity, Usage, UsedField};

const VALUES: &[KnownValues] = &[KnownValues {
    field: "type",
    values: &["BIG", "SMALL"],
}];

fn field(path: &str, role: Role) -> UsedField {
    UsedField {
        paths: vec![path.to_owned()],
        role,
    }
}

fn usage() -> Usage {
    Usage {
        resource: "things",
        enabled: true,
        essential: false,
        path: "/things".to_owned(),
        scope: "read:things",
        query: vec![("startIndex", "0".to_owned()), ("count", "10".to_owned())],
        arrays: &["things"],
        twin: None,
        envelope: &[],
        fields: vec![
            field("id", Role::Key),
            field("name", Role::Fills("name")),
            field("type", Role::Fills("type")),
            field("creator.userName", Role::Fills("creator")),
        ],
        rest: Rest::Dropped,
        values: VALUES,
    }
}

/// A document of one list whose elements have these properties.
fn document(release: &str, array: &str, properties: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"version": release},
        "paths": {"/things": {"get": {
            "parameters": [
                {"name": "startIndex", "in": "query", "schema": {"type": "integer"}},
                {"name": "count", "in": "query", "schema": {"type": "integer"}},
            ],
            "security": [{"oauth2": ["read:things"]}],
            "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/all"}}}}},
        }}},
        "components": {"schemas": {
            "all": {"type": "object", "properties": {
                "totalResults": {"type": "integer"},
                array: {"type": "array", "items": {"$ref": "#/components/schemas/one"}},
            }},
            "one": {"type": "object", "properties": properties},
            "user": {"type": "object", "properties": {"userName": {"type": "string"}, "fullName": {"type": "string"}}},
        }},
    })
}

fn whole() -> Value {
    json!({
        "id": {"type": "string"},
        "name": {"type": "string"},
        "type": {"type": "string", "enum": ["BIG", "SMALL"]},
        "creator": {"$ref": "#/components/schemas/user"},
    })
}

fn without(name: &str) -> Value {
    let mut properties = whole();
    properties.as_object_mut().unwrap().remove(name).unwrap();
    properties
}

fn found(usage: &Usage, document: &Value) -> Vec<(Severity, DriftKind, String)> {
    let api = Api::read(document).unwrap();
    let findings = check(std::slice::from_ref(usage), &api, "103.0");
    findings
        .into_iter()
        .map(|finding: Finding| (finding.severity, finding.kind, finding.name))
        .collect()
}

/// The findings but the one about `creator.fullName`, which no column of the usage reads.
fn worse(usage: &Usage, document: &Value) -> Vec<(Severity, DriftKind, String)> {
    let mut found = found(usage, document);
    found.retain(|(_, kind, name)| (*kind, name.as_str()) != (DriftKind::UnknownField, "creator.fullName"));
    found
}

fn one(severity: Severity, kind: DriftKind, name: &str) -> Vec<(Severity, DriftKind, String)> {
    vec![(severity, kind, name.to_owned())]
}

#[test]
fn a_document_that_has_all_that_is_used_brings_notes_alone() {
    let document = document("103.0", "things", &whole());
    assert_eq!(
        found(&usage(), &document),
        one(Severity::Note, DriftKind::UnknownField, "creator.fullName")
    );
}

#[test]
fn what_is_new_is_a_note() {
    let mut properties = whole();
    properties["type"]["enum"] = json!(["BIG", "SMALL", "TINY"]);
    properties["owner"] = json!({"$ref": "#/components/schemas/user"});
    let document = document("104.0", "things", &properties);
    assert_eq!(
        worse(&usage(), &document),
        [
            one(Severity::Note, DriftKind::UnknownField, "owner"),
            one(Severity::Note, DriftKind::UnknownValue, "type = TINY"),
        ]
        .concat()
    );
}

#[test]
fn a_missing_column_breaks_unless_the_tenant_is_behind_or_the_resource_off() {
    let lacking = |release| document(release, "things", &without("name"));
    let missing = |severity| one(severity, DriftKind::MissingField, "name");
    assert_eq!(worse(&usage(), &lacking("103.0")), missing(Severity::Breaks));
    assert_eq!(worse(&usage(), &lacking("104.0")), missing(Severity::Breaks));
    assert_eq!(worse(&usage(), &lacking("next")), missing(Severity::Breaks));
    assert_eq!(worse(&usage(), &lacking("98.0")), missing(Severity::Loses));
    let off = Usage {
        enabled: false,
        ..usage()
    };
    assert_eq!(worse(&off, &lacking("103.0")), missing(Severity::Note));
    // Without an id nothing can be read, whatever the release.
    let document = document("98.0", "things", &without("id"));
    assert_eq!(
        worse(&usage(), &document),
        one(Severity::Breaks, DriftKind::MissingField, "id")
    );
}

#[test]
fn a_field_that_tells_lists_apart_is_missed_only_where_it_was_there() {
    let mut of_two = usage();
    of_two.fields.push(field("owner", Role::Owner));
    let missing = |release| worse(&of_two, &document(release, "things", &whole()));
    assert_eq!(missing("97.0"), []);
    assert_eq!(
        missing("103.0"),
        one(Severity::Breaks, DriftKind::MissingField, "owner")
    );
}

#[test]
fn a_renamed_array_is_named_and_one_of_several_known_names_is_enough() {
    let renamed = document("103.0", "items", &whole());
    let name = "things -> items";
    assert_eq!(
        worse(&usage(), &renamed),
        one(Severity::Breaks, DriftKind::RenamedArray, name)
    );
    let prepared = Usage {
        arrays: &["things", "items"],
        ..usage()
    };
    assert_eq!(worse(&prepared, &renamed), []);
}

#[test]
fn a_missing_path_breaks_only_where_it_was_there() {
    let elsewhere = |release: &str| {
        let mut document = document(release, "things", &whole());
        let list = document["paths"]["/things"].take();
        document["paths"] = json!({"/others": list});
        document
    };
    let expected = |severity| {
        [
            one(severity, DriftKind::MissingPath, ""),
            one(Severity::Note, DriftKind::UnreadPath, ""),
        ]
        .concat()
    };
    assert_eq!(found(&usage(), &elsewhere("103.0")), expected(Severity::Breaks));
    assert_eq!(found(&usage(), &elsewhere("97.0")), expected(Severity::Loses));
    let essential = Usage {
        essential: true,
        ..usage()
    };
    assert_eq!(found(&essential, &elsewhere("97.0")), expected(Severity::Breaks));
}

#[test]
fn parameters_and_their_values_have_to_be_declared() {
    let mut document = document("103.0", "things", &whole());
    let get = &mut document["paths"]["/things"]["get"];
    get["parameters"] = json!([
        {"name": "startIndex", "in": "query", "schema": {"type": "integer"}},
        {"name": "expand", "in": "query", "description": "Use `profile.tags` or \"profile.segments.all\".",
         "schema": {"type": "array", "items": {"type": "string"}}},
        {"name": "order", "in": "query", "schema": {"type": "string", "enum": ["up"]}},
    ]);
    let asking = Usage {
        query: vec![
            ("count", "10".to_owned()),
            ("expand", "profile.tags".to_owned()),
            ("expand", "profile.segments".to_owned()),
        ],
        ..usage()
    };
    assert_eq!(
        worse(&asking, &document),
        [
            one(Severity::Breaks, DriftKind::MissingParameter, "count"),
            one(
                Severity::Loses,
                DriftKind::MissingOption,
                "expand = profile.segments"
            ),
        ]
        .concat()
    );
}

#[test]
fn the_fields_of_examples_count_also_where_quotes_are_escaped_once_too_often() {
    let mut document = document("103.0", "things", &without("name"));
    let text = r#"{"things": [{"id": "a", "name": "say \\"hello\\""}]}"#;
    assert!(serde_json::from_str::<Value>(text).is_err());
    document["paths"]["/things"]["get"]["responses"]["200"]["content"]["application/json"]["examples"] =
        json!({"one": {"value": text}, "none": {"value": "{"}});
    assert_eq!(worse(&usage(), &document), []);
}

#[test]
fn a_field_that_only_another_operation_describes_is_there() {
    let mut document = document("103.0", "things", &without("name"));
    document["paths"]["/things/{thing}"] = json!({"get": {"responses": {"200": {"content": {"application/json": {
        "schema": {"properties": {"id": {"type": "string"}, "name": {"type": "string"}}},
    }}}}}});
    assert_eq!(
        worse(&usage(), &document),
        one(Severity::Breaks, DriftKind::MissingField, "name")
    );
    let with_twin = Usage {
        twin: Some("/things/{id}"),
        ..usage()
    };
    assert_eq!(worse(&with_twin, &document), []);
}

#[test]
fn a_list_that_names_the_schema_of_a_single_item_is_no_alarm() {
    let mut document = document("103.0", "things", &whole());
    let content = &mut document["paths"]["/things"]["get"]["responses"]["200"]["content"]["application/json"];
    *content = json!({"schema": {"$ref": "#/components/schemas/one"}});
    // Without an example nothing shows the envelope.
    assert_eq!(worse(&usage(), &document), []);
    let content = &mut document["paths"]["/things"]["get"]["responses"]["200"]["content"]["application/json"];
    content["examples"] = json!({"all": {"value": "{\"things\": [{\"id\": \"a\", \"extra\": 1}]}"}});
    assert_eq!(
        worse(&usage(), &document),
        one(Severity::Note, DriftKind::UnknownField, "extra")
    );
}

#[test]
fn an_object_of_which_nothing_is_said_may_hold_any_field() {
    let mut properties = whole();
    properties["creator"] = json!({"type": "object"});
    let document = document("103.0", "things", &properties);
    assert_eq!(found(&usage(), &document), []);
}

#[test]
fn schemas_that_refer_to_themselves_or_to_nothing_end() {
    let mut properties = whole();
    properties["parent"] = json!({"$ref": "#/components/schemas/one"});
    let circle = document("103.0", "things", &properties);
    assert_eq!(
        worse(&usage(), &circle),
        one(Severity::Note, DriftKind::UnknownField, "parent")
    );
    // What is defined elsewhere may have any field: nothing follows from a missing one.
    let mut elsewhere = document("103.0", "things", &without("name"));
    elsewhere["components"]["schemas"]["one"]["allOf"] = json!([{"$ref": "other.json#/one"}]);
    assert_eq!(worse(&usage(), &elsewhere), []);
    // Each schema names the next one ten times: a reader that follows all of them does not end.
    let mut wide = document("103.0", "things", &without("name"));
    for level in 0..8 {
        let next = json!({"$ref": format!("#/components/schemas/s{}", level + 1)});
        let ten: serde_json::Map<String, Value> = (0..10).map(|n| (format!("f{n}"), next.clone())).collect();
        wide["components"]["schemas"][format!("s{level}")] = json!({"properties": ten});
    }
    wide["components"]["schemas"]["one"]["properties"]["wide"] = json!({"$ref": "#/components/schemas/s0"});
    assert!(
        worse(&usage(), &wide)
            .iter()
            .all(|(severity, ..)| *severity == Severity::Note)
    );
}

#[test]
fn a_document_of_something_else_is_none() {
    for other in [
        json!([]),
        json!({}),
        json!({"openapi": "3.1.0"}),
        json!({"paths": {}}),
    ] {
        assert_eq!(Api::read(&other), None, "{other}");
    }
}

#[test]
fn changes_between_two_documents_are_told_once_each() {
    let before = Api::read(&document("101.0", "entries", &whole())).unwrap();
    let mut properties = without("name");
    properties["type"]["enum"] = json!(["BIG", "TINY"]);
    properties["owner"] = json!({"$ref": "#/components/schemas/user"});
    let after = Api::read(&document("102.0", "things", &properties)).unwrap();
    let told = |findings: Vec<Finding>| -> Vec<(DriftKind, String)> {
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note));
        findings
            .into_iter()
            .map(|finding| (finding.kind, finding.name))
            .collect()
    };
    assert_eq!(
        told(changes(&before, &after, |_| true)),
        [
            (DriftKind::RenamedArray, "entries -> things".to_owned()),
            (DriftKind::NewField, "things.owner".to_owned()),
            (DriftKind::RenamedValue, "things.type = SMALL -> TINY".to_owned()),
            (DriftKind::GoneField, "things.name".to_owned()),
        ]
    );
    assert_eq!(told(changes(&before, &after, |_| false)), []);
    assert_eq!(told(changes(&after, &after, |_| true)), []);
    let none = Api::default();
    assert_eq!(
        told(changes(&none, &after, |_| true)),
        [(DriftKind::NewPath, String::new())]
    );
    assert_eq!(
        told(changes(&after, &none, |_| true)),
        [(DriftKind::GonePath, String::new())]
    );
}
