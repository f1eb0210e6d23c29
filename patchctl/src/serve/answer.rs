//! How an answer becomes one of HTTP's.

use axum::body::to_bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use patchcore::Code;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::service::Answer;

/// The status of an answer.
pub(super) fn status(answer: &Answer) -> StatusCode {
    match (answer.exit, answer.code) {
        (_, Some(Code::LimitExceeded)) => StatusCode::PAYLOAD_TOO_LARGE,
        (Exit::Code(1), _) => StatusCode::CONFLICT,
        (Exit::Code(2), _) => StatusCode::BAD_REQUEST,
        (Exit::Code(3), _) => StatusCode::SERVICE_UNAVAILABLE,
        // Committed, or partly so, as the body says.
        _ => StatusCode::OK,
    }
}

pub(super) fn respond(answer: Answer) -> Response {
    json_response(status(&answer), answer.body)
}

/// The answer to a look at one thing, which may not be there.
pub(super) fn respond_found(answer: Answer) -> Response {
    let is_missing = matches!(
        answer.code,
        Some(Code::TaskUnknown | Code::FileNotFound | Code::PlaceholderNotFound)
    );
    match is_missing {
        true => json_response(StatusCode::NOT_FOUND, answer.body),
        false => respond(answer),
    }
}

pub(super) fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Says what is wrong with a request.
pub(super) fn problem(status: StatusCode, why: &str) -> Response {
    json_response(status, json!({ "error": why }).to_string())
}

/// Longest reason of the framework or the SDK, in bytes.
const LONGEST_REASON: usize = 64 << 10;

/// What the framework or the SDK refuses in plain words is told as all else is.
pub(super) async fn in_our_words(response: Response) -> Response {
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    let json = HeaderValue::from_static("application/json");
    if !is_refusal || response.headers().get(header::CONTENT_TYPE) == Some(&json) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, LONGEST_REASON).await.unwrap_or_default();
    let why = String::from_utf8_lossy(&said);
    let why = match &*why {
        "" => status.canonical_reason().unwrap_or_default(),
        why => why,
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, json);
    Response::from_parts(parts, json!({ "error": why }).to_string().into())
}

pub(super) fn failed(failure: &Failure) -> Response {
    respond(Answer::of_failure(failure))
}
