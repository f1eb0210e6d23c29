//! Edits a text in memory with a batch, the way an editor or a build tool would embed the engine.
//!
//! `cargo run -p patchcore --example embed`

use std::error::Error;
use std::io::{Write as _, stdout};

use patchcore::batch::{self, Limits};
use patchcore::plan::plan;
use patchcore::report::{Mode, Report};
use patchcore::{Policy, RelPath, Tree, diff};

const SOURCE: &str = "\
fn main() {
    let name = \"world\";
    println!(\"Hello, {name}!\");
}
";

/// The second operation is stale: line 3 has another text than its sender believes.
const BATCH: &str = r#"{
  "batch_id": "embed-1",
  "operations": [
    { "op": "replace-text", "file": "src/main.rs", "find": "\"world\"", "content": "\"embedder\"" },
    { "op": "replace-block", "file": "src/main.rs", "at": { "line": 3 },
      "expect": "    println!(\"Bye\");", "content": "    println!(\"Bye, {name}!\");" }
  ]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let batch = batch::parse(BATCH.as_bytes(), &Limits::default())?;
    let tree = Tree::new().with_file(RelPath::new("src/main.rs")?, SOURCE);

    // All or nothing: one stale operation refuses the batch, and says what stands there.
    let refused = plan(&batch, &tree, &Policy::default());
    let report = Report::of(&batch, &refused, Mode::Preview);
    writeln!(stdout(), "{}\n", serde_json::to_string_pretty(&report)?)?;

    // Without it, the rest lands.
    let mut mended = batch.clone();
    mended.operations.truncate(1);
    let accepted = plan(&mended, &tree, &Policy::default());
    accepted.write_diff(&diff::DiffOptions::default(), &mut stdout())?;
    for change in &accepted.changes {
        let text: Vec<u8> = change.chunks().flatten().copied().collect();
        writeln!(
            stdout(),
            "\n{}:\n{}",
            change.path,
            String::from_utf8_lossy(&text)
        )?;
    }
    Ok(())
}
