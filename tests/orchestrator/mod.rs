//! A test orchestrator: it answers as the contract says, keeps what it is told in SQLite, and
//! can be told to fail. [`hostile`] is for failures below HTTP.

#![allow(
    dead_code,
    reason = "the tests and the program that shares this module use different parts of it"
)]

pub(crate) mod hostile;
mod routes;
mod store;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tiny_http::{Header, Request, Response, Server};

use store::Store;

/// A running orchestrator; it stops when it is dropped.
pub(crate) struct Orchestrator {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How it is set up.
#[derive(Default)]
pub(crate) struct Options {
    /// The port; 0 takes a free one.
    pub(crate) port: u16,
    /// The database file; in memory by default.
    pub(crate) database: Option<PathBuf>,
    /// The bearer token that every request must carry.
    pub(crate) token: Option<String>,
    /// The `whsec_…` secret that events must be signed with.
    pub(crate) secret: Option<String>,
    /// Whether to print each request.
    pub(crate) verbose: bool,
}

/// A failure, for one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, and no effect.
    Status(u16),
    /// This status with a `Retry-After` header, and no effect.
    RetryAfter(u16, String),
    /// The effect takes place and this status is answered: a lost acknowledgement.
    Lost(u16),
    /// The answer comes this late.
    Slow(Duration),
    /// This body with status 200, and no effect.
    Body(String),
    /// A redirect to this place.
    Redirect(String),
    /// No failure: lets a request pass within a script.
    Pass,
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) status: u16,
}

impl Seen {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

struct Shared {
    options: Options,
    store: Mutex<Store>,
    faults: Mutex<Vec<(String, VecDeque<Fault>)>>,
    seen: Mutex<Vec<Seen>>,
    server: Server,
    stopping: AtomicBool,
}

impl Orchestrator {
    /// Starts one on a free port of this host, without token and secret.
    pub(crate) fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts one.
    pub(crate) fn start_with(options: Options) -> Self {
        let server = Server::http(("127.0.0.1", options.port)).expect("the port is free");
        let address = server.server_addr().to_ip().expect("it listens on an IP");
        let store = Store::open(options.database.as_deref()).expect("the database opens");
        let shared = Arc::new(Shared {
            options,
            store: Mutex::new(store),
            faults: Mutex::default(),
            seen: Mutex::default(),
            server,
            stopping: AtomicBool::new(false),
        });
        // Several, so that a slow answer holds up only its own connection.
        let threads = (0..4)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve())
            })
            .collect();
        Self {
            address,
            shared,
            threads,
        }
    }

    /// The base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes an order of tasks `(file, placeholder, instruction)`; gives the tasks' uuids.
    pub(crate) fn order(&self, id: &str, tasks: &[(&str, &str, &str)]) -> Vec<String> {
        let store = self.shared.store.lock().expect("no thread panicked");
        let add = |(file, placeholder, text): &(&str, &str, &str)| {
            store.add_task(id, file, placeholder, text)
        };
        tasks.iter().map(add).collect()
    }

    /// Makes an order as `POST /api/orders` does; gives its answer.
    pub(crate) fn create(&self, order: &Value) -> Value {
        let seen = Seen {
            method: "POST".to_owned(),
            path: "/api/orders".to_owned(),
            headers: Vec::new(),
            body: order.to_string().into_bytes(),
            status: 0,
        };
        let store = self.shared.store.lock().expect("no thread panicked");
        routes::answer(&store, &seen).1
    }

    /// Fails the next requests whose path starts with `prefix`, one after the other.
    pub(crate) fn fail(&self, prefix: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut all = self.shared.faults.lock().expect("no thread panicked");
        all.push((prefix.to_owned(), faults.into_iter().collect()));
    }

    /// Answers an error about a file, or about a placeholder, with this remediation: an object
    /// with `action` and what belongs to it. Without one, the answer is `none`.
    pub(crate) fn remediate(&self, about: &str, remediation: Value) {
        let store = self.shared.store.lock().expect("no thread panicked");
        store.set_remediation(about, &remediation);
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no thread panicked").clone()
    }

    /// The requests so far to one path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|request| request.path == path);
        seen
    }

    /// The events that took effect, once each, in the order in which they came first.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.rows("SELECT body FROM events ORDER BY seq")
    }

    /// The entries of the operations log.
    pub(crate) fn operations(&self) -> Vec<Value> {
        self.rows("SELECT body FROM operations ORDER BY seq")
    }

    /// The errors that were reported.
    pub(crate) fn errors(&self) -> Vec<Value> {
        self.rows("SELECT body FROM errors ORDER BY seq")
    }

    /// A task as it stands.
    pub(crate) fn task(&self, uuid: &str) -> Option<Value> {
        let store = self.shared.store.lock().expect("no thread panicked");
        store.task(uuid)
    }

    fn rows(&self, query: &str) -> Vec<Value> {
        let store = self.shared.store.lock().expect("no thread panicked");
        store.rows(query)
    }

    /// Waits until it is stopped from outside.
    pub(crate) fn wait(mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for _ in &self.threads {
            self.shared.server.unblock();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self) {
        while !self.stopping.load(Ordering::Relaxed) {
            match self.server.recv() {
                Ok(request) => self.answer(request),
                Err(_) => return,
            }
        }
    }

    fn answer(&self, mut request: Request) {
        let mut body = Vec::new();
        let _ = request.as_reader().read_to_end(&mut body);
        let mut seen = Seen {
            method: request.method().to_string(),
            path: request.url().to_owned(),
            headers: request
                .headers()
                .iter()
                .map(|h| {
                    let name = h.field.to_string().to_ascii_lowercase();
                    (name, h.value.to_string())
                })
                .collect(),
            body,
            status: 0,
        };
        let mut headers = vec![("Content-Type", "application/json".to_owned())];
        let fault = self.fault(&seen.path);
        let (status, body) = match &fault {
            Fault::Status(status) => (*status, format!(r#"{{"error":"told to {status}"}}"#)),
            Fault::RetryAfter(status, after) => {
                headers.push(("Retry-After", after.clone()));
                (*status, "{}".to_owned())
            }
            Fault::Body(body) => (200, body.clone()),
            Fault::Redirect(to) => {
                headers.push(("Location", to.clone()));
                (307, String::new())
            }
            Fault::Lost(status) => {
                self.route(&seen);
                (*status, "{}".to_owned())
            }
            Fault::Slow(time) => {
                self.sleep(*time);
                self.route(&seen)
            }
            Fault::Pass => self.route(&seen),
        };
        seen.status = status;
        if self.options.verbose {
            let shown = String::from_utf8_lossy(&seen.body);
            println!("{} {} {status} {shown}", seen.method, seen.path);
        }
        self.seen.lock().expect("no thread panicked").push(seen);
        let mut response = Response::from_string(body).with_status_code(status);
        for (name, value) in headers {
            let header = Header::from_bytes(name, value).expect("these are fit for a header");
            response.add_header(header);
        }
        let _ = request.respond(response);
    }

    fn route(&self, seen: &Seen) -> (u16, String) {
        if let Err(reason) = routes::authorise(&self.options, seen) {
            return (401, serde_json::json!({ "error": reason }).to_string());
        }
        let store = self.store.lock().expect("no thread panicked");
        let (status, body) = routes::answer(&store, seen);
        (status, body.to_string())
    }

    fn fault(&self, path: &str) -> Fault {
        let mut all = self.faults.lock().expect("no thread panicked");
        let queue = all
            .iter_mut()
            .find(|(prefix, queue)| path.starts_with(prefix.as_str()) && !queue.is_empty());
        queue
            .and_then(|(_, queue)| queue.pop_front())
            .unwrap_or(Fault::Pass)
    }

    /// Sleeps, but not past the end.
    fn sleep(&self, time: Duration) {
        let until = std::time::Instant::now() + time;
        while std::time::Instant::now() < until && !self.stopping.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
