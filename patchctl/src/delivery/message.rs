//! The headers that go with a message: Standard Webhooks and CloudEvents 1.0, binary mode.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;

use crate::orchestrator::Config;
use crate::store::LaneKind;

/// Headers of one attempt: the id stays, time and signature are new each time.
pub(crate) fn headers(
    config: &Config,
    kind: LaneKind,
    id: &str,
    body: &[u8],
    now: i64,
) -> Vec<(&'static str, String)> {
    let mut headers = vec![("webhook-id", id.to_owned())];
    headers.push(("webhook-timestamp", now.to_string()));
    if let Some(key) = &config.signing {
        headers.push(("webhook-signature", key.sign(id, now, body)));
    }
    if kind == LaneKind::Events {
        headers.extend(cloud_event(id, body));
    }
    headers
}

/// What CloudEvents wants to know of an event; a body of several has none of its own.
#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    file: Option<String>,
}

/// Attributes as the HTTP protocol binding of CloudEvents 1.0 puts them into headers.
fn cloud_event(id: &str, body: &[u8]) -> Vec<(&'static str, String)> {
    let Ok(attributes) = serde_json::from_slice::<Attributes>(body) else {
        return Vec::new();
    };
    let kind = attributes.event.as_deref().unwrap_or("PATCH_EVENTS");
    let mut headers = vec![
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", encode(id)),
        ("ce-source", "urn:patchctl".to_owned()),
        (
            "ce-type",
            format!("patchctl.{}", encode(&kind.to_ascii_lowercase())),
        ),
    ];
    if let Some(at) = &attributes.at {
        headers.push(("ce-time", encode(at)));
    }
    if let Some(file) = &attributes.file {
        headers.push(("ce-subject", encode(file)));
    }
    headers
}

/// What the binding wants encoded beside controls and all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_end_its_header() {
        assert_eq!(
            encode("src/a b\r\nX: \"é%"),
            "src/a%20b%0D%0AX:%20%22%C3%A9%25"
        );
    }

    #[test]
    fn attributes_come_from_the_event() {
        let body = br#"{"event":"PATCH_APPLIED","at":"2026-01-02T03:04:05Z","file":"a.ts","x":1}"#;
        let headers = cloud_event("e-1", body);
        let get = |name| {
            headers
                .iter()
                .find(|(key, _)| *key == name)
                .unwrap()
                .1
                .as_str()
        };
        assert_eq!(get("ce-specversion"), "1.0");
        assert_eq!(get("ce-id"), "e-1");
        assert_eq!(get("ce-type"), "patchctl.patch_applied");
        assert_eq!(get("ce-time"), "2026-01-02T03:04:05Z");
        assert_eq!(get("ce-subject"), "a.ts");
    }
}
