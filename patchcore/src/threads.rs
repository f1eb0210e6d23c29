//! Threads, where there are some to be had, and work on many items shared by them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Starts another thread; `None` where the system gives no more of them, as under a limit on
/// processes: whoever asks does the work alone then.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    Builder::new().spawn_scoped(scope, work).ok()
}

/// Does both, the second on another thread where there is one.
pub(crate) fn join<A, B: Send>(
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    let other = Mutex::new(Some(other));
    let once = || {
        let other = other.lock().expect("no thread panics with it").take();
        other.expect("it is asked for once")()
    };
    std::thread::scope(|scope| {
        let thread = spawn(scope, once);
        let one = one();
        let other = match thread.map(ScopedJoinHandle::join) {
            Some(Ok(other)) => other,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => once(),
        };
        (one, other)
    })
}

/// Maps items in order, on several threads where there are many of them.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Below this many items a thread costs more than it saves.
    const WORTH_A_THREAD: usize = 16;
    map_runs(items, WORTH_A_THREAD, 8, work)
}

/// As [`map`], for items each of which is worth a thread.
pub(crate) fn map_heavy<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    map_runs(items, 2, 1, work)
}

/// Threads take runs of `run` items; below `worth` items there is one thread.
fn map_runs<T: Sync, R: Send>(
    items: &[T],
    worth: usize,
    run: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let one_by_one = || items.iter().map(&work).collect();
    if items.len() < worth {
        return one_by_one();
    }
    // Asking costs a dozen system calls: not for a few items.
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    if threads < 2 {
        return one_by_one();
    }
    let next = AtomicUsize::new(0);
    let runs: Mutex<Vec<(usize, Vec<R>)>> = Mutex::new(Vec::new());
    let drain = || {
        let mut mine = Vec::new();
        loop {
            let start = next.fetch_add(run, Ordering::Relaxed);
            if start >= items.len() {
                break;
            }
            let end = items.len().min(start + run);
            mine.push((
                start,
                items[start..end].iter().map(&work).collect::<Vec<R>>(),
            ));
        }
        runs.lock()
            .expect("no thread panics while it holds the lock")
            .append(&mut mine);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            spawn(scope, drain);
        }
        drain();
    });
    let mut runs = runs.into_inner().expect("all threads have ended");
    runs.sort_by_key(|(start, _)| *start);
    runs.into_iter().flat_map(|(_, results)| results).collect()
}
