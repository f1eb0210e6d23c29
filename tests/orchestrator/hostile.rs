//! A receiver that misbehaves below HTTP: it resets, drips, lies, never answers.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Seen;

/// What it does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Reads all, answers this status; a redirect points at [`Receiver::stolen`].
    Status(u16),
    /// Reads all, answers this status with this `Retry-After`.
    RetryAfter(u16, String),
    /// Closes with a reset before anything is read.
    Close,
    /// Answers 200 before the body is read, then resets.
    Early,
    /// Reads all, starts to answer, resets in the middle.
    Reset,
    /// Reads all, resets without an answer: the acknowledgement is lost.
    ReadReset,
    /// Reads all and never answers.
    Hang,
    /// Reads all, answers a byte of a header at a time, for ever.
    Drip,
    /// Reads all, answers 200 with a body that does not end.
    Huge,
    /// Reads all, announces 10⁹ bytes, sends five.
    Lie,
    /// Reads all, answers with what calls itself gzip and unpacks to far more.
    Bomb,
    /// Reads all, answers with a header of 1 MiB.
    BadHeader,
}

/// Decides what to do with the request of this number, from 0.
type Script = dyn Fn(usize) -> Act + Send + Sync;

/// A running receiver; it stops when it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    seen: Mutex<Vec<(Seen, Act)>>,
    count: Mutex<usize>,
    stolen: SocketAddr,
    robbed: AtomicBool,
    stopping: AtomicBool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Receiver {
    /// Starts one that goes through a list of acts, the last of which repeats.
    pub(crate) fn start(acts: &[Act]) -> Self {
        let acts = acts.to_vec();
        Self::with(move |n| acts[n.min(acts.len() - 1)].clone())
    }

    /// Starts one that decides by the request's number.
    pub(crate) fn with(script: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        Self::start_with(Box::new(script), None)
    }

    /// Starts one that answers 204 over TLS.
    pub(crate) fn tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::start_with(Box::new(|_| Act::Status(204)), Some(config))
    }

    fn start_with(script: Box<Script>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let thief = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            script,
            seen: Mutex::default(),
            count: Mutex::default(),
            stolen: thief.local_addr().expect("it is bound"),
            robbed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            tls,
        });
        for (listener, stolen) in [(listener, false), (thief, true)] {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if shared.stopping.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || {
                        if stolen {
                            shared.robbed.store(true, Ordering::Relaxed);
                        } else {
                            let _ = shared.serve(stream);
                        }
                    });
                }
            });
        }
        Self { address, shared }
    }

    /// The base URL, under a name that certificates can bear.
    pub(crate) fn url(&self) -> String {
        match self.shared.tls {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// The requests that were read whole, with what was done to them.
    pub(crate) fn seen(&self) -> Vec<(Seen, Act)> {
        self.shared.seen.lock().expect("no thread panicked").clone()
    }

    /// How many connections asked for something, read or not.
    pub(crate) fn count(&self) -> usize {
        *self.shared.count.lock().expect("no thread panicked")
    }

    /// Whether anybody followed a redirect.
    pub(crate) fn robbed(&self) -> bool {
        self.shared.robbed.load(Ordering::Relaxed)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // Wakes the two listeners up.
        let _ = TcpStream::connect(self.address);
        let _ = TcpStream::connect(self.shared.stolen);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config))
                    .map_err(std::io::Error::other)?;
                let mut tls = rustls::StreamOwned::new(connection, stream);
                let act = self.act();
                self.exchange(&mut tls, &act)?;
                tls.conn.send_close_notify();
                tls.flush()?;
                tls.sock.shutdown(Shutdown::Write)
            }
            None => {
                let mut stream = stream;
                let act = self.act();
                match act {
                    Act::Close => reset(&stream),
                    Act::Early => {
                        stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n")?;
                        reset(&stream)
                    }
                    _ => {
                        self.exchange(&mut stream, &act)?;
                        if matches!(act, Act::Reset | Act::ReadReset) {
                            reset(&stream)
                        } else {
                            stream.shutdown(Shutdown::Write)
                        }
                    }
                }
            }
        }
    }

    fn act(&self) -> Act {
        let mut count = self.count.lock().expect("no thread panicked");
        *count += 1;
        (self.script)(*count - 1)
    }

    fn exchange(&self, stream: &mut (impl Read + Write), act: &Act) -> std::io::Result<()> {
        let mut seen = read(stream)?;
        seen.status = match act {
            Act::Status(status) | Act::RetryAfter(status, _) => *status,
            _ => 0,
        };
        let mut all = self.seen.lock().expect("no thread panicked");
        all.push((seen, act.clone()));
        drop(all);
        match act {
            Act::Status(status) => {
                let location = format!("Location: http://{}/stolen\r\n", self.stolen);
                let redirect = (300..400).contains(status);
                respond(
                    stream,
                    *status,
                    if redirect { &location } else { "" },
                    b"{}",
                )
            }
            Act::RetryAfter(status, after) => {
                respond(stream, *status, &format!("Retry-After: {after}\r\n"), b"{}")
            }
            Act::Hang => self.idle(Duration::from_secs(60)),
            Act::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")?;
                while !self.stopping.load(Ordering::Relaxed) {
                    stream.write_all(b"a")?;
                    stream.flush()?;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(())
            }
            Act::Huge => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'x'; 1 << 16])?;
                }
            }
            Act::Lie => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello")?;
                self.idle(Duration::from_secs(60))
            }
            Act::Bomb => {
                let gzip = "Content-Encoding: gzip\r\nContent-Type: application/json\r\n";
                respond(stream, 200, gzip, &BOMB.repeat(1000))
            }
            Act::BadHeader => {
                let header = format!("X-A: {}\r\n", "a".repeat(1 << 20));
                respond(stream, 200, &header, b"{}")
            }
            Act::Reset => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Len")?;
                stream.flush()
            }
            Act::Close | Act::Early | Act::ReadReset => Ok(()),
        }
    }

    fn idle(&self, time: Duration) -> std::io::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stopping.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// The start of a gzip stream; whoever unpacks it fails, whoever does not sees bytes.
const BOMB: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xed, 0xc1, 1, 1, 0, 0];

fn respond(stream: &mut impl Write, status: u16, more: &str, body: &[u8]) -> std::io::Result<()> {
    // A 204 has no body.
    let body = if status == 204 { &[][..] } else { body };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}

fn read(stream: &mut impl Read) -> std::io::Result<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    let mut more = |bytes: &mut Vec<u8>| match stream.read(&mut buffer)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        n => {
            bytes.extend_from_slice(&buffer[..n]);
            Ok::<_, std::io::Error>(())
        }
    };
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        more(&mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut seen = Seen {
        method: first.next().unwrap_or_default().to_owned(),
        path: first.next().unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: Vec::new(),
        status: 0,
    };
    let length: usize = seen
        .header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    while bytes.len() < end + length {
        more(&mut bytes)?;
    }
    seen.body = bytes.split_off(end);
    Ok(seen)
}

/// Closes with a reset: what the peer sent and we did not read makes the kernel send one.
fn reset(stream: &TcpStream) -> std::io::Result<()> {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).map_err(Into::into)
}
