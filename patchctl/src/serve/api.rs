//! What there is to call, and how an answer becomes one of HTTP's.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::StreamExt as _;
use futures_util::stream;
use patchcore::Code;
use patchcore::dialect::Dialect;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Server;
use super::live::{Events, Unavailable};
use super::openapi;
use super::statistics::{Group, OrderReport, Statistics, Trends};
use crate::cli::events::{Filter, ListArgs, moment};
use crate::commands::events;
use crate::exit::{Exit, Failure};
use crate::redact;
use crate::service::{Answer, Ask, Edit, History, Interrupt, Read, Scan, Service, Tasks};

/// Most events in one answer.
const MAX_EVENTS: usize = 1000;
/// How often an event stream says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longest message of a client's on an event stream, in bytes.
const MAX_MESSAGE: usize = 4 << 10;

/// How requests are read.
#[derive(Clone, Copy)]
struct Limits {
    body: usize,
    patience: Duration,
}

/// All of it, behind the guard.
pub(super) fn router(server: &Server, max_body: usize, patience: Duration) -> Router {
    let limits = Limits {
        body: max_body,
        patience,
    };
    let router = Router::new()
        .route(
            "/api/patches/apply",
            post(move |state, request| edit(state, request, limits, false)),
        )
        .route(
            "/api/patches/check",
            post(move |state, request| edit(state, request, limits, true)),
        )
        .route(
            "/api/patches/undo",
            post(move |state, request| undo(state, request, limits)),
        )
        .route("/api/patches/history", get(history))
        .route("/api/patches/logs", get(logs))
        .route("/api/patches/stats", get(stats))
        .route("/api/patches/trends", get(trends))
        .route("/api/delivery/reports", get(reports))
        .route("/api/files", get(files))
        .route("/api/placeholders", get(placeholders))
        .route("/api/tasks", get(tasks))
        .route("/api/tasks/{uuid}", get(task))
        .route("/api/tasks/{uuid}/complete", post(complete))
        .route(
            "/api/ask",
            post(move |state, request| ask(state, request, limits)),
        )
        .route("/api/events", get(sse))
        .route("/ws", get(websocket))
        .route(
            "/openapi.json",
            get(|| async { json_response(StatusCode::OK, openapi::document().to_string()) }),
        )
        .route("/healthz", get(health))
        .route("/metrics", get(metrics));
    #[cfg(feature = "mcp")]
    let router = router.route(
        "/mcp",
        axum::routing::any(super::mcp::endpoint(server, max_body, patience)),
    );
    router
        .fallback(|| async {
            problem(
                StatusCode::NOT_FOUND,
                "there is nothing here; /openapi.json says what there is",
            )
        })
        .method_not_allowed_fallback(|| async {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this takes another method; /openapi.json says which",
            )
        })
        .layer(middleware::from_fn_with_state(server.clone(), guarded))
        .with_state(server.clone())
}

/// Lets in who may call, counts, and says to browsers that all of this is data.
async fn guarded(State(server): State<Server>, request: Request<Body>, next: Next) -> Response {
    let mut response = match server.guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => {
            let mut response = problem(status, why);
            if status == StatusCode::UNAUTHORIZED {
                let scheme = HeaderValue::from_static("Bearer");
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, scheme);
            }
            response
        }
    };
    server.metrics.request(response.status().as_u16());
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The status of an answer.
fn status(answer: &Answer) -> StatusCode {
    match (answer.exit, answer.code) {
        (_, Some(Code::LimitExceeded)) => StatusCode::PAYLOAD_TOO_LARGE,
        (Exit::Code(1), _) => StatusCode::CONFLICT,
        (Exit::Code(2), _) => StatusCode::BAD_REQUEST,
        (Exit::Code(3), _) => StatusCode::SERVICE_UNAVAILABLE,
        // Committed, or partly so, as the body says.
        _ => StatusCode::OK,
    }
}

fn respond(answer: Answer) -> Response {
    json_response(status(&answer), answer.body)
}

/// The answer to a look at one thing, which may not be there.
fn respond_found(answer: Answer) -> Response {
    let is_missing = matches!(
        answer.code,
        Some(Code::TaskUnknown | Code::FileNotFound | Code::PlaceholderNotFound)
    );
    match is_missing {
        true => json_response(StatusCode::NOT_FOUND, answer.body),
        false => respond(answer),
    }
}

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Says what is wrong with a request.
pub(super) fn problem(status: StatusCode, why: &str) -> Response {
    json_response(status, json!({ "error": why }).to_string())
}

fn failed(failure: &Failure) -> Response {
    respond(Answer::of_failure(failure))
}

/// Carries a call out where it may block, when its turn comes.
async fn call(
    server: &Server,
    name: &'static str,
    work: impl FnOnce(&Service, &Interrupt) -> Answer + Send + 'static,
) -> Answer {
    let began = Instant::now();
    // Nobody closes it.
    let turn = server.turns.clone().acquire_owned().await;
    let service = server.service.clone();
    // A client that goes away does not take its call back: it can ask what became of it.
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&service, &Interrupt::default())
    });
    let answer = done.await.unwrap_or_else(|error| {
        let error = std::io::Error::other(error);
        Answer::of_failure(&patchcore::Error::io("carry out", name, error).into())
    });
    let ended = match answer.exit {
        Exit::Done | Exit::Code(4..) => "done",
        Exit::Code(1) => "refused",
        Exit::Code(2) => "invalid",
        Exit::Code(_) => "failed",
    };
    server.metrics.call(name, ended, began.elapsed());
    answer
}

/// Reads the parameters of a request's target.
fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Response> {
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(problem(StatusCode::BAD_REQUEST, &rejection.body_text())),
    }
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
async fn read_json<T: DeserializeOwned>(body: Body, limits: Limits) -> Result<T, Response> {
    let received = read_body(body, limits.body, limits.patience).await?;
    let bytes = match received.bytes.as_slice() {
        [] => b"{}",
        bytes => bytes,
    };
    let parsed = crate::service::json::check(bytes).and_then(|()| serde_json::from_slice(bytes));
    parsed.map_err(|error| {
        problem(
            StatusCode::BAD_REQUEST,
            &format!("the body cannot be read: {error}"),
        )
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditQuery {
    dialect: Option<String>,
    file: Option<String>,
    task_id: Option<String>,
    #[serde(default = "yes")]
    diff: bool,
}

fn yes() -> bool {
    true
}

async fn edit(
    State(server): State<Server>,
    request: Request<Body>,
    limits: Limits,
    preview: bool,
) -> Response {
    let read = async {
        let EditQuery {
            dialect,
            file,
            task_id,
            diff,
        } = query(request.uri())?;
        let dialect = dialect.map(|name| name.parse::<Dialect>()).transpose();
        let dialect = dialect.map_err(|refusal| failed(&refusal.into()))?;
        let batch_id = key(request.headers())?;
        let received = read_body(request.into_body(), limits.body, limits.patience).await?;
        let edit = Edit {
            preview,
            dialect,
            file,
            task_id,
            batch_id,
            bases: BTreeMap::new(),
            diff,
        };
        Ok((received, edit))
    };
    match read.await {
        Ok((received, edit)) => {
            let name = if preview { "check" } else { "apply" };
            respond(
                call(&server, name, move |service, interrupt| {
                    service.edit(&received.bytes, &edit, interrupt)
                })
                .await,
            )
        }
        Err(response) => response,
    }
}

/// The id under which a batch is known that has none.
fn key(headers: &HeaderMap) -> Result<Option<String>, Response> {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Undo {
    #[serde(default)]
    batch_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoQuery {
    #[serde(default = "yes")]
    diff: bool,
}

async fn undo(State(server): State<Server>, request: Request<Body>, limits: Limits) -> Response {
    let read = async {
        let UndoQuery { diff } = query(request.uri())?;
        let undo: Undo = read_json(request.into_body(), limits).await?;
        Ok((undo, diff))
    };
    match read.await {
        Ok((undo, diff)) => respond(
            call(&server, "undo", move |service, interrupt| {
                service.undo(undo.batch_id.as_deref(), diff, interrupt)
            })
            .await,
        ),
        Err(response) => response,
    }
}

async fn history(State(server): State<Server>, uri: Uri) -> Response {
    match query::<History>(&uri) {
        Ok(history) => respond(
            call(&server, "history", move |service, _| {
                service.history(&history)
            })
            .await,
        ),
        Err(response) => response,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogsQuery {
    task: Option<String>,
    order: Option<String>,
    file: Option<String>,
    outcome: Option<String>,
    text: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    offset: usize,
    sort: Sort,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Newest,
    Oldest,
}

async fn logs(State(server): State<Server>, uri: Uri) -> Response {
    let asked = query::<LogsQuery>(&uri).and_then(|query| {
        let time = |text: &Option<String>| text.as_deref().map(moment).transpose();
        let times = time(&query.from).and_then(|from| Ok((from, time(&query.to)?)));
        let (since, until) = times.map_err(|why| problem(StatusCode::BAD_REQUEST, &why))?;
        let filter = Filter {
            task: query.task,
            order: query.order,
            file: query.file,
            outcome: query.outcome,
            since,
            until,
            text: query.text,
        };
        let args = ListArgs {
            filter,
            limit: query.limit.unwrap_or(50).min(MAX_EVENTS),
            skip: query.offset,
        };
        Ok((args, query.sort))
    });
    match asked {
        Ok((args, sort)) => {
            respond(call(&server, "logs", move |service, _| list(service, args, sort)).await)
        }
        Err(response) => response,
    }
}

/// A page of events, with whether there are more behind it.
fn list(service: &Service, mut args: ListArgs, sort: Sort) -> Answer {
    let mut list = || -> Result<Answer, Failure> {
        let limit = args.limit;
        let place = service.place();
        if sort == Sort::Oldest {
            // The log is read backwards: the last page of it is the first of this order.
            let mut total = 0;
            events::each(place, &args.filter, &mut |_| {
                total += 1;
                Ok(true)
            })?;
            let left = total - args.skip.min(total);
            args.limit = limit.min(left);
            args.skip = left - args.limit;
            let mut page = events::page(place, &args)?;
            page.reverse();
            return Ok(Answer::events(&page, left > limit));
        }
        args.limit = limit + 1;
        let mut page = events::page(place, &args)?;
        let more = page.len() > limit;
        page.truncate(limit);
        Ok(Answer::events(&page, more))
    };
    list().unwrap_or_else(|failure| Answer::of_failure(&failure))
}

async fn stats(State(server): State<Server>) -> Response {
    let stats = |service: &Service, _: &Interrupt| {
        let mut statistics = Statistics::default();
        let read = events::each(service.place(), &Filter::default(), &mut |event| {
            statistics.add(&event);
            Ok(true)
        });
        match read {
            Ok(()) => Answer::of(Exit::Done, &statistics),
            Err(failure) => Answer::of_failure(&failure),
        }
    };
    respond(call(&server, "stats", stats).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrendsQuery {
    group: Group,
}

async fn trends(State(server): State<Server>, uri: Uri) -> Response {
    let group = match query::<TrendsQuery>(&uri) {
        Ok(query) => query.group,
        Err(response) => return response,
    };
    let trends = move |service: &Service, _: &Interrupt| {
        let mut trends = Trends::default();
        let read = events::each(service.place(), &Filter::default(), &mut |event| {
            trends.add(&event, group);
            Ok(true)
        });
        match read {
            Ok(()) => Answer::of(Exit::Done, &trends),
            Err(failure) => Answer::of_failure(&failure),
        }
    };
    respond(call(&server, "trends", trends).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportsQuery {
    #[serde(default)]
    order_id: Option<String>,
    #[serde(default)]
    format: Format,
    /// A report is made each time, so that it is never older than the log.
    #[serde(default, rename = "generate")]
    _generate: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Markdown,
}

async fn reports(State(server): State<Server>, uri: Uri) -> Response {
    let ReportsQuery {
        order_id, format, ..
    } = match query(&uri) {
        Ok(query) => query,
        Err(response) => return response,
    };
    let Some(order_id) = order_id else {
        let list = |service: &Service, _: &Interrupt| {
            let mut trends = Trends::default();
            let read = events::each(service.place(), &Filter::default(), &mut |event| {
                if event.labels.order_id.is_some() {
                    trends.add(&event, Group::Order);
                }
                Ok(true)
            });
            match read {
                Ok(()) => Answer::of(Exit::Done, &trends),
                Err(failure) => Answer::of_failure(&failure),
            }
        };
        return respond(call(&server, "reports", list).await);
    };
    let one = move |service: &Service, _: &Interrupt| {
        let filter = Filter {
            order: Some(order_id.clone()),
            ..Filter::default()
        };
        let mut report = OrderReport::new(&order_id);
        let read = events::each(service.place(), &filter, &mut |event| {
            report.add(&event);
            Ok(true)
        });
        match (read, format) {
            (Err(failure), _) => Answer::of_failure(&failure),
            // `null` stands for an order that the log does not know.
            (Ok(()), _) if report.is_empty() => Answer::of(Exit::Done, &()),
            (Ok(()), Format::Json) => Answer::of(Exit::Done, &report),
            (Ok(()), Format::Markdown) => Answer {
                exit: Exit::Done,
                code: None,
                body: redact::text(&report.markdown()),
            },
        }
    };
    let answer = call(&server, "reports", one).await;
    match format {
        _ if answer.body == "null" => problem(StatusCode::NOT_FOUND, "the log knows no such order"),
        Format::Markdown if !answer.is_error() => {
            let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
            (kind, answer.body).into_response()
        }
        _ => respond(answer),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesQuery {
    path: String,
    #[serde(default)]
    from: Option<u64>,
    #[serde(default)]
    to: Option<u64>,
    #[serde(default)]
    around: Option<String>,
}

async fn files(State(server): State<Server>, uri: Uri) -> Response {
    match query::<FilesQuery>(&uri) {
        Ok(query) => {
            let lines = match (query.from, query.to) {
                (None, None) => None,
                (from, to) => Some([from.unwrap_or(1), to.unwrap_or(u64::MAX)]),
            };
            let read = Read {
                file: query.path,
                lines,
                around: query.around,
            };
            respond_found(call(&server, "read", move |service, _| service.read(&read)).await)
        }
        Err(response) => response,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceholdersQuery {
    #[serde(default)]
    path: Option<std::path::PathBuf>,
    #[serde(default)]
    limit: Option<usize>,
}

async fn placeholders(State(server): State<Server>, uri: Uri) -> Response {
    match query::<PlaceholdersQuery>(&uri) {
        Ok(query) => {
            let scan = Scan {
                paths: query.path.into_iter().collect(),
                limit: query.limit,
            };
            respond(call(&server, "scan", move |service, _| service.scan(&scan)).await)
        }
        Err(response) => response,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TasksQuery {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    order_id: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

async fn tasks(State(server): State<Server>, uri: Uri) -> Response {
    match query::<TasksQuery>(&uri) {
        Ok(query) => {
            let tasks = Tasks {
                status: query.status.into_iter().collect(),
                order_id: query.order_id,
                limit: query.limit,
            };
            respond(call(&server, "tasks", move |service, _| service.tasks(&tasks)).await)
        }
        Err(response) => response,
    }
}

async fn task(State(server): State<Server>, Path(uuid): Path<String>) -> Response {
    respond_found(call(&server, "task", move |service, _| service.task(&uuid)).await)
}

async fn complete(State(server): State<Server>, Path(uuid): Path<String>) -> Response {
    respond_found(
        call(&server, "task_done", move |service, _| {
            service.task_done(&uuid)
        })
        .await,
    )
}

async fn ask(State(server): State<Server>, request: Request<Body>, limits: Limits) -> Response {
    match read_json::<Ask>(request.into_body(), limits).await {
        Ok(question) => {
            respond(call(&server, "ask", move |service, _| service.ask(&question)).await)
        }
        Err(response) => response,
    }
}

async fn health() -> Response {
    let health = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    json_response(StatusCode::OK, health.to_string())
}

async fn metrics(State(server): State<Server>) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, server.metrics.text(server.live.streams())).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: Option<String>,
}

async fn begin(server: &Server, uri: &Uri, headers: &HeaderMap) -> Result<Events, Response> {
    let EventsQuery { after } = query(uri)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    // A browser that comes back names what it has, whatever it asked for first.
    let after = last.map(str::to_owned).or(after);
    let events = server.live.begin(after.as_deref()).await;
    let events = events.map_err(|why| match why {
        Unavailable::Full => problem(StatusCode::SERVICE_UNAVAILABLE, "there are too many event streams"),
        Unavailable::Unknown => problem(
            StatusCode::GONE,
            "the log has no such event, or no longer: what came behind it cannot be told; `after=0` \
             begins with what the log still has",
        ),
        Unavailable::Failed(failure) => failed(&failure),
    })?;
    server.metrics.stream();
    Ok(events)
}

async fn sse(State(server): State<Server>, uri: Uri, headers: HeaderMap) -> Response {
    let events = match begin(&server, &uri, &headers).await {
        Ok(events) => events,
        Err(response) => return response,
    };
    let stopping = server.stopping.clone();
    let batches = stream::unfold(
        (events, stopping),
        |(mut events, mut stopping)| async move {
            let sent = tokio::select! {
                sent = events.next() => sent.ok()?,
                () = super::stopped(&mut stopping) => return None,
            };
            let sent = sent.into_iter().map(|event| {
                Ok::<_, Infallible>(
                    Event::default()
                        .id(event.id)
                        .event("patch")
                        .data(event.body),
                )
            });
            Some((stream::iter(sent), (events, stopping)))
        },
    );
    let keep = KeepAlive::new().interval(HEARTBEAT);
    Sse::new(batches.flatten()).keep_alive(keep).into_response()
}

async fn websocket(
    State(server): State<Server>,
    upgrade: WebSocketUpgrade,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match begin(&server, &uri, &headers).await {
        Ok(events) => upgrade
            .max_message_size(MAX_MESSAGE)
            .max_frame_size(MAX_MESSAGE)
            .on_upgrade(move |socket| send_events(socket, events, server)),
        Err(response) => response,
    }
}

/// Sends events until the client or the server goes away.
async fn send_events(mut socket: WebSocket, mut events: Events, server: Server) {
    let mut stopping = server.stopping.clone();
    let mut beat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            sent = events.next() => {
                let Ok(sent) = sent else { break };
                for event in sent {
                    if socket.send(ws::Message::text(event.body)).await.is_err() {
                        return;
                    }
                }
            }
            // What a client says is not listened to, but that it goes away is.
            message = socket.recv() => match message {
                Some(Ok(ws::Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            _ = beat.tick() => {
                if socket.send(ws::Message::Ping(Bytes::new())).await.is_err() {
                    return;
                }
            }
            () = super::stopped(&mut stopping) => break,
        }
    }
    // The client may be gone.
    let close = ws::CloseFrame {
        code: ws::close_code::AWAY,
        reason: "".into(),
    };
    let _ = socket.send(ws::Message::Close(Some(close))).await;
}
