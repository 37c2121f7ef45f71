//! Every answer of the simulated tenant is held against the schemas of the vendor's own document, and so are the
//! document's own examples, so that what is corrected here is corrected rightly. The schemas require next to
//! nothing: keys that they do not name are therefore refused as well.

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};
use simulated_tenant::settings::Settings;
use simulated_tenant::shape::{KeyOrder, LastPage, Layout, NextCursor, Shape};

use super::asker::{Asker, body, fixed, text};

/// The document, from `BLUECONIC_OPENAPI` or from beside this repository.
fn document() -> Value {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/blueconic/openapi.json");
    let path = std::env::var_os("BLUECONIC_OPENAPI").map_or(beside, PathBuf::from);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "the vendor's document is not at {}: {error}; name it in BLUECONIC_OPENAPI",
            path.display()
        )
    });
    serde_json::from_slice(&bytes).unwrap()
}

/// The components with what the document itself contradicts set right, and nothing else.
fn corrected(document: &Value, link_is_lower_case: bool) -> Value {
    let mut components = document["components"].clone();
    let schemas = &mut components["schemas"];
    if link_is_lower_case {
        // `Href`, `Rel` and `Type` in the schema, lower case in every example.
        let link = schemas["link"]["properties"].as_object_mut().unwrap();
        for (schema, example) in [("Href", "href"), ("Rel", "rel"), ("Type", "type")] {
            let property = link.remove(schema).unwrap();
            link.insert(example.to_owned(), property);
        }
    }
    // The values of an event are objects in the schema; its own words and the example say texts, numbers and lists.
    schemas["Property"]["properties"]["values"]["items"] = json!({});
    // The example of an event has a `source`, the schema has none.
    schemas["event"]["properties"]["source"] = json!({"type": "string"});
    // `username` in the schema, `userName` in the example.
    let audit_event = &mut schemas["AuditEntryBean"]["properties"];
    audit_event["userName"] = audit_event["username"].clone();
    // `PROFILE_PROPERTY` in the enum, `PROFILEPROPERTY` in the example.
    audit_event["objectType"]["enum"]
        .as_array_mut()
        .unwrap()
        .push("PROFILEPROPERTY".into());
    // Each property of the examples has links, those of groups a strategy of composition; the schema has neither.
    let link = json!({"$ref": "#/components/schemas/link"});
    schemas["profileProperty"]["properties"]["links"] = json!({"type": "array", "items": link});
    schemas["profileProperty"]["properties"]["compositionStrategy"] = json!({"type": "string"});
    components
}

/// Refuses keys that a schema does not name, at all levels.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object)
                && members.get("type") == Some(&json!("object"))
            {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

struct Schemas {
    components: Value,
}

impl Schemas {
    fn new(shape: &Shape) -> Self {
        let mut components = corrected(&document(), !shape.links_upper_case);
        if !shape.unknown_keys {
            close(&mut components);
        }
        Self { components }
    }

    fn validator(&self, name: &str) -> Validator {
        let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": self.components});
        jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap()
    }

    fn check(&self, name: &str, instance: &Value, what: &str) {
        let errors: Vec<String> = self
            .validator(name)
            .iter_errors(instance)
            .take(5)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what} is no `{name}`: {errors:#?}");
    }
}

const OPERATIONS: [(&str, &str, &str); 7] = [
    ("/oauth/token", "post", "200"),
    ("/oauth/token", "post", "401"),
    ("/segments", "get", "200"),
    ("/segments/{segment}/profiles", "get", "200"),
    ("/profiles/{profileId}", "get", "200"),
    ("/profileProperties", "get", "200"),
    ("/auditEvents", "get", "200"),
];

#[test]
fn the_documents_own_examples_pass() {
    let document = document();
    let schemas = Schemas::new(&Shape::default());
    let mut checked = 0;
    for (path, method, status) in OPERATIONS {
        let content = &document["paths"][path][method]["responses"][status]["content"]["application/json"];
        let reference = text(&content["schema"]["$ref"]);
        let name = reference.rsplit('/').next().unwrap();
        for (title, example) in content["examples"].as_object().unwrap() {
            // 13 examples have the quotes inside of strings escaped once too often.
            let repaired = text(&example["value"]).replace(r#"\\""#, r#"\""#);
            let instance = serde_json::from_str(&repaired).unwrap();
            schemas.check(name, &instance, &format!("{path}: {title}"));
            checked += 1;
        }
    }
    assert_eq!(checked, 8);
}

fn shapes() -> Vec<Shape> {
    let plain = Shape::default();
    vec![
        plain,
        Shape {
            layout: Layout::Pretty,
            key_order: KeyOrder::Reversed,
            ..plain
        },
        Shape {
            layout: Layout::Airy,
            key_order: KeyOrder::Shuffled,
            shuffled_lists: true,
            ..plain
        },
        Shape {
            next_cursor: NextCursor::AfterProfiles,
            last_page: LastPage::SameCursor,
            ..plain
        },
        Shape {
            escaped: true,
            empty_arrays_absent: true,
            ..plain
        },
        Shape {
            unknown_keys: true,
            links_upper_case: true,
            ..plain
        },
    ]
}

#[tokio::test]
async fn every_answer_in_every_shape_is_as_documented() {
    // Object types of later releases are no part of this document.
    let settings = Settings {
        profiles: 1_500,
        lacking_per_thousand: 200,
        later_enums: false,
        ..fixed()
    };
    let asker = Asker::new(settings).await;
    asker.tenant.merge(5, 6);
    asker.tenant.touch(8, "email", &["new@mail.example"]);
    for shape in shapes() {
        asker.tenant.set_shape(shape);
        let schemas = Schemas::new(&shape);
        let check = async |name: &str, path: &str, query: &[(&str, &str)]| {
            let instance = asker.json(path, query).await;
            schemas.check(name, &instance, &format!("{path} as {shape:?}"));
            instance
        };
        check("segments", "/segments", &[]).await;
        check("profileProperties", "/profileProperties", &[("count", "100")]).await;
        check(
            "profileProperties",
            "/profileProperties",
            &[("groupTypeId", "company")],
        )
        .await;
        check("AuditEventsBean", "/auditEvents", &[("count", "1000")]).await;
        let everything = [
            ("expand", "profiles.profile.segments"),
            ("expand", "profiles.profile.permissions"),
            ("expand", "profiles.profile.replace"),
            ("expand", "profiles.profile.timeline"),
            ("expand", "profiles.profile.groups"),
            ("expand", "profiles.profile.matchingGroups"),
            ("count", "750"),
        ];
        for page in asker.walk("allvisitors", &everything).await {
            schemas.check("SegmentProfiles", &page, &format!("a page as {shape:?}"));
        }
        for position in [5, 6, 7, 8] {
            let expand = [
                ("expand", "profile.timeline"),
                ("expand", "profile.segments.tags"),
            ];
            check(
                "profile",
                &format!("/profiles/{}", asker.tenant.id(position)),
                &expand,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn token_answers_are_as_documented() {
    let asker = Asker::new(fixed()).await;
    let schemas = Schemas::new(&Shape::default());
    for (secret, status, name) in [
        ("simulated-secret", 200, "TokenSuccessResponse"),
        ("wrong", 401, "TokenErrorResponse"),
    ] {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "simulated-client"),
            ("client_secret", secret),
        ];
        let answer = asker.post("/oauth/token").form(&form).send().await.unwrap();
        assert_eq!(answer.status(), status);
        schemas.check(name, &body(answer).await, "the token answer");
    }
}

#[tokio::test]
async fn the_documents_refinements_are_understood() {
    let asker = Asker::new(fixed()).await;
    let schemas = Schemas::new(&Shape::default());
    let document = document();
    let parameters = document["paths"]["/segments/{segment}/profiles"]["get"]["parameters"]
        .as_array()
        .unwrap();
    let refinement = parameters
        .iter()
        .find(|parameter| parameter["name"] == "refinement")
        .unwrap();
    let examples = refinement["examples"].as_object().unwrap();
    assert_eq!(examples.len(), 4);
    for (title, example) in examples {
        let written = text(&example["value"]).replace(r#"\\""#, r#"\""#);
        let mut decoded = url::form_urlencoded::parse(written.as_bytes());
        let decoded = if written.starts_with('%') {
            decoded.next().unwrap().0.into_owned()
        } else {
            written.clone()
        };
        schemas.check("RefinementBean", &serde_json::from_str(&decoded).unwrap(), title);
        let status = asker
            .status("/segments/allvisitors/profiles", &[("refinement", &decoded)])
            .await;
        assert_eq!(status, 200, "{title}");
    }
}

/// Whatever the schema refuses, the tenant refuses.
#[tokio::test]
async fn what_is_no_refinement_by_the_document_is_refused() {
    let asker = Asker::new(fixed()).await;
    let validator = Schemas::new(&Shape::default()).validator("RefinementBean");
    for refinement in [
        json!({"property": "visits", "operator": "IN_RANGE", "fromValue": "1"}),
        json!({"property": "lastmodifieddate", "operator": "IN_RANGE", "fromDate": 1_679_913_371_990_i64}),
        json!({"property": "lastmodifieddate", "operator": "IN_LAST_DAYS", "days": 3}),
        json!({"operator": "AND", "filters": {}}),
        json!([]),
    ] {
        assert!(!validator.is_valid(&refinement), "{refinement}");
        let query = [("refinement", refinement.to_string())];
        let query: Vec<(&str, &str)> = query.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(
            asker.status("/segments/allvisitors/profiles", &query).await,
            400,
            "{refinement}"
        );
    }
}
