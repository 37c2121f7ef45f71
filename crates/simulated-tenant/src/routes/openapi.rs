//! `GET /openapi.json`: the tenant's own document, which needs no token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::Response;

use crate::answer::{Refusal, json};
use crate::json::{Node, Writer};
use crate::settings::OpenApi;
use crate::shape::Shape;
use crate::state::State;

pub(crate) async fn document(Shared(state): Shared<Arc<State>>) -> Result<Response, Refusal> {
    match &state.settings.openapi {
        OpenApi::Absent => Err(Refusal::not_found("There is no document")),
        OpenApi::Document(document) => Ok(json(Body::from(document.clone()))),
        OpenApi::Release(release) => {
            let info = vec![
                ("title", Node::text("BlueConic REST API v2")),
                ("version", Node::text(release.clone())),
            ];
            let document = Node::Object(vec![
                ("openapi", Node::text("3.1.0")),
                ("info", Node::Object(info)),
                ("paths", Node::Object(Vec::new())),
            ]);
            Ok(json(Writer::new(Shape::default(), 0).document(&document).into()))
        }
    }
}
