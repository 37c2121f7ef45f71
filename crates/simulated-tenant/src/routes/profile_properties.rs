//! `GET /profileProperties`

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::segments::envelope;
use crate::answer::{Refusal, json};
use crate::dates::iso;
use crate::json::{Node, Writer};
use crate::page::link;
use crate::query::Query;
use crate::state::State;
use crate::truth::{Currency, PropertyDefinition};

const FILTER_TYPES: [&str; 6] = ["RANGE", "CURRENCY", "DECIMAL", "SELECT", "EMAIL", "DATETIME"];

pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    state.allow(&headers, "read:profile-properties")?;
    let query = Query::of(&uri);
    let paging = query.paging()?;
    let properties = matching(&state, &query)?;
    let writer = state.writer();
    let address = format!("{}{}/profileProperties", state.url, state.settings.api_path);
    let total = state.settings.profiles;
    let mut body = envelope("profileProperties", &properties, paging, |property| {
        node(property, &address, total, &writer)
    });
    // The document's example nests `links` inside `links`, and so does its schema.
    let links = Node::Object(vec![(
        "links",
        Node::List(vec![link(address.clone(), "alt", &writer)]),
    )]);
    body.push(("links", links));
    Ok(json(writer.document(&Node::Object(body)).into()))
}

fn matching(state: &State, query: &Query) -> Result<Vec<PropertyDefinition>, Refusal> {
    let filters: Vec<&str> = query.all("filterType").collect();
    if let Some(unknown) = filters.iter().find(|filter| !FILTER_TYPES.contains(filter)) {
        return Err(Refusal::bad_request(format!(
            "There is no filter type `{unknown}`"
        )));
    }
    let groups: Vec<&str> = query.all("groupTypeId").collect();
    let value = query.one("filterValue");
    let world = state.world();
    let of_groups = world
        .group_properties
        .iter()
        .filter(|property| match &property.group_type_id {
            Some(group) if !groups.is_empty() => groups.contains(&group.as_str()),
            _ => state.settings.group_properties_listed,
        });
    let of_profiles = world.properties.iter().filter(|_| groups.is_empty());
    let wanted = |property: &&PropertyDefinition| {
        (filters.is_empty()
            || property
                .filter_type
                .is_some_and(|filter| filters.contains(&filter)))
            && value.is_none_or(|value| property.name.eq_ignore_ascii_case(value))
    };
    Ok(of_profiles.chain(of_groups).filter(wanted).cloned().collect())
}

fn node(property: &PropertyDefinition, address: &str, total: u64, writer: &Writer) -> Node {
    let mut members = vec![
        ("availableForSegmentation", Node::Flag(true)),
        ("canRead", Node::Flag(property.data_sensitivity == "NON_PII")),
        ("canWrite", Node::Flag(true)),
        ("createNewProfile", Node::Flag(false)),
        ("creationDate", Node::text(iso(property.creation_date))),
    ];
    members.extend(
        property
            .currency
            .as_ref()
            .map(|currency| ("currency", currency_node(currency))),
    );
    members.push(("dataSensitivity", Node::text(property.data_sensitivity)));
    members.push(("description", Node::text(property.description.clone())));
    members.extend(
        property
            .filter_type
            .map(|filter| ("filterType", Node::text(filter))),
    );
    members.extend(
        property
            .group_type_id
            .clone()
            .map(|group| ("groupTypeId", Node::text(group))),
    );
    members.extend([
        ("id", Node::text(property.id.clone())),
        ("indexed", Node::Flag(property.indexed)),
        ("isIdProperty", Node::Flag(false)),
        ("lastModifiedDate", Node::text(iso(property.last_modified_date))),
        (
            "links",
            Node::List(vec![link(
                format!("{address}/{}?alt=application%2Fjson", property.id),
                "self",
                writer,
            )]),
        ),
        ("mergeStrategy", Node::text(property.merge_strategy)),
        ("name", Node::text(property.name.clone())),
        ("permissionLevel", Node::text(property.permission_level)),
        ("precision", Node::Number(property.precision)),
    ]);
    members.extend(
        property
            .profile_count
            .map(|count| ("profileCount", Node::count(count))),
    );
    members.extend([
        ("showInUI", Node::Flag(true)),
        ("tags", Node::texts(&property.tags)),
        ("totalProfileCount", Node::count(total)),
        ("useValidation", Node::Flag(false)),
        ("values", Node::List(Vec::new())),
    ]);
    Node::Object(members)
}

fn currency_node(currency: &Currency) -> Node {
    Node::Object(vec![
        ("isoCode", Node::text(currency.iso_code)),
        ("name", Node::text(currency.name)),
        ("precision", Node::Number(currency.precision)),
        ("symbol", Node::text(currency.symbol)),
    ])
}
