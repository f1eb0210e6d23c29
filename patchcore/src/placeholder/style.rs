//! How comments are written, and what must not stand in their text.

/// A way to write comments.
#[derive(Debug, PartialEq, Eq)]
pub struct CommentStyle {
    /// Before and behind the text that names a task; nothing behind it in a line comment.
    pub(super) task: [&'static str; 2],
    /// Before and behind a prompt.
    pub(super) prompt: [&'static str; 2],
    /// Starts every line but the first.
    pub(super) next: &'static str,
    /// Sequences that would end the comment or mean something in it. They are broken up by a
    /// space, single characters written as `<U+XXXX>`.
    pub(super) forbidden: &'static [&'static str],
    /// How far the comment is indented.
    pub(super) indent: Indent,
    /// Whether a blank line may stand in the comment.
    pub(super) blanks: bool,
    /// Whether a formatter puts a bare line behind a comment of several lines.
    pub(super) bare_below: bool,
    /// Of templates: how comments take the white space around them away.
    pub(super) trims: Option<&'static Trims>,
}

/// How comments of a template take white space away.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trims {
    /// What opens one that takes away what is above it, and what closes one that takes away what
    /// is below.
    pub(super) above: &'static str,
    below: &'static str,
    /// What closes one whose own newline is printed, also where those behind tags are not.
    pub(super) keeps: &'static str,
    /// Whether the newline behind any other comment is printed.
    pub(super) prints: bool,
}

/// The white space that a comment takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trim {
    None,
    Above,
    Below,
    /// What is above: its own newline is printed in place of the one there.
    Line,
}

/// How far a comment is indented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indent {
    /// As the line below it.
    Line,
    /// As the line below it, but where that starts with a tab: what does is a command.
    Spaces,
    /// Not at all.
    None,
}

impl CommentStyle {
    /// Whether a comment ends with its line.
    pub(super) fn is_line(&self) -> bool {
        self.task[1].is_empty()
    }

    /// Whether a prompt is documentation to the language's tools.
    pub(super) fn documents(&self) -> bool {
        self.prompt != self.task
    }

    /// What opens any comment of the style.
    pub(super) fn opener(&self) -> &'static str {
        self.task[0].trim_end()
    }

    /// What is before and behind a text.
    pub(super) fn around(&self, prompt: bool, trim: Trim) -> [&'static str; 2] {
        let [open, close] = if prompt { self.prompt } else { self.task };
        match (self.trims, trim) {
            (Some(trims), Trim::Above) => [trims.above, close],
            (Some(trims), Trim::Below) => [open, trims.below],
            (Some(trims), Trim::Line) => [trims.above, trims.keeps],
            _ => [open, close],
        }
    }

    /// A line behind what opens a comment, if that starts it.
    pub(super) fn strip_opener<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let above = self.trims.map(|trims| trims.above.trim_end());
        let mut openers = above.into_iter().chain([self.opener()]);
        openers.find_map(|opener| line.strip_prefix(opener.as_bytes()))
    }

    /// A line before what closes a comment, if that ends it.
    pub(super) fn strip_closer<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let trims = self.trims.map(|trims| [trims.below, trims.keeps]);
        let closers = trims.into_iter().flatten().map(str::trim_start);
        let mut closers = closers.chain([self.closer()]);
        closers.find_map(|closer| line.strip_suffix(closer.as_bytes()))
    }

    /// The white space that a comment of this text takes away.
    pub(super) fn trim_of(&self, comment: &[u8]) -> Trim {
        let (text, all) = (comment.trim_ascii(), [Trim::Below, Trim::Line, Trim::Above]);
        let is_one = |trim: &Trim| {
            let [open, close] = self
                .around(false, *trim)
                .map(|mark| mark.trim_ascii().as_bytes());
            text.starts_with(open) && text.ends_with(close)
        };
        let found = self.trims.and_then(|_| all.into_iter().find(is_one));
        found.unwrap_or(Trim::None)
    }

    /// What all forms of a comment end with.
    pub(super) fn tail(&self) -> &'static str {
        let closer = self.closer();
        match self.trims {
            Some(_) => &closer[closer.len().saturating_sub(2)..],
            None => closer,
        }
    }

    /// Where a comment ends whose text starts at an offset, of the ends of what it may end with.
    pub(super) fn end_from(&self, bytes: &[u8], at: usize, tails: &[usize]) -> Option<usize> {
        // Only somebody who edits the comment writes what all forms end with into its text. Without
        // a bound all of them would be looked at for each of many comments that have no end.
        const LOOKED_AT: usize = 64;
        let mut tails = tails.iter().copied().take(LOOKED_AT);
        tails.find(|end| self.strip_closer(&bytes[at..*end]).is_some())
    }

    /// What closes any comment of the style; empty for a line comment.
    pub(super) fn closer(&self) -> &'static str {
        self.task[1].trim_start()
    }
}

const fn line(prefix: &'static str, next: &'static str) -> CommentStyle {
    CommentStyle {
        task: [prefix, ""],
        prompt: [prefix, ""],
        next,
        forbidden: &[],
        indent: Indent::Line,
        blanks: true,
        bare_below: false,
        trims: None,
    }
}

const fn block(
    open: &'static str,
    close: &'static str,
    next: &'static str,
    forbidden: &'static [&'static str],
) -> CommentStyle {
    CommentStyle {
        task: [open, close],
        prompt: [open, close],
        next,
        forbidden,
        indent: Indent::Line,
        blanks: true,
        bare_below: false,
        trims: None,
    }
}

const STARRED: CommentStyle = CommentStyle {
    task: ["/* ", " */"],
    prompt: ["/** ", " **/"],
    next: " *  ",
    forbidden: &["*/", "/*"],
    indent: Indent::Line,
    blanks: true,
    bare_below: false,
    trims: None,
};

/// JavaScript, TypeScript and what else starts documentation with `/**`.
pub(super) const BLOCK: CommentStyle = STARRED;
/// C and its kin, whose compilers check documentation, and warn of it where nothing is documented.
pub(super) const C: CommentStyle = CommentStyle {
    prompt: STARRED.task,
    ..STARRED
};
/// PHP, which leaves a line comment at `?>`, and hands `/**` to the program: reflection returns it.
pub(super) const PHP: CommentStyle = CommentStyle {
    prompt: STARRED.task,
    forbidden: &["*/", "/*", "?>", "<?"],
    ..STARRED
};
/// Java, which decodes `\uXXXX` before it sees comments, and checks documentation as C does.
pub(super) const JAVA: CommentStyle = CommentStyle {
    prompt: STARRED.task,
    forbidden: &["*/", "/*", "\\u"],
    ..STARRED
};
/// Style sheets, which know no other comment.
pub(super) const CSS: CommentStyle = CommentStyle {
    forbidden: &["*/", "/*", "</"],
    ..STARRED
};
/// Scripts in a page, which ends them at their end tag, wherever it stands.
pub(super) const SCRIPT: CommentStyle = CommentStyle {
    forbidden: &["*/", "/*", "</", "<!"],
    ..STARRED
};
/// Children of an element in JSX.
pub(super) const JSX_CHILD: CommentStyle = CommentStyle {
    task: ["{/* ", " */}"],
    prompt: ["{/** ", " **/}"],
    ..STARRED
};
pub(super) const SLASHES: CommentStyle = CommentStyle {
    forbidden: &["*/", "/*", "\"\"\""],
    ..line("// ", "//   ")
};
/// Go, whose formatter takes lines that hang for code, or for a list, and puts a bare line behind them
/// in documentation.
pub(super) const GO: CommentStyle = CommentStyle {
    bare_below: true,
    ..SLASHES
};
/// Forbids what ends a string over several lines, in which a placeholder may stand.
pub(super) const HASH: CommentStyle = CommentStyle {
    forbidden: &["\"\"\"", "'''"],
    ..line("# ", "#   ")
};
/// Makefiles, where a line that starts with a tab is a command; in the first column make drops a
/// comment, in a recipe, too.
pub(super) const MAKE: CommentStyle = CommentStyle {
    indent: Indent::Spaces,
    ..HASH
};
/// Terraform and PHP's kin, which have C's comments besides.
pub(super) const HASH_AND_STAR: CommentStyle = CommentStyle {
    forbidden: &["*/", "/*"],
    ..HASH
};
/// PowerShell.
pub(super) const HASH_AND_ANGLE: CommentStyle = CommentStyle {
    forbidden: &["#>", "<#"],
    ..HASH
};
/// Julia and Nim, whose block comments nest.
pub(super) const HASH_NESTING: CommentStyle = CommentStyle {
    forbidden: &["\"\"\"", "#=", "=#", "#[", "]#"],
    ..HASH
};
pub(super) const SEMICOLON: CommentStyle = line("; ", ";   ");
pub(super) const DOUBLE_SEMICOLON: CommentStyle = line(";; ", ";;   ");
/// Forbids what opens and closes the block comments of Haskell and Lua, for those that nest.
pub(super) const DASHES: CommentStyle = CommentStyle {
    forbidden: &["{-", "-}", "]]", "[["],
    ..line("-- ", "--   ")
};
pub(super) const PERCENT: CommentStyle = line("% ", "%   ");
pub(super) const EXCLAMATION: CommentStyle = line("! ", "!   ");
pub(super) const QUOTE: CommentStyle = line("' ", "'   ");
pub(super) const VIM: CommentStyle = line("\" ", "\"   ");
/// Batch files expand variables in remarks, too.
pub(super) const BATCH: CommentStyle = CommentStyle {
    forbidden: &["%"],
    ..line("rem ", "rem   ")
};
pub(super) const PUG: CommentStyle = line("//- ", "//-   ");
pub(super) const HAML: CommentStyle = line("-# ", "-#   ");
/// XML forbids `--` anywhere in a comment.
pub(super) const HTML: CommentStyle = block("<!-- ", " -->", "     ", &["--", "<!", "<?", "?>"]);
/// Markdown: an indented comment may be code, and a blank line ends the HTML that it stands in.
pub(super) const MARKDOWN: CommentStyle = CommentStyle {
    indent: Indent::None,
    blanks: false,
    ..HTML
};
/// Outside of its tags PHP prints what stands there; a tag with a comment prints nothing, the newline
/// behind it included.
pub(super) const PHP_TAG: CommentStyle = CommentStyle {
    task: ["<?php /* ", " */ ?>"],
    prompt: ["<?php /* ", " */ ?>"],
    indent: Indent::None,
    ..PHP
};
/// OCaml looks for strings in comments.
pub(super) const ML: CommentStyle = block("(* ", " *)", "   ", &["(*", "*)", "\"", "{"]);
pub(super) const HANDLEBARS: CommentStyle = CommentStyle {
    trims: Some(&Trims {
        above: "{{~!-- ",
        below: " --~}}",
        keeps: " --}}",
        prints: false,
    }),
    ..block("{{!-- ", " --}}", "      ", &["--", "{{", "}}"])
};
/// Indentation would be printed. To Nunjucks the `+` is text, and the newline behind a comment stays.
pub(super) const JINJA: CommentStyle = CommentStyle {
    indent: Indent::None,
    trims: Some(&Trims {
        above: "{#- ",
        below: " -#}",
        keeps: " +#}",
        prints: true,
    }),
    ..block("{# ", " #}", "   ", &["{#", "#}", "{%", "%}"])
};
/// Twig never prints the newline behind a comment.
pub(super) const TWIG: CommentStyle = CommentStyle {
    trims: Some(&Trims {
        above: "{#- ",
        below: " -#}",
        keeps: " #}",
        prints: false,
    }),
    ..JINJA
};
/// The dash takes the newline behind the tag away.
pub(super) const TEMPLATE_TAG: CommentStyle = CommentStyle {
    indent: Indent::None,
    ..block("<%# ", " -%>", "    ", &["%>", "<%"])
};
/// Indentation would be printed.
pub(super) const LIQUID: CommentStyle = CommentStyle {
    indent: Indent::None,
    trims: Some(&Trims {
        above: "{%- comment %} ",
        below: " {% endcomment -%}",
        keeps: " {% endcomment %}",
        prints: true,
    }),
    ..block(
        "{% comment %} ",
        " {% endcomment %}",
        "    ",
        &["{%", "%}", "{{", "}}"],
    )
};
