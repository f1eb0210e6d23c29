//! Reading what a request says: its target, its headers, and its body within the limits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Query;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use axum::response::Response;
use futures_util::StreamExt as _;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::problem;

/// How requests are read.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) body: usize,
    pub(super) patience: Duration,
}

/// Reads the parameters of a request's target. None is left out: what is not known, doubled, empty
/// or not what it should be is refused by its name.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Response> {
    let bad = |why: &str| problem(StatusCode::BAD_REQUEST, why);
    for part in uri.query().unwrap_or_default().split('&') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let shown = percent_decode_str(name).decode_utf8_lossy();
        if part.is_empty() {
            continue;
        }
        if value.is_empty() {
            return Err(bad(&format!("the parameter {shown:?} is empty")));
        }
        // What cannot be decoded would be read as something else.
        if !is_encoded(part) {
            let why = format!("the parameter {shown:?} is not UTF-8 in percent encoding");
            return Err(bad(&why));
        }
    }
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(bad(&rejection.body_text())),
    }
}

/// Whether each `%` of a text has its two digits, and all is UTF-8.
fn is_encoded(text: &str) -> bool {
    let digits = |rest: &str| {
        let mut digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.by_ref().count() == 2
    };
    text.split('%').skip(1).all(digits) && percent_decode_str(text).decode_utf8().is_ok()
}

/// No parameters, or no fields of a body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Refuses a request that has parameters where there are none.
pub(super) fn no_query(uri: &Uri) -> Result<(), Response> {
    query::<Nothing>(uri).map(|Nothing {}| ())
}

/// Refuses a request with a body that would not be read, or not as it was meant.
pub(super) fn check_body(request: &Request<Body>) -> Result<(), Response> {
    let is_read = !matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read && !request.body().is_end_stream() {
        return Err(problem(StatusCode::BAD_REQUEST, "a GET has no body here"));
    }
    let mut codings = request.headers().get_all(CONTENT_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let why = "`Content-Encoding` is not taken: send the body as it is";
        return Err(problem(StatusCode::BAD_REQUEST, why));
    }
    Ok(())
}

/// Bytes of bodies that are held in memory, of all requests together.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Most of them, unless one body may be longer.
const MAX_HELD: usize = 256 << 20;

/// A body, which counts as long as it is held.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    held: usize,
}

impl Drop for Received {
    fn drop(&mut self) {
        HELD.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// Reads a body within the limits.
pub(super) async fn read_body(
    body: Body,
    most: usize,
    patience: Duration,
) -> Result<Received, Response> {
    let read = async {
        let mut received = Received {
            bytes: Vec::new(),
            held: 0,
        };
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            let Ok(part) = part else {
                return Err(problem(StatusCode::BAD_REQUEST, "the body ends too early"));
            };
            if received.bytes.len() + part.len() > most {
                let why = format!("a body has at most {most} bytes");
                return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, &why));
            }
            // What was sent counts, not what is announced: who is slow takes no room from others.
            let held = HELD.fetch_add(part.len(), Ordering::Relaxed) + part.len();
            received.held += part.len();
            received.bytes.extend_from_slice(&part);
            if held > MAX_HELD.max(most) {
                let why = "too many large bodies at a time; send it again";
                return Err(problem(StatusCode::SERVICE_UNAVAILABLE, why));
            }
        }
        Ok(received)
    };
    match tokio::time::timeout(patience, read).await {
        Ok(read) => read,
        Err(_) => Err(problem(
            StatusCode::REQUEST_TIMEOUT,
            "the body takes too long",
        )),
    }
}

/// Reads a JSON body; an empty one is an empty object.
pub(super) async fn read_json<T: DeserializeOwned>(
    body: Body,
    limits: Limits,
) -> Result<T, Response> {
    let received = read_body(body, limits.body, limits.patience).await?;
    let bytes = match received.bytes.as_slice() {
        [] => b"{}",
        bytes => bytes,
    };
    // A list would be read as the fields of an object in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        let why = "the body cannot be read: expected an object of JSON";
        return Err(problem(StatusCode::BAD_REQUEST, why));
    }
    let parsed = crate::service::json::check(bytes).and_then(|()| serde_json::from_slice(bytes));
    parsed.map_err(|error| {
        problem(
            StatusCode::BAD_REQUEST,
            &format!("the body cannot be read: {error}"),
        )
    })
}

/// The id under which a batch is known that has none.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Response> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let bad = || {
        problem(
            StatusCode::BAD_REQUEST,
            "`Idempotency-Key` is one line of 1 to 255 ASCII characters",
        )
    };
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let text = key.to_str().map_err(|_| bad())?.trim();
    // Some send it as a string of structured fields.
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    match keys.next().is_none() && (1..=255).contains(&text.len()) {
        true => Ok(Some(text.to_owned())),
        false => Err(bad()),
    }
}
