//! Events as they commit, over Server-Sent Events and a WebSocket.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Deserialize;

use super::Server;
use super::answer::{failed, problem};
use super::live::{Events, Unavailable};
use super::request::query;

/// How often an event stream says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longest message of a client's on an event stream, in bytes.
const MAX_MESSAGE: usize = 4 << 10;
/// Most messages of a client's between two heartbeats: nobody listens to them.
const MAX_MESSAGES: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: Option<String>,
}

async fn begin(server: &Server, uri: &Uri, headers: &HeaderMap) -> Result<Events, Response> {
    let EventsQuery { after } = query(uri)?;
    let mut last = headers.get_all("last-event-id").iter();
    // A browser that comes back names what it has, whatever it asked for first.
    let after = match (last.next().map(HeaderValue::to_str), last.next()) {
        (None, _) => after,
        (Some(Ok(id)), None) => Some(id.to_owned()),
        _ => {
            let why = "`Last-Event-ID` is one line with the id of an event";
            return Err(problem(StatusCode::BAD_REQUEST, why));
        }
    };
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

pub(super) async fn sse(State(server): State<Server>, uri: Uri, headers: HeaderMap) -> Response {
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

pub(super) async fn websocket(
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
    let code = match tell(&mut socket, &mut events, &server).await {
        Some(code) => code,
        None => return,
    };
    // The client may be gone.
    let close = ws::CloseFrame {
        code,
        reason: "".into(),
    };
    let _ = socket.send(ws::Message::Close(Some(close))).await;
}

/// Why the server ends a WebSocket; `None` where the client did.
async fn tell(socket: &mut WebSocket, events: &mut Events, server: &Server) -> Option<u16> {
    let mut stopping = server.stopping.clone();
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut heard = 0;
    loop {
        // A look at the log goes on whatever the client says meanwhile.
        let mut next = pin!(events.next());
        let sent = loop {
            tokio::select! {
                sent = next.as_mut() => break sent,
                // What a client says is not listened to, but that it goes away is.
                message = socket.recv() => match message {
                    Some(Ok(ws::Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) if heard >= MAX_MESSAGES => return Some(ws::close_code::POLICY),
                    Some(Ok(_)) => heard += 1,
                },
                _ = beat.tick() => {
                    heard = 0;
                    if socket.send(ws::Message::Ping(Bytes::new())).await.is_err() {
                        return None;
                    }
                }
                () = super::stopped(&mut stopping) => return Some(ws::close_code::AWAY),
            }
        };
        // Where events cannot be told, the client is to come back for them and hear why.
        let Ok(sent) = sent else {
            return Some(ws::close_code::AGAIN);
        };
        for event in sent {
            if socket.send(ws::Message::text(event.body)).await.is_err() {
                return None;
            }
        }
    }
}
