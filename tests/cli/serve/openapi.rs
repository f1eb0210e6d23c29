//! The OpenAPI document against the server.

use serde_json::Value;

use super::client::{Server, append};
use crate::sandbox::Sandbox;

#[test]
fn the_openapi_document_is_valid_and_says_what_the_server_does() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let document = server.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    // Every reference leads somewhere.
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let schema_of = |target: &str, method: &str, status: u16| -> Option<Value> {
        let path = target.split('?').next().unwrap();
        let path = match path {
            "/api/tasks/none/complete" => "/api/tasks/{uuid}/complete",
            "/api/tasks/none" => "/api/tasks/{uuid}",
            path => path,
        };
        let response = &document["paths"][path][method]["responses"][status.to_string()];
        assert!(
            response["description"].is_string(),
            "{method} {target} may give {status}"
        );
        let mut schema = response["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            return None;
        }
        schema["components"] = document["components"].clone();
        Some(schema)
    };
    let edit = append("a.txt", "x").to_string();
    let calls: [(&str, &str, &str); 21] = [
        ("post", "/api/patches/apply", &edit),
        ("post", "/api/patches/apply", "{\"operations\": 3}"),
        (
            "post",
            "/api/patches/apply",
            "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-nothing\n+x\n",
        ),
        ("post", "/api/patches/apply?nonsense=1", ""),
        ("post", "/api/patches/check", &edit),
        ("post", "/api/patches/undo", ""),
        ("post", "/api/patches/undo", "{\"batch_id\": \"none\"}"),
        ("get", "/api/patches/history", ""),
        ("get", "/api/patches/logs?limit=3", ""),
        ("get", "/api/patches/stats", ""),
        ("get", "/api/patches/trends?group=week", ""),
        ("get", "/api/delivery/reports", ""),
        ("get", "/api/delivery/reports?order_id=none", ""),
        ("get", "/api/files?path=a.txt", ""),
        ("get", "/api/files?path=none", ""),
        ("get", "/api/files?path=../x", ""),
        ("get", "/api/placeholders", ""),
        ("get", "/api/tasks", ""),
        ("get", "/api/tasks/none", ""),
        ("post", "/api/tasks/none/complete", ""),
        ("get", "/healthz", ""),
    ];
    for (method, target, body) in calls {
        let answer = server.request(&method.to_ascii_uppercase(), target, &[], body.as_bytes());
        let Some(schema) = schema_of(target, method, answer.status) else {
            continue;
        };
        let validator = jsonschema::validator_for(&schema).unwrap();
        let said = answer.json();
        let errors: Vec<_> = validator
            .iter_errors(&said)
            .map(|error| error.to_string())
            .collect();
        assert!(
            errors.is_empty(),
            "{method} {target} {}: {errors:?}: {said}",
            answer.status
        );
    }
    // Each path of the document is there.
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["operationId"].is_string());
            let target = path.replace("{uuid}", "none");
            if target == "/api/events" {
                continue;
            }
            let status = server
                .request(&method.to_ascii_uppercase(), &target, &[], b"")
                .status;
            assert!(
                ![404, 405].contains(&status) || path.contains("{uuid}"),
                "{method} {path}: {status}"
            );
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                references.push(reference.clone());
            }
            object.values().for_each(|value| collect(value, references));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
