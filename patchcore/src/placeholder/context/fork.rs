//! Several readings of one text, side by side.

use super::Sink;

/// More readings than these at once are given up.
const READINGS: usize = 8;

/// A lexer whose state can be copied, so that it can go on in two ways.
pub(super) trait Machine {
    type State: Clone + PartialEq;

    /// Where a state stands in the text.
    fn at(state: &Self::State) -> usize;

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
/// turns out to be wrong is forgotten.
pub(super) fn run<M: Machine>(machine: &M, first: M::State, sink: &mut Sink) -> usize {
    let mut live = vec![Reading {
        state: first,
        found: Sink::default(),
    }];
    let mut end = 0;
    while !live.is_empty() {
        // The one that lags behind goes on, so that those that agree again meet.
        let lag = (0..live.len()).min_by_key(|&index| M::at(&live[index].state));
        let index = lag.unwrap_or(0);
        let at = M::at(&live[index].state);
        let alone = live.len() == 1 && end == 0;
        let reading = &mut live[index];
        let step = match alone {
            true => machine.step(&mut reading.state, sink),
            false => machine.step(&mut reading.state, &mut reading.found),
        };
        match step {
            Step::Go => {}
            Step::Fork(state) => {
                let found = live[index].found.clone();
                live.push(Reading { state, found });
            }
            Step::End => {
                let reading = live.swap_remove(index);
                end = end.max(M::at(&reading.state));
                sink.merge(reading.found);
                continue;
            }
            Step::Dead => {
                let reading = live.swap_remove(index);
                if live.is_empty() && end == 0 {
                    sink.merge(reading.found);
                    sink.lose(at);
                    return at;
                }
            }
        }
        if live.len() > 1 {
            let meets = |other: usize| {
                other != index && index < live.len() && live[other].state == live[index].state
            };
            if let Some(other) = (0..live.len()).find(|&other| meets(other)) {
                let found = std::mem::take(&mut live[index].found);
                live[other].found.merge(found);
                live.swap_remove(index);
            }
        }
        if live.len() > READINGS {
            for reading in live {
                sink.merge(reading.found);
            }
            sink.lose(at);
            return at;
        }
        if live.len() == 1 && end == 0 {
            sink.merge(std::mem::take(&mut live[0].found));
        }
    }
    end
}
