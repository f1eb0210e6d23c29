//! A batch of one operation that names the state that it was made for, applied to the file as it
//! looks after others have worked on it.
//!
//! Lines are inserted above the target, half of them copies of the file's own, and deleted. Either
//! the target and two lines on each side of it are as they were, and one result is right; or it was
//! changed or deleted, and any result is wrong.

use std::sync::Arc;

use patchcore::batch::{self, Limits};
use patchcore::dialect::{self, Options};
use patchcore::diff::{BlobName, DiffOptions};
use patchcore::plan::{Entry, Plan, Script as _, Source, plan};
use patchcore::{Digest, Policy, RelPath, Tree};
use serde_json::{Value, json};

use super::trial::{Random, Verdict, drifted, joined};

/// Lines next to the target that stay as they are.
const NEAR: usize = 2;

/// One operation, the state that it was made for, and the file that it comes to.
pub(crate) struct Stale {
    pub(crate) base: String,
    pub(crate) current: String,
    pub(crate) old: String,
    pub(crate) new: String,
    operation: Value,
    /// The only right result; none where the target has changed.
    right: Option<String>,
}

/// Makes a trial of a file; `intact` says whether the target stays as it was.
pub(crate) fn make(lines: &[String], random: &mut Random, intact: bool) -> Stale {
    let count = 1 + random.below(3);
    let at = 4 + random.below(lines.len() - count - 8);
    let (start, end) = (at, at + count);
    let new: Vec<String> = (0..1 + random.below(3))
        .map(|line| format!("a new line {line} of {}", random.below(1_000_000)))
        .collect();
    // What the others did is not next to the target, which is not to be told apart from a change.
    let near = (start - NEAR, end + NEAR);
    let mut above = drifted(&lines[..near.0], lines, (start, end), random);
    above.extend_from_slice(&lines[near.0..start]);
    let mut below = lines[end..near.1].to_vec();
    match random.below(2) {
        0 => below.extend(drifted(&lines[near.1..], lines, (start, end), random)),
        _ => below.extend_from_slice(&lines[near.1..]),
    }
    let mut target = lines[start..end].to_vec();
    if !intact {
        let line = random.below(count);
        match random.below(3) {
            0 => target.clear(),
            1 => target[line].push_str(" changed"),
            _ => target[line] = format!("another line {}", random.below(1_000_000)),
        }
    }
    let base = joined(&[lines]);
    let old = joined(&[&lines[start..end]]);
    Stale {
        operation: json!({
            "op": "replace-block", "file": "f", "at": { "lines": [start + 1, end] },
            "content": joined(&[&new]),
        }),
        right: intact.then(|| joined(&[&above, &new, &below])),
        current: joined(&[&above, &target, &below]),
        new: joined(&[&new]),
        base,
        old,
    }
}

impl Stale {
    pub(crate) fn judge(&self, result: Option<&str>) -> Verdict {
        match (result, &self.right) {
            (None, _) => Verdict::Refused,
            (Some(result), Some(right)) if result == right => Verdict::Right,
            _ => Verdict::Wrong,
        }
    }

    fn with_base(&self) -> Value {
        let mut operation = self.operation.clone();
        operation["base"] = Digest::of(self.base.as_bytes()).to_string().into();
        operation
    }

    /// The file, with or without what is known of its past.
    fn tree(&self, has_base: bool) -> Tree {
        let path = RelPath::new("f").expect("a plain name");
        let source = |text: &str| Arc::new(Source::new(text.into(), false));
        let mut tree = Tree::new();
        tree.insert(path.clone(), Entry::File(source(&self.current)));
        if has_base {
            tree.add_base(path, source(&self.base));
        }
        tree
    }

    /// By the file's hash, and nothing else.
    pub(crate) fn strict(&self) -> Verdict {
        self.judged(&plan_of(&self.with_base(), &self.tree(false), false))
    }

    /// By the lines expected at the address, without a hash.
    pub(crate) fn expecting(&self) -> Verdict {
        let mut operation = self.operation.clone();
        operation["expect"] = self.old.clone().into();
        self.judged(&plan_of(&operation, &self.tree(false), false))
    }

    /// With the permission to rebase.
    pub(crate) fn rebased(&self) -> Verdict {
        self.judged(&plan_of(&self.with_base(), &self.tree(true), true))
    }

    /// Refused, and sent once more with what the refusal suggests.
    pub(crate) fn retried(&self) -> Verdict {
        let mut operation = self.with_base();
        let plan = plan_of(&operation, &self.tree(true), false);
        let Some(refusal) = &plan.verdicts[0].refusal else {
            return self.judged(&plan);
        };
        let Some(suggestion) = refusal.suggestion.as_deref() else {
            return self.judge(None);
        };
        merge(&mut operation, suggestion);
        self.judged(&plan_of(&operation, &self.tree(false), false))
    }

    /// The first place that has the old lines.
    pub(crate) fn first_match(&self) -> Verdict {
        let is_there = self.current.contains(&self.old);
        let result = self.current.replacen(&self.old, &self.new, 1);
        self.judge(is_there.then_some(&*result))
    }

    /// The operation as a diff of the state that it was made for.
    pub(crate) fn patch(&self) -> String {
        let path = RelPath::new("f").expect("a plain name");
        let tree = Tree::new().with_file(path, self.base.clone());
        let mut patch = Vec::new();
        plan_of(&self.with_base(), &tree, false)
            .write_diff(&DiffOptions::default(), &mut patch)
            .expect("memory can be written to");
        String::from_utf8(patch).expect("sources are UTF-8")
    }

    /// As a diff that names the blob it was made of, which may be known.
    pub(crate) fn diffed(&self, has_base: bool, rebase: bool) -> Verdict {
        let blob = BlobName::of(self.base.as_bytes());
        let index = format!("index {blob}..1234567 100644\n--- ");
        let patch = self.patch().replacen("--- ", &index, 1);
        let mut options = Options::default();
        options.allow_omission = true;
        let patch = dialect::parse(patch.as_bytes(), &options).expect("it is a diff");
        let tree = self.tree(has_base);
        let lowered = patch.lower(&tree).expect("it has one file");
        let mut policy = Policy::default();
        policy.rebase = rebase;
        self.judged(&plan(&lowered.batch, &tree, &policy))
    }

    fn judged(&self, plan: &Plan) -> Verdict {
        let result = plan.changes.first().map(|change| {
            let bytes: Vec<u8> = change.chunks().flatten().copied().collect();
            String::from_utf8(bytes).expect("sources are UTF-8")
        });
        self.judge(result.as_deref())
    }
}

fn plan_of(operation: &Value, tree: &Tree, rebase: bool) -> Plan {
    let batch = json!({ "operations": [operation] }).to_string();
    let batch = batch::parse(batch.as_bytes(), &Limits::default()).expect("it is a batch");
    let mut policy = Policy::default();
    policy.rebase = rebase;
    policy.allow_omission = true;
    plan(&batch, tree, &policy)
}

/// Applies an RFC 7396 merge patch to an object.
fn merge(target: &mut Value, patch: &Value) {
    let (Some(fields), Some(into)) = (patch.as_object(), target.as_object_mut()) else {
        *target = patch.clone();
        return;
    };
    for (name, value) in fields {
        match value {
            Value::Null => {
                into.remove(name);
            }
            value => merge(into.entry(name).or_insert(json!({})), value),
        }
    }
}
