//! Seals of rows: what somebody else put into the database is set aside, and never acted on.
//!
//! Temporary triggers seal each row that this connection writes, by the key of the workspace and
//! over all columns. Temporary views, `sealed_` and the name of the table, show the rows whose
//! seal is right; everything that is read is read from them.

use patchcore::workspace::Key;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

/// What the seals of the store are for.
const PURPOSE: &str = "outbox";

/// A table: its name, what identifies a row, and the other columns.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
    columns: &'static [&'static str],
}

const TABLES: [Table; 6] = [
    Table {
        name: "lanes",
        key: &["seq"],
        columns: &[
            "kind",
            "transaction_id",
            "total",
            "position",
            "attempts",
            "next_try",
            "solo_until",
            "frozen_id",
            "frozen_until",
            "frozen",
            "bytes",
            "class",
            "last_error",
        ],
    },
    Table {
        name: "bodies",
        key: &["lane", "position"],
        columns: &["id", "body"],
    },
    Table {
        name: "answers",
        key: &["seq"],
        columns: &["id", "body"],
    },
    Table {
        name: "dead",
        key: &["seq"],
        columns: &[
            "id",
            "kind",
            "transaction_id",
            "position",
            "body",
            "reason",
            "attempts",
            "at",
        ],
    },
    Table {
        name: "endpoint",
        key: &["url"],
        columns: &[
            "failures",
            "next_try",
            "stopped",
            "last_error",
            "last_success",
        ],
    },
    Table {
        name: "counts",
        key: &["name"],
        columns: &["value"],
    },
];

impl Table {
    /// The columns that are sealed, as SQL names them in a row.
    fn all(&self, row: &str) -> String {
        let all = self.key.iter().chain(self.columns);
        let all: Vec<String> = all.map(|column| format!("{row}{column}")).collect();
        all.join(", ")
    }

    /// The seal of a row, as SQL.
    fn seal(&self, row: &str) -> String {
        format!("seal_of('{}', {})", self.name, self.all(row))
    }

    fn views_and_triggers(&self) -> String {
        let Self { name, columns, .. } = self;
        let (own, old, new) = (self.seal(""), self.seal("old."), self.seal("new."));
        let same: Vec<String> = self
            .key
            .iter()
            .map(|key| format!("{key} = new.{key}"))
            .collect();
        let update = format!(
            "UPDATE {name} SET seal = {new} WHERE {};",
            same.join(" AND ")
        );
        let columns = columns.join(", ");
        // A row that was not sealed does not get a seal because something in it is changed.
        format!(
            "CREATE TEMP VIEW sealed_{name} AS SELECT * FROM main.{name} WHERE seal IS {own};
             CREATE TEMP TRIGGER seal_new_{name} AFTER INSERT ON main.{name} BEGIN {update} END;
             CREATE TEMP TRIGGER seal_changed_{name} AFTER UPDATE OF {columns} ON main.{name}
             WHEN old.seal IS {old} BEGIN {update} END;"
        )
    }
}

/// Makes a connection seal what it writes, and know what is sealed.
pub(super) fn install(db: &Connection, key: &Key) -> rusqlite::Result<()> {
    // Nothing that the database itself holds may call it.
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    let key = key.clone();
    db.create_scalar_function("seal_of", -1, flags, move |context| {
        let parts: Vec<Vec<u8>> = (0..context.len())
            .map(|index| encode(context.get_raw(index)))
            .collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Ok(key.seal(PURPOSE, &parts).to_string())
    })?;
    for table in &TABLES {
        db.execute_batch(&table.views_and_triggers())?;
    }
    Ok(())
}

/// A value with its type: neither the number 1 nor the text "1" is sealed as the other.
fn encode(value: ValueRef<'_>) -> Vec<u8> {
    let mut encoded = Vec::new();
    let mut put = |tag: u8, bytes: &[u8]| {
        encoded.push(tag);
        encoded.extend_from_slice(bytes);
    };
    match value {
        ValueRef::Null => put(0, &[]),
        ValueRef::Integer(number) => put(1, &number.to_le_bytes()),
        ValueRef::Real(number) => put(2, &number.to_le_bytes()),
        ValueRef::Text(bytes) => put(3, bytes),
        ValueRef::Blob(bytes) => put(4, bytes),
    }
    encoded
}

/// Moves rows without a right seal into the table `aside`, as text.
pub(super) fn set_foreign_rows_aside(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    for table in &TABLES {
        let (name, seal) = (table.name, table.seal(""));
        let count = format!("SELECT count(*) FROM main.{name} WHERE seal IS NOT {seal}");
        let foreign: i64 = transaction.query_row(&count, [], |row| row.get(0))?;
        if foreign == 0 {
            continue;
        }
        let all = table.all("").replace(", ", ") || ', ' || quote(");
        transaction.execute_batch(&format!(
            "INSERT INTO main.aside(source, content)
             SELECT '{name}', quote({all}) FROM main.{name} WHERE seal IS NOT {seal};
             DELETE FROM main.{name} WHERE seal IS NOT {seal};"
        ))?;
    }
    transaction.commit()
}
