//! The tools, resources and prompts that the conformance suite asks for.

#![expect(deprecated, reason = "2025-11-25 has logging")]

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
    CompleteRequestParams, CompleteResult, CustomRequest, CustomResult, GetPromptRequestParams,
    GetPromptResponse, GetPromptResult, Implementation, InputRequiredResult, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
    ServerConfig, SetLevelRequestParams, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::mcp::not_read;

/// Between two notifications.
const PAUSE: Duration = Duration::from_millis(20);
/// A picture and a sound; nobody looks or listens.
const PNG: &str = "iVBORw0KGgo=";
const WAV: &str = "UklGRgAAAABXQVZF";
/// What a client has to give back as it was.
const SEALED: &str = "sealed-1";
const SEALED_AGAIN: &str = "sealed-2";

/// Tools without arguments.
const PLAIN: [&str; 18] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_progress",
    "test_tool_with_logging",
    "test_logging_tool",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
];
/// One that asks for no more than its client can give.
const CAREFUL: &str = "test_input_required_result_capabilities";

/// A server with what the suite asks for.
#[derive(Clone)]
pub(super) struct Fixtures;

/// A value of the protocol's from its JSON.
fn made<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the fixture has the form of the protocol")
}

/// A result that is whole; for older versions the SDK leaves out that it is.
fn whole<T: DeserializeOwned>(mut result: Value) -> T {
    result["resultType"] = "complete".into();
    made(result)
}

fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("what the SDK read can be written")
}

fn tools() -> Vec<Tool> {
    let plain = PLAIN.iter().chain([&CAREFUL]).map(|name| {
        made(json!({"name": name, "description": "a fixture", "inputSchema": {"type": "object"}}))
    });
    let mut tools: Vec<Tool> = plain.collect();
    tools.push(made(json!({
        "name": "test_headers", "description": "a parameter that is repeated in a header",
        "inputSchema": {"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"}}},
    })));
    let contact = json!({"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]});
    tools.push(made(json!({
        "name": "json_schema_2020_12_tool", "description": "a schema with more than types",
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {
                "street": {"type": "string"}, "city": {"type": "string"}}}},
            "properties": {
                "name": {"type": "string"},
                "address": {"$ref": "#/$defs/address"},
                "contactMethod": {"enum": ["phone", "email"]},
                "phone": {"type": "string"},
                "email": {"type": "string"}},
            "allOf": [contact],
            "if": {"properties": {"contactMethod": {"const": "phone"}}},
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
            "additionalProperties": false,
        },
    })));
    tools
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn image() -> Value {
    json!({"type": "image", "data": PNG, "mimeType": "image/png"})
}

fn resource(uri: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": "text/plain", "text": "embedded"}})
}

fn done(content: Value) -> CallToolResponse {
    whole::<CallToolResult>(json!({"content": content})).into()
}

fn said(line: &str) -> CallToolResponse {
    done(json!([text(line)]))
}

/// A question to whoever sits before the client.
fn elicitation(field: &str) -> Value {
    json!({"method": "elicitation/create", "params": {"message": field, "requestedSchema": {
        "type": "object", "properties": {field: {"type": "string"}}, "required": [field]}}})
}

fn confirmation() -> Value {
    json!({"method": "elicitation/create", "params": {"message": "ok", "requestedSchema": {
        "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}}})
}

/// A question to the client's model.
fn sampling() -> Value {
    json!({"method": "sampling/createMessage", "params": {"maxTokens": 50, "messages": [
        {"role": "user", "content": text("What is the capital of France?")}]}})
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

fn wanted(requests: Value, state: Option<&str>) -> InputRequiredResult {
    let mut result = json!({"resultType": "input_required", "inputRequests": requests});
    if let Some(state) = state {
        result["requestState"] = state.into();
    }
    made(result)
}

/// What is asked for, until all of it is answered with the state that was given out.
fn until_answered(
    call: &Value,
    requests: Value,
    state: Option<&str>,
    then: &str,
) -> Result<CallToolResponse, ErrorData> {
    let given = call["requestState"].as_str();
    if given.is_some() && given != state {
        return Err(ErrorData::invalid_params(
            "another state was given out",
            None,
        ));
    }
    let answers = &call["inputResponses"];
    let keys = requests.as_object().into_iter().flatten();
    let is_answered = keys.clone().all(|(key, _)| answers[key].is_object()) && given == state;
    Ok(match is_answered {
        true => said(&format!("{then}: {answers}")),
        false => wanted(requests, state).into(),
    })
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let capabilities: ServerCapabilities = made(json!({
            "tools": {}, "resources": {}, "prompts": {}, "completions": {}, "logging": {}}));
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("fixtures", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools().into_iter().find(|tool| tool.name == name)
    }

    /// Long, for it is the table of the suite's tools.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = json_of(&request);
        let able = json_of(&context.client_capabilities());
        Ok(match &*request.name {
            "test_image_content" => done(json!([image()])),
            "test_audio_content" => {
                done(json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]))
            }
            "test_embedded_resource" => done(json!([resource("test://embedded-resource")])),
            "test_multiple_content_types" => done(json!([
                text("of all kinds"),
                image(),
                resource("test://mixed-content-resource")
            ])),
            "test_error_handling" => {
                let failed = json!({"content": [text("failed as it should")], "isError": true});
                whole::<CallToolResult>(failed).into()
            }
            "test_tool_with_progress" => {
                for part in [0.0, 50.0, 100.0] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let note = ProgressNotificationParam::new(token, part).with_total(100.0);
                        let _ = context.peer.notify_progress(note).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                said("done")
            }
            "test_tool_with_logging" => {
                for line in ["begun", "under way", "done"] {
                    let note: LoggingMessageNotificationParam =
                        made(json!({"level": "info", "data": line}));
                    let _ = context.peer.notify_logging_message(note).await;
                    tokio::time::sleep(PAUSE).await;
                }
                said("done")
            }
            "test_missing_capability" => {
                if able["sampling"].is_null() {
                    let needed: ClientCapabilities = made(json!({"sampling": {}}));
                    return Err(ErrorData::missing_required_client_capability(needed));
                }
                said("done")
            }
            "test_streaming_elicitation" => {
                until_answered(&call, json!({"name": elicitation("name")}), None, "done")?
            }
            "test_input_required_result_elicitation" => {
                let requests = json!({"user_name": elicitation("name")});
                let name = &call["inputResponses"]["user_name"]["content"]["name"];
                match name.as_str() {
                    Some(name) => said(&format!("Hello, {name}!")),
                    None => wanted(requests, None).into(),
                }
            }
            "test_input_required_result_sampling" => {
                until_answered(&call, json!({"capital_question": sampling()}), None, "said")?
            }
            "test_input_required_result_list_roots" => {
                until_answered(&call, json!({"client_roots": roots()}), None, "roots")?
            }
            "test_input_required_result_request_state" => {
                let requests = json!({"confirm": confirmation()});
                until_answered(&call, requests, Some(SEALED), "state-ok")?
            }
            "test_input_required_result_tampered_state" => {
                let requests = json!({"confirm": confirmation()});
                until_answered(&call, requests, Some(SEALED), "done")?
            }
            "test_input_required_result_multiple_inputs" => {
                let requests = json!({"user_name": elicitation("name"), "greeting": sampling(),
                                      "client_roots": roots()});
                until_answered(&call, requests, Some(SEALED), "done")?
            }
            "test_input_required_result_multi_round" => {
                let second = || json!({"step2": elicitation("color")});
                match call["requestState"].as_str() {
                    Some(SEALED_AGAIN) => {
                        until_answered(&call, second(), Some(SEALED_AGAIN), "done")?
                    }
                    Some(SEALED) if call["inputResponses"]["step1"].is_object() => {
                        wanted(second(), Some(SEALED_AGAIN)).into()
                    }
                    _ => wanted(json!({"step1": elicitation("name")}), Some(SEALED)).into(),
                }
            }
            CAREFUL => {
                let all = [
                    ("elicitation", elicitation("name")),
                    ("sampling", sampling()),
                    ("roots", roots()),
                ];
                let possible = all.into_iter().filter(|(kind, _)| !able[*kind].is_null());
                let requests: serde_json::Map<_, _> = possible
                    .map(|(kind, request)| (kind.to_owned(), request))
                    .collect();
                until_answered(&call, requests.into(), None, "done")?
            }
            name if self.get_tool(name).is_some() => said("This is text."),
            name => {
                let message = format!("there is no tool {name:?}");
                return Err(ErrorData::invalid_params(message, None));
            }
        })
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(whole(json!({"resources": [
            {"uri": "test://static-text", "name": "text", "mimeType": "text/plain"},
            {"uri": "test://static-binary", "name": "binary", "mimeType": "image/png"}]})))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(whole(json!({"resourceTemplates": [
            {"uriTemplate": "test://template/{id}/data", "name": "by id"}]})))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        let id = uri
            .strip_prefix("test://template/")
            .and_then(|rest| rest.strip_suffix("/data"));
        let content = match (&*uri, id) {
            ("test://static-text", _) => {
                json!({"uri": uri, "mimeType": "text/plain", "text": "text"})
            }
            ("test://static-binary", _) => {
                json!({"uri": uri, "mimeType": "image/png", "blob": PNG})
            }
            (_, Some(id)) => {
                let data = json!({"id": id}).to_string();
                json!({"uri": uri, "mimeType": "application/json", "text": data})
            }
            _ => {
                let message = format!("there is no resource {uri:?}");
                return Err(ErrorData::resource_not_found(
                    message,
                    Some(json!({"uri": uri})),
                ));
            }
        };
        Ok(whole::<ReadResourceResult>(json!({"contents": [content]})).into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompt = |name: &str, arguments: &[&str]| {
            let argument = |name: &&str| json!({"name": name, "required": true});
            let arguments: Vec<_> = arguments.iter().map(argument).collect();
            json!({"name": name, "description": "a fixture", "arguments": arguments})
        };
        Ok(whole(json!({"prompts": [
            prompt("test_simple_prompt", &[]),
            prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
            prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
            prompt("test_prompt_with_image", &[]),
            prompt("test_input_required_result_prompt", &[]),
        ]})))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let call = json_of(&request);
        let argument = |name: &str| call["arguments"][name].as_str().unwrap_or_default();
        let contents = match &*request.name {
            "test_simple_prompt" => vec![text("a prompt")],
            "test_prompt_with_arguments" => {
                vec![text(&format!(
                    "{} and {}",
                    argument("arg1"),
                    argument("arg2")
                ))]
            }
            "test_prompt_with_embedded_resource" => {
                vec![resource(argument("resourceUri")), text("look at it")]
            }
            "test_prompt_with_image" => vec![image(), text("look at it")],
            "test_input_required_result_prompt" => {
                let answer = &call["inputResponses"]["user_context"]["content"]["context"];
                match answer.as_str() {
                    Some(answer) => vec![text(answer)],
                    None => {
                        let requests = json!({"user_context": elicitation("context")});
                        return Ok(wanted(requests, None).into());
                    }
                }
            }
            name => {
                let message = format!("there is no prompt {name:?}");
                return Err(ErrorData::invalid_params(message, None));
            }
        };
        let messages: Vec<Value> = contents
            .into_iter()
            .map(|content| json!({"role": "user", "content": content}))
            .collect();
        Ok(whole::<GetPromptResult>(json!({"messages": messages})).into())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let none = json!({"completion": {"values": [], "total": 0, "hasMore": false}});
        Ok(whole(none))
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let methods = ["initialize", "tools/call", "prompts/get", "resources/read"];
        Err(not_read(&request.method, &methods, &context))
    }
}
