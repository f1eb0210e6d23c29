//! How the permission or option that a refusal hints at is given on the command line.

use patchcore::Hint;

/// What to add to the command line so that the refused input passes.
pub(super) fn words(hint: Hint) -> &'static str {
    match hint {
        Hint::AllowUnguarded => {
            "to allow it without a guard, use --allow-unguarded (or set PATCHCTL_ALLOW_UNGUARDED=1)"
        }
        Hint::AllowBinary => "to edit it anyway, use --allow-binary",
        Hint::AllowEncodingChange => "to write it anyway, use --allow-encoding-change",
        Hint::AllowOmission => {
            "if the text is meant as it is, send \"allow\": [\"omission\"] beside it (in JSON), or use --allow-omission"
        }
        Hint::AllowOddNames => "to create a file of that name, use --allow-odd-names",
        Hint::AllowPath => "to open the path to edits, use --allow-path PATH",
        Hint::AllowOwnerChange => "to replace it anyway, use --allow-owner-change",
        Hint::BreakHardLinks => "to detach this link, use --break-hard-links",
        Hint::ForceReadOnly => "to replace it anyway, use --force-read-only",
        Hint::Overwrite => "to replace what is there, use --overwrite",
        Hint::Partial => "to apply the rest without it, use --partial",
        Hint::Force => "to close the task anyway, use --force",
        Hint::Lenient => "to allow it, leave out --strict",
        Hint::Recount => "to ignore the line counts of hunk headers, use --recount",
        Hint::UnidiffZero => "to trust the line number in the hunk header, use --unidiff-zero",
        Hint::Strip => "to remove N leading components from file names, use --strip N",
        Hint::File => "to say which file to patch, use --file PATH",
        Hint::Dialect => "to say which format it is, use --dialect NAME",
        Hint::Syntax => "or use a narrower placeholder syntax: --syntax REGEX",
        Hint::Adopt => {
            "`patchctl recover --adopt` shows what it would do, `patchctl recover --abandon` sets it aside"
        }
        Hint::Abandon => "`patchctl recover --abandon` sets it aside",
        // A hint of a newer library.
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// All options of all commands.
    fn options(command: &clap::Command, names: &mut Vec<String>) {
        let long = |arg: &clap::Arg| arg.get_long().map(|long| format!("--{long}"));
        names.extend(command.get_arguments().filter_map(long));
        for sub in command.get_subcommands() {
            options(sub, names);
        }
    }

    #[test]
    fn every_hint_names_an_option_that_there_is() {
        let mut known = Vec::new();
        options(&crate::cli::Cli::command(), &mut known);
        for hint in Hint::ALL {
            let words = words(*hint);
            let named: Vec<_> = words
                .split(|c: char| !c.is_ascii_lowercase() && c != '-')
                .filter(|word| word.starts_with("--"))
                .collect();
            assert!(!named.is_empty(), "{hint:?}: {words}");
            for name in named {
                assert!(known.iter().any(|known| known == name), "{hint:?}: {name}");
            }
        }
    }
}
