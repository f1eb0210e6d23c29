//! The OpenAPI document against the server.

use std::process::Command;

use serde_json::Value;

use super::client::{Server, Socket, append};
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
    let calls: [(&str, &str, &str); 24] = [
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
        ("get", "/api/patches/history?limit=0", ""),
        ("get", "/api/tasks?status=nonsense", ""),
        ("post", "/api/ask", "{\"question\": \"\"}"),
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

/// Values that a parameter with this schema does not take.
fn unfit(schema: &Value) -> Vec<String> {
    let mut wrong: Vec<String> = ["", "%ff", "%zz", "%4"].map(str::to_owned).into();
    if schema["type"] == "integer" {
        wrong.extend(["x", "1.5", "-1", "18446744073709551616"].map(str::to_owned));
        if schema["minimum"] == 1 {
            wrong.push("0".to_owned());
        }
        if let Some(most) = schema["maximum"].as_u64() {
            wrong.push((most + 1).to_string());
        }
    } else if schema["type"] == "boolean" {
        wrong.extend(["yes", "1", "TRUE"].map(str::to_owned));
    } else if schema["enum"].is_array() {
        wrong.push("nonsense".to_owned());
    }
    wrong
}

const VALIDATOR: &str = "import json, sys
try:
    import openapi_spec_validator
except ImportError:
    sys.exit(9)
openapi_spec_validator.validate(json.load(open(sys.argv[1])))";

#[test]
fn the_openapi_document_is_valid_to_a_validator_of_somebody_elses() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let document = sandbox.outside().join("openapi.json");
    std::fs::write(&document, server.get("/openapi.json").body).unwrap();
    let python = std::env::var("PATCHCTL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let done = Command::new(&python)
        .args(["-c", VALIDATOR])
        .arg(&document)
        .output();
    let done = done.ok().filter(|done| done.status.code() != Some(9));
    let Some(done) = done else {
        eprintln!("skipped: {python} has no package openapi_spec_validator");
        return;
    };
    let talk = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{talk}");
}

#[test]
fn no_parameter_is_left_out_without_a_word() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let document = server.get("/openapi.json").json();
    let refused = |method: &str, target: &str, name: &str| {
        if target.starts_with("/ws") {
            // The same words as those of `/api/events`.
            assert_eq!(Socket::open(&server, target).err(), Some(400), "{target}");
            return;
        }
        let answer = server.request(&method.to_ascii_uppercase(), target, &[], b"");
        assert_eq!(answer.status, 400, "{method} {target}: {}", answer.text());
        let said = answer.json();
        let said = [&said["error"], &said["refusal"]["message"]].map(Value::to_string);
        let said = said.concat();
        assert!(said.contains(name), "{method} {target}: {said}");
    };
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let path = path.replace("{uuid}", "none");
            let empty = Vec::new();
            let parameters = operation["parameters"].as_array().unwrap_or(&empty);
            let of_query: Vec<_> = parameters.iter().filter(|p| p["in"] == "query").collect();
            // Those that must be there, but for one.
            let others = |but: &str| -> String {
                let required = of_query.iter().filter(|p| p["required"] == true);
                let names = required.map(|p| p["name"].as_str().unwrap());
                let values = names.filter(|name| *name != but).map(|name| match name {
                    "group" => "&group=week",
                    "path" => "&path=a.txt",
                    name => panic!("{name} has no value here"),
                });
                values.collect()
            };
            refused(
                method,
                &format!("{path}?nonsense=1{}", others("")),
                "nonsense",
            );
            for parameter in &of_query {
                let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
                let rest = others(name);
                for value in unfit(schema) {
                    refused(method, &format!("{path}?{name}={value}{rest}"), name);
                }
                let fit = match (schema["enum"].get(0), schema["type"].as_str()) {
                    (Some(first), _) => first.as_str().unwrap(),
                    (_, Some("integer")) => "1",
                    (_, Some("boolean")) => "true",
                    _ => "x",
                };
                refused(
                    method,
                    &format!("{path}?{name}={fit}&{name}={fit}{rest}"),
                    name,
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 30, "{tried} parameters");
    for (target, name) in [
        ("/mcp?nonsense=1", "nonsense"),
        ("/api/patches/logs?from=yesterday", "from"),
        ("/api/patches/logs?to=yesterday", "to"),
        (
            "/api/patches/logs?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "from",
        ),
        ("/api/patches/logs?outcome=nonsense", "outcome"),
        ("/api/files?path=a.txt&from=3&to=2", "from"),
        ("/api/files?path=a.txt&from=1&around=X", "around"),
        ("/api/delivery/reports?format=markdown", "format"),
    ] {
        refused("get", target, name);
    }
    for (path, body, name) in [
        ("/api/patches/undo", "{\"batch_id\": \"\"}", "batch_id"),
        ("/api/patches/undo", "{\"batch\": \"x\"}", "batch"),
        ("/api/tasks/none/complete", "{\"force\": true}", "force"),
        ("/api/tasks/none/complete", "[1]", "body"),
        ("/api/tasks/none/complete", "[]", "object"),
        ("/api/patches/undo", "[]", "object"),
        ("/api/patches/undo", "[\"x\"]", "object"),
        ("/api/ask", "[\"x\", null, null, null]", "object"),
        ("/api/tasks/none/complete", "complete", "body"),
        ("/api/ask", "{\"question\": \"\"}", "question"),
        (
            "/api/ask",
            "{\"question\": \"x\", \"order_id\": \"\"}",
            "order_id",
        ),
    ] {
        let answer = server.post(path, body.as_bytes());
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        assert!(
            answer.text().contains(name),
            "{path} {body}: {}",
            answer.text()
        );
    }
    for path in [
        "/api/tasks",
        "/api/patches/logs",
        "/healthz",
        "/openapi.json",
    ] {
        let answer = server.request("GET", path, &[("Content-Length", "2")], b"{}");
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
    assert_eq!(server.post("/api/tasks/none/complete", b"{}").status, 404);
    let packed = [("Content-Encoding", "gzip")];
    let batch = br#"{"operations": [{"op": "append", "file": "a.txt", "content": "x"}]}"#;
    let answer = server.request("POST", "/api/patches/apply", &packed, batch);
    assert_eq!(answer.status, 400, "{}", answer.text());
    let key = [("Idempotency-Key", "k")];
    let asked = server.request("POST", "/api/ask", &key, b"{\"question\": \"x\"}");
    assert_eq!(asked.status, 400, "{}", asked.text());
    assert_eq!(sandbox.read("a.txt"), "one\n");
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
