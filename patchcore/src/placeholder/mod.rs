//! Placeholders: where they stand, and the comments that mark them.
//!
//! A template marks the places where work is to be done by placeholders such as `###AGENT_INIT###`
//! or `/** AGENT_INIT **/`. [`find`] lists them in one pass, whatever their number.
//!
//! ```
//! use patchcore::placeholder;
//! let found = placeholder::find(b"fn main() {\n    // ###BODY###\n}\n");
//! assert_eq!(found[0].id, "BODY");
//! assert_eq!(found[0].span, 19..29);
//! ```

mod balance;
mod claim;
mod clear;
mod comment;
mod context;
mod injected;
mod language;
mod mark;
mod orphan;
mod scan;
mod style;

pub use balance::Balance;
pub use clear::Cleared;
pub use comment::Mark;
pub use injected::Injected;
pub use language::Language;
pub use mark::{MarkMode, Marked, Marker};
pub use scan::{Placeholder, Position, Scanner, Syntax, find, positions};
pub use style::CommentStyle;
