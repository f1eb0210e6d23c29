//! The batch as a whole: its own fields, and what holds between operations and batch.

use std::collections::HashMap;

use super::Limits;
use super::diagnostic::{Diagnostic, Fault, Span};
use super::operation::read_operation;
use super::reader::{Reader, Segment, Step, read_all, short};
use super::rules;
use super::scan::TokenKind;
use super::wire::PatchOperation;
use crate::digest::Digest;
use crate::operation::{Coordinates, Labels};

mod halves;

/// All of a batch but its operations.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) batch_id: Option<String>,
    pub(super) labels: Labels,
    pub(super) base: HashMap<String, Digest>,
    pub(super) coordinates: Coordinates,
}

const FIELDS: &[&str] = &[
    "version",
    "batch_id",
    "order_id",
    "task_id",
    "factory",
    "phase",
    "agent",
    "base",
    "coordinates",
    "operations",
];

/// Reads a batch, and converts each operation as it comes. `converter` makes what converts a run of
/// them; threads share a long list.
pub(super) fn read_batch<T: Send, C: FnMut(PatchOperation) -> T>(
    input: &[u8],
    limits: &Limits,
    converter: impl Fn() -> C + Sync,
) -> Result<(Header, Vec<T>), Diagnostic> {
    read_all(input, limits, |reader| reader.batch(&converter))
}

impl Reader<'_> {
    fn batch<T: Send, C: FnMut(PatchOperation) -> T>(
        &mut self,
        converter: &(impl Fn() -> C + Sync),
    ) -> Step<(Header, Vec<T>)> {
        let mut header = Header::default();
        let mut operations = None;
        let mut seen = 0;
        let start = self.scan.offset();
        let kind = self.kind()?;
        if kind != TokenKind::Object {
            self.wrong("a batch, which is an object", kind)?;
        } else {
            self.object(|r, key, span| {
                let Some(field) = r.known(FIELDS, &key, span, &mut seen, || {
                    ("a batch", FIELDS.to_vec())
                })?
                else {
                    return Ok(());
                };
                r.within(Segment::Name(field), |r| {
                    match field {
                        "version" => r.version()?,
                        "batch_id" => header.batch_id = r.nonempty(field)?,
                        "base" => r.base(&mut header.base)?,
                        "coordinates" => {
                            header.coordinates = r.choice(COORDINATES)?.unwrap_or_default();
                        }
                        "operations" => operations = Some(r.operations(converter)?),
                        label => *label_of(&mut header.labels, label) = r.nonempty(label)?,
                    }
                    Ok(())
                })
            })?;
            if operations.is_none() {
                let span = Span::at(start);
                self.fault(span, "a batch needs \"operations\"")?;
            }
        }
        self.scan.finish().or_else(|fault| self.stop(fault))?;
        for (file, fault) in std::mem::take(&mut self.unguarded) {
            if !header.base.contains_key(&*rules::key(&file)) {
                self.record(fault)?;
            }
        }
        Ok((header, operations.unwrap_or_default()))
    }

    fn version(&mut self) -> Step<()> {
        let start = self.scan.offset();
        if let Some(version) = self.number("the version 1")? {
            self.hold(start, rules::version(version))?;
        }
        Ok(())
    }

    fn base(&mut self, base: &mut HashMap<String, Digest>) -> Step<()> {
        let kind = self.kind()?;
        match kind {
            TokenKind::Null => self.null(),
            TokenKind::Object => self.object(|r, key, span| {
                let path = rules::key(&key).into_owned();
                r.within(Segment::Key(short(&key)), |r| {
                    if let Err(broken) = rules::one_hash(&key, base.contains_key(&path)) {
                        r.fault(span, broken.message)?;
                    }
                    if let Some(digest) = r.digest()? {
                        base.insert(path, digest);
                    }
                    Ok(())
                })
            }),
            kind => self.wrong("an object of paths and hashes", kind),
        }
    }

    fn operations<T: Send, C: FnMut(PatchOperation) -> T>(
        &mut self,
        converter: &(impl Fn() -> C + Sync),
    ) -> Step<Vec<T>> {
        let kind = self.kind()?;
        if kind != TokenKind::Array {
            self.wrong("an array of operations", kind)?;
            return Ok(Vec::new());
        }
        if let Some(operations) = halves::operations(self, converter) {
            return Ok(operations);
        }
        let (mut operations, mut convert) = (Vec::new(), converter());
        self.array(|r, index| {
            let operation = r.operation(index)?;
            operations.extend(operation.map(&mut convert));
            Ok(())
        })?;
        Ok(operations)
    }

    /// The operation that is next; `None` where something is wrong with it.
    fn operation(&mut self, index: usize) -> Step<Option<PatchOperation>> {
        if let Err(broken) = rules::one_more(index, self.limits) {
            let at = Span::at(self.scan.offset());
            return self.stop(Fault::new(broken.code, at, broken.message));
        }
        let operation = read_operation(self)?;
        let empty_expect = self.empty_expect.take();
        if let Some(operation) = &operation
            && let Some(fault) = empty_expect.filter(|_| operation.base().is_none())
        {
            self.unguarded.push((operation.file().to_owned(), fault));
        }
        Ok(operation)
    }
}

const COORDINATES: &[(&str, Coordinates)] = &[
    ("original", Coordinates::Original),
    ("sequential", Coordinates::Sequential),
];

/// The label with that field name.
pub(super) fn label_of<'l>(labels: &'l mut Labels, field: &str) -> &'l mut Option<String> {
    match field {
        "order_id" => &mut labels.order_id,
        "task_id" => &mut labels.task_id,
        "factory" => &mut labels.factory,
        "phase" => &mut labels.phase,
        _ => &mut labels.agent,
    }
}
