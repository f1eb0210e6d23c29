//! The injector itself. It belongs to the thread that asks for it, and to the threads that this
//! one starts for the workspace.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

use super::Call;

/// What happens, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fault {
    /// The step, counted from 1, and what happens to it; `None` only counts.
    pub at: Option<(usize, FaultKind)>,
    /// Calls that are not there.
    pub missing: &'static [Call],
    /// The error number that they fail with; 0 stands for `EINVAL`.
    pub missing_errno: i32,
}

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It fails once with this error number.
    Fail(i32),
    /// It and every later one fail with this error number.
    Stick(i32),
    /// The process is as good as dead: this and every later step does nothing.
    Stop,
    /// A write transfers half of its bytes, then the process is as good as dead.
    Tear,
    /// A write transfers half of its bytes and says so.
    Short,
}

/// What a run with a fault did.
#[derive(Debug)]
pub struct Injected<T> {
    /// What the run gave back.
    pub result: T,
    /// The steps that it came to, by name.
    pub steps: Vec<&'static str>,
}

/// Runs `work` with a fault.
pub fn inject<T>(fault: Fault, work: impl FnOnce() -> T) -> Injected<T> {
    let state = Arc::new(State {
        fault,
        steps: Mutex::default(),
        hook: None,
    });
    let result = run(Arc::clone(&state), work);
    let steps = std::mem::take(&mut *state.steps.lock().unwrap_or_else(PoisonError::into_inner));
    Injected { result, steps }
}

/// Runs `work`, and `hook` before each of its steps, with the step's number and name: a stranger
/// who acts at just the wrong moment.
pub fn observe<T>(
    hook: impl Fn(usize, &'static str) + Send + Sync + 'static,
    work: impl FnOnce() -> T,
) -> T {
    let state = State {
        fault: Fault::default(),
        steps: Mutex::default(),
        hook: Some(Box::new(hook)),
    };
    run(Arc::new(state), work)
}

/// Runs `work` with a clock that says this time, in milliseconds since 1970.
pub fn at_time<T>(millis: u64, work: impl FnOnce() -> T) -> T {
    let before = CLOCK.with(|clock| clock.replace(Some(millis)));
    let result = work();
    CLOCK.with(|clock| clock.set(before));
    result
}

pub(crate) fn clock(millis: u64) -> u64 {
    CLOCK.with(Cell::get).unwrap_or(millis)
}

struct State {
    fault: Fault,
    steps: Mutex<Vec<&'static str>>,
    hook: Option<Box<dyn Fn(usize, &'static str) + Send + Sync>>,
}

fn run<T>(state: Arc<State>, work: impl FnOnce() -> T) -> T {
    let before = CURRENT.with(|current| current.replace(Some(state)));
    let result = work();
    CURRENT.with(|current| *current.borrow_mut() = before);
    result
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<State>>> = const { RefCell::new(None) };
    static CLOCK: Cell<Option<u64>> = const { Cell::new(None) };
}

fn current() -> Option<Arc<State>> {
    CURRENT.with(|current| current.borrow().clone())
}

pub(crate) fn step(name: &'static str) -> io::Result<()> {
    let Some(state) = current() else {
        return Ok(());
    };
    let mut steps = state.steps.lock().unwrap_or_else(PoisonError::into_inner);
    steps.push(name);
    if let Some(hook) = &state.hook {
        let number = steps.len();
        drop(steps);
        hook(number, name);
        return Ok(());
    }
    let Some((at, kind)) = state.fault.at else {
        return Ok(());
    };
    let number = steps.len();
    match kind {
        FaultKind::Fail(errno) if number == at => Err(io::Error::from_raw_os_error(errno)),
        FaultKind::Stick(errno) if number >= at => Err(io::Error::from_raw_os_error(errno)),
        FaultKind::Stop if number >= at => Err(dead()),
        FaultKind::Tear if number > at || (number == at && name != "write") => Err(dead()),
        _ => Ok(()),
    }
}

fn dead() -> io::Error {
    io::Error::other("the process was stopped on purpose")
}

pub(crate) fn refused(call: Call) -> Result<(), Errno> {
    match current() {
        Some(state) if state.fault.missing.contains(&call) => match state.fault.missing_errno {
            0 => Err(Errno::INVAL),
            errno => Err(Errno::from_raw_os_error(errno)),
        },
        _ => Ok(()),
    }
}

pub(crate) fn refused_move(name: &[u8]) -> Result<(), Errno> {
    match current() {
        Some(state) if state.fault.missing.contains(&Call::MoveJournal) && name == b"current" => {
            Err(Errno::XDEV)
        }
        _ => Ok(()),
    }
}

/// The half of a write that goes through, where this one is torn or short.
pub(crate) fn torn<'a>(pieces: &'a [IoSlice<'a>]) -> Option<&'a [u8]> {
    let state = current()?;
    let number = state
        .steps
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .len();
    let (at, FaultKind::Tear | FaultKind::Short) = state.fault.at? else {
        return None;
    };
    let piece = pieces.iter().find(|piece| !piece.is_empty())?;
    (number == at).then(|| &piece[..piece.len().div_ceil(2)])
}

/// What a thread that the workspace starts calls first.
pub(crate) fn inherit() -> impl Fn() + Send + Sync + Clone {
    let state = current();
    move || CURRENT.with(|current| (*current.borrow_mut()).clone_from(&state))
}
