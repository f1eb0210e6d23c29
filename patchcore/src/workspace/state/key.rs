//! The key of a workspace: by it the engine recognizes what it wrote itself.
//!
//! Whatever lies in `.mission_control` may have come with a clone, an archive or a copy. What is
//! acted on later is therefore sealed: an HMAC-SHA-256 by the key, 32 random bytes in
//! `.mission_control/key`. The file names its own inode and its time of birth, which nobody can
//! choose, so a copy of it is not a key. It names the inode of its directory as well, by which it is
//! told from another name of the same file, in a copy that was made of links. Where inodes are not
//! stable, or state has to outlive a copy, a file outside the root takes its place:
//! [`Workspace::with_key_file`](crate::workspace::Workspace::with_key_file).
//!
//! A process of the same user can read the key, and forge everything.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::io::Errno;
use sha2::Sha256;

use crate::digest::{self, Digest};
use crate::error::Error;
use crate::workspace::disk::{self, Dir, File, FileKind, Meta};
use crate::workspace::root::Root;
use crate::workspace::state::record::TransactionId;
use crate::workspace::state::{StateDir, fail};

/// Name of the key's file in the state directory.
pub(crate) const KEY: &str = "key";
const DRAFT: &[u8] = b"key.new";
/// First line of a key that this library made.
const TITLE: &str = "patchctl key 1";
/// Fewest bytes of a key file that somebody else made.
const MIN_BYTES: u64 = 32;
/// Most bytes of a key file.
const MAX_BYTES: u64 = 64 << 10;

/// The secret by which a workspace recognizes what it wrote.
#[derive(Clone)]
pub struct Key([u8; 32]);

/// A message authentication code by a [`Key`]; written as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal([u8; 32]);

impl Seal {
    /// Length of its text, in bytes.
    pub const TEXT: usize = 64;
}

impl Key {
    /// Seals parts for a purpose. Neither other parts nor the same bytes in other pieces, nor the
    /// same parts for another purpose, get the same seal.
    #[must_use]
    pub fn seal(&self, purpose: &'static str, parts: &[&[u8]]) -> Seal {
        Seal(self.mac(purpose, parts).finalize().into_bytes().into())
    }

    /// Whether a seal is this key's on these parts, for this purpose. Takes the same time wherever
    /// a wrong one differs.
    #[must_use]
    pub fn verify(&self, seal: &Seal, purpose: &'static str, parts: &[&[u8]]) -> bool {
        self.mac(purpose, parts).verify_slice(&seal.0).is_ok()
    }

    fn mac(&self, purpose: &'static str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any size");
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }

    fn new() -> io::Result<Self> {
        let mut bytes = [0; 32];
        disk::fill_with_random(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&digest::hex(&self.0)).expect("the digits are ASCII"))
    }
}

/// Why a string is not a [`Seal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a seal is 64 hexadecimal digits")]
pub struct InvalidSeal;

impl FromStr for Seal {
    type Err = InvalidSeal;

    fn from_str(text: &str) -> Result<Self, InvalidSeal> {
        digest::from_hex(text.as_bytes())
            .map(Self)
            .ok_or(InvalidSeal)
    }
}

/// What a key's file is bound to.
#[derive(Debug, PartialEq, Eq)]
struct Binding {
    ino: u64,
    /// Inode of the directory; looked at only where the file has more than one name.
    dir: u64,
    /// Seconds and nanoseconds; `None` where the file system does not know.
    born: Option<[i64; 2]>,
    /// What is random on each boot (or machine); `None` where the system has no such thing.
    boot: Option<String>,
}

impl Binding {
    /// What binds a file that is made now; `None` where nothing would tell a copy from it.
    fn of_new(meta: &Meta, dir: &Meta) -> Option<Self> {
        let binding = Self {
            ino: meta.ino,
            dir: dir.ino,
            born: meta.born,
            boot: disk::boot_id(),
        };
        (binding.born.is_some() || binding.boot.is_some()).then_some(binding)
    }

    /// Whether an open file is the one that was bound.
    fn holds(&self, meta: &Meta) -> bool {
        self.ino == meta.ino
            && match (self.born, meta.born) {
                (Some(then), Some(now)) => then == now,
                _ => self.boot.is_some() && self.boot == disk::boot_id(),
            }
    }
}

/// The text of a key's file; without a binding for one that lies outside of the root.
fn write(key: &Key, binding: Option<&Binding>) -> String {
    let secret = digest::hex(&key.0);
    let secret = std::str::from_utf8(&secret).expect("the digits are ASCII");
    let mut text = format!("{TITLE}\nsecret {secret}\n");
    if let Some(Binding {
        ino,
        dir,
        born,
        boot,
    }) = binding
    {
        let born = born.map_or_else(|| "-".into(), |[secs, nanos]| format!("{secs}.{nanos}"));
        let boot = boot.as_deref().unwrap_or("-");
        text.push_str(&format!("inode {ino} in {dir}\nborn {born}\nboot {boot}\n"));
    }
    text
}

fn read(bytes: &[u8]) -> Option<(Key, Option<Binding>)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next()? != TITLE {
        return None;
    }
    let secret = lines.next()?.strip_prefix("secret ")?;
    let key = Key(digest::from_hex(secret.as_bytes())?);
    let Some(ino) = lines.next() else {
        return Some((key, None));
    };
    let known = |text: &str| (text != "-").then(|| text.to_owned());
    let born = match known(lines.next()?.strip_prefix("born ")?) {
        Some(born) => {
            let (secs, nanos) = born.split_once('.')?;
            Some([secs.parse().ok()?, nanos.parse().ok()?])
        }
        None => None,
    };
    let (ino, dir) = ino.strip_prefix("inode ")?.split_once(" in ")?;
    let binding = Binding {
        ino: ino.parse().ok()?,
        dir: dir.parse().ok()?,
        born,
        boot: known(lines.next()?.strip_prefix("boot ")?),
    };
    lines.next().is_none().then_some((key, Some(binding)))
}

/// The key in a state directory; `None` where there is none, or where what stands there is not
/// one: a copy, another name of one, another user's, a link, a directory.
pub(crate) fn open(state: &Dir) -> Result<Option<Key>, Error> {
    let failed = |error| fail("read", KEY, error);
    let file = match state.file(KEY.as_bytes()) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error) if is_no_file(&error) => return Ok(None),
        Err(error) => {
            let meta = state.stat(KEY.as_bytes()).map_err(failed)?;
            return match meta {
                Some(meta) if !disk::is_ours(meta.uid) => Ok(None),
                _ => Err(failed(error)),
            };
        }
    };
    let meta = file.stat().map_err(failed)?;
    if meta.kind != FileKind::File || !disk::is_ours(meta.uid) || meta.size > MAX_BYTES {
        return Ok(None);
    }
    let bytes = file.read(meta.size, MAX_BYTES).map_err(failed)?;
    let Some((key, Some(binding))) = bytes.as_deref().and_then(read) else {
        return Ok(None);
    };
    if !binding.holds(&meta) {
        return Ok(None);
    }
    if meta.links > 1 && state.stat_self().map_err(failed)?.ino != binding.dir {
        return Ok(None);
    }
    if meta.mode != 0o600 {
        // What cannot be repaired, on a file system without modes, say, is still ours.
        let _ = file.set_mode(0o600);
    }
    Ok(Some(key))
}

/// Whether what stands there cannot be opened as a file at all: a link, or a socket.
fn is_no_file(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::NOTDIR)
    )
}

/// Makes the file of a key in a state directory, under the lock; of a new one unless there is one.
/// What stands in its place, which is not a key, is set aside.
pub(crate) fn make(state: &StateDir, key: Option<&Key>) -> Result<Key, Error> {
    let dir = &state.dir;
    let failed = |error| fail("make", KEY, error);
    if dir.stat(KEY.as_bytes()).map_err(failed)?.is_some() {
        state.set_aside(KEY)?;
    }
    let key = key.cloned().map_or_else(Key::new, Ok).map_err(failed)?;
    let file = match dir.create(DRAFT, 0o600) {
        // Left by a run that died.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            dir.clear(DRAFT).map_err(failed)?;
            dir.create(DRAFT, 0o600)
        }
        result => result,
    };
    let file = file.map_err(failed)?;
    let meta = file.stat().map_err(failed)?;
    let here = dir.stat_self().map_err(failed)?;
    let Some(binding) = Binding::of_new(&meta, &here) else {
        return Err(failed(io::Error::other(
            "neither the file system nor the system can tell a copy of it; keep the key outside the root",
        )));
    };
    write_to(&file, &meta, &write(&key, Some(&binding))).map_err(failed)?;
    file.start_write_back();
    dir.rename(DRAFT, dir, KEY.as_bytes()).map_err(failed)?;
    Ok(key)
}

fn write_to(file: &File, meta: &Meta, text: &str) -> io::Result<()> {
    // An umask may have taken bits away.
    if meta.mode != 0o600 {
        file.set_mode(0o600)?;
    }
    file.write_chunks([text.as_bytes()].into_iter())
}

/// A key's file outside of the root.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    dir: Dir,
    name: Vec<u8>,
}

impl KeyFile {
    /// Names a file outside of the root, in a directory that exists.
    pub(crate) fn outside(path: &Path, root: &Root) -> Result<Self, Error> {
        use std::os::unix::ffi::OsStrExt as _;
        let unfit = |why| {
            let error = io::Error::new(io::ErrorKind::InvalidInput, why);
            Error::io("use the key file", path, error)
        };
        let name = path.file_name().ok_or_else(|| unfit("it has no name"))?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let real = |path: &Path| {
            disk::real_path(path).map_err(|error| Error::io("open the directory of", path, error))
        };
        if real(parent)?.starts_with(real(&root.path)?) {
            return Err(unfit("it lies inside the root; keep it outside"));
        }
        let dir = Dir::open_root(parent).map_err(|error| Error::io("open", parent, error))?;
        Ok(Self {
            path: path.to_owned(),
            dir,
            name: name.as_bytes().to_vec(),
        })
    }

    /// The key in the file; `None` where there is no such file.
    pub(crate) fn open(&self) -> Result<Option<Key>, Error> {
        let failed = |error| Error::io("read the key file", &self.path, error);
        let Some(file) = self.dir.file(&self.name).map_err(failed)? else {
            return Ok(None);
        };
        let meta = file.stat().map_err(failed)?;
        if meta.kind != FileKind::File {
            return Err(self.refused("is not a regular file, so it is not used as the key"));
        }
        if !disk::is_ours(meta.uid) {
            return Err(self.refused(&format!(
                "belongs to user {}, so it is not used as the key",
                meta.uid
            )));
        }
        if meta.mode & 0o077 != 0 && file.set_mode(meta.mode & 0o700).is_err() {
            return Err(self.refused(&format!(
                "can be used by other users (mode {:03o}); set it to 600",
                meta.mode
            )));
        }
        let bytes = match file.read(meta.size, MAX_BYTES).map_err(failed)? {
            Some(bytes) if bytes.len() as u64 >= MIN_BYTES => bytes,
            _ => {
                return Err(self.refused(&format!(
                    "has {} bytes; it must have {MIN_BYTES} to {MAX_BYTES}",
                    meta.size
                )));
            }
        };
        // One that somebody else made, with `head -c 32 /dev/urandom` say, is taken as a whole.
        let key = read(&bytes).map(|(key, _)| key);
        Ok(Some(
            key.unwrap_or_else(|| Key(*Digest::of(&bytes).as_bytes())),
        ))
    }

    /// The key in the file, which is made where there is none: of this key or of a new one.
    pub(crate) fn open_or_make(&self, key: Option<&Key>) -> Result<Key, Error> {
        if let Some(key) = self.open()? {
            return Ok(key);
        }
        let make = || -> io::Result<()> {
            let key = key.cloned().map_or_else(Key::new, Ok)?;
            let mut draft = self.name.clone();
            draft.extend_from_slice(format!(".{}", TransactionId::now()).as_bytes());
            let file = self.dir.create(&draft, 0o600)?;
            let made = write_to(&file, &file.stat()?, &write(&key, None)).and_then(|()| {
                file.sync()?;
                match self.dir.rename_new(&draft, &self.dir, &self.name) {
                    // Another process made one at the same time: that is the key.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        self.dir.remove_file(&draft).map(|_| ())
                    }
                    result => result,
                }
            });
            if made.is_err() {
                let _ = self.dir.remove_file(&draft);
            }
            made
        };
        make().map_err(|error| Error::io("make the key file", &self.path, error))?;
        self.open()?
            .ok_or_else(|| Error::io("open the key file", &self.path, Errno::NOENT))
    }

    fn refused(&self, why: &str) -> Error {
        Error::Foreign {
            path: self.path.clone(),
            why: why.to_owned(),
            hint: None,
        }
    }
}

#[cfg(test)]
impl Key {
    /// A key of this byte alone, for tests.
    pub(crate) fn sample(byte: u8) -> Self {
        Self([byte; 32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [Key; 2] = [Key([7; 32]), Key([8; 32])];

    #[test]
    fn a_seal_is_one_of_key_purpose_and_parts() {
        let [key, other] = KEYS;
        let seal = key.seal("record", &[b"ab", b"c"]);
        assert!(key.verify(&seal, "record", &[b"ab", b"c"]));
        assert!(!other.verify(&seal, "record", &[b"ab", b"c"]));
        for (purpose, parts) in [
            ("ledger", &[&b"ab"[..], b"c"][..]),
            ("record", &[b"a", b"bc"]),
            ("record", &[b"abc"]),
            ("record", &[b"ab", b"c", b""]),
            ("recordab", &[b"c"]),
        ] {
            assert!(!key.verify(&seal, purpose, parts), "{purpose} {parts:?}");
        }
        assert_eq!(seal.to_string().parse(), Ok(seal));
        assert_eq!(seal.to_string().len(), Seal::TEXT);
        assert_eq!("00".parse::<Seal>(), Err(InvalidSeal));
        assert_eq!(format!("{key:?}"), "Key(…)");
    }

    /// HMAC-SHA-256 as others calculate it, over the documented encoding.
    #[test]
    fn a_seal_is_an_hmac_over_parts_with_their_lengths() {
        // python3 -c "import hmac, struct; print(hmac.new(bytes([7])*32, b''.join(
        //     struct.pack('<Q', len(p)) + p for p in (b'record', b'ab', b'')), 'sha256').hexdigest())"
        let seal = KEYS[0].seal("record", &[b"ab", b""]);
        assert_eq!(
            seal.to_string(),
            "26340f8346cc6ffb0c6ec6bfe51da7af762374523b445816e5d1eab2390a080b"
        );
    }

    #[test]
    fn a_key_reads_what_it_writes_and_nothing_else() {
        let binding = |born, boot: Option<&str>| Binding {
            ino: 42,
            dir: 7,
            born,
            boot: boot.map(str::to_owned),
        };
        for binding in [
            None,
            Some(binding(Some([1, 2]), Some("b"))),
            Some(binding(None, Some("b"))),
            Some(binding(Some([-1, 2]), None)),
        ] {
            let text = write(&KEYS[0], binding.as_ref());
            let (key, found) = read(text.as_bytes()).unwrap();
            assert_eq!((key.0, found), (KEYS[0].0, binding));
            for end in 0..text.len() - 1 {
                let cut = read(&text.as_bytes()[..end]);
                assert!(cut.is_none_or(|(_, binding)| binding.is_none()), "{end}");
            }
            assert!(read(format!("{text}x\n").as_bytes()).is_none());
        }
    }

    #[test]
    fn a_key_is_bound_to_birth_or_else_to_the_boot() {
        let boot = disk::boot_id();
        let binding = |born, boot| Binding {
            ino: 42,
            dir: 7,
            born,
            boot,
        };
        let meta = |ino, born| Meta {
            ino,
            born,
            ..Meta::sample()
        };
        let (then, later) = (Some([1, 2]), Some([1, 3]));
        assert!(binding(then, None).holds(&meta(42, then)));
        assert!(!binding(then, boot.clone()).holds(&meta(42, later)));
        assert!(!binding(then, None).holds(&meta(43, then)));
        assert!(!binding(then, None).holds(&meta(42, None)));
        assert!(!binding(None, None).holds(&meta(42, None)));
        assert!(!binding(None, Some("another".into())).holds(&meta(42, None)));
        if boot.is_some() {
            assert!(binding(None, boot.clone()).holds(&meta(42, None)));
            assert!(!binding(None, boot).holds(&meta(43, None)));
        }
    }
}
