//! Paths of files: relative to the root, `/`-separated, unable to leave it by their spelling.
//!
//! This is the lexical half of the sandbox. The other half is `workspace::Root`, which opens a
//! path beneath the root without following links.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub(crate) mod glob;
mod odd;
mod protect;
mod quote;

use unicode_normalization::UnicodeNormalization as _;

use crate::error::{Code, Refusal};

pub use self::odd::Oddity;
pub use self::protect::Protect;
pub(crate) use self::quote::in_quotes;
pub use self::quote::{quote, unquote};

/// Longest path, in bytes.
pub const MAX_PATH: usize = 4095;
/// Longest component of a path, in bytes.
pub const MAX_COMPONENT: usize = 255;

/// Directory and file names that only the operator can open to edits.
const PROTECTED: [&str; 9] = [
    ".git",
    ".mission_control",
    ".claude",
    ".codex",
    ".cursor",
    ".vscode",
    ".husky",
    ".envrc",
    ".mcp.json",
];

/// A path below the root: not empty, `/`-separated, no `.` or `..` component.
///
/// It holds bytes, since file names on Unix are bytes; what comes from JSON is UTF-8.
///
/// ```
/// use patchcore::RelPath;
/// assert_eq!(RelPath::new("./src//a.ts")?.to_string(), "src/a.ts");
/// assert!(RelPath::new("a/../../etc/passwd").is_err());
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<[u8]>);

impl RelPath {
    /// Reads a path: `./` and doubled slashes are dropped.
    ///
    /// # Errors
    /// `PATH_ESCAPE` for an empty path, one that is absolute, holds a `..` component or NUL, ends
    /// in `/`, or is longer than [`MAX_PATH`] or [`MAX_COMPONENT`] allow.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, Refusal> {
        let path = path.as_ref();
        let refuse = |why: &str| {
            let shown: String = String::from_utf8_lossy(path).chars().take(200).collect();
            Err(Refusal::new(
                Code::PathEscape,
                format!("path {shown:?} {why}; use a path relative to the root"),
            ))
        };
        if path.is_empty() {
            return refuse("is empty");
        }
        if path.len() > MAX_PATH {
            return refuse("is longer than 4095 bytes");
        }
        if path.contains(&0) {
            return refuse("holds a NUL byte");
        }
        if path.starts_with(b"/") {
            return refuse("is absolute");
        }
        if path.ends_with(b"/") {
            return refuse("ends in a slash, so it names a directory");
        }
        let mut clean = Vec::with_capacity(path.len());
        for component in path.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return refuse("holds a \"..\" component"),
                _ if component.len() > MAX_COMPONENT => {
                    return refuse("holds a component longer than 255 bytes");
                }
                _ => {}
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(component);
        }
        if clean.is_empty() {
            return refuse("names the root itself");
        }
        if path.ends_with(b"/.") {
            return refuse("names a directory");
        }
        Ok(Self(clean.into()))
    }

    /// The bytes of the path.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text, where it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The path as reports show it: what is not UTF-8 is replaced by U+FFFD.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        // Nearly all paths are UTF-8, and to find just that takes less than half the time.
        match self.as_str() {
            Some(text) => text.into(),
            None => String::from_utf8_lossy(&self.0),
        }
    }

    /// The components from the root down; never none.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/')
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.components().next_back().unwrap_or(&self.0)
    }

    /// The directory that holds the file; `None` for a file at the root.
    #[must_use]
    pub fn parent(&self) -> Option<RelPath> {
        let slash = self.0.iter().rposition(|&byte| byte == b'/')?;
        Some(Self(self.0[..slash].into()))
    }

    /// Whether the file's directory is this one; `None` is the root.
    #[must_use]
    pub fn is_in(&self, directory: Option<&RelPath>) -> bool {
        let file_name = match directory {
            None => Some(&*self.0),
            Some(directory) => {
                (self.0.strip_prefix(&*directory.0)).and_then(|rest| rest.strip_prefix(b"/"))
            }
        };
        file_name.is_some_and(|name| crate::bytes::find(b'/', name).is_none())
    }

    /// Whether the path is beneath a directory of that path.
    #[must_use]
    pub fn lies_below(&self, directory: &RelPath) -> bool {
        self.0
            .strip_prefix(&*directory.0)
            .is_some_and(|rest| rest.starts_with(b"/"))
    }

    /// The path as the file system takes it.
    #[cfg(unix)]
    #[must_use]
    pub fn as_path(&self) -> &std::path::Path {
        use std::os::unix::ffi::OsStrExt as _;
        std::path::Path::new(std::ffi::OsStr::from_bytes(&self.0))
    }

    /// The first component that is protected, if any: `.git`, `.mission_control`, and the settings
    /// of editors and agents, at any depth, with case folded and ignorable code points dropped.
    #[must_use]
    pub fn protected_component(&self) -> Option<&[u8]> {
        self.components().find(|component| is_protected(component))
    }

    /// What in the path looks as if it were no part of a name that the sender means: a quote, a
    /// remark, a drive letter, a home directory. `None` for an ordinary path.
    #[must_use]
    pub fn oddity(&self) -> Option<Oddity> {
        odd::oddity(&self.0)
    }

    /// A key that is equal for paths that some file systems hold for one: case folded, NFC.
    #[must_use]
    pub fn collision_key(&self) -> Vec<u8> {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        match self.as_str() {
            Some(text) => text
                .nfc()
                .flat_map(char::to_lowercase)
                .nfc()
                .collect::<String>()
                .into(),
            None => self.0.to_vec(),
        }
    }
}

/// Whether a component is a protected name, or one that some file systems take for it. Where `\\`
/// separates components, as on Windows, it may hold several.
fn is_protected(component: &[u8]) -> bool {
    // Most names need no second look.
    let is_telling = |byte: &u8| matches!(byte, b'\\' | b'~');
    let may_be = component.first() == Some(&b'.') || component.iter().any(is_telling);
    (may_be || !component.is_ascii()) && on_shares(component).any(|name| is_protected_name(&name))
}

/// The names that a component stands for on shares of Windows, folded: it separates them by `\`, and
/// they drop trailing dots and spaces and end at a stream's colon.
fn on_shares(component: &[u8]) -> impl Iterator<Item = String> {
    component.split(|&byte| byte == b'\\').map(|name| {
        let folded = fold(name);
        let name = folded.split(':').next().unwrap_or_default();
        name.trim_end_matches(['.', ' ']).to_owned()
    })
}

/// A component in one spelling of those that some file systems hold for one: normalised, without
/// what is ignored, in lower case.
fn fold(component: &[u8]) -> String {
    let text = String::from_utf8_lossy(component);
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded: String = text
        .nfkc()
        .filter(|&c| !is_ignorable(c))
        .flat_map(char::to_lowercase)
        .collect();
    // Directories of ext4 that take no account of case hold these for the same.
    folded.replace('ß', "ss")
}

fn is_protected_name(folded: &str) -> bool {
    PROTECTED.contains(&folded) || PROTECTED.iter().any(|name| is_short_for(folded, name))
}

/// Whether a name is one by which FAT and NTFS may know another, too: its first six characters, or
/// two and a checksum in four digits, then `~` and a number, then three of its extension.
fn is_short_for(short: &str, name: &str) -> bool {
    let Some((short, number)) = short.split_once('~') else {
        return false;
    };
    let (number, short_extension) = number.split_once('.').unwrap_or((number, ""));
    let name = name.trim_start_matches('.');
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_sum = |sum: &str| sum.len() == 4 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    let first = |text: &str, count: usize| text[..text.len().min(count)].to_owned();
    is_number
        && short_extension == first(extension, 3)
        && (short == first(stem, 6) || short.strip_prefix(&first(stem, 2)).is_some_and(is_sum))
}

/// Code points that HFS+ and others skip when they compare names: those of the Unicode property
/// `Default_Ignorable_Code_Point`.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_leave_the_root_or_name_a_directory_are_refused() {
        for path in [
            "",
            ".",
            "./",
            "..",
            "/",
            "/etc/x",
            "../x",
            "a/../../x",
            "a/",
            "a/.",
            "a\0b",
            "a/..",
        ] {
            let refusal = RelPath::new(path).expect_err(path);
            assert_eq!(refusal.code, Code::PathEscape, "{path}");
        }
        assert!(RelPath::new("x".repeat(256)).is_err());
        assert!(RelPath::new(format!("{}x", "a/".repeat(2048))).is_err());
        assert!(RelPath::new("..x/...").is_ok());
    }

    #[test]
    fn protected_names_are_found_in_every_spelling() {
        for path in [
            ".git/config",
            "a/.GIT/x",
            "git~1",
            ".g\u{200c}it/x",
            ".g\u{3164}it/x",
            ".gi\u{115f}t/x",
            ".\u{ffa0}git/x",
            ".git\u{fff3}",
            ".git\u{1d17a}/x",
            ".git\u{1bca2}/x",
            ".gi\u{17b4}t/x",
            ".git\\config",
            "src\\.GIT\\hooks\\x",
            "a/b\\git~1\\x",
            ".git ",
            ".git::$INDEX",
            ".Mission_Control/x",
            "sub/.envrc",
            ".mcp.json",
            ".husky/pre-commit",
            // Directories of ext4 that take no account of case fold this letter in full.
            ".mi\u{df}ion_control/key",
            "a/.MI\u{1e9e}ION_CONTROL/key",
            // Short names on FAT and NTFS.
            "GIT~4/config",
            "GI7EBA~1/config",
            "MISSIO~1/tasks.json",
            "sub/claude~1/settings.json",
            "VSCODE~2",
            "ENVRC~1",
            "MCP~1.JSO",
        ] {
            assert!(
                RelPath::new(path).unwrap().protected_component().is_some(),
                "{path}"
            );
        }
        for path in [
            ".github/x",
            ".gitignore",
            "git",
            ".env",
            "mission_control",
            "a\\git",
            "src\\gitx\\y",
            ".hidden/x",
            "git~1.txt",
            "git~x",
            "missio~",
            "mission_control~1",
            "a~1",
            "gizzzz~1",
        ] {
            assert!(
                RelPath::new(path).unwrap().protected_component().is_none(),
                "{path}"
            );
        }
    }

    #[test]
    fn a_file_is_in_the_directory_right_above_it() {
        let path = |path| RelPath::new(path).unwrap();
        for (file, directory, expected) in [
            ("a", None, true),
            ("a/b", None, false),
            ("a/b", Some("a"), true),
            ("a/b/c", Some("a"), false),
            ("a/b/c", Some("a/b"), true),
            ("ab/c", Some("a"), false),
            ("a", Some("a"), false),
        ] {
            let directory = directory.map(path);
            let file = path(file);
            assert_eq!(file.is_in(directory.as_ref()), expected, "{file}");
            assert_eq!(file.parent() == directory, expected, "{file}");
        }
    }

    #[test]
    fn names_that_a_file_system_may_hold_for_one_collide() {
        let key = |path: &str| RelPath::new(path).unwrap().collision_key();
        assert_eq!(key("A/b"), key("a/B"));
        assert_eq!(key("caf\u{e9}"), key("cafe\u{301}"));
        assert_ne!(key("a"), key("b"));
    }
}
