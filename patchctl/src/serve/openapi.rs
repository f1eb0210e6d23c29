//! What there is to call, for tools: OpenAPI 3.1, with the schemas of the wire types.

use std::collections::BTreeMap;

use patchcore::schema;
use serde_json::{Map, Value, json};

use crate::service::{MAX_ENTRIES, MAX_FOUND, STATUSES};

/// Wire types that the API takes or gives.
const TYPES: [&str; 3] = ["PatchBatch", "Report", "PatchEvent"];

/// The document.
pub(super) fn document() -> Value {
    let mut schemas = BTreeMap::new();
    for name in TYPES {
        if let Some(schema) = schema::of(name) {
            add(name, schema, &mut schemas);
        }
    }
    for (name, schema) in own() {
        schemas.insert(name.to_owned(), schema);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "patchctl", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

/// Adds a schema and those that it defines, which then stand beside it.
fn add(name: &str, mut schema: Value, schemas: &mut BTreeMap<String, Value>) {
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        if let Some(Value::Object(definitions)) = object.remove("$defs") {
            for (name, definition) in definitions {
                add(&name, definition, schemas);
            }
        }
    }
    relocate(&mut schema);
    schemas.insert(name.to_owned(), schema);
}

fn relocate(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref") {
                *target = target.replace("#/$defs/", "#/components/schemas/");
            }
            object.values_mut().for_each(relocate);
        }
        Value::Array(list) => list.iter_mut().for_each(relocate),
        _ => {}
    }
}

/// Types of this API alone. Long, for it is their table.
fn own() -> [(&'static str, Value); 11] {
    let count = json!({ "type": "integer", "minimum": 0 });
    let string = json!({ "type": "string" });
    let counts = json!({ "type": "object", "additionalProperties": count });
    let tally = reference("Tally");
    let tallies = json!({ "type": "object", "additionalProperties": tally });
    let names = [
        "batches",
        "operations",
        "applied",
        "skipped",
        "refused",
        "rolled_back",
        "undone",
        "lines_added",
        "lines_removed",
    ];
    let tally_properties: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), count.clone()))
        .collect();
    let list = |of: &str| {
        object(
            json!({ of: { "type": "array", "items": { "type": "object" } }, "left_out": count,
                    "warnings": { "type": "array", "items": string } }),
            &[of],
        )
    };
    [
        ("Problem", object(json!({ "error": string }), &["error"])),
        (
            "Health",
            object(
                json!({ "status": { "const": "ok" }, "version": string }),
                &["status"],
            ),
        ),
        ("Tally", object(Value::Object(tally_properties), &names)),
        (
            "Statistics",
            object(
                json!({ "total": tally, "by_day": tallies, "by_factory": tallies, "by_operation": tallies,
                        "by_outcome": counts, "by_error": counts }),
                &[
                    "total",
                    "by_day",
                    "by_factory",
                    "by_operation",
                    "by_outcome",
                    "by_error",
                ],
            ),
        ),
        ("Trends", object(json!({ "groups": tallies }), &["groups"])),
        (
            "OrderReport",
            object(
                json!({ "order_id": string, "first_at": string, "last_at": string, "total": tally,
                        "by_task": tallies, "by_error": counts,
                        "files": { "type": "array", "items": string }, "files_left_out": count }),
                &["order_id", "total", "files"],
            ),
        ),
        (
            "EventPage",
            object(
                json!({ "events": { "type": "array", "items": reference("PatchEvent") }, "more": { "type": "boolean" } }),
                &["events", "more"],
            ),
        ),
        ("History", list("entries")),
        ("Placeholders", list("placeholders")),
        ("Tasks", list("tasks")),
        ("Files", list("files")),
    ]
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An answer in JSON.
fn answer(description: &str, schema: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": reference(schema) } },
    })
}

/// A parameter of the target.
fn parameter(name: &str, schema: Value, description: &str) -> Value {
    json!({ "name": name, "in": "query", "schema": schema, "description": description })
}

/// An operation that gives one type, with what may go wrong.
fn operation(id: &str, summary: &str, schema: &str, parameters: &[Value], more: &[&str]) -> Value {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), answer(summary, schema));
    for (status, description) in [
        ("400", "the request makes no sense"),
        ("401", "the token is missing or wrong"),
        ("403", "`Host` or `Origin` is not this server's"),
    ] {
        // What the engine finds wrong is told by a report.
        let value = if status == "400" {
            json!({ "description": description, "content": { "application/json": { "schema": {
                "anyOf": [reference("Report"), reference("Problem")] } } } })
        } else {
            answer(description, "Problem")
        };
        responses.insert(status.to_owned(), value);
    }
    for status in more {
        let description = match *status {
            "404" => "not found",
            "409" => "refused: the body says what stands there",
            "413" => "past a limit",
            _ => "the environment failed; nothing was done",
        };
        let mut kinds = vec![reference("Report"), reference("Problem")];
        if schema == "Files" {
            kinds.push(reference(schema));
        }
        let schema = json!({ "anyOf": kinds });
        responses.insert(
            (*status).to_owned(),
            json!({ "description": description, "content": { "application/json": { "schema": schema } } }),
        );
    }
    json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters,
        "responses": responses,
    })
}

fn with_body(mut operation: Value, content: Value, required: bool) -> Value {
    operation["requestBody"] = json!({ "required": required, "content": content });
    operation
}

fn paths() -> Value {
    let line = || json!({ "type": "integer", "minimum": 1 });
    json!({
        "/api/patches/apply": { "post": edit("apply", "applies a batch or patch, all or nothing") },
        "/api/patches/check": { "post": edit("check", "tells what apply would do") },
        "/api/patches/undo": { "post": with_body(
            operation("undo", "takes a batch back", "Report", &[diff()], &["409", "413", "503"]),
            json!({ "application/json": { "schema": object(json!({ "batch_id": text() }), &[]) } }), false) },
        "/api/patches/history": { "get": operation("history", "batches, newest first", "History",
            &[limit(MAX_ENTRIES), parameter("all", json!({ "type": "boolean" }), "refused ones, too")], &["503"]) },
        "/api/patches/logs": { "get": operation("logs", "events", "EventPage", &logs(), &["503"]) },
        "/api/patches/stats": { "get": operation("stats", "the log in numbers", "Statistics", &[], &["503"]) },
        "/api/patches/trends": { "get": operation("trends", "how work went on", "Trends",
            &[json!({ "name": "group", "in": "query", "required": true,
                      "schema": { "enum": ["week", "phase", "order"] } })], &["503"]) },
        "/api/delivery/reports": { "get": reports() },
        "/api/files": { "get": operation("read", "a file, with its hash", "Files", &[
            json!({ "name": "path", "in": "query", "required": true, "schema": text() }),
            parameter("from", line(), "first line"), parameter("to", line(), "last line"),
            parameter("around", text(), "id of a placeholder")], &["404", "409", "413", "503"]) },
        "/api/placeholders": { "get": operation("scan", "placeholders of the tree", "Placeholders",
            &[parameter("path", text(), "below this path"), limit(MAX_FOUND)], &["409", "503"]) },
        "/api/tasks": { "get": operation("tasks", "tasks of the manifest", "Tasks", &[
            parameter("status", json!({ "enum": STATUSES }), "of this status"),
            parameter("order_id", text(), "of this order"), limit(MAX_FOUND)], &["503"]) },
        "/api/tasks/{uuid}": { "get": one_task() },
        "/api/tasks/{uuid}/complete": { "post": complete_task() },
        "/api/ask": { "post": ask() },
        "/api/events": { "get": stream("events", "events as they commit", "text/event-stream", "200") },
        "/ws": { "get": stream("ws", "events as they commit, over a WebSocket", "", "101") },
        "/healthz": { "get": operation("health", "whether the server is there", "Health", &[], &[]) },
        "/metrics": { "get": metrics() },
    })
}

/// Text that is not empty.
fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn diff() -> Value {
    let flag = json!({ "type": "boolean", "default": true });
    parameter("diff", flag, "whether the report has the diff")
}

fn limit(most: usize) -> Value {
    let range = json!({ "type": "integer", "minimum": 1, "maximum": most });
    parameter("limit", range, "most to list")
}

/// A task, by its place in the path.
fn uuid() -> Value {
    json!({ "name": "uuid", "in": "path", "required": true, "schema": text() })
}

/// An operation that takes a batch or patch.
fn edit(id: &str, summary: &str) -> Value {
    let key = json!({ "name": "Idempotency-Key", "in": "header", "schema": text(),
                      "description": "the id of a batch that has none: sent again, it is not applied again" });
    let parameters = [
        parameter(
            "dialect",
            text(),
            "the format of the patch [default: detected]",
        ),
        parameter(
            "file",
            text(),
            "the file to patch, where the patch names none",
        ),
        parameter("task_id", text(), "the task that the work belongs to"),
        parameter(
            "plan",
            reference("Digest"),
            "the only plan that is carried out, as a check showed it",
        ),
        diff(),
        key,
    ];
    let batch = json!({
        "application/json": { "schema": reference("PatchBatch") },
        "text/plain": { "schema": { "type": "string", "description": "a patch in any format" } },
    });
    let statuses = ["409", "413", "503"];
    let operation = operation(id, summary, "Report", &parameters, &statuses);
    with_body(operation, batch, true)
}

/// An operation that gives events, as a stream of this type or, without one, as messages.
fn stream(id: &str, summary: &str, kind: &str, status: &str) -> Value {
    let after = parameter(
        "after",
        text(),
        "the last event that is known, or 0 for all that the log has",
    );
    let mut operation = operation(id, summary, "PatchEvent", &[after], &["503"]);
    if let Some(responses) = operation["responses"].as_object_mut() {
        responses.remove("200");
        let content = match kind {
            "" => json!({ "description": "a text message for each event" }),
            kind => {
                json!({ "description": "each event as it commits", "content": { kind: { "schema": text() } } })
            }
        };
        responses.insert(status.to_owned(), content);
        responses.insert(
            "410".to_owned(),
            answer("the log has no such event", "Problem"),
        );
    }
    operation
}

/// What the log is searched by.
fn logs() -> [Value; 10] {
    let count = json!({ "type": "integer", "minimum": 0 });
    let order = json!({ "enum": ["newest", "oldest"] });
    [
        parameter("task", text(), "of this task"),
        parameter("order", text(), "of this order"),
        parameter("file", text(), "of this file, or below this directory"),
        parameter("outcome", text(), "with this outcome or of this kind"),
        parameter("text", text(), "that hold this text"),
        parameter(
            "from",
            text(),
            "not before: RFC 3339, or how long ago, such as 2h",
        ),
        parameter("to", text(), "not after"),
        limit(MAX_ENTRIES),
        parameter("offset", count, "to leave out first"),
        parameter("sort", order, "which come first"),
    ]
}

fn reports() -> Value {
    let parameters = [
        parameter("order_id", text(), "one order"),
        parameter(
            "format",
            json!({ "enum": ["json", "markdown"] }),
            "of the report on one order",
        ),
        parameter(
            "generate",
            json!({ "type": "boolean" }),
            "has no effect: a report is made each time",
        ),
    ];
    let summary = "what was done for each order, or one";
    let mut reports = operation("reports", summary, "Trends", &parameters, &["503"]);
    reports["responses"]["200"] = json!({ "description": "the report", "content": {
        "application/json": { "schema": { "anyOf": [reference("OrderReport"), reference("Trends")] } },
        "text/markdown": { "schema": text() },
    } });
    reports["responses"]["404"] = answer("the log knows no such order", "Problem");
    reports
}

fn one_task() -> Value {
    let mut task = operation("task", "one task", "Health", &[uuid()], &["404", "503"]);
    task["responses"]["200"] = json!({ "description": "the task", "content": {
        "application/json": { "schema": { "type": "object" } } } });
    task
}

fn complete_task() -> Value {
    let statuses = ["404", "409", "413", "503"];
    let done = operation(
        "completeTask",
        "completes a task",
        "Health",
        &[uuid()],
        &statuses,
    );
    let nothing = json!({ "type": "object", "additionalProperties": false });
    let nothing = json!({ "application/json": { "schema": nothing } });
    let mut done = with_body(done, nothing, false);
    done["responses"]["200"] = json!({ "description": "the task's status", "content": { "application/json": {
        "schema": object(json!({ "uuid": text(), "status": text() }), &["uuid", "status"]) } } });
    done
}

fn ask() -> Value {
    let question = object(
        json!({ "question": text(), "task_id": text(), "order_id": text(), "error": text() }),
        &["question"],
    );
    let mut asked = operation("ask", "the orchestrator's answer", "Health", &[], &["503"]);
    asked["responses"]["200"] = json!({ "description": "the orchestrator's answer", "content": {
        "application/json": { "schema": {} } } });
    with_body(
        asked,
        json!({ "application/json": { "schema": question } }),
        true,
    )
}

fn metrics() -> Value {
    let mut metrics = operation("metrics", "counters for Prometheus", "Health", &[], &[]);
    metrics["responses"]["200"] =
        json!({ "description": "counters", "content": { "text/plain": { "schema": text() } } });
    metrics
}
