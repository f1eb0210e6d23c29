//! Threads, where there are some to be had.

use std::sync::Mutex;
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
