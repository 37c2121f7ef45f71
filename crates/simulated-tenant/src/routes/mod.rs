//! The operations of the document, one file each, and the lists that were given as data.

mod audit_events;
mod groups;
mod lists;
mod openapi;
mod profile_events;
mod profile_properties;
mod profiles;
mod segments;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use crate::answer::Refusal;
use crate::observe::observe;
use crate::query::Query;
use crate::state::State;
use crate::truth::AuditEvent;

/// Everything that the tenant answers.
pub(crate) fn router(state: Arc<State>) -> Router {
    let api = Router::new()
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
        .route("/oauth/authorize", get(authorize))
        .route("/oauth/consent", get(consent).post(decide))
        .route("/oauth/introspect", post(introspect))
        .route("/segments", get(segments::list))
        .route("/segments/{segment}/profiles", get(profiles::list))
        .route("/profiles/{profile}", get(profiles::one))
        .route("/profileProperties", get(profile_properties::list))
        .route("/auditEvents", get(audit_events::list))
        .route("/groups/{grouptype}", get(groups::list))
        .route("/groups/{grouptype}/{group}", get(groups::one))
        .route("/profileEvents/{profile}", get(profile_events::list))
        .route("/openapi.json", get(openapi::document));
    let router = match state.settings.api_path.as_str() {
        "" => api,
        path => Router::new().nest(path, api),
    };
    router
        .fallback(other)
        .layer(from_fn_with_state(Arc::clone(&state), observe))
        .with_state(state)
}

async fn token(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let response = state.oauth.token(&headers, &body, state.clock.now());
    if state.settings.audit_tokens && response.status().is_success() {
        let event = given_token(&state);
        state.change_world().audit_events.push(event);
    }
    response
}

/// The audit event of a token that was given out.
fn given_token(state: &State) -> AuditEvent {
    AuditEvent {
        date: state.clock.now(),
        object_type: "OAUTH_TOKEN".to_owned(),
        operation: "CREATE".to_owned(),
        application: Some(state.settings.client_id.clone()),
        user_name: None,
        ip_address: None,
        objects: Some(Vec::new()),
    }
}

async fn revoke(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    state.oauth.revoke(&headers, &body)
}

async fn authorize(Shared(state): Shared<Arc<State>>, uri: Uri) -> Response {
    let page = format!("{}/oauth/consent", state.settings.api_path);
    state.oauth.authorize(&Query::of(&uri), &page)
}

async fn consent(Shared(state): Shared<Arc<State>>, uri: Uri) -> Response {
    state.oauth.consent(&Query::of(&uri))
}

async fn decide(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    state.oauth.decide(&headers, &body, state.clock.now())
}

async fn introspect(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    state.oauth.introspect(&headers, &body, state.clock.now())
}

async fn other(
    Shared(state): Shared<Arc<State>>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    lists::list(&state, &method, &headers, &uri)
}
