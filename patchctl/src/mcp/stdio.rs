//! Messages over standard input and output, a line each.
//!
//! What cannot be read is answered, with its id where that can be seen: a client that waits for an
//! answer shall not wait in vain. When the input ends, what was asked before is still answered.

use std::collections::HashSet;
use std::io::{self, BufRead, Write as _};
use std::sync::{Arc, Mutex};

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, RequestId, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::redact;
use crate::service::json;

/// Longest line, in bytes.
pub(super) const MAX_LINE: usize = 16 << 20;
/// Most requests that are not answered yet; who sends more waits.
const MAX_OPEN: usize = 32;
/// Bytes of a longer one in which its id is looked for.
const HEAD: usize = 64 << 10;

/// The transport.
pub(super) struct Stdio {
    messages: mpsc::Receiver<ClientJsonRpcMessage>,
    open: watch::Sender<Open>,
    output: Arc<Output>,
}

/// Requests that are not done with.
#[derive(Default)]
struct Open {
    /// Those that are not answered.
    asked: HashSet<RequestId>,
    /// Answers that are being written: a client that reads one may use its id again.
    writing: usize,
}

impl Open {
    fn len(&self) -> usize {
        self.asked.len() + self.writing
    }

    /// Whether a request that was not answered is being answered now.
    fn answer(&mut self, id: &RequestId) -> bool {
        let is_asked = self.asked.remove(id);
        self.writing += usize::from(is_asked);
        is_asked
    }
}

/// Standard output, a whole line at a time.
#[derive(Default)]
struct Output(Mutex<()>);

impl Output {
    fn write(&self, message: &[u8]) -> io::Result<()> {
        let _turn = self.0.lock().unwrap_or_else(|held| held.into_inner());
        let mut out = io::stdout().lock();
        out.write_all(&redact::bytes(message))?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

impl Stdio {
    /// Reads from now on.
    pub(super) fn start() -> Self {
        let output = Arc::new(Output::default());
        // One message waits while another is begun: who sends faster than that waits, too.
        let (send, messages) = mpsc::channel(1);
        let answers = output.clone();
        std::thread::spawn(move || read(&mut io::stdin().lock(), &send, &answers));
        Self {
            messages,
            open: watch::Sender::default(),
            output,
        }
    }
}

impl Stdio {
    /// Writes an answer that is ours. Where the client is gone, its input ends, too.
    async fn say(&self, answer: Value) {
        let output = self.output.clone();
        let _ =
            tokio::task::spawn_blocking(move || output.write(answer.to_string().as_bytes())).await;
    }
}

impl Transport<RoleServer> for Stdio {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let (output, open) = (self.output.clone(), self.open.clone());
        async move {
            let answered = match &message {
                ServerJsonRpcMessage::Response(response) => Some(response.id.clone()),
                ServerJsonRpcMessage::Error(error) => error.id.clone(),
                _ => None,
            };
            let bytes = serde_json::to_vec(&message)?;
            let is_answer =
                answered.is_some_and(|id| open.send_if_modified(|open| open.answer(&id)));
            let written = tokio::task::spawn_blocking(move || output.write(&bytes)).await;
            if is_answer {
                open.send_modify(|open| open.writing -= 1);
            }
            written.unwrap_or_else(|error| Err(io::Error::other(error)))
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let mut open = self.open.subscribe();
        loop {
            let _ = open.wait_for(|open| open.len() < MAX_OPEN).await;
            let Some(message) = self.messages.recv().await else {
                // What was asked is answered before the end.
                let _ = open.wait_for(|open| open.len() == 0).await;
                return None;
            };
            match &message {
                ClientJsonRpcMessage::Request(request) => {
                    let id = request.id.clone();
                    let is_new = self
                        .open
                        .send_if_modified(|open| open.asked.insert(id.clone()));
                    if !is_new {
                        let why = "a request with this id is not answered yet";
                        let answer = json!({
                            "jsonrpc": "2.0",
                            "id": id,
                            "error": { "code": -32600, "message": why },
                        });
                        self.say(answer).await;
                        continue;
                    }
                }
                ClientJsonRpcMessage::Notification(notification) => {
                    if let ClientNotification::CancelledNotification(cancelled) =
                        &notification.notification
                        && let Some(id) = &cancelled.params.request_id
                    {
                        self.open.send_if_modified(|open| open.asked.remove(id));
                    }
                }
                _ => {}
            }
            return Some(message);
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        Ok(())
    }
}

/// Reads messages until the input ends, or nobody wants them.
fn read(input: &mut impl BufRead, send: &mpsc::Sender<ClientJsonRpcMessage>, output: &Output) {
    let mut line = Vec::new();
    loop {
        let message = match next_line(input, &mut line) {
            Ok(Line::End) | Err(_) => return,
            Ok(Line::TooLong) => Err(unread(
                -32600,
                format!("a message has at most {MAX_LINE} bytes"),
                &line[..HEAD],
            )),
            Ok(Line::Whole) => parse(line.trim_ascii()),
        };
        let is_over = match message {
            Ok(Some(message)) => send.blocking_send(message).is_err(),
            Ok(None) => false,
            Err(answer) => output.write(answer.to_string().as_bytes()).is_err(),
        };
        if is_over {
            return;
        }
    }
}

enum Line {
    /// The buffer holds it.
    Whole,
    /// The buffer holds its start; the rest is gone.
    TooLong,
    /// There is no more.
    End,
}

fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let mut is_long = false;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            // A last line may end with the input.
            return Ok(match (line.is_empty(), is_long) {
                (true, _) => Line::End,
                (false, true) => Line::TooLong,
                (false, false) => Line::Whole,
            });
        }
        let end = available.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        is_long |= line.len() + taken > MAX_LINE + 1;
        if !is_long {
            line.extend_from_slice(&available[..taken]);
        } else if line.len() < HEAD {
            let room = (HEAD - line.len()).min(taken);
            line.extend_from_slice(&available[..room]);
        }
        input.consume(taken);
        if end.is_some() {
            return Ok(if is_long { Line::TooLong } else { Line::Whole });
        }
    }
}

/// The message of a line or body; `None` for an empty one and a notification that nobody here knows,
/// the answer for one that cannot be read.
pub(crate) fn parse(line: &[u8]) -> Result<Option<ClientJsonRpcMessage>, Value> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.is_empty() {
        return Ok(None);
    }
    if let Err(error) = json::check(line) {
        let code = if json::is_json(&error) {
            -32600
        } else {
            -32700
        };
        return Err(unread(
            code,
            format!("the message cannot be read: {error}"),
            line,
        ));
    }
    match serde_json::from_slice(line) {
        Ok(message) => Ok(Some(message)),
        Err(error) => {
            let value: Value = serde_json::from_slice(line).unwrap_or_default();
            if value.get("method").is_some() && value.get("id").is_none() {
                return Ok(None);
            }
            let message = format!("the message is not a request of the protocol: {error}");
            Err(unread(-32600, message, line))
        }
    }
}

fn unread(code: i32, message: String, line: &[u8]) -> Value {
    let mut answer = json!({
        "jsonrpc": "2.0",
        "error": { "code": code, "message": message },
    });
    if let Some(id) = json::id_of(line) {
        answer["id"] = id;
    }
    answer
}
