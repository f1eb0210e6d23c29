//! What there is to call.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use patchcore::dialect::Dialect;
use serde::Deserialize;
use serde_json::json;

use super::Server;
use super::answer::{failed, in_our_words, json_response, problem, respond, respond_found};
use super::openapi;
use super::request::{Limits, Nothing, check_body, key, no_query, query, read_body, read_json};
use super::statistics::{Group, OrderReport, Statistics, Trends};
use super::stream::{sse, websocket};
use crate::cli::events::{Filter, ListArgs, moment, outcome};
use crate::commands::events;
use crate::exit::{Exit, Failure};
use crate::redact;
use crate::service::{
    Answer, Ask, Edit, History, Interrupt, Kind, MAX_ENTRIES, Read, Scan, Service, Tasks, limit,
};

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
        .route(
            "/api/tasks/{uuid}/complete",
            post(move |state, uuid, request| complete(state, uuid, request, limits)),
        )
        .route(
            "/api/ask",
            post(move |state, request| ask(state, request, limits)),
        )
        .route("/api/events", get(sse))
        .route("/ws", get(websocket))
        .route(
            "/openapi.json",
            get(|uri: Uri| async move {
                match no_query(&uri) {
                    Ok(()) => json_response(StatusCode::OK, openapi::document().to_string()),
                    Err(response) => response,
                }
            }),
        )
        .route("/healthz", get(health))
        .route("/metrics", get(metrics));
    #[cfg(feature = "mcp")]
    let router = router.route(
        "/mcp",
        axum::routing::any(super::mcp::endpoint(server, max_body, patience)),
    );
    behind_the_guard(router, server)
}

/// Nothing of these routes is reached past the guard.
pub(super) fn behind_the_guard(router: Router<Server>, server: &Server) -> Router {
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
        Ok(()) => match check_body(&request) {
            Ok(()) => in_our_words(next.run(request).await).await,
            Err(response) => response,
        },
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

/// Carries a call out where it may block, when its turn comes.
async fn call(
    server: &Server,
    kind: Kind,
    name: &'static str,
    work: impl FnOnce(&Service, &Interrupt) -> Answer + Send + 'static,
) -> Answer {
    let began = Instant::now();
    let turn = server.turns.take(kind).await;
    let (service, metrics) = (server.service.clone(), server.metrics.clone());
    // A client that goes away does not take back a call that has begun: it can ask what became of
    // it.
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let answer = work(&service, &Interrupt::default());
        metrics.call(name, answer.ended(), began.elapsed());
        answer
    });
    done.await.unwrap_or_else(|error| {
        let error = std::io::Error::other(error);
        Answer::of_failure(&patchcore::Error::io("carry out", name, error).into())
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditQuery {
    dialect: Option<String>,
    file: Option<String>,
    task_id: Option<String>,
    plan: Option<String>,
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
            plan,
            diff,
        } = query(request.uri())?;
        let dialect = dialect.map(|name| name.parse::<Dialect>()).transpose();
        let dialect = dialect.map_err(|refusal| failed(&refusal.into()))?;
        let plan = plan.map(|plan| {
            let bad = |why| problem(StatusCode::BAD_REQUEST, &format!("`plan`: {why}"));
            plan.parse().map_err(bad)
        });
        let plan = plan.transpose()?;
        let batch_id = key(request.headers())?;
        let received = read_body(request.into_body(), limits.body, limits.patience).await?;
        let edit = Edit {
            preview,
            dialect,
            file,
            task_id,
            batch_id,
            plan,
            bases: BTreeMap::new(),
            diff,
        };
        Ok((received, edit))
    };
    match read.await {
        Ok((received, edit)) => {
            let name = if preview { "check" } else { "apply" };
            let kind = Kind::Edit(received.bytes.len());
            respond(
                call(&server, kind, name, move |service, interrupt| {
                    service.edit(&received.bytes, &edit, interrupt)
                })
                .await,
            )
        }
        Err(response) => response,
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
        let key = key(request.headers())?;
        let undo: Undo = read_json(request.into_body(), limits).await?;
        if key.is_some() && undo.batch_id.is_none() {
            let why = "`Idempotency-Key` does not make it safe to send an undo again: name the \
                       batch with `batch_id`";
            return Err(problem(StatusCode::BAD_REQUEST, why));
        }
        Ok((undo, diff))
    };
    match read.await {
        Ok((undo, diff)) => respond(
            call(&server, Kind::Tree, "undo", move |service, interrupt| {
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
            call(&server, Kind::Look, "history", move |service, _| {
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
        let bad =
            |name: &str, why: &str| problem(StatusCode::BAD_REQUEST, &format!("`{name}`: {why}"));
        let since = time(&query.from).map_err(|why| bad("from", &why))?;
        let until = time(&query.to).map_err(|why| bad("to", &why))?;
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            return Err(bad("from", "it is behind `to`"));
        }
        let outcome = query.outcome.as_deref().map(outcome).transpose();
        let outcome = outcome.map_err(|why| bad("outcome", &why))?;
        let limit = limit(query.limit, 50, MAX_ENTRIES).map_err(|failure| failed(&failure))?;
        let filter = Filter {
            task: query.task,
            order: query.order,
            file: query.file,
            outcome,
            since,
            until,
            text: query.text,
        };
        let args = ListArgs {
            filter,
            limit,
            skip: query.offset,
        };
        Ok((args, query.sort))
    });
    match asked {
        Ok((args, sort)) => respond(
            call(&server, Kind::Look, "logs", move |service, _| {
                list(service, args, sort)
            })
            .await,
        ),
        Err(response) => response,
    }
}

/// A page of events, with whether there are more behind it.
fn list(service: &Service, mut args: ListArgs, sort: Sort) -> Answer {
    let mut list = || -> Result<Answer, Failure> {
        let limit = args.limit;
        let place = service.place();
        if sort == Sort::Oldest {
            let (page, more) = events::oldest(place, &args)?;
            return Ok(Answer::events(&page, more));
        }
        args.limit = limit + 1;
        let mut page = events::page(place, &args)?;
        let more = page.len() > limit;
        page.truncate(limit);
        Ok(Answer::events(&page, more))
    };
    list().unwrap_or_else(|failure| Answer::of_failure(&failure))
}

async fn stats(State(server): State<Server>, uri: Uri) -> Response {
    if let Err(response) = no_query(&uri) {
        return response;
    }
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
    respond(call(&server, Kind::Look, "stats", stats).await)
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
    respond(call(&server, Kind::Look, "trends", trends).await)
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
        if format == Format::Markdown {
            let why = "`format` is that of the report on one order: name it with `order_id`";
            return problem(StatusCode::BAD_REQUEST, why);
        }
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
        return respond(call(&server, Kind::Look, "reports", list).await);
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
    let answer = call(&server, Kind::Look, "reports", one).await;
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
            let bad = |why| problem(StatusCode::BAD_REQUEST, why);
            match lines {
                Some([0, _]) => return bad("`from`: lines are counted from 1"),
                Some([_, 0]) => return bad("`to`: lines are counted from 1"),
                Some([from, to]) if from > to => return bad("`from`: it is behind `to`"),
                Some(_) if query.around.is_some() => {
                    return bad("`around` goes with neither `from` nor `to`");
                }
                _ => {}
            }
            let read = Read {
                file: query.path,
                lines,
                around: query.around,
            };
            respond_found(
                call(&server, Kind::Tree, "read", move |service, _| {
                    service.read(&read)
                })
                .await,
            )
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
            respond(
                call(&server, Kind::Tree, "scan", move |service, _| {
                    service.scan(&scan)
                })
                .await,
            )
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
            respond(
                call(&server, Kind::Look, "tasks", move |service, _| {
                    service.tasks(&tasks)
                })
                .await,
            )
        }
        Err(response) => response,
    }
}

async fn task(State(server): State<Server>, Path(uuid): Path<String>, uri: Uri) -> Response {
    if let Err(response) = no_query(&uri) {
        return response;
    }
    respond_found(
        call(&server, Kind::Look, "task", move |service, _| {
            service.task(&uuid)
        })
        .await,
    )
}

async fn complete(
    State(server): State<Server>,
    Path(uuid): Path<String>,
    request: Request<Body>,
    limits: Limits,
) -> Response {
    let read = async {
        no_query(request.uri())?;
        // How a task may be completed is the operator's to say.
        read_json::<Nothing>(request.into_body(), limits).await
    };
    match read.await {
        Ok(Nothing {}) => respond_found(
            call(&server, Kind::Tree, "task_done", move |service, _| {
                service.task_done(&uuid)
            })
            .await,
        ),
        Err(response) => response,
    }
}

async fn ask(State(server): State<Server>, request: Request<Body>, limits: Limits) -> Response {
    let read = async {
        no_query(request.uri())?;
        if key(request.headers())?.is_some() {
            let why = "`Idempotency-Key` does not make it safe to ask again";
            return Err(problem(StatusCode::BAD_REQUEST, why));
        }
        read_json::<Ask>(request.into_body(), limits).await
    };
    match read.await {
        Ok(question) => respond(
            call(&server, Kind::Ask, "ask", move |service, _| {
                service.ask(&question)
            })
            .await,
        ),
        Err(response) => response,
    }
}

async fn health(uri: Uri) -> Response {
    if let Err(response) = no_query(&uri) {
        return response;
    }
    let health = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    json_response(StatusCode::OK, health.to_string())
}

async fn metrics(State(server): State<Server>, uri: Uri) -> Response {
    if let Err(response) = no_query(&uri) {
        return response;
    }
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, server.metrics.text(server.live.streams())).into_response()
}
