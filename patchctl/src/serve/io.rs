//! A connection whose client is not waited for without end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep};

/// A connection, however it came.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A stream that fails where the other side takes nothing in for too long, or all in all takes in
/// less than [`PACE`] asks for.
pub(super) struct Patient {
    stream: Stream,
    allowance: Allowance,
    /// Runs while a write waits.
    waiting: Pin<Box<Sleep>>,
    /// Since when a write waits.
    since: Option<Instant>,
    /// When the last one that waited did so no longer.
    until: Instant,
}

/// Bytes in a second that a client takes in at least, beside what it may wait: whoever takes a
/// little just before each wait is over would hold its place for days.
const PACE: u64 = 16 << 10;

/// How long writes may wait, all in all.
struct Allowance {
    most: Duration,
    /// What was waited, and is not paid back.
    owed: Duration,
}

impl Allowance {
    /// What the next wait may take.
    fn left(&self) -> Duration {
        self.most.saturating_sub(self.owed)
    }

    fn waited(&mut self, time: Duration) {
        self.owed = self.most.min(self.owed.saturating_add(time));
    }

    /// Bytes that are taken in pay back, and so does time in which nothing waits.
    fn took(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.rested(Duration::from_micros(
            bytes.saturating_mul(1_000_000) / PACE,
        ));
    }

    fn rested(&mut self, time: Duration) {
        self.owed = self.owed.saturating_sub(time);
    }
}

impl Patient {
    pub(super) fn new(stream: Stream, patience: Duration) -> Self {
        Self {
            stream,
            allowance: Allowance {
                most: patience,
                owed: Duration::ZERO,
            },
            waiting: Box::pin(sleep(patience)),
            since: None,
            until: Instant::now(),
        }
    }

    /// Passes on what a write came to, but for one that waits for too long.
    fn bound<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = &written {
            if let Some(since) = self.since.take() {
                self.until = Instant::now();
                self.allowance.waited(self.until - since);
            }
            self.allowance.took(done.as_ref().map_or(0, bytes));
            return written;
        }
        if self.since.is_none() {
            let now = Instant::now();
            self.allowance.rested(now - self.until);
            self.waiting.as_mut().reset(now + self.allowance.left());
            self.since = Some(now);
        }
        match self.waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        self.bound(context, written, |&bytes| bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        };
        self.bound(context, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        };
        self.bound(context, ended, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many seconds a client holds out that takes so many bytes after each wait, up to a day.
    fn holds_out(bytes: usize, wait: u64, rest: u64) -> u64 {
        let mut allowance = Allowance {
            most: Duration::from_secs(15),
            owed: Duration::ZERO,
        };
        let wait = Duration::from_secs(wait);
        let mut gone = Duration::ZERO;
        while wait <= allowance.left() && gone < Duration::from_secs(86_400) {
            gone += wait;
            allowance.waited(wait);
            allowance.took(bytes);
            allowance.rested(Duration::from_secs(rest));
        }
        gone.as_secs()
    }

    #[test]
    fn who_takes_an_answer_by_drips_is_bounded_in_all() {
        let (day, second) = (86_400, usize::try_from(PACE).unwrap());
        assert_eq!(holds_out(second / 2, 16, 0), 0, "longer than one may wait");
        assert_eq!(holds_out(1, 14, 0), 14);
        assert!(holds_out(second, 14, 0) < 60);
        assert!(holds_out(second / 2, 1, 0) < 60);
        // Who is slow and keeps the pace is served, and so is who is slow now and then.
        assert!(holds_out(second, 1, 0) >= day);
        assert!(holds_out(14 * second, 14, 0) >= day);
        assert!(holds_out(1, 14, 60) >= day);
    }
}
