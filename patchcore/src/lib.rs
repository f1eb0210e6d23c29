//! Applies batches of line edits to text deterministically, all or nothing.
//!
//! Edits made by machines are often wrong and often stale. This crate lands them where they were
//! meant or refuses them, and shows with each refusal what stands there instead. No edit lands
//! silently in the wrong place, no batch is half applied, nothing is written outside the root.
//!
//! # The way of a batch
//!
//! ```text
//! parse → load → lower → plan → render → commit → events
//! ```
//!
//! 1. **Parse.** [`batch::parse`] reads the JSON form, [`dialect::parse`] what agents speak
//!    otherwise: unified diffs, codex, SEARCH/REPLACE and more. Both come to
//!    [`operation::Operation`]s, a diff only after its hunks were located in the loaded files
//!    ([`plan::Script::lower`]).
//! 2. **Load.** A [`Tree`] holds the files that the operations name: read from disk by
//!    `workspace::Workspace::load`, or put together by an embedder.
//! 3. **Plan.** [`plan::plan`] resolves addresses ([`anchor`]), checks guards, finds conflicts and
//!    gives a [`plan::Plan`]: for each file an [`edit::EditSet`], for each operation a verdict,
//!    over all a digest. It is pure: text in, text out.
//! 4. **Render.** [`plan::Plan::write_diff`] shows the plan as a unified diff in git's format,
//!    [`report::Report`] as JSON.
//! 5. **Commit.** `workspace::Workspace::apply` does all of the above under a lock and installs
//!    the result in one transaction that survives the death of the process at any point.
//! 6. **Events.** `event` renders what was done from the log, for whoever listens.
//!
//! # Without a file system
//!
//! With `default-features = false` the stages up to rendering are there, and no disk is touched:
//!
//! ```
//! use patchcore::batch::{self, Limits};
//! use patchcore::plan::plan;
//! use patchcore::{Policy, RelPath, Tree};
//!
//! let batch = batch::parse(
//!     br#"{"operations": [
//!         {"op": "replace-block", "file": "greet.py", "at": {"line": 2},
//!          "expect": "    print('hello')", "content": "    print('hello, world')"}
//!     ]}"#,
//!     &Limits::default(),
//! )?;
//! let tree = Tree::new().with_file(RelPath::new("greet.py")?, "def greet():\n    print('hello')\n");
//! let plan = plan(&batch, &tree, &Policy::default());
//! assert!(!plan.has_refusal());
//!
//! let new: Vec<u8> = plan.changes[0].chunks().flatten().copied().collect();
//! assert_eq!(new, b"def greet():\n    print('hello, world')\n");
//!
//! let mut diff = Vec::new();
//! plan.write_diff(&patchcore::diff::DiffOptions::default(), &mut diff)?;
//! assert!(diff.ends_with(b"-    print('hello')\n+    print('hello, world')\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Refusals and errors
//!
//! A [`Refusal`] is a value: the verdict on an operation, with a stable [`Code`], the line that
//! differs, what stands there and where else it may be. An [`Error`] is the environment's: a disk
//! that is full, a lock that is held. Both name a [`Hint`] where a permission or an option would let
//! the work go on; how it is granted, a flag or a setting, is up to the program around the library.
//!
#![doc = include_str!("../docs/rules.md")]
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod anchor;
pub mod batch;
mod bytes;
pub mod dialect;
pub mod diff;
pub mod digest;
pub mod edit;
pub mod error;
#[cfg(feature = "workspace")]
pub mod event;
mod literals;
mod locate;
pub mod operation;
pub mod order;
pub mod path;
pub mod placeholder;
pub mod plan;
pub mod rebase;
pub mod report;
#[cfg(feature = "schema")]
pub mod schema;
pub mod task;
pub mod text;
mod threads;
#[cfg(feature = "workspace")]
pub mod workspace;

pub use digest::Digest;
pub use error::{Code, Error, Hint, Refusal, Stop};
pub use path::RelPath;
pub use plan::{Policy, Tree};
pub use report::Report;

/// The README's examples run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
