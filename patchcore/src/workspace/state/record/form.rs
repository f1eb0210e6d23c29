//! The record on disk: JSON, with bytes that are not UTF-8 in base64, and as last line a checksum
//! with its seal.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::plan::Verdict;
use crate::workspace::state::key::{Key, Seal};

use super::{ChangeRecord, Journal, LAST_LINE, Record, VERSION, damaged};
use crate::digest::Digest;
use crate::error::Error;
use crate::threads;

/// What seals of records are for.
const PURPOSE: &str = "record";

/// The document and the newline behind it, in pieces: what the last line vouches for.
pub(super) fn write(record: &Record) -> Vec<Vec<u8>> {
    /// From this many changes on, threads share the lists.
    const MANY: usize = 256;
    let mut pieces = match record.changes.len() >= MANY {
        true => shared(record),
        false => vec![json(record, 512 + 1024 * record.changes.len())],
    };
    pieces.push(b"\n".to_vec());
    pieces
}

/// The digest of what the last line vouches for.
pub(super) fn digest(pieces: &[Vec<u8>]) -> Digest {
    Digest::of_chunks(pieces.iter().map(|piece| &**piece))
}

/// The last line: the digest, and behind a space its seal, if there is a key.
pub(super) fn last_line(digest: Digest, key: Option<&Key>) -> Vec<u8> {
    match key {
        Some(key) => format!("{digest} {}\n", seal(key, digest)),
        None => format!("{digest}\n"),
    }
    .into_bytes()
}

fn seal(key: &Key, digest: Digest) -> Seal {
    key.seal(PURPOSE, &[digest.as_bytes()])
}

/// Whether bytes that do not end in a valid last line may be the start of a record: the document
/// is one line, so any other line behind it was a last line.
pub(super) fn is_torn(bytes: &[u8]) -> bool {
    match bytes.strip_suffix(b"\n") {
        Some(lines) => memchr::memrchr(b'\n', lines).is_none(),
        None => true,
    }
}

/// A record's bytes, split at its last line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split<'a> {
    /// What the last line vouches for.
    body: &'a [u8],
    pub(super) digest: Digest,
    seal: Option<Seal>,
}

impl<'a> Split<'a> {
    /// `None` where the last line is not one. `bytes` may be the last [`LAST_LINE`] bytes alone.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let at = |len: usize| {
            let (body, last) = bytes.split_at_checked(bytes.len().checked_sub(len)?)?;
            let line = std::str::from_utf8(last).ok()?.strip_suffix('\n')?;
            let (digest, seal) = match line.split_once(' ') {
                Some((digest, seal)) => (digest, Some(seal.parse().ok()?)),
                None => (line, None),
            };
            let digest = digest.parse().ok()?;
            Some(Self { body, digest, seal })
        };
        at(LAST_LINE).or_else(|| at(LAST_LINE - 1 - Seal::TEXT))
    }

    /// Whether the key sealed the last line. That the rest is what it vouches for is another
    /// question.
    pub(super) fn is_sealed_by(&self, key: &Key) -> bool {
        self.seal
            .is_some_and(|seal| key.verify(&seal, PURPOSE, &[self.digest.as_bytes()]))
    }

    /// The record, if the rest is what the last line vouches for.
    pub(super) fn record(&self) -> Result<Record, Error> {
        if self.digest != Digest::of(self.body) {
            return Err(damaged("its checksum does not hold"));
        }
        let record: Record = match serde_json::from_slice(self.body) {
            Ok(record) => record,
            Err(error) => return Err(unsupported(self.body).unwrap_or_else(|| damaged(error))),
        };
        if record.version != VERSION {
            return Err(unsupported(self.body).unwrap_or_else(|| damaged("its version is wrong")));
        }
        Ok(record)
    }
}

/// The document in pieces, its lists written by several threads.
fn shared(record: &Record) -> Vec<Vec<u8>> {
    enum Part<'a> {
        Operations(&'a [Verdict]),
        Changes(&'a [ChangeRecord]),
        Journal(&'a Journal),
    }
    const RUN: usize = 128;
    let mut parts = vec![Part::Journal(&record.journal)];
    parts.extend(record.changes.chunks(RUN).map(Part::Changes));
    parts.extend(record.operations.chunks(RUN * 4).map(Part::Operations));
    let mut written = threads::map_heavy(&parts, |part| match part {
        Part::Operations(operations) => elements(operations, 192),
        Part::Changes(changes) => elements(changes, 1024),
        Part::Journal(journal) => json(journal, 512 * journal.steps.len()),
    });
    let operations = written.split_off(1 + record.changes.len().div_ceil(RUN));
    let changes = written.split_off(1);
    // Both lists stand at the end, and the journal, which is empty, is left out.
    let mut head = json(&record.head(), 1024);
    let empty = br#"[],"changes":[]}"#;
    debug_assert!(head.ends_with(empty));
    head.truncate(head.len() - empty.len());
    let mut pieces = vec![head];
    joined(operations, &mut pieces);
    pieces.push(br#","changes":"#.to_vec());
    joined(changes, &mut pieces);
    if !record.journal.is_empty() {
        pieces.push(br#","journal":"#.to_vec());
        pieces.append(&mut written);
    }
    pieces.push(b"}".to_vec());
    pieces
}

/// Elements of a list behind its opening bracket.
fn elements<T: Serialize>(elements: &[T], room: usize) -> Vec<u8> {
    let mut list = json(elements, room * elements.len());
    list.pop();
    list
}

/// One list of many.
fn joined(lists: Vec<Vec<u8>>, pieces: &mut Vec<Vec<u8>>) {
    if lists.is_empty() {
        pieces.push(b"[".to_vec());
    }
    for (index, mut list) in lists.into_iter().enumerate() {
        if index > 0 {
            list[0] = b',';
        }
        pieces.push(list);
    }
    pieces.push(b"]".to_vec());
}

fn json(value: &(impl Serialize + ?Sized), room: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(room);
    serde_json::to_writer(&mut bytes, value).expect("a record holds nothing that JSON cannot say");
    bytes
}

pub(super) fn read(bytes: &[u8]) -> Result<Record, Error> {
    match Split::of(bytes) {
        Some(split) => split.record(),
        None => Err(damaged("it has no last line with a checksum")),
    }
}

/// The error of a record that another version of this library wrote.
fn unsupported(body: &[u8]) -> Option<Error> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(body).ok()?;
    (version != VERSION).then(|| Error::UnsupportedVersion {
        what: "the record".to_owned(),
        found: version,
        known: VERSION,
    })
}

/// Bytes as a string where they are UTF-8, else as `{"base64": "…"}`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Bytes<'a> {
    /// As text.
    Text(#[serde(borrow)] Cow<'a, str>),
    /// Bytes that are not UTF-8.
    Binary {
        /// In base 64.
        base64: String,
    },
}

fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => Bytes::Binary {
            base64: STANDARD.encode(bytes),
        }
        .serialize(serializer),
    }
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    match Bytes::deserialize(deserializer)? {
        Bytes::Text(text) => Ok(text.into_owned().into_bytes()),
        Bytes::Binary { base64 } => STANDARD.decode(base64).map_err(serde::de::Error::custom),
    }
}

/// Replacement text.
pub(super) mod text {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        write_bytes(bytes, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        read_bytes(deserializer)
    }
}

/// A path, checked again when it is read: a record may be forged.
pub(crate) mod path {
    use super::*;
    use crate::path::RelPath;

    pub(crate) fn serialize<S: Serializer>(
        path: &RelPath,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        write_bytes(path.as_bytes(), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RelPath, D::Error> {
        RelPath::new(read_bytes(deserializer)?).map_err(serde::de::Error::custom)
    }

    /// A path where serde wants a type of its own.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    pub(crate) struct Form(#[serde(with = "self")] pub(crate) RelPath);
}

/// A path that may be absent.
pub(super) mod optional_path {
    use super::path::Form;
    use super::*;
    use crate::path::RelPath;

    pub(crate) fn serialize<S: Serializer>(
        path: &Option<RelPath>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        path.clone().map(Form).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<RelPath>, D::Error> {
        Ok(Option::<Form>::deserialize(deserializer)?.map(|form| form.0))
    }
}

/// A list of paths.
pub(crate) mod paths {
    use super::path::Form;
    use super::*;
    use crate::path::RelPath;

    pub(crate) fn serialize<S: Serializer>(
        paths: &[RelPath],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().cloned().map(Form))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<RelPath>, D::Error> {
        let forms = Vec::<Form>::deserialize(deserializer)?;
        Ok(forms.into_iter().map(|form| form.0).collect())
    }
}
