//! Tasks: the manifest `.mission_control/tasks.json`, and the rules that it sets for batches.
//!
//! ```
//! use patchcore::task::{Manifest, TaskStatus};
//! let text = br#"{"tasks": [{"uuid": "u-1", "file_path": "a.ts", "placeholder": "INIT", "x": 1.0}]}"#;
//! let mut manifest = Manifest::parse(text)?;
//! manifest.get_mut("u-1").expect("it is there").set_status(TaskStatus::InProgress);
//! let written = String::from_utf8(manifest.to_bytes()).expect("JSON is UTF-8");
//! assert!(written.contains("\"x\": 1.0") && written.contains("in_progress"));
//! # Ok::<(), patchcore::Refusal>(())
//! ```

mod clearing;
mod fields;
mod injection;
mod manifest;
mod rules;
#[cfg(test)]
mod tests;

pub use clearing::Clearing;
pub use fields::Fields;
pub use injection::{Injection, not_found};
pub use manifest::{Manifest, Task, TaskStatus};
pub use rules::{Forced, Rules, check_completion, complete_again, reopen};
