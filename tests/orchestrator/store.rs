//! What the orchestrator remembers.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

/// The database.
pub(super) struct Store(Connection);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tasks(
  seq INTEGER PRIMARY KEY, uuid TEXT UNIQUE NOT NULL, order_id TEXT NOT NULL,
  file_path TEXT NOT NULL, placeholder TEXT NOT NULL, instruction TEXT NOT NULL,
  status TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events(
  seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, body TEXT NOT NULL, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS operations(seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS errors(seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS remediations(about TEXT PRIMARY KEY, body TEXT NOT NULL);
";

impl Store {
    pub(super) fn open(path: Option<&Path>) -> rusqlite::Result<Self> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.execute_batch(SCHEMA)?;
        Ok(Self(connection))
    }

    pub(super) fn add_task(
        &self,
        order: &str,
        file: &str,
        placeholder: &str,
        text: &str,
    ) -> String {
        let uuid = uuid::Uuid::now_v7().to_string();
        self.0
            .execute(
                "INSERT INTO tasks(uuid, order_id, file_path, placeholder, instruction, status, created_at)
                 VALUES (?, ?, ?, ?, ?, 'pending', ?)",
                params![uuid, order, file, placeholder, text, jiff::Timestamp::now().to_string()],
            )
            .expect("the task is new");
        uuid
    }

    pub(super) fn task(&self, uuid: &str) -> Option<Value> {
        self.tasks("uuid", uuid).pop()
    }

    pub(super) fn tasks_of(&self, order: &str) -> Vec<Value> {
        self.tasks("order_id", order)
    }

    fn tasks(&self, column: &str, value: &str) -> Vec<Value> {
        let query = format!(
            "SELECT uuid, order_id, file_path, placeholder, instruction, status, created_at
             FROM tasks WHERE {column} = ? ORDER BY seq"
        );
        let mut statement = self.0.prepare(&query).expect("the query is right");
        let rows = statement
            .query_map([value], |row| {
                Ok(json!({
                    "uuid": row.get::<_, String>(0)?, "order_id": row.get::<_, String>(1)?,
                    "file_path": row.get::<_, String>(2)?, "placeholder": row.get::<_, String>(3)?,
                    "instruction": row.get::<_, String>(4)?, "status": row.get::<_, String>(5)?,
                    "created_at": row.get::<_, String>(6)?,
                    // A field that clients do not know and must keep.
                    "priority": { "level": 3, "by": "orchestrator" },
                }))
            })
            .expect("the query runs");
        rows.map(|row| row.expect("the row is a task")).collect()
    }

    pub(super) fn set_status(&self, uuid: &str, status: &str) -> bool {
        self.change(
            "UPDATE tasks SET status = ?2 WHERE uuid = ?1",
            &[uuid, status],
        ) == 1
    }

    /// Takes an event in; false where its id was known, and then nothing happens.
    pub(super) fn add_event(&self, id: &str, body: &Value) -> bool {
        let query = "INSERT INTO events(id, body, times) VALUES (?1, ?2, 1)
                     ON CONFLICT(id) DO UPDATE SET times = times + 1 RETURNING times";
        let times: i64 = self
            .0
            .query_row(query, [id, &body.to_string()], |row| row.get(0))
            .expect("the event is stored");
        times == 1
    }

    pub(super) fn add_operation(&self, body: &Value) {
        self.change(
            "INSERT INTO operations(body) VALUES (?)",
            &[&body.to_string()],
        );
    }

    pub(super) fn add_error(&self, body: &Value) {
        self.change("INSERT INTO errors(body) VALUES (?)", &[&body.to_string()]);
    }

    pub(super) fn set_remediation(&self, about: &str, body: &Value) {
        let query = "INSERT OR REPLACE INTO remediations(about, body) VALUES (?, ?)";
        self.change(query, &[about, &body.to_string()]);
    }

    pub(super) fn remediation(&self, about: &str) -> Option<Value> {
        let query = "SELECT body FROM remediations WHERE about = ?";
        let body: Option<String> = self
            .0
            .query_row(query, [about], |row| row.get(0))
            .optional()
            .expect("the query runs");
        body.map(|body| serde_json::from_str(&body).expect("it was JSON"))
    }

    /// Rows of one column that holds JSON.
    pub(super) fn rows(&self, query: &str) -> Vec<Value> {
        let mut statement = self.0.prepare(query).expect("the query is right");
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .expect("the query runs");
        rows.map(|row| serde_json::from_str(&row.expect("it is text")).expect("it is JSON"))
            .collect()
    }

    fn change(&self, query: &str, values: &[&str]) -> usize {
        let values = rusqlite::params_from_iter(values);
        self.0.execute(query, values).expect("the change is made")
    }
}
