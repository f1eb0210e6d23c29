//! Progress of long work, on a terminal.

use std::sync::mpsc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use patchcore::workspace::WalkProgress;

use super::Context;

/// Work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// Does the work; shows how many files it has read, where standard error is a terminal and it
/// takes longer than a second.
pub(crate) fn watch<T>(context: &Context, progress: &WalkProgress, work: impl FnOnce() -> T) -> T {
    use std::io::IsTerminal as _;
    if context.verbosity < 0 || !std::io::stderr().is_terminal() {
        return work();
    }
    let (done, waiting) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let show = move || {
            let over = |time| waiting.recv_timeout(time) != Err(mpsc::RecvTimeoutError::Timeout);
            if over(PATIENCE) {
                return;
            }
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            while !over(TICK) {
                let (files, bytes) = (progress.files(), progress.bytes());
                bar.set_message(format!("{files} files, {} MB read", bytes / 1_000_000));
                bar.tick();
            }
            bar.finish_and_clear();
        };
        // Where the system gives no more threads, nothing is shown.
        let _ = std::thread::Builder::new().spawn_scoped(scope, show);
        let result = work();
        drop(done);
        result
    })
}
