//! Work on many files, on as many threads as that is worth.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::threads;

/// Maps items in order, on several threads where there are many of them.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Below this many items a thread costs more than it saves.
    const WORTH_A_THREAD: usize = 16;
    map_runs(items, WORTH_A_THREAD, 8, work)
}

/// As [`map`], for items each of which is worth a thread.
#[cfg(feature = "workspace")]
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
            threads::spawn(scope, drain);
        }
        drain();
    });
    let mut runs = runs.into_inner().expect("all threads have ended");
    runs.sort_by_key(|(start, _)| *start);
    runs.into_iter().flat_map(|(_, results)| results).collect()
}
