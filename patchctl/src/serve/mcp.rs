//! `/mcp`: the tools over streamable HTTP, without sessions.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

use super::Server;
use super::answer::json_response;
use super::request::{no_query, read_body};
use crate::mcp::Handler;

/// What answers at `/mcp`.
pub(super) fn endpoint(
    server: &Server,
    max_body: usize,
    patience: Duration,
) -> impl Fn(Request<Body>) -> Answering + Clone + Send + Sync + 'static {
    let metrics = server.metrics.clone();
    let handler = Handler::new(server.service.clone(), server.turns.clone())
        .counted(move |name, answer, took| metrics.call(name, answer.ended(), took));
    answering(handler, server.guard.names(), max_body, patience)
}

/// What takes the messages in for a handler and gives its answers out, called by these names.
pub(super) fn answering(
    handler: impl ServerHandler + Clone,
    names: &[String],
    max_body: usize,
    patience: Duration,
) -> impl Fn(Request<Body>) -> Answering + Clone + Send + Sync + 'static {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(max_body)
        .with_allowed_hosts(names.iter().cloned());
    // Behind our own check of `Host` and `Origin`, the SDK's.
    let origins = names
        .iter()
        .flat_map(|name| [format!("http://{name}:*"), format!("https://{name}:*")]);
    let config = match names.is_empty() {
        true => config,
        false => config
            .with_allowed_origins(origins)
            .enforce_origin_validation(),
    };
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
    move |request: Request<Body>| {
        let service = service.clone();
        Box::pin(async move {
            if let Err(response) = no_query(request.uri()) {
                return response;
            }
            let (parts, sent) = request.into_parts();
            // Counts until the call is done.
            let mut received = None;
            let mut body = Body::empty();
            if parts.method == Method::POST {
                let held = match read_body(sent, max_body, patience).await {
                    Ok(held) => received.insert(held),
                    Err(response) => return response,
                };
                // The same answer as over standard input; of two equal keys the SDK would take one
                // without a word.
                if let Err(answer) = crate::mcp::parse(held.bytes.trim_ascii()) {
                    return json_response(StatusCode::BAD_REQUEST, answer.to_string());
                }
                body = Body::from(std::mem::take(&mut held.bytes));
            }
            let response = service.handle(Request::from_parts(parts, body)).await;
            drop(received);
            response.map(Body::new).into_response()
        })
    }
}

/// An answer that is being made.
pub(super) type Answering = std::pin::Pin<Box<dyn Future<Output = Response> + Send>>;
