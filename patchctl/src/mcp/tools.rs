//! The tools: what a model reads of them, and the call that each makes.
//!
//! A model pays for the catalogue in every session, so it is small; the whole of the formats stands
//! in the resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use patchcore::RelPath;
use rmcp::model::{Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::service::{Answer, Ask, Edit, History, Interrupt, Kind, Read, Scan, Service, Tasks};

pub(super) const INSTRUCTIONS: &str = "Read a file, then edit it: a batch lands whole or not at \
     all, and only where what it expects is there. A refusal shows what stands there now; mend the \
     call and send it again.";

const EDIT: &str = "Change files, all or nothing. Send `patch` (unified diff, apply_patch, \
     SEARCH/REPLACE blocks, a JSON batch) or `operations`, such as \
     {op:replace-text,file,find,content}, {op:replace-block,file,at:{lines:[3,5]},expect,content}, \
     {op:insert-before|insert-after,file,at,expect,content}, {op:append|prepend|create-file,file,content}, \
     {op:delete-file,file,expect}, {op:rename-file|copy-file,file,to}. `at`: {lines:[a,b]}, \
     {text:lines}, {match:regex}, {placeholder:ID}. Line numbers and deletions need `expect` (the \
     exact old lines) or `base`. All: resource patchctl://schema/PatchBatch.";

/// All tools. Long, for it is their table.
pub(super) fn all() -> Vec<Tool> {
    let edit = json!({
        "patch": { "type": "string" },
        "operations": { "type": "array", "items": { "type": "object" } },
        "base": {
            "type": "object",
            "description": "file: sha256 as read showed it",
        },
        "task_id": { "type": "string" },
        "batch_id": { "type": "string", "description": "makes sending again harmless" },
        "plan": { "type": "string", "description": "only this one, as check showed" },
    });
    // What they say of one is true of the other, and paid for once.
    let mut check = edit.clone();
    for property in check.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(property) = property.as_object_mut() {
            property.remove("description");
        }
    }
    let report = json!({
        "status": { "type": "string" },
        "batch_id": { "type": "string" },
        "operations": { "type": "array" },
        "refusal": { "type": "object" },
    });
    let string = json!({ "type": "string" });
    let limit = json!({ "type": "integer" });
    let looks = || ToolAnnotations::new().read_only(true).open_world(false);
    let writes = || {
        let hints = ToolAnnotations::new().read_only(false).open_world(false);
        hints.destructive(true)
    };
    let read = json!({
        "file": string,
        "lines": { "type": "array", "items": { "type": "integer" }, "description": "[first, last]" },
        "around": { "type": "string", "description": "placeholder id" },
    });
    vec![
        tool(
            "read",
            "Read a text file, with the hash to send as `base`.",
            read,
            &["file"],
            looks(),
        ),
        tool("edit", EDIT, edit, &[], writes().idempotent(true))
            .with_raw_output_schema(object(report.clone(), &["status"])),
        tool(
            "check",
            "What the same `edit` would do; writes nothing.",
            check,
            &[],
            looks(),
        )
        .with_raw_output_schema(object(report.clone(), &["status"])),
        tool(
            "undo",
            "Take a batch back, by default your last one.",
            json!({ "batch_id": string }),
            &[],
            writes().idempotent(false),
        )
        .with_raw_output_schema(object(report, &["status"])),
        tool(
            "history",
            "Batches, newest first; `all` has refused ones, too.",
            json!({
                "limit": limit,
                "all": { "type": "boolean" },
            }),
            &[],
            looks(),
        ),
        tool(
            "scan",
            "Find placeholders such as ###NAME###.",
            json!({ "paths": { "type": "array", "items": string }, "limit": limit }),
            &[],
            looks(),
        ),
        tool(
            "tasks",
            "Tasks of the order.",
            json!({
                "status": {
                    "type": "array",
                    "items": { "enum": ["pending", "in_progress", "complete", "blocked"] },
                },
                "order_id": string,
                "limit": limit,
            }),
            &[],
            looks(),
        ),
        tool(
            "task_done",
            "Complete a task; its placeholder must be gone.",
            json!({ "task_id": string }),
            &["task_id"],
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .idempotent(true)
                .open_world(true),
        ),
        tool(
            "ask",
            "Ask the orchestrator about a task or an order.",
            json!({ "question": string, "task_id": string, "order_id": string, "error": string }),
            &["question"],
            ToolAnnotations::new().read_only(true).open_world(true),
        ),
    ]
}

fn tool(
    name: &'static str,
    description: &'static str,
    properties: Value,
    required: &[&str],
    annotations: ToolAnnotations,
) -> Tool {
    let mut schema = (*object(properties, required)).clone();
    schema.insert("additionalProperties".to_owned(), false.into());
    Tool::new(name, description, schema).with_annotations(annotations)
}

fn object(properties: Value, required: &[&str]) -> Arc<Map<String, Value>> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties);
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    Arc::new(schema)
}

/// A call of a tool.
pub(super) enum Call {
    Read(Read),
    Edit(Vec<u8>, Edit),
    Undo(Undo),
    History(History),
    Scan(Scan),
    Tasks(Tasks),
    TaskDone(TaskDone),
    Ask(Ask),
}

/// What `edit` and `check` take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditArguments {
    #[serde(default)]
    patch: Option<Value>,
    #[serde(default)]
    operations: Option<Value>,
    #[serde(default)]
    base: Option<Map<String, Value>>,
    #[serde(default)]
    task_id: Option<String>,
    #[serde(default)]
    batch_id: Option<String>,
    #[serde(default)]
    plan: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Undo {
    #[serde(default)]
    batch_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskDone {
    task_id: String,
}

impl Call {
    /// The call of a tool; `None` where there is no such tool, `Err` where the arguments make no
    /// call.
    pub(super) fn new(tool: &str, arguments: Value) -> Option<Result<Self, String>> {
        Some(match tool {
            "read" => read(arguments).map(Self::Read),
            "edit" => edit(arguments, false),
            "check" => edit(arguments, true),
            "undo" => read(arguments).map(Self::Undo),
            "history" => read(arguments).map(Self::History),
            "scan" => read(arguments).map(Self::Scan),
            "tasks" => read(arguments).map(Self::Tasks),
            "task_done" => read(arguments).map(Self::TaskDone),
            "ask" => read(arguments).map(Self::Ask),
            _ => return None,
        })
    }

    /// What it may have to wait for.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Read(_) | Self::Undo(_) | Self::Scan(_) | Self::TaskDone(_) => Kind::Tree,
            Self::Edit(patch, _) => Kind::Edit(patch.len()),
            Self::History(_) | Self::Tasks(_) => Kind::Look,
            Self::Ask(_) => Kind::Ask,
        }
    }

    /// The name under which it is counted, as the same call over HTTP.
    #[cfg(feature = "serve")]
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Read(_) => "read",
            Self::Edit(_, edit) if edit.preview => "check",
            Self::Edit(..) => "apply",
            Self::Undo(_) => "undo",
            Self::History(_) => "history",
            Self::Scan(_) => "scan",
            Self::Tasks(_) => "tasks",
            Self::TaskDone(_) => "task_done",
            Self::Ask(_) => "ask",
        }
    }

    /// Carries it out.
    pub(super) fn carry_out(&self, service: &Service, interrupt: &Interrupt) -> Answer {
        match self {
            Self::Read(call) => service.read(call),
            Self::Edit(input, call) => service.edit(input, call, interrupt),
            Self::Undo(call) => service.undo(call.batch_id.as_deref(), false, interrupt),
            Self::History(call) => service.history(call),
            Self::Scan(call) => service.scan(call),
            Self::Tasks(call) => service.tasks(call),
            Self::TaskDone(call) => service.task_done(&call.task_id),
            Self::Ask(call) => service.ask(call),
        }
    }
}

fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, String> {
    T::deserialize(&arguments).map_err(|error| {
        let why = error.to_string();
        // The one without which it is not said.
        let is_at_fault = |name: &&String| {
            let mut others = arguments.clone();
            if let Some(others) = others.as_object_mut() {
                others.remove(*name);
            }
            T::deserialize(&others).err().map(|error| error.to_string()) != Some(why.clone())
        };
        let mut names = arguments.as_object().into_iter().flat_map(Map::keys);
        match names.find(is_at_fault) {
            Some(name) => format!("the arguments make no call: `{name}`: {why}"),
            None => format!("the arguments make no call: {why}"),
        }
    })
}

fn edit(arguments: Value, preview: bool) -> Result<Call, String> {
    let EditArguments {
        patch,
        operations,
        base,
        task_id,
        batch_id,
        plan,
    } = read(arguments)?;
    let plan = plan.map(|plan| plan.parse().map_err(|why| format!("`plan`: {why}")));
    let plan = plan.transpose()?;
    let mut bases = BTreeMap::new();
    for (path, digest) in base.iter().flatten().filter(|_| patch.is_some()) {
        let path = RelPath::new(path).map_err(|refusal| refusal.message)?;
        let digest = digest.as_str().and_then(|digest| digest.parse().ok());
        let digest = digest.ok_or_else(|| format!("the base of {path} is not `sha256:…`"))?;
        if bases
            .insert(path, digest)
            .is_some_and(|other| other != digest)
        {
            return Err("`base` names one file twice, with different hashes".to_owned());
        }
    }
    let bytes = match (patch, operations) {
        (Some(Value::String(patch)), None) => patch.into_bytes(),
        (None, Some(operations @ Value::Array(_))) => {
            let mut batch = Map::new();
            batch.insert("operations".to_owned(), operations);
            if let Some(base) = base {
                batch.insert("base".to_owned(), base.into());
            }
            Value::Object(batch).to_string().into_bytes()
        }
        (Some(_), None) => return Err("`patch` is a string".to_owned()),
        (None, Some(_)) => return Err("`operations` is a list of objects".to_owned()),
        (Some(_), Some(_)) => {
            return Err("`patch` and `operations` cannot be combined".to_owned());
        }
        (None, None) => return Err("a call has `patch` or `operations`".to_owned()),
    };
    let edit = Edit {
        preview,
        task_id,
        batch_id,
        plan,
        bases,
        ..Edit::default()
    };
    Ok(Call::Edit(bytes, edit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most bytes of a token, on average, of JSON and English.
    const BYTES_PER_TOKEN: usize = 3;

    #[test]
    fn the_catalogue_costs_at_most_1500_tokens() {
        let catalogue = serde_json::to_string(&all()).unwrap();
        let tokens = (catalogue.len() + INSTRUCTIONS.len()).div_ceil(BYTES_PER_TOKEN);
        assert!(tokens <= 1500, "{tokens}: {catalogue}");
    }

    #[test]
    fn every_tool_makes_a_call() {
        for tool in all() {
            assert!(Call::new(&tool.name, json!({})).is_some(), "{}", tool.name);
        }
        assert!(Call::new("shell", json!({})).is_none());
    }

    #[test]
    fn arguments_that_make_no_call_say_why() {
        let why = |arguments| match Call::new("edit", arguments) {
            Some(Err(why)) => why,
            _ => panic!("a call"),
        };
        assert!(why(json!({})).contains("`patch` or `operations`"));
        assert!(why(json!({"patch": "", "operations": []})).contains("cannot be combined"));
        assert!(why(json!({"patch": {}})).contains("is a string"));
        assert!(why(json!({"patch": "x", "policy": {}})).contains("`policy`"));
        assert!(why(json!({"patch": "x", "base": {"a": "1"}})).contains("the base of a"));
        assert!(why(json!({"patch": "x", "plan": "1"})).contains("`plan`"));
    }

    /// Whether a value is of the kind that a schema of the catalogue has.
    fn fits(value: &Value, schema: &Value) -> bool {
        match schema["type"].as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_u64(),
            Some("boolean") => value.is_boolean(),
            Some("object") => value.is_object(),
            Some("array") => {
                let fits = |item| fits(item, &schema["items"]);
                value.as_array().is_some_and(|items| items.iter().all(fits))
            }
            _ => schema["enum"]
                .as_array()
                .is_none_or(|all| all.contains(value)),
        }
    }

    #[test]
    fn an_argument_of_another_kind_is_refused_by_its_name() {
        for tool in all() {
            let why = |arguments: Map<String, Value>| match Call::new(&tool.name, arguments.into())
            {
                Some(Err(why)) => why,
                _ => panic!("{} takes it", tool.name),
            };
            let properties = tool.input_schema["properties"].as_object().unwrap();
            // What must be there is.
            let mut whole = Map::new();
            for name in tool
                .input_schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                whole.insert(name.as_str().unwrap().to_owned(), "x".into());
            }
            let mut unknown = whole.clone();
            unknown.insert("nonsense".to_owned(), 1.into());
            assert!(why(unknown).contains("`nonsense`"), "{}", tool.name);
            for (name, schema) in properties {
                for wrong in [json!(1.5), json!(-1), json!([[]]), json!({"a": 1})] {
                    // What stands in the operations is the engine's to judge.
                    if fits(&wrong, schema) || (name == "operations" && wrong.is_array()) {
                        continue;
                    }
                    let mut arguments = whole.clone();
                    arguments.insert(name.clone(), wrong.clone());
                    let why = why(arguments);
                    assert!(
                        why.contains(&format!("`{name}`")),
                        "{} {wrong}: {why}",
                        tool.name
                    );
                }
            }
        }
    }
}
