//! What the SDK asks of a server: its tools and resources, and the calls.

use std::sync::Arc;
use std::time::Duration;

use patchcore::{Code, Refusal, Report, schema};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
    CustomResult, ErrorCode, Implementation, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use super::tools::{self, Call};
use crate::service::{Answer, Interrupt, Service, Turns};

/// Where the schemas of the wire types are found.
const SCHEMAS: &str = "patchctl://schema/";
/// Methods that have parameters.
const METHODS: [&str; 5] = [
    "initialize",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/read",
];
/// How often a client that wants to know hears that a call goes on.
const PROGRESS: Duration = Duration::from_secs(1);

/// The tools on one tree.
#[derive(Clone)]
pub(crate) struct Handler {
    service: Arc<Service>,
    turns: Turns,
    #[cfg(feature = "serve")]
    count: Option<Count>,
}

/// Counts a call: which, what came of it, and how long it took.
#[cfg(feature = "serve")]
type Count = Arc<dyn Fn(&'static str, &Answer, Duration) + Send + Sync>;

impl Handler {
    /// Carries out as many calls at a time as there are turns.
    pub(crate) fn new(service: Arc<Service>, turns: Turns) -> Self {
        Self {
            service,
            turns,
            #[cfg(feature = "serve")]
            count: None,
        }
    }

    /// The same, with each call counted.
    #[cfg(feature = "serve")]
    pub(crate) fn counted(
        mut self,
        count: impl Fn(&'static str, &Answer, Duration) + Send + Sync + 'static,
    ) -> Self {
        self.count = Some(Arc::new(count));
        self
    }

    /// Carries a call out where it may block. A client that takes it back before its turn has it
    /// not begun; behind that the tree becomes new, or stays old where it was being verified.
    async fn carry_out(
        &self,
        call: Call,
        context: &RequestContext<RoleServer>,
    ) -> Result<Answer, ErrorData> {
        let taken_back = || ErrorData::internal_error("the call was taken back", None);
        let turn = tokio::select! {
            turn = self.turns.take(call.kind()) => turn,
            () = context.ct.cancelled() => return Err(taken_back()),
        };
        let interrupt = Interrupt::default();
        let (service, flag) = (self.service.clone(), interrupt.clone());
        #[cfg(feature = "serve")]
        let (count, began) = (self.count.clone(), std::time::Instant::now());
        let mut work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            if flag.is_set() {
                return None;
            }
            let answer = call.carry_out(&service, &flag);
            #[cfg(feature = "serve")]
            if let Some(count) = count {
                count(call.name(), &answer, began.elapsed());
            }
            Some(answer)
        });
        let token = context.meta.get_progress_token();
        let mut ticks = tokio::time::interval(PROGRESS);
        ticks.tick().await;
        let mut seconds = 0.0;
        loop {
            tokio::select! {
                done = &mut work => {
                    let failed = |_| ErrorData::internal_error("the call failed within the server", None);
                    return done.map_err(failed)?.ok_or_else(taken_back);
                }
                () = context.ct.cancelled() => {
                    interrupt.set();
                    return Err(taken_back());
                }
                _ = ticks.tick(), if token.is_some() => {
                    seconds += PROGRESS.as_secs_f64();
                    let Some(token) = token.clone() else { continue };
                    let note = ProgressNotificationParam::new(token, seconds);
                    // Where the client is gone, the call is over soon.
                    let _ = context.peer.notify_progress(note).await;
                }
            }
        }
    }
}

/// The answer to a request that the SDK does not read, of a server with these methods that have
/// parameters.
pub(crate) fn not_read(
    method: &str,
    methods: &[&str],
    context: &RequestContext<RoleServer>,
) -> ErrorData {
    // A request that says its version itself needs no handshake, and has none.
    let has_handshake = context.meta.protocol_version().is_none();
    if methods.contains(&method) && (method != "initialize" || has_handshake) {
        let message = format!("the parameters of {method} have another form");
        return ErrorData::invalid_params(message, None);
    }
    let message = format!("there is no method {method:?}");
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("patchctl", env!("CARGO_PKG_VERSION")))
            .with_instructions(tools::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let answer = match Call::new(&request.name, arguments) {
            None => {
                let message = format!("there is no tool {:?}", request.name);
                return Err(ErrorData::invalid_params(message, None));
            }
            Some(Ok(call)) => self.carry_out(call, &context).await?,
            Some(Err(message)) => {
                let refusal = Refusal::new(Code::InvalidBatch, message);
                Answer::refused(&Report::unread(refusal))
            }
        };
        let body: Value = serde_json::from_str(&answer.body)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let mut result = match answer.is_error() {
            true => CallToolResult::structured_error(body),
            false => CallToolResult::structured(body),
        };
        // In the order of the report, for clients that show a model the text alone.
        result.content = vec![ContentBlock::text(answer.body)];
        Ok(result.into())
    }

    /// What the SDK takes for no request of the protocol's: one whose parameters it cannot read, or
    /// a method that is not there.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(not_read(&request.method, &METHODS, &context))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = schema::names().map(|name| {
            Resource::new(format!("{SCHEMAS}{name}"), name)
                .with_mime_type("application/schema+json")
        });
        Ok(ListResourcesResult::with_all_items(resources.collect()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let name = request.uri.strip_prefix(SCHEMAS);
        let schema = name.and_then(schema::of).ok_or_else(|| {
            let message = format!("there is no resource {:?}", request.uri);
            let data = serde_json::json!({ "uri": request.uri });
            ErrorData::resource_not_found(message, Some(data))
        })?;
        let contents = ResourceContents::text(schema.to_string(), request.uri)
            .with_mime_type("application/schema+json");
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}
