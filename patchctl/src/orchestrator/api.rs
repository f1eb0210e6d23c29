//! The calls of the orchestrator's API that are not event deliveries.

use std::time::Duration;

use patchcore::error::excerpt;

use crate::redact;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ureq::http::Method;

use super::client::{CallError, Client, DATA_ANSWER, Request, Response};
use super::config::Config;
use super::retry_after::retry_after;

/// The longest that one call takes.
const CALL: Duration = Duration::from_secs(10);
/// The longest that a call takes that a model answers.
const MODEL_CALL: Duration = Duration::from_secs(120);
/// Most of an error's body that a message shows, in bytes.
const SHOWN: usize = 200;

/// The API of one orchestrator.
pub(crate) struct Api {
    client: Client,
}

/// One failure of a factory, as `POST /api/factory/errors` takes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FactoryError {
    pub(crate) order_id: String,
    pub(crate) factory: String,
    pub(crate) file_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) placeholder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task_uuid: Option<String>,
    pub(crate) error_code: ErrorCode,
    pub(crate) message: String,
    /// `preview`: the file's first 400 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<Value>,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ErrorCode {
    FileNotFound,
    PlaceholderNotFound,
    InjectFailed,
    Unknown,
}

/// What the orchestrator makes of one failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Remediation {
    #[serde(default)]
    pub(crate) task_uuid: Option<String>,
    #[serde(default)]
    pub(crate) ok: bool,
    pub(crate) action: RemediationAction,
    /// For `update_file_path`, the new path.
    #[serde(default)]
    pub(crate) note: Option<String>,
    /// For `patch_ready`, a batch.
    #[serde(default)]
    pub(crate) batch: Option<Value>,
    /// For `patch_ready`, the whole file.
    #[serde(default)]
    pub(crate) content: Option<String>,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RemediationAction {
    UpdateFilePath,
    PatchReady,
    Blocked,
    RemediationError,
    None,
    /// One that this version does not know; nothing is done about it.
    #[serde(other)]
    Unknown,
}

/// One entry of the operations log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpLog {
    pub(crate) source: String,
    pub(crate) operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task_uuid: Option<String>,
    #[serde(default)]
    pub(crate) level: Level,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) details: Map<String, Value>,
}

/// How bad an entry of the operations log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Debug,
    #[default]
    Info,
    Warning,
    Error,
    Critical,
}

/// A question about a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Help {
    pub(crate) agent_name: String,
    pub(crate) question: String,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

/// A question about an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Clarification {
    pub(crate) order_id: String,
    pub(crate) question: String,
    /// Whatever else helps to answer it.
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// An order to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NewOrder {
    pub(crate) factory: String,
    /// Objects of `file_path` and `instructions` (placeholder → text).
    pub(crate) files: Vec<Value>,
}

impl Api {
    /// The API of the configured orchestrator.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub(crate) fn new(config: &Config) -> Result<Self, CallError> {
        Ok(Self {
            client: Client::new(config)?,
        })
    }

    /// The tasks of an order: `{"order_id", "tasks": […]}`.
    ///
    /// # Errors
    /// Every call: no answer, no success, or an answer that is malformed or too large.
    pub(crate) fn tasks<T: DeserializeOwned>(&self, order_id: &str) -> Result<Vec<T>, CallError> {
        #[derive(Deserialize)]
        struct Tasks<T> {
            tasks: Vec<T>,
        }
        let answer: Tasks<T> = self.get(&format!("/api/tasks/{}", segment(order_id)?))?;
        Ok(answer.tasks)
    }

    /// One task; `None` where the orchestrator knows none of that id.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub(crate) fn task<T: DeserializeOwned>(&self, uuid: &str) -> Result<Option<T>, CallError> {
        match self.get(&format!("/api/task/{}", segment(uuid)?)) {
            Ok(task) => Ok(Some(task)),
            Err(CallError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells a task's new status; answers the status that the orchestrator now has.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub(crate) fn set_status(&self, uuid: &str, status: &str) -> Result<String, CallError> {
        #[derive(Deserialize)]
        struct Status {
            status: String,
        }
        let path = format!("/api/task/{}/status", segment(uuid)?);
        let answer: Status = self.post(&path, &serde_json::json!({ "status": status }), CALL)?;
        Ok(answer.status)
    }

    /// Asks for help with a task.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub(crate) fn help(&self, uuid: &str, help: &Help) -> Result<Value, CallError> {
        let path = format!("/api/task/{}/help", segment(uuid)?);
        self.post(&path, help, MODEL_CALL)
    }

    /// Asks for clarification of an order.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub(crate) fn clarify(&self, question: &Clarification) -> Result<Value, CallError> {
        self.post("/api/ai-provider/clarify", question, MODEL_CALL)
    }

    /// The placeholder mapping of an order.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub(crate) fn placeholders(&self, order_id: &str) -> Result<Value, CallError> {
        self.get(&format!("/api/orders/{}/placeholders", segment(order_id)?))
    }

    /// Makes an order; answers `{"order_id", "tasks_created"}`.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub(crate) fn create_order(&self, order: &NewOrder) -> Result<Value, CallError> {
        self.post("/api/orders", order, CALL)
    }

    /// Reports failures now, past the outbox; answers what to do about each.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub(crate) fn report_errors(
        &self,
        errors: &[FactoryError],
    ) -> Result<Vec<Remediation>, CallError> {
        let body = serde_json::json!({ "errors": errors });
        let answer: Remediations = self.post("/api/factory/errors", &body, MODEL_CALL)?;
        Ok(answer.remediation)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        decode(self.client.call(&Request {
            method: Method::GET,
            path,
            body: None,
            headers: Vec::new(),
            within: CALL,
            limit: DATA_ANSWER,
        })?)
    }

    fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).expect("these types serialise");
        let body = redact::bytes(&body);
        decode(self.client.call(&Request {
            method: Method::POST,
            path,
            body: Some(&body),
            headers: Vec::new(),
            within,
            limit: DATA_ANSWER,
        })?)
    }
}

/// The answer to an error batch.
#[derive(Debug, Deserialize)]
pub(crate) struct Remediations {
    /// What to do about each failure.
    #[serde(default)]
    pub(crate) remediation: Vec<Remediation>,
}

fn decode<T: DeserializeOwned>(response: Response) -> Result<T, CallError> {
    if !response.is_success() {
        return Err(CallError::Status {
            status: response.status,
            retry_after: response.header("retry-after").and_then(retry_after),
            excerpt: response
                .body
                .map(|bytes| excerpt(redact::bytes(&bytes).trim_ascii(), SHOWN))
                .unwrap_or_default(),
        });
    }
    let body = response.body?;
    if weight(&body) > MOST_WEIGHT {
        return Err(CallError::Heavy);
    }
    serde_json::from_slice(&body).map_err(|error| CallError::Malformed(error.to_string()))
}

/// Most that an answer may weigh once it is read, in bytes.
const MOST_WEIGHT: usize = 256 << 20;

/// What a JSON document may take in memory at most, in bytes: many small values take many times
/// their text.
fn weight(json: &[u8]) -> usize {
    /// An object with its first member.
    const OBJECT: usize = 768;
    /// A list with its first value.
    const LIST: usize = 192;
    /// Each further value, and each member's name.
    const VALUE: usize = 96;
    let mut weight = json.len();
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' => weight += OBJECT,
            b'[' => weight += LIST,
            b',' | b':' => weight += VALUE,
            _ => {}
        }
    }
    weight
}

/// What a segment of a URL may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// An id as one segment of a URL's path: what could end it or lead out of it is encoded.
fn segment(id: &str) -> Result<String, CallError> {
    if matches!(id, "" | "." | "..") {
        return Err(CallError::Id(id.to_owned()));
    }
    Ok(utf8_percent_encode(id, SEGMENT).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_values_weigh_more_than_one_long_text() {
        let objects = format!("[{}{{}}]", r#"{"":0},"#.repeat(1 << 20));
        assert!(weight(objects.as_bytes()) > MOST_WEIGHT);
        let text = format!("\"{}\"", "{[,:\\\"".repeat(8 << 20));
        assert!(weight(text.as_bytes()) < MOST_WEIGHT);
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(segment("ORD-abc_1.2").unwrap(), "ORD-abc_1.2");
        assert_eq!(segment("../a?b#c d").unwrap(), "..%2Fa%3Fb%23c%20d");
        assert_eq!(segment("é").unwrap(), "%C3%A9");
        assert!(segment("..").is_err());
        assert!(segment("").is_err());
    }

    #[test]
    fn an_unknown_remediation_is_not_an_error() {
        let text = r#"{"task_uuid":"u","ok":true,"action":"dance","note":null,"x":1}"#;
        let remediation: Remediation = serde_json::from_str(text).unwrap();
        assert_eq!(remediation.action, RemediationAction::Unknown);
    }
}
