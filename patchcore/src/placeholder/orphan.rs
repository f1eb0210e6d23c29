//! Comments that stand without the placeholder or the task that they belong to.

use std::collections::{HashMap, HashSet};

use super::Marker;
use super::comment::{self, CommentKind};
use crate::error::{Code, Refusal};
use crate::path::RelPath;
use crate::text::Text;

impl Marker<'_> {
    /// The comments of a file that were injected for placeholders which do not stand in it any
    /// more, or that name a task which `is_open` says no to: each says what is gone, and where the
    /// comment stands. Comments that nobody injected are left out.
    #[must_use]
    pub fn orphans(
        &self,
        path: &RelPath,
        bytes: &[u8],
        is_open: &dyn Fn(&str) -> bool,
    ) -> Vec<Refusal> {
        if !comment::may_hold(bytes) {
            return Vec::new();
        }
        let mut owners: HashMap<&str, Vec<&str>> = HashMap::new();
        for (id, sum) in self.injected.all() {
            owners.entry(sum).or_default().push(id);
        }
        let known = owners.keys().map(|sum| (*sum).to_owned()).collect();
        let Ok(context) = self.context(path, bytes, &known, None) else {
            return Vec::new();
        };
        let found = self.scanner.find(bytes);
        let ids: HashSet<&str> = found.iter().map(|placeholder| placeholder.id).collect();
        let mut orphans = Vec::new();
        for existing in comment::all(bytes, &context) {
            let forms = existing.forms(bytes);
            let gone = forms.iter().find_map(|form| {
                let owners = form.sums.iter().find_map(|sum| owners.get(sum.as_str()));
                if existing.kind == CommentKind::Task
                    && let Some((task, name)) = forms.task_of(form)
                {
                    if !is_open(task) {
                        return Some(Some(format!("task {task}, which is not open")));
                    }
                    let named = name.map(|name| vec![name]);
                    return Some(without(named.as_ref().or(owners), &ids));
                }
                owners.map(|owners| without(Some(owners), &ids))
            });
            // Of one that somebody edited, the name says whose it was.
            let gone = gone.unwrap_or_else(|| {
                let name = comment::name_of(forms.words())?;
                let injected = self.injected.sums(name).next().is_some();
                injected.then(|| without(Some(&vec![name]), &ids))?
            });
            if let Some(gone) = gone {
                let span = existing.span();
                let line = Text::new(bytes).line_at(span.start);
                let why = format!("{path} line {line}: the comment belongs to {gone}; remove it");
                let orphan = Refusal::new(Code::PlaceholderNotFound, why);
                let orphan = orphan.in_file(path).at_line(line);
                orphans.push(orphan.with_found(&bytes[span]));
            }
        }
        orphans
    }
}

/// What is gone where none of a comment's placeholders stands in the file.
fn without(owners: Option<&Vec<&str>>, ids: &HashSet<&str>) -> Option<String> {
    let owners = owners?;
    let gone = owners.iter().all(|owner| !ids.contains(owner));
    let first = owners.first().filter(|_| gone)?;
    Some(format!(
        "placeholder {first}, which is not in the file any more"
    ))
}
