//! What the log says in numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use patchcore::event::{EventKind, PatchEvent};
use serde::Serialize;

/// Most files that a report names.
const MAX_FILES: usize = 1000;

/// What batches and operations came to.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Tally {
    batches: u64,
    operations: u64,
    applied: u64,
    skipped: u64,
    refused: u64,
    rolled_back: u64,
    undone: u64,
    lines_added: u64,
    lines_removed: u64,
}

impl Tally {
    fn add(&mut self, event: &PatchEvent) {
        if event.operation.is_none() {
            self.batches += 1;
            return;
        }
        self.operations += 1;
        match event.event {
            EventKind::PatchApplied => self.applied += 1,
            EventKind::PatchSkipped => self.skipped += 1,
            EventKind::PatchRefused => self.refused += 1,
            EventKind::PatchRolledBack => self.rolled_back += 1,
            EventKind::PatchUndone => self.undone += 1,
            _ => {}
        }
        if matches!(
            event.event,
            EventKind::PatchApplied | EventKind::PatchUndone
        ) {
            self.lines_added += event.lines_added as u64;
            self.lines_removed += event.lines_removed as u64;
        }
    }
}

/// The whole log.
#[derive(Debug, Default, Serialize)]
pub(super) struct Statistics {
    total: Tally,
    by_day: BTreeMap<String, Tally>,
    by_factory: BTreeMap<String, Tally>,
    by_operation: BTreeMap<String, Tally>,
    /// Operations by outcome.
    by_outcome: BTreeMap<String, u64>,
    /// Refusals by code.
    by_error: BTreeMap<String, u64>,
}

impl Statistics {
    pub(super) fn add(&mut self, event: &PatchEvent) {
        self.total.add(event);
        let day = event.at.get(..10).unwrap_or_default().to_owned();
        self.by_day.entry(day).or_default().add(event);
        if let Some(factory) = &event.labels.factory {
            self.by_factory
                .entry(factory.clone())
                .or_default()
                .add(event);
        }
        if let Some(operation) = &event.operation {
            self.by_operation
                .entry(operation.op.clone())
                .or_default()
                .add(event);
        }
        if let Some(outcome) = event.outcome.and_then(|o| serde_json::to_value(o).ok()) {
            let outcome = outcome.as_str().unwrap_or_default().to_owned();
            *self.by_outcome.entry(outcome).or_default() += 1;
        }
        if let Some(refusal) = &event.refusal {
            *self.by_error.entry(refusal.code.to_string()).or_default() += 1;
        }
    }
}

/// By what a trend is grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Group {
    /// The ISO week.
    Week,
    Phase,
    Order,
}

/// How work went on, group by group.
#[derive(Debug, Default, Serialize)]
pub(super) struct Trends {
    groups: BTreeMap<String, Tally>,
}

impl Trends {
    pub(super) fn add(&mut self, event: &PatchEvent, group: Group) {
        let key = match group {
            Group::Week => week(&event.at),
            Group::Phase => event.labels.phase.clone(),
            Group::Order => event.labels.order_id.clone(),
        };
        // What has no label is a group, too.
        self.groups
            .entry(key.unwrap_or_default())
            .or_default()
            .add(event);
    }
}

fn week(at: &str) -> Option<String> {
    let day: jiff::civil::Date = at.get(..10)?.parse().ok()?;
    let week = day.iso_week_date();
    Some(format!("{}-W{:02}", week.year(), week.week()))
}

/// What was done for one order.
#[derive(Debug, Serialize)]
pub(super) struct OrderReport {
    order_id: String,
    first_at: Option<String>,
    last_at: Option<String>,
    total: Tally,
    by_task: BTreeMap<String, Tally>,
    by_error: BTreeMap<String, u64>,
    files: BTreeSet<String>,
    /// Files beyond the first thousand.
    files_left_out: u64,
}

impl OrderReport {
    pub(super) fn new(order_id: &str) -> Self {
        Self {
            order_id: order_id.to_owned(),
            first_at: None,
            last_at: None,
            total: Tally::default(),
            by_task: BTreeMap::new(),
            by_error: BTreeMap::new(),
            files: BTreeSet::new(),
            files_left_out: 0,
        }
    }

    /// Events come newest first.
    pub(super) fn add(&mut self, event: &PatchEvent) {
        self.total.add(event);
        self.first_at = Some(event.at.clone());
        self.last_at.get_or_insert_with(|| event.at.clone());
        if let Some(task) = &event.labels.task_id {
            self.by_task.entry(task.clone()).or_default().add(event);
        }
        if let Some(refusal) = &event.refusal {
            *self.by_error.entry(refusal.code.to_string()).or_default() += 1;
        }
        if let (Some(file), EventKind::PatchApplied) = (&event.file, event.event)
            && !self.files.contains(file)
        {
            if self.files.len() < MAX_FILES {
                self.files.insert(file.clone());
            } else {
                self.files_left_out += 1;
            }
        }
    }

    /// Whether the log knows the order.
    pub(super) fn is_empty(&self) -> bool {
        self.first_at.is_none()
    }

    /// The same for people.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# Order {}\n\n", plain(&self.order_id));
        if let (Some(first), Some(last)) = (&self.first_at, &self.last_at) {
            let _ = writeln!(text, "From {first} to {last}.\n");
        }
        let _ = writeln!(
            text,
            "| task | batches | operations | applied | refused | lines |\n|---|---|---|---|---|---|"
        );
        let mut row = |name: &str, tally: &Tally| {
            let Tally {
                batches,
                operations,
                applied,
                refused,
                lines_added,
                lines_removed,
                ..
            } = tally;
            let _ = writeln!(
                text,
                "| {name} | {batches} | {operations} | {applied} | {refused} | +{lines_added} −{lines_removed} |"
            );
        };
        for (task, tally) in &self.by_task {
            row(&plain(task), tally);
        }
        row("all", &self.total);
        if !self.by_error.is_empty() {
            let _ = writeln!(text, "\n## Refusals\n");
            for (code, n) in &self.by_error {
                let _ = writeln!(text, "- {code}: {n}");
            }
        }
        if !self.files.is_empty() {
            let _ = writeln!(text, "\n## Files\n");
            for file in &self.files {
                let _ = writeln!(text, "- {}", plain(file));
            }
        }
        if self.files_left_out > 0 {
            let _ = writeln!(text, "- and {} more", self.files_left_out);
        }
        text
    }
}

/// Text that is nothing but text in Markdown.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in crate::report::printable(text)
        .replace(['\n', '\t'], " ")
        .chars()
    {
        if c.is_ascii_punctuation() {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r42_names_are_text_in_markdown() {
        assert_eq!(plain("<b>|`x`\u{1b}"), "\\<b\\>\\|\\`x\\`\\\\x1b");
        assert_eq!(plain("a\nb"), "a b");
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        assert_eq!(week("2027-01-01T00:00:00Z").as_deref(), Some("2026-W53"));
        assert_eq!(week("2026-01-05T00:00:00Z").as_deref(), Some("2026-W02"));
        assert_eq!(week("soon"), None);
    }
}
