//! The manifest: what is to be done, where, and how far it is.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Fields;
use crate::error::{Code, Refusal};
use crate::path::RelPath;
use crate::placeholder::Injected;

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskStatus {
    /// Nobody has begun.
    Pending,
    /// Somebody works on it.
    InProgress,
    /// It is done.
    Complete,
    /// It cannot go on by itself.
    Blocked,
    /// One that only the orchestrator knows; the task is not open.
    Other(String),
}

impl TaskStatus {
    /// The status as the manifest and the orchestrator spell it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Complete => "complete",
            Self::Blocked => "blocked",
            Self::Other(other) => other,
        }
    }

    /// Whether work on the task may go on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Pending | Self::InProgress)
    }
}

impl From<&str> for TaskStatus {
    fn from(text: &str) -> Self {
        match text {
            "pending" => Self::Pending,
            "in_progress" => Self::InProgress,
            "complete" => Self::Complete,
            "blocked" => Self::Blocked,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TaskStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TaskStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| text.as_str().into())
    }
}

/// A piece of work at one placeholder of one file.
///
/// It keeps whatever else the orchestrator says about it, in its order and spelling.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    uuid: String,
    fields: Fields,
}

/// Says that the orchestrator has not heard of the status yet.
const UNSENT: &str = "status_unsent";

impl Task {
    /// The task's id.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The order that it belongs to.
    #[must_use]
    pub fn order_id(&self) -> Option<String> {
        self.fields.get("order_id")
    }

    /// The file that it is about, as the orchestrator spells it; empty where it names none.
    #[must_use]
    pub fn file_path(&self) -> String {
        self.fields.get("file_path").unwrap_or_default()
    }

    /// The file, where it can be one of the tree.
    ///
    /// # Errors
    /// `PATH_ESCAPE` where it cannot.
    pub fn file(&self) -> Result<RelPath, Refusal> {
        RelPath::new(self.file_path())
    }

    /// The placeholder that marks the place, without its delimiters; empty where there is none.
    #[must_use]
    pub fn placeholder(&self) -> String {
        self.fields.get("placeholder").unwrap_or_default()
    }

    /// What is to be done.
    #[must_use]
    pub fn instruction(&self) -> Option<String> {
        self.fields.get("instruction")
    }

    /// How far it is; pending where nothing is said.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        self.fields.get("status").unwrap_or(TaskStatus::Pending)
    }

    /// Whether the orchestrator has not heard of the status yet.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.fields.get(UNSENT).unwrap_or(false)
    }

    /// Sets the status, as one that the orchestrator has yet to hear of.
    pub fn set_status(&mut self, status: TaskStatus) {
        self.fields.set("status", &status);
        self.fields.set(UNSENT, &true);
    }

    /// Notes that the orchestrator has heard of the status.
    pub fn mark_sent(&mut self) {
        self.fields.remove(UNSENT);
    }

    /// Moves the task to another file.
    pub fn set_file_path(&mut self, path: &str) {
        self.fields.set("file_path", &path);
    }

    /// All members, those among them that only the orchestrator knows.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl Serialize for Task {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Task {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Fields::deserialize(deserializer)?;
        let uuid = fields
            .get::<String>("uuid")
            .filter(|uuid| !uuid.trim().is_empty())
            .ok_or_else(|| serde::de::Error::custom("a task needs a \"uuid\" that is text"))?;
        for name in ["file_path", "placeholder", "instruction", "status"] {
            let raw = fields.raw(name).unwrap_or("null");
            if raw != "null" && !raw.starts_with('"') {
                let message = format!("\"{name}\" of task {uuid} is not text");
                return Err(serde::de::Error::custom(message));
            }
        }
        Ok(Self { uuid, fields })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Task {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Task".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "A piece of work at one placeholder of one file; other members are kept",
            "required": ["uuid"],
            "properties": {
                "uuid": { "type": "string", "minLength": 1, "description": "The task's id" },
                "order_id": { "type": ["string", "null"], "description": "The order that it belongs to" },
                "file_path": { "type": ["string", "null"], "description": "The file, relative to the root" },
                "placeholder": { "type": ["string", "null"], "description": "The placeholder's name, without delimiters" },
                "instruction": { "type": ["string", "null"], "description": "What is to be done" },
                "status": { "type": ["string", "null"], "examples": ["pending", "in_progress", "complete", "blocked"] },
                "created_at": { "type": ["string", "null"], "description": "When it was made, RFC 3339" },
                "status_unsent": { "type": "boolean", "description": "Whether the orchestrator has yet to hear of the status; local" },
            },
        })
    }
}

/// The task manifest of a tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Manifest {
    tasks: Vec<Task>,
    /// Where each task is, by its id.
    places: HashMap<String, usize>,
    injected: Injected,
    /// All members but `tasks` and `injected`; `None` where the file is a bare list of tasks.
    other: Option<Fields>,
    /// The names of all members, in order.
    order: Vec<String>,
}

impl Manifest {
    /// Reads a manifest: an object with a list `tasks`, or that list alone.
    ///
    /// # Errors
    /// `INVALID_BATCH` where it is malformed, or two tasks have one id.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let invalid = |why: String| {
            Refusal::new(
                Code::InvalidBatch,
                format!(".mission_control/tasks.json: {why}"),
            )
            .in_file(".mission_control/tasks.json")
        };
        let failed = |error: serde_json::Error| invalid(error.to_string());
        let mut manifest = Self::default();
        if bytes.trim_ascii_start().starts_with(b"[") {
            manifest.tasks = serde_json::from_slice(bytes).map_err(failed)?;
        } else {
            let mut other: Fields = serde_json::from_slice(bytes).map_err(failed)?;
            manifest.order = other.names().map(str::to_owned).collect();
            if let Some(raw) = other.raw("tasks") {
                manifest.tasks = serde_json::from_str(raw).map_err(failed)?;
            }
            if let Some(raw) = other.raw("injected") {
                manifest.injected = serde_json::from_str(raw).map_err(failed)?;
            }
            other.remove("tasks");
            other.remove("injected");
            manifest.other = Some(other);
        }
        let mut seen = HashSet::new();
        match manifest.tasks.iter().find(|task| !seen.insert(&task.uuid)) {
            Some(twice) => Err(invalid(format!("two tasks have the id {}", twice.uuid))),
            None => {
                manifest.places = places(&manifest.tasks);
                Ok(manifest)
            }
        }
    }

    /// Reads a manifest that may be absent.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_or_default(bytes: Option<&[u8]>) -> Result<Self, Refusal> {
        bytes.map_or_else(|| Ok(Self::default()), Self::parse)
    }

    /// The manifest as its file holds it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let is_list = self.other.is_none() && !self.order.iter().any(|name| name == "tasks");
        let mut bytes = if is_list && self.injected.is_empty() && !self.tasks.is_empty() {
            serde_json::to_vec_pretty(&self.tasks)
        } else {
            let empty = Fields::default();
            let other = self.other.as_ref().unwrap_or(&empty);
            let mut all = Fields::default();
            let own = ["tasks", "injected"];
            let known = self.order.iter().map(String::as_str);
            for name in known.chain(
                own.iter()
                    .copied()
                    .filter(|o| !self.order.iter().any(|n| n == o)),
            ) {
                match name {
                    "tasks" => all.set(name, &self.tasks),
                    "injected" if self.injected.is_empty() => {}
                    "injected" => all.set(name, &self.injected),
                    _ => {
                        if let Some(raw) = other.raw(name) {
                            let value: Result<Box<RawValue>, _> = serde_json::from_str(raw);
                            all.set(name, &value.expect("it was read as JSON"));
                        }
                    }
                }
            }
            pretty(&all)
        }
        .expect("what was read as JSON can be written");
        bytes.push(b'\n');
        bytes
    }

    /// The tasks, in their order.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The task with this id.
    #[must_use]
    pub fn get(&self, uuid: &str) -> Option<&Task> {
        self.tasks.get(*self.places.get(uuid)?)
    }

    /// The task with this id, to change it.
    pub fn get_mut(&mut self, uuid: &str) -> Option<&mut Task> {
        self.tasks.get_mut(*self.places.get(uuid)?)
    }

    /// The task with this id, or a refusal that lists some others.
    ///
    /// # Errors
    /// `TASK_UNKNOWN`.
    pub fn require(&self, uuid: &str) -> Result<&Task, Refusal> {
        self.get(uuid).ok_or_else(|| {
            let message = format!("no task {uuid:?} in .mission_control/tasks.json");
            let mut refusal = Refusal::new(Code::TaskUnknown, message);
            let alike = |task: &&Task| {
                let start: String = uuid.chars().take(4).collect();
                task.uuid.starts_with(&start)
            };
            for task in self.tasks.iter().filter(alike).take(3) {
                refusal = refusal.with_candidate(None, task.uuid.as_bytes());
            }
            refusal
        })
    }

    /// What was injected so far.
    #[must_use]
    pub fn injected(&self) -> &Injected {
        &self.injected
    }

    /// Notes what was injected; whether that is new.
    pub fn add_injected(&mut self, injected: Injected) -> bool {
        self.injected.merge(injected)
    }

    /// The order that the manifest was pulled for.
    #[must_use]
    pub fn order_id(&self) -> Option<String> {
        self.other.as_ref()?.get("order_id")
    }

    /// Takes over the tasks of an order as the orchestrator gave them. A status that it has not
    /// heard of survives, and so do the tasks of other orders, in front.
    pub fn take_over(&mut self, order_id: &str, mut tasks: Vec<Task>) {
        let other = self.other.get_or_insert_default();
        other.set("order_id", &order_id);
        if !self.order.iter().any(|name| name == "order_id") {
            self.order.insert(0, "order_id".to_owned());
        }
        for task in &mut tasks {
            if let Some(local) = self.get(&task.uuid) {
                if local.is_unsent() {
                    task.set_status(local.status());
                }
                // A path that a remediation gave stands until the orchestrator gives another.
                if let Some(from) = local.fields.get::<String>(PATH_FROM)
                    && from == task.file_path()
                {
                    task.set_file_path(&local.file_path());
                    task.fields.set(PATH_FROM, &from);
                }
            }
        }
        let new: HashSet<&str> = tasks.iter().map(|task| task.uuid.as_str()).collect();
        let is_kept = |task: &Task| {
            let of_order = task.order_id().is_none_or(|id| id == order_id);
            !of_order && !new.contains(task.uuid.as_str())
        };
        let mut all: Vec<Task> = self
            .tasks
            .iter()
            .filter(|task| is_kept(task))
            .cloned()
            .collect();
        all.append(&mut tasks);
        self.places = places(&all);
        self.tasks = all;
    }
}

/// Where each task is; the first one where an id is given twice.
fn places(tasks: &[Task]) -> HashMap<String, usize> {
    let mut places = HashMap::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        places.entry(task.uuid.clone()).or_insert(index);
    }
    places
}

/// The path that the orchestrator gave before it remedied it.
const PATH_FROM: &str = "file_path_was";

impl Task {
    /// Moves the task to the file that a remediation names; pulling the tasks again keeps it there
    /// until the orchestrator itself names another than before.
    pub fn remedy_file_path(&mut self, path: &str) {
        let was = self.file_path();
        if self.fields.raw(PATH_FROM).is_none() {
            self.fields.set(PATH_FROM, &was);
        }
        self.set_file_path(path);
    }
}

/// Pretty JSON: raw values are written as they were read, so they are laid out again here where
/// they are ours.
fn pretty(fields: &Fields) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = String::from("{");
    for (index, name) in fields.names().enumerate() {
        text.push_str(if index == 0 { "\n  " } else { ",\n  " });
        text.push_str(&serde_json::to_string(name)?);
        text.push_str(": ");
        let raw = fields.raw(name).unwrap_or("null");
        if name == "tasks" {
            let tasks: Vec<Fields> = serde_json::from_str(raw)?;
            text.push('[');
            for (index, task) in tasks.iter().enumerate() {
                text.push_str(if index == 0 { "\n    {" } else { ",\n    {" });
                for (index, name) in task.names().enumerate() {
                    text.push_str(if index == 0 { "\n      " } else { ",\n      " });
                    text.push_str(&serde_json::to_string(name)?);
                    text.push_str(": ");
                    text.push_str(task.raw(name).unwrap_or("null"));
                }
                text.push_str("\n    }");
            }
            text.push_str(if tasks.is_empty() { "]" } else { "\n  ]" });
        } else {
            text.push_str(raw);
        }
    }
    text.push_str("\n}");
    Ok(text.into_bytes())
}
