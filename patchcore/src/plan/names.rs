//! Which files the operations of a batch in original coordinates speak of, and what becomes of
//! their names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::anchor::{Edge, Located, Resolver};
use crate::digest::Digest;
use crate::error::{Code, Hint, Refusal};
use crate::operation::{Action, Guard, Operation};
use crate::path::RelPath;
use crate::text::Text;

use super::growth::Terms;
use super::tree::{Holds, Obstacle};
use super::{Entry, Policy, Source, Tree};

/// A file that exists before the batch or comes into being by it.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// Where it stands before, if it does.
    pub(super) old: Option<RelPath>,
    /// What it starts from: its bytes before, or those of the file that it copies.
    pub(super) source: Option<Arc<Source>>,
    /// For a copy, the path that it copies.
    pub(super) copied_from: Option<RelPath>,
    /// Where it stands afterwards.
    pub(super) path: RelPath,
    /// Whether it is a symbolic link.
    pub(super) link: bool,
    /// The operation that makes it, with its content.
    pub(super) created: Option<(usize, &'a [u8])>,
    /// The operation that deletes it.
    pub(super) deleted: Option<usize>,
    /// The operation that renames it.
    pub(super) renamed: Option<usize>,
    /// The operation that sets its mode, and the mode.
    pub(super) mode: Option<(usize, bool)>,
    /// The operations on its content, in batch order.
    pub(super) content: Vec<usize>,
}

impl Node<'_> {
    /// The name that operations on its content give it: the one before the batch, if there is one.
    pub(super) fn named(&self) -> &RelPath {
        self.old.as_ref().unwrap_or(&self.path)
    }
}

/// The files of a batch, and what can be said of operations by names alone.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// Operations that are settled already: refused, or with nothing to do.
    pub(super) settled: HashMap<usize, Result<(), Arc<Refusal>>>,
    /// What verdicts say of operations with nothing to do.
    pub(super) notes: Vec<(usize, String)>,
    /// Operations that put a file in the place of one that no operation takes away, with its path.
    pub(super) replacing: Vec<(usize, RelPath)>,
}

/// Resolves the names of all operations. `refused` are those that are out for other reasons.
pub(super) fn resolve<'a>(
    operations: &'a [Operation],
    tree: &Tree,
    terms: &Terms<'_>,
    refused: HashMap<usize, Arc<Refusal>>,
) -> Names<'a> {
    let settled = refused
        .into_iter()
        .map(|(index, refusal)| (index, Err(refusal)))
        .collect();
    let files = operations.len().min(tree.len());
    let names = Names {
        nodes: Vec::with_capacity(files),
        settled,
        notes: Vec::new(),
        replacing: Vec::new(),
    };
    let mut naming = Naming {
        operations,
        tree,
        terms,
        copied: HashSet::new(),
        names,
        old: HashMap::with_capacity(files),
        new: HashMap::new(),
    };
    naming.run();
    naming.names
}

struct Naming<'a, 't> {
    operations: &'a [Operation],
    tree: &'t Tree,
    terms: &'t Terms<'t>,
    /// The files that were copied.
    copied: HashSet<&'a RelPath>,
    names: Names<'a>,
    /// Nodes by their path before the batch.
    old: HashMap<RelPath, usize>,
    /// Nodes by the path at which the batch puts them.
    new: HashMap<RelPath, usize>,
}

impl<'a> Naming<'a, '_> {
    fn run(&mut self) {
        // What goes away first, so that its name is free for what comes.
        self.each(|naming, index, operation| match &operation.action {
            Action::DeleteFile { .. } => naming.delete(index, operation),
            Action::RenameFile { to } => naming.rename(index, operation, to),
            _ => Ok(true),
        });
        self.each(|naming, index, operation| match &operation.action {
            Action::CreateFile {
                content,
                executable,
            } => naming.create(index, operation, content, *executable),
            Action::CopyFile { to } => naming.copy(index, operation, to),
            Action::RenameFile { to } => naming.arrive(index, operation, to),
            _ => Ok(true),
        });
        self.each(|naming, index, operation| match &operation.action {
            Action::CreateFile { .. }
            | Action::DeleteFile { .. }
            | Action::RenameFile { .. }
            | Action::CopyFile { .. } => Ok(true),
            _ => naming.touch(index, operation),
        });
    }

    /// Calls `step` for each operation that is not settled; it tells whether there is work left.
    fn each(
        &mut self,
        mut step: impl FnMut(&mut Self, usize, &'a Operation) -> Result<bool, Refusal>,
    ) {
        for (index, operation) in self.operations.iter().enumerate() {
            if self.names.settled.contains_key(&index) {
                continue;
            }
            match step(self, index, operation) {
                Ok(true) => {}
                Ok(false) => {
                    self.names.settled.insert(index, Ok(()));
                }
                Err(refusal) => {
                    self.names.settled.insert(index, Err(refusal.into()));
                }
            }
        }
    }

    /// What an operation finds at its file's path in the old tree.
    fn source(&self, operation: &Operation) -> Result<Option<&Arc<Source>>, Refusal> {
        let path = &operation.file;
        match (self.tree.get(path), self.tree.link(path)) {
            (Entry::File(source), _) => Ok(Some(source)),
            (_, Some(link)) if operation.link => Ok(Some(link)),
            (Entry::Refused(refusal), _) => Err((**refusal).clone()),
            (Entry::Absent, _) => Ok(None),
        }
    }

    /// The node of an operation's file in the old tree.
    fn existing(&mut self, operation: &Operation) -> Result<Option<usize>, Refusal> {
        let path = &operation.file;
        // Operations of one file mostly follow each other.
        let nodes = &self.names.nodes;
        let known = match nodes.last() {
            Some(last) if last.old.as_ref() == Some(path) => Some(nodes.len() - 1),
            _ => self.old.get(path).copied(),
        };
        if let Some(node) = known
            && (operation.link || !self.names.nodes[node].link)
        {
            return Ok(Some(node));
        }
        let Some(source) = self.source(operation)?.cloned() else {
            return Ok(None);
        };
        Ok(Some(match known {
            Some(_) => self.node(path, source),
            None => self.add(path, source),
        }))
    }

    /// The node of what stands at a path in the old tree, which may be there already.
    fn node(&mut self, path: &RelPath, source: Arc<Source>) -> usize {
        if let Some(&known) = self.old.get(path)
            && self.names.nodes[known].link == source.is_link()
        {
            return known;
        }
        self.add(path, source)
    }

    fn add(&mut self, path: &RelPath, source: Arc<Source>) -> usize {
        self.old.insert(path.clone(), self.names.nodes.len());
        self.names.nodes.push(Node {
            old: Some(path.clone()),
            link: source.is_link(),
            source: Some(source),
            copied_from: None,
            path: path.clone(),
            created: None,
            deleted: None,
            renamed: None,
            mode: None,
            content: Vec::new(),
        });
        self.names.nodes.len() - 1
    }

    fn delete(&mut self, index: usize, operation: &Operation) -> Result<bool, Refusal> {
        let Some(node) = self.existing(operation)? else {
            let note = has_gone(operation, self.tree)?;
            self.names.notes.push((index, note));
            return Ok(false);
        };
        if let Some(source) = &self.names.nodes[node].source {
            check_deletion(operation, source, self.terms.policy)?;
        }
        if let Some(first) = self.names.nodes[node].deleted {
            return if same_guard(&self.operations[first], operation) {
                Ok(false)
            } else {
                Err(overlap(first, index, "delete", &operation.file))
            };
        }
        if let Some(first) = self.names.nodes[node].renamed {
            return Err(overlap(first, index, "rename and delete", &operation.file));
        }
        self.names.nodes[node].deleted = Some(index);
        Ok(true)
    }

    fn rename(
        &mut self,
        index: usize,
        operation: &Operation,
        to: &RelPath,
    ) -> Result<bool, Refusal> {
        if operation.file == *to {
            let there = self.existing(operation)?;
            return there
                .map(|_| false)
                .ok_or_else(|| not_found(&operation.file));
        }
        let Some(node) = self.existing(operation)? else {
            let there = match self.tree.get(to) {
                Entry::File(there) => Some(there.digest()),
                _ => None,
            };
            let note = has_moved(operation, to, there, self.tree)?;
            self.names.notes.push((index, note));
            return Ok(false);
        };
        if let (Some(base), Some(source)) = (operation.base, &self.names.nodes[node].source)
            && base != source.digest()
        {
            return Err(changed(&operation.file, source.digest()));
        }
        let node = &mut self.names.nodes[node];
        if let Some(first) = node.deleted {
            return Err(overlap(first, index, "delete and rename", &operation.file));
        }
        if let Some(first) = node.renamed {
            return if node.path == *to {
                Ok(false)
            } else {
                Err(overlap(first, index, "rename", &operation.file))
            };
        }
        node.renamed = Some(index);
        node.path = to.clone();
        Ok(true)
    }

    /// Makes a path free for the file that an operation puts there, once the batch is through with
    /// what stands there.
    fn make_free(&mut self, index: usize, path: &RelPath) -> Result<(), Refusal> {
        match self.tree.get(path) {
            _ if self.leaves(path) => Ok(()),
            Entry::Absent => Ok(()),
            Entry::Refused(_) if self.is_cleared(path) => Ok(()),
            Entry::Refused(refusal) => Err((**refusal).clone()),
            Entry::File(source) if self.terms.policy.overwrite => {
                let source = Arc::clone(source);
                let node = self.node(path, source);
                self.names.nodes[node].deleted = Some(index);
                self.names.replacing.push((index, path.clone()));
                Ok(())
            }
            Entry::File(_) => Err(exists(path)),
        }
    }

    /// Whether the batch takes away what stands at a path.
    fn leaves(&self, path: &RelPath) -> bool {
        self.old.get(path).is_some_and(|&node| {
            let node = &self.names.nodes[node];
            node.deleted.is_some() || node.renamed.is_some()
        })
    }

    /// Whether the batch takes away what is in a file's way at a path: the file above it, or all
    /// that is in the directory that stands there.
    fn is_cleared(&self, path: &RelPath) -> bool {
        match self.tree.obstacle(path) {
            None => false,
            Some(Obstacle::File(above)) => self.leaves(above),
            Some(Obstacle::Directory(Holds::Others)) => false,
            Some(Obstacle::Directory(Holds::Loaded)) => {
                self.tree.below(path).all(|known| self.leaves(known))
            }
        }
    }

    fn create(
        &mut self,
        index: usize,
        operation: &'a Operation,
        content: &'a [u8],
        executable: bool,
    ) -> Result<bool, Refusal> {
        let path = &operation.file;
        if let Some(&node) = self.new.get(path) {
            let node = &self.names.nodes[node];
            let same = node.created.is_some_and(|(_, other)| other == content)
                && node.mode.is_some_and(|(_, other)| other == executable)
                && node.link == operation.link;
            return match (same, maker(node)) {
                (true, _) => Ok(false),
                (false, first) => Err(overlap(first, index, "create", path)),
            };
        }
        let identical = self.tree.standing(path).is_some_and(|file| {
            file.bytes() == content
                && file.executable() == executable
                && file.is_link() == operation.link
        });
        if identical && !self.leaves(path) {
            return Ok(false);
        }
        self.make_free(index, path)?;
        self.new.insert(path.clone(), self.names.nodes.len());
        self.names.nodes.push(Node {
            old: None,
            source: None,
            copied_from: None,
            path: path.clone(),
            link: operation.link,
            created: Some((index, content)),
            deleted: None,
            renamed: None,
            mode: Some((index, executable)),
            content: Vec::new(),
        });
        Ok(true)
    }

    fn copy(
        &mut self,
        index: usize,
        operation: &'a Operation,
        to: &RelPath,
    ) -> Result<bool, Refusal> {
        let from = &operation.file;
        let source = self.source(operation)?.ok_or_else(|| not_found(from))?;
        let source = Arc::clone(source);
        if operation.base.is_some_and(|base| base != source.digest()) {
            return Err(changed(from, source.digest()));
        }
        if let Some(&node) = self.new.get(to) {
            let node = &self.names.nodes[node];
            return if node.copied_from.as_ref() == Some(from) {
                Ok(false)
            } else {
                Err(overlap(maker(node), index, "create", to))
            };
        }
        self.make_free(index, to)?;
        if !self.copied.insert(from) {
            self.terms
                .growth
                .grow(index, from, source.bytes().len() as u64)?;
        }
        self.new.insert(to.clone(), self.names.nodes.len());
        self.names.nodes.push(Node {
            old: None,
            mode: Some((index, source.executable())),
            link: source.is_link(),
            source: Some(source),
            copied_from: Some(from.clone()),
            path: to.clone(),
            created: Some((index, &[])),
            deleted: None,
            renamed: None,
            content: Vec::new(),
        });
        Ok(true)
    }

    /// A renamed file takes its new place.
    fn arrive(
        &mut self,
        index: usize,
        operation: &Operation,
        to: &RelPath,
    ) -> Result<bool, Refusal> {
        let Some(&node) = self.old.get(&operation.file) else {
            return Ok(false);
        };
        let taken = match self.new.get(to) {
            Some(&other) => Err(overlap(
                maker(&self.names.nodes[other]),
                index,
                "create",
                to,
            )),
            None => self.make_free(index, to),
        };
        if let Err(refusal) = taken {
            self.names.nodes[node].path = operation.file.clone();
            self.names.nodes[node].renamed = None;
            return Err(refusal);
        }
        self.new.insert(to.clone(), node);
        Ok(true)
    }

    /// Finds the file of an operation on content or mode.
    fn touch(&mut self, index: usize, operation: &Operation) -> Result<bool, Refusal> {
        let path = &operation.file;
        let node = match self.existing(operation) {
            Ok(Some(node)) => node,
            Ok(None) => *self.new.get(path).ok_or_else(|| not_found(path))?,
            Err(refusal) => return Err(refusal),
        };
        if let Some(first) = self.names.nodes[node].deleted {
            return Err(overlap(first, index, "delete and edit", path));
        }
        let Action::SetMode { executable } = operation.action else {
            self.names.nodes[node].content.push(index);
            return Ok(true);
        };
        if self.names.nodes[node].link {
            let message = format!("{path} is a symbolic link, which has no mode of its own");
            return Err(Refusal::new(Code::Symlink, message).in_file(path));
        }
        if let (Some(base), Some(source)) = (operation.base, &self.names.nodes[node].source)
            && base != source.digest()
        {
            return Err(changed(path, source.digest()));
        }
        let node = &mut self.names.nodes[node];
        let current = match (node.mode, &node.source) {
            (Some((first, mode)), _) if node.created.is_none() && mode != executable => {
                return Err(overlap(first, index, "set the mode of", path));
            }
            (Some((_, mode)), _) => mode,
            (None, source) => source.as_ref().is_some_and(|source| source.executable()),
        };
        if current == executable {
            return Ok(false);
        }
        node.mode = Some((index, executable));
        Ok(true)
    }
}

/// The operation that puts a node at its new path.
fn maker(node: &Node<'_>) -> usize {
    node.created
        .map(|(index, _)| index)
        .or(node.renamed)
        .unwrap_or(0)
}

/// Checks the guard of a deletion: the file's hash, or all of its lines.
pub(super) fn check_deletion(
    operation: &Operation,
    source: &Source,
    policy: &Policy,
) -> Result<(), Refusal> {
    let path = &operation.file;
    if let Some(base) = operation.base {
        return if base == source.digest() {
            Ok(())
        } else {
            Err(changed(path, source.digest()))
        };
    }
    let Action::DeleteFile {
        expect: Some(expect),
    } = &operation.action
    else {
        if policy.allow_unguarded || operation.guardless {
            return Ok(());
        }
        let by_hash = || format!("send its hash as \"base\": {}", source.digest());
        let to_guard = operation.reading.to_guard.clone().unwrap_or_else(by_hash);
        return Err(Refusal::new(
            Code::Unguarded,
            format!("{path} is deleted without a guard; {to_guard}"),
        )
        .with_hint(Hint::AllowUnguarded)
        .in_file(path)
        .with_found(source.bytes()));
    };
    let text = Text::new(source.bytes());
    let span = text.bom_len()..source.bytes().len();
    let all = Located {
        span,
        first: 0,
        count: text.line_count(),
    };
    let guard = Guard {
        expect: Some(expect.clone()),
        ..Guard::default()
    };
    Resolver::new(path, &text, []).check(&guard, &all, Edge::Whole)
}

/// What the verdict on a deletion says whose file is not there before the batch: that it has
/// happened is believed of a file of which the sender names the text, or as the log shows it.
///
/// # Errors
/// `FILE_NOT_FOUND` where nothing says that there ever was such a file.
pub(super) fn has_gone(operation: &Operation, tree: &Tree) -> Result<String, Refusal> {
    let path = &operation.file;
    let is_known = operation.base.is_some()
        || matches!(operation.action, Action::DeleteFile { expect: Some(_) })
        || tree.has_gone(path, None);
    match is_known {
        true => Ok(format!("{path} is not there, nothing is left to delete")),
        false => Err(not_found(path)),
    }
}

/// What the verdict on a rename says whose file is not there before the batch, where a file with
/// this hash stands at the new path: that it has happened is believed of the file that the sender
/// means by its hash, or as the log shows it.
///
/// # Errors
/// `FILE_NOT_FOUND` where nothing says that the one file became the other.
pub(super) fn has_moved(
    operation: &Operation,
    to: &RelPath,
    there: Option<Digest>,
    tree: &Tree,
) -> Result<String, Refusal> {
    let path = &operation.file;
    let is_it = match operation.base {
        Some(base) => there == Some(base),
        None => there.is_some() && tree.has_gone(path, Some(to)),
    };
    match is_it {
        true => Ok(format!(
            "{path} is not there, and its file is at {to} already"
        )),
        false => Err(not_found(path)),
    }
}

fn same_guard(one: &Operation, other: &Operation) -> bool {
    match (&one.action, &other.action) {
        (Action::DeleteFile { expect: a }, Action::DeleteFile { expect: b }) => {
            a == b && one.base == other.base
        }
        _ => false,
    }
}

fn overlap(first: usize, second: usize, what: &str, path: &RelPath) -> Refusal {
    let (first, second) = (first.min(second), first.max(second));
    Refusal::new(
        Code::Overlap,
        format!("operations {first} and {second} both {what} {path}; send one of them"),
    )
    .in_file(path)
}

/// The refusal of a file that would be put onto one that stays.
pub(super) fn exists(path: &RelPath) -> Refusal {
    Refusal::new(
        Code::FileExists,
        format!("{path} exists already; delete or rename it in the same batch, or edit it"),
    )
    .in_file(path)
    .with_hint(Hint::Overwrite)
}

pub(crate) fn not_found(path: &RelPath) -> Refusal {
    Refusal::new(
        Code::FileNotFound,
        format!("{path} does not exist; check its name"),
    )
    .in_file(path)
}

/// The refusal of an operation that was made for a file with another hash than this.
pub(super) fn changed(path: &RelPath, digest: Digest) -> Refusal {
    Refusal::new(
        Code::BaseMismatch,
        format!("{path} has changed since the batch was made: its hash is {digest}; read it again"),
    )
    .in_file(path)
}
