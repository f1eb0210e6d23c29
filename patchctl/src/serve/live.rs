//! Events as they commit, whoever committed them.
//!
//! What is sent comes from the log, which every process of this machine writes to, and nothing is
//! sent that is not there. A client that was away names the last event that it has, and goes on
//! behind it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use patchcore::event;
use patchcore::workspace::TransactionId;
use tokio::sync::{Mutex, Semaphore};

use crate::delivery::{Diffs, EventLog};
use crate::exit::Failure;
use crate::service::Service;

/// How old the list of entries may be.
const FRESH: Duration = Duration::from_millis(100);
/// Most streams at a time.
const MAX_STREAMS: usize = 32;
/// Most events that are read before they are sent.
const AT_ONCE: usize = 64;
/// Bytes of events behind which no more are read before those are sent.
const BYTES_AT_ONCE: usize = 1 << 20;
/// Most looks at the log at a time.
pub(super) const LOOKS: usize = 4;

/// All streams of a server.
pub(super) struct Live {
    service: Arc<Service>,
    /// When the log was looked at, and what was there.
    entries: Mutex<Option<(Instant, Arc<[TransactionId]>)>>,
    open: AtomicUsize,
    /// A look that has begun comes to its end, even where its stream is gone: without a bound,
    /// clients that come and go would take all threads.
    looks: Arc<Semaphore>,
}

/// An event as it is sent.
pub(super) struct Sent {
    pub(super) id: String,
    /// JSON, without secrets.
    pub(super) body: String,
}

/// Why a stream cannot begin.
pub(super) enum Unavailable {
    /// There are too many.
    Full,
    /// The log has no such event, or no longer.
    Unknown,
    Failed(Failure),
}

/// What a client has still to hear.
pub(super) struct Events {
    live: Arc<Live>,
    log: Option<EventLog>,
    seen: HashSet<TransactionId>,
    waiting: VecDeque<TransactionId>,
    /// The entry that is being sent: how many events it has, and which comes next.
    current: Option<(TransactionId, usize, usize)>,
}

impl Drop for Events {
    fn drop(&mut self) {
        self.live.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Live {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            entries: Mutex::default(),
            open: AtomicUsize::new(0),
            looks: Arc::new(Semaphore::new(LOOKS)),
        }
    }

    /// How many streams there are.
    pub(super) fn streams(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The entries of the log, oldest first.
    async fn entries(&self) -> Result<Arc<[TransactionId]>, Failure> {
        let mut known = self.entries.lock().await;
        if let Some((at, entries)) = &*known
            && at.elapsed() < FRESH
        {
            return Ok(entries.clone());
        }
        let service = self.service.clone();
        let look = move || Ok(EventLog::open(service.place())?.entries()?);
        let entries = self.look(look).await?;
        let entries: Arc<[TransactionId]> = entries.into();
        *known = Some((Instant::now(), entries.clone()));
        Ok(entries)
    }

    /// Looks at the log where it may block, when its turn comes.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        // Nobody closes it.
        let turn = self.looks.clone().acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match done.await {
            Ok(result) => result,
            Err(error) => {
                let error = std::io::Error::other(error);
                Err(patchcore::Error::io("read", "the log", error).into())
            }
        }
    }

    /// Begins a stream: behind the event with an id, from the start of the log (`0`), or with what
    /// comes from now on.
    pub(super) async fn begin(
        self: &Arc<Self>,
        after: Option<&str>,
    ) -> Result<Events, Unavailable> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= MAX_STREAMS {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Unavailable::Full);
        }
        // From here on its end counts it out.
        let mut events = Events {
            live: self.clone(),
            log: None,
            seen: HashSet::new(),
            waiting: VecDeque::new(),
            current: None,
        };
        // What was committed until now is looked for now.
        *self.entries.lock().await = None;
        let entries = self.entries().await.map_err(Unavailable::Failed)?;
        match after {
            None => events.seen.extend(entries.iter()),
            Some("0") => {}
            Some(id) => {
                let (id, service, all) = (id.to_owned(), self.service.clone(), entries.clone());
                let found = self.look(move || find(&service, &all, &id)).await;
                let found = found.map_err(Unavailable::Failed)?;
                let (index, total, next) = found.ok_or(Unavailable::Unknown)?;
                events.seen.extend(&entries[..=index]);
                events.current = Some((entries[index], total, next));
            }
        }
        Ok(events)
    }
}

/// Where an event stands: the index of its entry, how many events that has, and which comes next.
fn find(
    service: &Service,
    entries: &[TransactionId],
    id: &str,
) -> Result<Option<(usize, usize, usize)>, Failure> {
    let log = EventLog::open(service.place())?;
    for (index, entry) in entries.iter().enumerate().rev() {
        let Ok(Some(record)) = log.record(entry) else {
            continue;
        };
        let total = event::count(&record);
        let position = (0..total).find(|at| event::event_id(&record, *at).as_deref() == Some(id));
        if let Some(position) = position {
            return Ok(Some((index, total, position + 1)));
        }
    }
    Ok(None)
}

impl Events {
    /// The next events, at least one; waits until there are some. Nothing is lost where the wait is
    /// given up.
    pub(super) async fn next(&mut self) -> Result<Vec<Sent>, Failure> {
        loop {
            if self.current.is_none() && self.waiting.is_empty() {
                let entries = self.live.entries().await?;
                let new = entries.iter().filter(|entry| !self.seen.contains(entry));
                self.waiting.extend(new);
                // What the log has lost is not looked for any more.
                self.seen = entries.iter().copied().collect();
            }
            if self.current.is_none() && self.waiting.is_empty() {
                tokio::time::sleep(FRESH).await;
                continue;
            }
            let (mut log, mut current) = (self.log.take(), self.current);
            let mut waiting = self.waiting.clone();
            let service = self.live.service.clone();
            let look = move || {
                let sent = render(&service, &mut log, &mut current, &mut waiting)?;
                Ok((log, current, waiting, sent))
            };
            let (log, current, waiting, sent) = self.live.look(look).await?;
            self.log = log;
            self.current = current;
            self.waiting = waiting;
            if !sent.is_empty() {
                return Ok(sent);
            }
        }
    }
}

/// Reads the next events. An entry that cannot be read is left out: `doctor` shows it.
///
/// # Errors
/// Where the log has lost an entry that was still to be sent: the stream ends, and whoever comes
/// back for it is told.
fn render(
    service: &Service,
    log: &mut Option<EventLog>,
    current: &mut Option<(TransactionId, usize, usize)>,
    waiting: &mut VecDeque<TransactionId>,
) -> Result<Vec<Sent>, Failure> {
    let log = match log {
        Some(log) => log,
        None => log.insert(EventLog::open(service.place())?),
    };
    // Entries that came since it was opened.
    let known: HashSet<TransactionId> = log.entries()?.into_iter().collect();
    let (mut sent, mut bytes) = (Vec::new(), 0);
    while sent.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
        let Some((entry, total, next)) = current else {
            let Some(entry) = waiting.pop_front() else {
                break;
            };
            match log.record(&entry) {
                Ok(Some(record)) => *current = Some((entry, event::count(&record), 0)),
                Ok(None) if !known.contains(&entry) && sent.is_empty() => return Err(lost(&entry)),
                Ok(None) if !known.contains(&entry) => {
                    // Those before it go out first.
                    waiting.push_front(entry);
                    break;
                }
                _ => {}
            }
            continue;
        };
        if *next >= *total {
            *current = None;
            continue;
        }
        // A client that is cut off here goes on behind the last event that it has.
        let rendered = match log.render(&entry.to_string(), *next, Diffs::Carried) {
            Ok(rendered) => rendered,
            Err(why) if sent.is_empty() => return Err(Failure::Usage(why)),
            Err(_) => break,
        };
        bytes += rendered.body.len();
        sent.push(Sent {
            id: rendered.id,
            body: String::from_utf8_lossy(&rendered.body).into_owned(),
        });
        *next += 1;
    }
    Ok(sent)
}

fn lost(entry: &TransactionId) -> Failure {
    Failure::Usage(format!("the log has lost the entry {entry} meanwhile"))
}
