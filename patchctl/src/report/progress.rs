//! Progress of long work, on a terminal.

use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

use indicatif::HumanBytes;
use patchcore::workspace::WalkProgress;

use super::Context;

/// Work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);
/// To the start of the line, which is then empty. (`indicatif` estimates times with `pow`: every
/// call would pay for loading the mathematical library.)
const CLEAR: &str = "\r\x1b[K";

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
            let mut terminal = std::io::stderr();
            while !over(TICK) {
                let (files, bytes) = (progress.files(), HumanBytes(progress.bytes()));
                let _ = write!(terminal, "{CLEAR}{files} files, {bytes} read");
            }
            let _ = write!(terminal, "{CLEAR}");
        };
        // Where the system gives no more threads, nothing is shown.
        let _ = std::thread::Builder::new().spawn_scoped(scope, show);
        let result = work();
        drop(done);
        result
    })
}
