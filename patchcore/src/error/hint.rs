//! What would let a refused input pass.

use serde::{Deserialize, Serialize};

macro_rules! hints {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A permission or an option that would let a refused input pass; stable names for machines.
        ///
        /// The library names the permission; how a user grants it is up to the program. Whether it
        /// should be granted is the operator's decision.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum Hint {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl Hint {
            /// All hints.
            pub const ALL: &'static [Hint] = &[$(Hint::$variant),+];

            /// The hint as reports spell it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

hints! {
    /// Allow edits that are not guarded, or only weakly.
    AllowUnguarded = "allow_unguarded",
    /// Allow edits of files that contain NUL bytes.
    AllowBinary = "allow_binary",
    /// Allow new text in another encoding than its file's.
    AllowEncodingChange = "allow_encoding_change",
    /// Allow new text that elides code.
    AllowOmission = "allow_omission",
    /// Allow new files with odd names.
    AllowOddNames = "allow_odd_names",
    /// Open the protected path to edits.
    AllowPath = "allow_path",
    /// Allow that the file's owner or attributes are lost.
    AllowOwnerChange = "allow_owner_change",
    /// Replace this link of a file that has several.
    BreakHardLinks = "break_hard_links",
    /// Replace a read-only file.
    ForceReadOnly = "force_read_only",
    /// Replace the file that exists, or the comment that was edited by hand.
    Overwrite = "overwrite",
    /// Apply what passes and leave out the rest.
    Partial = "partial",
    /// Close the task although its placeholder is still there.
    Force = "force",
    /// Read the patch as written by a model, not strictly by its format.
    Lenient = "lenient",
    /// Ignore the line counts in hunk headers.
    Recount = "recount",
    /// Trust the line numbers of hunks without context.
    UnidiffZero = "unidiff_zero",
    /// Say how many leading components to remove from file names.
    Strip = "strip",
    /// Say which file to patch.
    File = "file",
    /// Say which format the patch has.
    Dialect = "dialect",
    /// Use a narrower placeholder syntax.
    Syntax = "syntax",
    /// Look at the unfinished transaction, then adopt it or set it aside.
    Adopt = "adopt",
    /// Set the unfinished transaction aside.
    Abandon = "abandon",
}
