//! `serve`: the engine over HTTP.
//!
//! Here is what listens and stops; `guard` says who may call, `api` what there is to call, `live`
//! has the events as they commit, `openapi` describes it all.

mod answer;
mod api;
#[cfg(feature = "mcp")]
#[cfg(test)]
mod conformance;
mod guard;
mod io;
mod live;
#[cfg(feature = "mcp")]
mod mcp;
mod metrics;
mod openapi;
mod request;
mod statistics;
mod stream;

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use patchcore::Error;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

use crate::cli::Global;
use crate::cli::server::{HttpArgs, ServeArgs};
use crate::exit::{Exit, Failure};
use crate::report::{self, Context};
use crate::service::{Service, Turns, asked_to_end};

use guard::Guard;
use io::{Patient, Stream};
use live::Live;
use metrics::Metrics;

/// Calls at a time that read or edit files; more wait.
const AT_ONCE: usize = 8;
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// How long the server waits where it cannot take a connection, or for streams to end.
const PAUSE: Duration = Duration::from_millis(50);

/// What every request needs.
#[derive(Clone)]
struct Server {
    service: Arc<Service>,
    turns: Turns,
    guard: Arc<Guard>,
    metrics: Arc<Metrics>,
    live: Arc<Live>,
    /// Whether the server is asked to end.
    stopping: watch::Receiver<bool>,
}

impl Server {
    fn new(service: Arc<Service>, guard: Guard, stopping: watch::Receiver<bool>) -> Self {
        Self {
            turns: Turns::new(AT_ONCE),
            live: Arc::new(Live::new(service.clone())),
            guard: Arc::new(guard),
            metrics: Arc::default(),
            service,
            stopping,
        }
    }
}

/// `serve`.
pub(crate) fn run(global: &Global, args: &ServeArgs, context: &Context) -> Result<Exit, Failure> {
    let service = Arc::new(Service::new(global, args.engine.clone())?);
    let guard = Guard::new(&args.http)?;
    if let Some(unused) = Service::unused() {
        report::warn(&unused, context);
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Error::io("handle signals of", "this process", error))?;
    }
    // What may block has threads of its own; one is enough to pass bytes on.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(Turns::threads(AT_ONCE) + live::LOOKS)
        .enable_all()
        .build()
        .map_err(|error| Error::io("start", "the server", error))?;
    let (tell, stopping) = watch::channel(false);
    let server = Server::new(service, guard, stopping);
    let result = runtime.block_on(async {
        let listener = Listener::bind(&args.http).await?;
        report::events::done(&format!("listening on {}", listener.name), context)?;
        if let Some(warning) = guard::open_token(&args.http) {
            report::warn(&warning, context);
        }
        let router = api::router(&server, args.http.max_body, args.http.client_timeout);
        let serving = listener.serve(router, &server, &args.http, &stop, &tell);
        serving.await;
        Ok(Exit::Done)
    });
    // Whatever verifies is ended, and its batch taken back; what is being committed comes to its
    // end before the process does.
    server.service.stop();
    drop(runtime);
    result
}

/// What a server listens on.
struct Listener {
    kind: Kind,
    name: String,
    _socket: Option<Socket>,
}

enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A socket's name, which goes with the server.
struct Socket {
    path: PathBuf,
    identity: (u64, u64),
}

impl Socket {
    fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Where it is gone, or another server's, nothing is to be done.
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Listener {
    async fn bind(args: &HttpArgs) -> Result<Self, Failure> {
        if let Some(path) = &args.socket {
            let failed = |error| Error::io("listen on", path, error);
            remove_dead(path).map_err(failed)?;
            // Nobody else can call before its mode is set.
            let mask = umask(Mode::from_raw_mode(0o177));
            let bound = UnixListener::bind(path);
            umask(mask);
            let listener = bound.map_err(failed)?;
            let socket = Socket::new(path).map_err(failed)?;
            let mode = std::fs::Permissions::from_mode(args.socket_mode);
            std::fs::set_permissions(path, mode).map_err(failed)?;
            return Ok(Self {
                name: format!("unix:{}", path.display()),
                kind: Kind::Unix(listener),
                _socket: Some(socket),
            });
        }
        let failed = |error| Error::io("listen on", args.listen.to_string(), error);
        let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            name: format!("http://{address}"),
            kind: Kind::Tcp(listener),
            _socket: None,
        })
    }

    async fn accept(&self) -> std::io::Result<Stream> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Kind::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }

    /// Serves until a signal comes, and then until what is open is done, or the grace is over.
    async fn serve(
        self,
        router: Router,
        server: &Server,
        args: &HttpArgs,
        stop: &AtomicBool,
        tell: &watch::Sender<bool>,
    ) {
        let connections = Arc::new(Semaphore::new(args.max_connections as usize));
        let mut ended = pin!(asked_to_end(stop));
        loop {
            let next = async {
                let place = connections.clone().acquire_owned().await;
                (self.accept().await, place)
            };
            tokio::select! {
                (stream, place) = next => match stream {
                    Ok(stream) => {
                        let served = connection(
                            stream,
                            router.clone(),
                            args.client_timeout,
                            server.stopping.clone(),
                        );
                        tokio::spawn(async move {
                            let _place = place;
                            served.await;
                        });
                    }
                    // The client is gone, or there are no descriptors left: somebody will end.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                () = &mut ended => break,
            }
        }
        drop(self);
        // Event streams end, and no connection takes another request.
        tell.send_replace(true);
        let open = async {
            let _ = connections.acquire_many(args.max_connections).await;
            // A WebSocket is no connection of HTTP's any more.
            while server.live.streams() > 0 {
                tokio::time::sleep(PAUSE).await;
            }
        };
        let _ = tokio::time::timeout(args.grace, open).await;
    }
}

/// Serves one connection. A client that takes too long, to send or to receive, loses it.
async fn connection(
    stream: Stream,
    router: Router,
    patience: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let io = TokioIo::new(Patient::new(stream, patience));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MAX_HEAD)
        .half_close(true);
    let connection = http
        .serve_connection(io, TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = pin!(connection);
    // What a client breaks is its own.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Waits until the server is asked to end.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Where nobody can ask any more, it ends, too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Removes the socket that a server left which was killed. One that somebody listens on stays.
fn remove_dead(path: &Path) -> std::io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if metadata.file_type().is_socket() {
        match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                return std::fs::remove_file(path);
            }
            _ => {}
        }
    }
    Ok(())
}
