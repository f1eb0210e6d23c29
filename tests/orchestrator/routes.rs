//! The API's calls, and what they check.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::store::Store;
use super::{Options, Seen};

/// The answer to a request: status and body.
pub(super) fn answer(store: &Store, seen: &Seen) -> (u16, Value) {
    let path = seen.path.split('?').next().unwrap_or_default();
    let segments: Vec<String> = path.split('/').skip(1).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let body = seen.json();
    match (seen.method.as_str(), segments.as_slice()) {
        ("GET", ["api", "tasks", order]) => {
            let tasks = store.tasks_of(order);
            (200, json!({ "order_id": order, "tasks": tasks }))
        }
        ("GET", ["api", "task", uuid]) => match store.task(uuid) {
            Some(task) => (200, task),
            None => missing("task"),
        },
        ("POST", ["api", "task", uuid, "status"]) => status(store, uuid, &body),
        ("POST", ["api", "task", uuid, "help"]) => help(store, uuid, &body),
        ("POST", ["api", "ai-provider", "clarify"]) => clarify(&body),
        ("GET", ["api", "orders", order, "placeholders"]) => placeholders(store, order),
        ("POST", ["api", "orders"]) => create_order(store, &body),
        ("POST", ["api", "patches", "events"]) => events(store, &body),
        ("POST", ["api", "ops", "log"]) => operation(store, &body),
        ("POST", ["api", "factory", "errors"]) => errors(store, &body),
        _ => missing("route"),
    }
}

/// Whether a request carries what it must.
pub(super) fn authorise(options: &Options, seen: &Seen) -> Result<(), &'static str> {
    if let Some(token) = &options.token {
        let bearer = format!("Bearer {token}");
        if seen.header("authorization") != Some(bearer.as_str()) {
            return Err("wrong token");
        }
    }
    match &options.secret {
        Some(secret) if seen.path.ends_with("/api/patches/events") => verify(secret, seen),
        _ => Ok(()),
    }
}

/// Checks a signature as a receiver of Standard Webhooks does.
fn verify(secret: &str, seen: &Seen) -> Result<(), &'static str> {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(encoded).map_err(|_| "bad secret")?;
    let header = |name| seen.header(name).ok_or("unsigned");
    let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?);
    let seconds: i64 = time.parse().map_err(|_| "bad timestamp")?;
    if (jiff::Timestamp::now().as_second() - seconds).abs() > 300 {
        return Err("stale timestamp");
    }
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("a key of any size");
    mac.update(format!("{id}.{time}.").as_bytes());
    mac.update(&seen.body);
    let signature = header("webhook-signature")?;
    let signature = signature.strip_prefix("v1,").ok_or("bad signature")?;
    let signature = STANDARD.decode(signature).map_err(|_| "bad signature")?;
    mac.verify_slice(&signature).map_err(|_| "wrong signature")
}

fn status(store: &Store, uuid: &str, body: &Value) -> (u16, Value) {
    let status = body["status"].as_str().unwrap_or_default();
    if !["pending", "in_progress", "complete", "blocked"].contains(&status) {
        return (422, json!({ "error": "unknown status" }));
    }
    if !store.set_status(uuid, status) {
        return missing("task");
    }
    (200, json!({ "uuid": uuid, "status": status }))
}

fn help(store: &Store, uuid: &str, body: &Value) -> (u16, Value) {
    let Some(task) = store.task(uuid) else {
        return missing("task");
    };
    let question = body["question"].as_str().unwrap_or_default();
    if question.is_empty() || !body["agent_name"].is_string() {
        return (
            422,
            json!({ "error": "agent_name and question are required" }),
        );
    }
    let answer = json!({
        "uuid": uuid,
        "original_instruction": task["instruction"],
        "ai_guidance": format!("About «{question}»: do what the instruction says."),
        "summary": "Follow the instruction.",
        "error": body["error"],
    });
    (200, answer)
}

fn clarify(body: &Value) -> (u16, Value) {
    if !body["order_id"].is_string() || !body["question"].is_string() {
        return (
            422,
            json!({ "error": "order_id and question are required" }),
        );
    }
    let answer = json!({
        "order_id": body["order_id"], "question": body["question"],
        "answer": "Yes.", "confidence": 0.9,
    });
    (200, answer)
}

fn placeholders(store: &Store, order: &str) -> (u16, Value) {
    let tasks = store.tasks_of(order);
    if tasks.is_empty() {
        return missing("order");
    }
    let pair = |task: Value| {
        let name = task["placeholder"].as_str().unwrap_or_default().to_owned();
        (name, task["instruction"].clone())
    };
    (200, Value::Object(tasks.into_iter().map(pair).collect()))
}

fn create_order(store: &Store, body: &Value) -> (u16, Value) {
    let Some(files) = body["files"].as_array() else {
        return (422, json!({ "error": "files is required" }));
    };
    let order = format!("ORD-{}", &uuid::Uuid::now_v7().simple().to_string()[20..]);
    let mut tasks_created = 0;
    for file in files {
        let path = file["file_path"].as_str().unwrap_or_default();
        for (name, text) in file["instructions"].as_object().into_iter().flatten() {
            store.add_task(&order, path, name, text.as_str().unwrap_or_default());
            tasks_created += 1;
        }
    }
    (
        201,
        json!({ "order_id": order, "tasks_created": tasks_created }),
    )
}

fn events(store: &Store, body: &Value) -> (u16, Value) {
    let events = match body["events"].as_array() {
        Some(events) => events.iter().collect(),
        None => vec![body],
    };
    if events.iter().any(|event| !event["event_id"].is_string()) {
        return (422, json!({ "error": "event_id is required" }));
    }
    let mut duplicates = 0;
    for event in events {
        let id = event["event_id"].as_str().unwrap_or_default();
        duplicates += u32::from(!store.add_event(id, event));
    }
    (200, json!({ "ok": true, "duplicates": duplicates }))
}

fn operation(store: &Store, body: &Value) -> (u16, Value) {
    if !body["source"].is_string() || !body["operation"].is_string() {
        return (422, json!({ "error": "source and operation are required" }));
    }
    store.add_operation(body);
    (200, json!({ "ok": true }))
}

fn errors(store: &Store, body: &Value) -> (u16, Value) {
    let Some(errors) = body["errors"].as_array() else {
        return (422, json!({ "error": "errors is required" }));
    };
    let remediate = |error: &Value| {
        store.add_error(error);
        let about = |key: &str| store.remediation(error[key].as_str().unwrap_or_default());
        let found = about("placeholder").or_else(|| about("file_path"));
        let mut answer = found.unwrap_or_else(|| json!({ "action": "none" }));
        answer["task_uuid"] = error["task_uuid"].clone();
        answer["ok"] = json!(!matches!(
            answer["action"].as_str(),
            Some("blocked" | "remediation_error")
        ));
        if answer["action"] == "blocked"
            && let Some(uuid) = error["task_uuid"].as_str()
        {
            store.set_status(uuid, "blocked");
        }
        answer
    };
    let remediation: Vec<Value> = errors.iter().map(remediate).collect();
    (200, json!({ "ok": true, "remediation": remediation }))
}

fn missing(what: &str) -> (u16, Value) {
    (404, json!({ "error": format!("no such {what}") }))
}

/// A path segment without its percent-encoding.
fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = segment.get(at + 1..at + 3);
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
