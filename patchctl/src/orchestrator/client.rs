//! One HTTP exchange: bounded in time and size, never redirected, never decompressed.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{self, HeaderMap};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::config::{self, Config};

/// Most that is read of an answer to an event, in bytes.
pub(crate) const EVENT_ANSWER: usize = 64 << 10;
/// Most that is read of an answer to a call whose answer is data, in bytes.
pub(crate) const DATA_ANSWER: usize = 64 << 20;
/// Most of a header section that is read, in bytes.
const HEADERS: usize = 64 << 10;

/// Keeps connections open between calls. Costs nothing until the first.
pub(crate) struct Client {
    agent: Agent,
    config: Config,
}

/// What is asked.
pub(crate) struct Request<'a> {
    /// `GET` or `POST`.
    pub(crate) method: http::Method,
    /// Path below the base URL, with its leading `/`, encoded.
    pub(crate) path: &'a str,
    /// JSON.
    pub(crate) body: Option<&'a [u8]>,
    /// Headers beyond those that every request carries.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The longest that all of it takes, from name look-up to the last byte read.
    pub(crate) within: Duration,
    /// Most bytes of the answer.
    pub(crate) limit: usize,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// All headers.
    pub(crate) headers: HeaderMap,
    /// The body; what could not be read of it within time and limit is the error.
    pub(crate) body: Result<Vec<u8>, CallError>,
}

impl Response {
    /// Whether the status says success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's value, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CallError {
    /// No answer: refused, unresolved, reset.
    #[error("cannot reach the orchestrator: {0}")]
    Transport(String),
    /// No connection that both sides can trust.
    #[error("cannot reach the orchestrator: {0}")]
    Tls(String),
    /// The time for the call ran out.
    #[error("the orchestrator did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The certificate authorities cannot be read.
    #[error("cannot read the certificate authorities: {0}")]
    CaFile(String),
    /// An answer that is no success.
    #[error("the orchestrator answered {status}{}", detail(.excerpt))]
    Status {
        /// The status code.
        status: u16,
        /// The start of the body.
        excerpt: String,
        /// How long to wait before trying again, where the answer says so.
        retry_after: Option<Duration>,
    },
    /// More than was to be read.
    #[error("the orchestrator's answer is longer than {0} bytes")]
    TooLarge(usize),
    /// More values than are to be kept.
    #[error("the orchestrator's answer has too many values; ask for less")]
    Heavy,
    /// An answer that is not what the API promises.
    #[error("the orchestrator's answer is malformed: {0}")]
    Malformed(String),
    /// An id that cannot be part of a URL's path.
    #[error("{0:?} cannot be an id")]
    Id(String),
}

fn detail(excerpt: &str) -> String {
    if excerpt.is_empty() {
        String::new()
    } else {
        format!(": {excerpt}")
    }
}

impl CallError {
    /// Whether the same call may succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Tls(_) | Self::Timeout(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }
}

impl Client {
    /// A client for this orchestrator.
    ///
    /// # Errors
    /// Where the file of certificate authorities cannot be read or holds none.
    pub(crate) fn new(config: &Config) -> Result<Self, CallError> {
        let mut builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_response_header_size(HEADERS)
            .user_agent(concat!("patchctl/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .max_idle_connections(2)
            .max_idle_age(Duration::from_secs(10));
        // ureq takes a proxy from the environment by itself; this host is reached directly, so
        // that a secret for it never crosses a network.
        if config.loopback {
            builder = builder.proxy(None);
        }
        if config.is_https()
            && let Some(path) = &config.ca_file
        {
            builder = builder.tls_config(TlsConfig::builder().root_certs(roots(path)?).build());
        }
        Ok(Self {
            agent: builder.build().into(),
            config: config.clone(),
        })
    }

    /// Who is asked, and with what.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Asks once.
    ///
    /// # Errors
    /// Where no status came back; any status is an answer.
    pub(crate) fn call(&self, request: &Request<'_>) -> Result<Response, CallError> {
        let started = Instant::now();
        let mut builder = http::Request::builder()
            .method(&request.method)
            .uri(format!("{}{}", self.config.base, request.path));
        if request.body.is_some() {
            builder = builder.header("content-type", "application/json");
        }
        if let Some(token) = &self.config.token {
            builder = builder.header("authorization", format!("Bearer {}", token.expose()));
        }
        if let Some(trace) = &self.config.traceparent {
            builder = builder.header("traceparent", trace);
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let failed = |error: ureq::Error| transport(&error, request.within);
        let result = match request.body {
            Some(body) => {
                let http = builder.body(body).map_err(|e| failed(e.into()))?;
                let http = self.agent.configure_request(http);
                self.agent
                    .run(http.timeout_global(Some(request.within)).build())
            }
            None => {
                let http = builder.body(()).map_err(|e| failed(e.into()))?;
                let http = self.agent.configure_request(http);
                self.agent
                    .run(http.timeout_global(Some(request.within)).build())
            }
        };
        let response = result.map_err(failed)?;
        let (head, body) = response.into_parts();
        let body = read(body, request, started);
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }
}

/// Reads the body as far as it is wanted; an announced excess is not read at all.
fn read(
    mut body: ureq::Body,
    request: &Request<'_>,
    started: Instant,
) -> Result<Vec<u8>, CallError> {
    let limit = request.limit;
    if body.content_length().is_some_and(|n| n > limit as u64) {
        return Err(CallError::TooLarge(limit));
    }
    let mut bytes = Vec::new();
    let mut reader = body.as_reader().take(limit as u64 + 1);
    match reader.read_to_end(&mut bytes) {
        Ok(_) if bytes.len() > limit => Err(CallError::TooLarge(limit)),
        Ok(_) => Ok(bytes),
        Err(_) if started.elapsed() >= request.within => Err(CallError::Timeout(request.within)),
        Err(error) => Err(CallError::Transport(error.to_string())),
    }
}

fn transport(error: &ureq::Error, within: Duration) -> CallError {
    match error {
        ureq::Error::Timeout(_) => CallError::Timeout(within),
        ureq::Error::Tls(_) | ureq::Error::Pem(_) | ureq::Error::Rustls(_) => {
            CallError::Tls(error.to_string())
        }
        // The handshake is made while reading and writing.
        ureq::Error::Io(io)
            if io
                .get_ref()
                .is_some_and(|cause| cause.is::<rustls::Error>()) =>
        {
            CallError::Tls(error.to_string())
        }
        other => CallError::Transport(other.to_string()),
    }
}

fn roots(path: &std::path::Path) -> Result<RootCerts, CallError> {
    let failed = |reason: String| CallError::CaFile(format!("{}: {reason}", path.display()));
    let pem = config::read(path).map_err(|error| failed(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(failed("holds no certificate".to_owned()));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}
