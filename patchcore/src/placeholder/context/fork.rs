//! Several readings of one text, side by side.

use super::Sink;

/// More readings than these at once are given up.
const READINGS: usize = 8;

/// A lexer whose state can be copied, so that it can go on in two ways.
pub(super) trait Machine {
    type State: Clone + PartialEq;

    /// Where a state stands in the text.
    fn at(state: &Self::State) -> usize;

    /// Whether all that was read is noted, and nothing that comes changes it; a machine that cannot
    /// tell is run to the end.
    fn is_settled(_: &Self::State) -> bool {
        false
    }

    /// Reads on by one token.
    fn step(&self, state: &mut Self::State, sink: &mut Sink) -> Step<Self::State>;
}

/// What became of a reading.
pub(super) enum Step<S> {
    Go,
    /// It may as well be this.
    Fork(S),
    /// It cannot be right.
    Dead,
    /// The text, or the part that was asked for, ends here.
    End,
}

/// A reading, and what it found out that not all readings agree on.
struct Reading<S> {
    state: S,
    /// What it found out since it was divided from another, or met one.
    found: Sink,
    /// The [part](Parts) before that.
    before: Option<usize>,
}

/// What readings found out before they were divided, or met. Each part is there once, however many
/// readings share it: copies of them would double each time that two readings meet.
#[derive(Default)]
struct Parts(Vec<Part>);

#[derive(Default)]
struct Part {
    found: Sink,
    before: [Option<usize>; 2],
}

impl Parts {
    /// Divides a reading from what it found out; what to put before it now.
    fn add(&mut self, found: Sink, before: [Option<usize>; 2]) -> Option<usize> {
        let [one, other] = before;
        if found.is_empty() && (one == other || one.is_none() || other.is_none()) {
            return one.or(other);
        }
        self.0.push(Part { found, before });
        Some(self.0.len() - 1)
    }

    /// Gives to a sink what a reading found out, and takes it away.
    fn pour<S>(&mut self, reading: Reading<S>, sink: &mut Sink) {
        let mut open = Vec::from_iter(reading.before);
        let mut own = Vec::new();
        while let Some(index) = open.pop() {
            let before = std::mem::take(&mut self.0[index].before);
            open.extend(before.into_iter().flatten());
            own.push(index);
        }
        // In the order of the text, as far as it is known.
        own.sort_unstable();
        own.dedup();
        for index in own {
            sink.merge(std::mem::take(&mut self.0[index].found));
        }
        sink.merge(reading.found);
    }
}

/// Runs a machine in all its readings; where the last of them ends. What a reading found out that
/// turns out to be wrong is forgotten. It stops where there is [enough](Sink::enough).
pub(super) fn run<M: Machine>(machine: &M, first: M::State, sink: &mut Sink) -> usize {
    let mut state = first;
    loop {
        let at = M::at(&state);
        if sink.enough.is_some_and(|enough| at >= enough) && M::is_settled(&state) {
            return at;
        }
        match machine.step(&mut state, sink) {
            Step::Go => {}
            Step::Fork(other) => match side_by_side(machine, [state, other], sink) {
                Met::At(agreed) => state = agreed,
                Met::Ended(end) => return end,
            },
            Step::End => return M::at(&state),
            Step::Dead => {
                sink.lose(at);
                return at;
            }
        }
    }
}

/// What became of several readings.
enum Met<S> {
    /// One is left.
    At(S),
    /// The text ends here, or is not certain from here on.
    Ended(usize),
}

/// Makes one of a reading and another that has come to the same state.
fn join_agreeing<S: PartialEq>(live: &mut Vec<Reading<S>>, index: usize, parts: &mut Parts) {
    let agrees = |other: &usize| *other != index && live[*other].state == live[index].state;
    if let Some(other) = (0..live.len()).find(agrees) {
        let found = std::mem::take(&mut live[index].found);
        let part = parts.add(found, [live[index].before, live[other].before]);
        live[other].before = part;
        live.swap_remove(index);
    }
}

/// Runs several readings until one is left or all have ended.
fn side_by_side<M: Machine>(
    machine: &M,
    readings: [M::State; 2],
    sink: &mut Sink,
) -> Met<M::State> {
    let new = |state, before| Reading {
        state,
        found: Sink::default(),
        before,
    };
    let mut live = Vec::from(readings.map(|state| new(state, None)));
    let mut parts = Parts::default();
    let mut end: Option<usize> = None;
    loop {
        if end.is_none()
            && live.len() == 1
            && let Some(last) = live.pop()
        {
            let state = last.state.clone();
            parts.pour(last, sink);
            return Met::At(state);
        }
        // The one that lags behind goes on, so that those that agree again meet.
        let Some(index) = (0..live.len()).min_by_key(|&index| M::at(&live[index].state)) else {
            return Met::Ended(end.unwrap_or(0));
        };
        let reading = &mut live[index];
        let at = M::at(&reading.state);
        match machine.step(&mut reading.state, &mut reading.found) {
            Step::Go => {}
            Step::Fork(state) => {
                let found = std::mem::take(&mut reading.found);
                reading.before = parts.add(found, [reading.before, None]);
                let other = new(state, reading.before);
                live.push(other);
            }
            Step::End => {
                let reading = live.swap_remove(index);
                end = end.max(Some(M::at(&reading.state)));
                parts.pour(reading, sink);
                continue;
            }
            Step::Dead => {
                live.swap_remove(index);
                continue;
            }
        }
        join_agreeing(&mut live, index, &mut parts);
        if live.len() > READINGS {
            for reading in live {
                parts.pour(reading, sink);
            }
            sink.lose(at);
            return Met::Ended(at);
        }
    }
}
