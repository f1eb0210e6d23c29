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
    found: Sink,
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

/// Runs several readings until one is left or all have ended.
fn side_by_side<M: Machine>(
    machine: &M,
    readings: [M::State; 2],
    sink: &mut Sink,
) -> Met<M::State> {
    let new = |state| Reading {
        state,
        found: Sink::default(),
    };
    let mut live = Vec::from(readings.map(new));
    let mut end: Option<usize> = None;
    loop {
        if let (None, [last]) = (end, live.as_mut_slice()) {
            sink.merge(std::mem::take(&mut last.found));
            return Met::At(last.state.clone());
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
                let found = reading.found.clone();
                live.push(Reading { state, found });
            }
            Step::End => {
                let reading = live.swap_remove(index);
                end = end.max(Some(M::at(&reading.state)));
                sink.merge(reading.found);
                continue;
            }
            Step::Dead => {
                live.swap_remove(index);
                continue;
            }
        }
        let agrees = |other: &usize| *other != index && live[*other].state == live[index].state;
        if let Some(other) = (0..live.len()).find(agrees) {
            let found = std::mem::take(&mut live[index].found);
            live[other].found.merge(found);
            live.swap_remove(index);
        }
        if live.len() > READINGS {
            for reading in live {
                sink.merge(reading.found);
            }
            sink.lose(at);
            return Met::Ended(at);
        }
    }
}
