//! A long list of operations, read by two threads.
//!
//! One reads from the start. The other goes over half of the list, which is far quicker than
//! reading it, says where it stands, and reads on from there. Where anything is wrong, nothing is
//! taken, and the list is read again by one, whose faults come in their order.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::Limits;
use super::super::diagnostic::Fault;
use super::super::reader::{Reader, Segment};
use super::super::scan::Scanner;
use super::super::wire::PatchOperation;
use crate::threads;

/// From so many bytes on, a second thread is worth its start.
const LONG: usize = 256 << 10;

/// The operations of the array that is next, where it is a long one without faults.
pub(super) fn operations<T: Send, C: FnMut(PatchOperation) -> T>(
    reader: &mut Reader<'_>,
    converter: &(impl Fn() -> C + Sync),
) -> Option<Vec<T>> {
    if reader.scan.rest() < LONG || std::thread::available_parallelism().map_or(1, usize::from) < 2
    {
        return None;
    }
    let (start, limits) = (reader.scan.clone(), reader.limits);
    let before = reader.mark();
    let middle = AtomicUsize::new(usize::MAX);
    let (first, second) = std::thread::scope(|scope| {
        let scan = start.clone();
        let second = threads::spawn(scope, || second(scan, limits, &middle, converter))?;
        let first = first(reader, &middle, converter);
        Some((first, second.join().expect("reading does not panic")))
    })?;
    if let (Some(mut operations), Some(second)) = (first, second)
        && reader.mark().faults == before.faults
        && reader.scan.end() == middle.into_inner()
    {
        operations.extend(second.operations);
        reader.unguarded.extend(second.unguarded);
        reader.scan = second.scan;
        return Some(operations);
    }
    reader.back_to(before);
    reader.scan = start;
    None
}

/// The operations from the start to the middle, once that is known.
fn first<T, C: FnMut(PatchOperation) -> T>(
    reader: &mut Reader<'_>,
    middle: &AtomicUsize,
    converter: &impl Fn() -> C,
) -> Option<Vec<T>> {
    let (mut operations, mut convert) = (Vec::new(), converter());
    reader.scan.enter().ok()?;
    let mut index = 0;
    while reader.scan.end() < middle.load(Ordering::Acquire) {
        if !reader.scan.next(index == 0, b']').ok()? {
            return None;
        }
        let read = |reader: &mut Reader<'_>| reader.operation(index);
        operations.push(convert(reader.within(Segment::Index(index), read).ok()??));
        index += 1;
    }
    Some(operations)
}

/// What is found behind the middle.
struct Second<'a, T> {
    operations: Vec<T>,
    unguarded: Vec<(String, Fault)>,
    scan: Scanner<'a>,
}

fn second<'a, T, C: FnMut(PatchOperation) -> T>(
    mut scan: Scanner<'a>,
    limits: &'a Limits,
    middle: &AtomicUsize,
    converter: &impl Fn() -> C,
) -> Option<Second<'a, T>> {
    // What is read is gone over first, so less than half of it is left for the other thread.
    let far = scan.end() + scan.rest() * 45 / 100;
    scan.enter().ok()?;
    let mut index = 0;
    while scan.end() < far {
        if !scan.next(index == 0, b']').ok()? {
            return None;
        }
        scan.skip().ok()?;
        index += 1;
    }
    middle.store(scan.end(), Ordering::Release);
    let (mut operations, mut convert) = (Vec::new(), converter());
    let mut reader = Reader::new(scan, limits);
    let mut read = |reader: &mut Reader<'a>| {
        while reader.scan.next(false, b']').ok()? {
            let read = |reader: &mut Reader<'a>| reader.operation(index);
            let operation = reader.within(Segment::Index(index), read).ok()?;
            operations.push(convert(operation?));
            index += 1;
        }
        Some(())
    };
    let all = reader.within(Segment::Name("operations"), |reader| Ok(read(reader)));
    all.ok()??;
    let Reader {
        scan,
        faults,
        unguarded,
        ..
    } = reader;
    faults.is_empty().then_some(Second {
        operations,
        unguarded,
        scan,
    })
}
