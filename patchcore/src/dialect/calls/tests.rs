use super::super::{Dialect, Options, parse};
use crate::error::Code;
use crate::operation::Action;
use crate::path::RelPath;
use crate::plan::{Policy, Script as _, Tree, plan};

/// What becomes of `f.txt`, which holds `a`, `keep me` and `c`, and what is said of the input.
fn applied(input: &str) -> Result<(String, Vec<String>), String> {
    let patch =
        parse(input.as_bytes(), &Options::default()).map_err(|unread| unread.to_string())?;
    let path = RelPath::new("f.txt").unwrap();
    let other = RelPath::new("g.txt").unwrap();
    let tree = Tree::new()
        .with_file(path.clone(), "a\nkeep me\nc\n")
        .with_file(other, "keep me\n");
    let lowered = patch.lower(&tree).map_err(|refusal| refusal.to_string())?;
    let planned = plan(&lowered.batch, &tree, &Policy::default());
    let refusal = planned
        .verdicts
        .iter()
        .find_map(|verdict| verdict.refusal.as_ref());
    if let Some(refusal) = refusal {
        return Err(refusal.to_string());
    }
    let mut said = lowered.notes.remarks;
    let notes = lowered
        .batch
        .operations
        .iter()
        .filter_map(|operation| operation.reading.note.clone());
    said.extend(notes);
    let mut text = String::new();
    for change in &planned.changes {
        let bytes: Vec<u8> = change.chunks().flatten().copied().collect();
        text.push_str(&format!(
            "{}: {}",
            change.path,
            String::from_utf8(bytes).unwrap()
        ));
    }
    Ok((text, said))
}

const KEPT: &str = "f.txt: a\nkept\nc\n";
const BLOCK: &str = r"<<<<<<< SEARCH\nkeep me\n=======\nkept\n>>>>>>> REPLACE";
const DIFF: &str = r"--- a/f.txt\n+++ b/f.txt\n@@ -1,3 +1,3 @@\n a\n-keep me\n+kept\n c\n";
const ENVELOPE: &str =
    r"*** Begin Patch\n*** Update File: f.txt\n@@\n-keep me\n+kept\n*** End Patch";

macro_rules! lands {
    ($($name:ident: $input:expr;)*) => {$(
        #[test]
        fn $name() {
            let input: String = $input.into();
            let (text, _) = applied(&input).unwrap_or_else(|why| panic!("{input}\n{why}"));
            assert_eq!(text, KEPT, "{input}");
        }
    )*};
}

lands! {
    parameters_in_camel_case: r#"{"filePath":"f.txt","oldString":"keep me","newString":"kept"}"#;
    parameters_in_pascal_case: r#"{"TargetFile":"f.txt","ReplacementChunks":[{"TargetContent":"keep me","ReplacementContent":"kept","AllowMultiple":false}]}"#;
    old_and_new_text_without_a_list: r#"{"path":"f.txt","oldText":"keep me","newText":"kept"}"#;
    search_and_replace: r#"{"file_path":"f.txt","search":"keep me","replace":"kept"}"#;
    a_list_with_camel_case: r#"{"path":"f.txt","edits":[{"oldString":"keep me","newString":"kept"}]}"#;
    a_file_in_each_edit: r#"{"explanation":"x","replacements":[{"filePath":"f.txt","oldString":"keep me","newString":"kept"}]}"#;
    the_same_file_in_each_edit: r#"{"file_path":"f.txt","edits":[{"path":"f.txt","old":"keep me","new":"kept"}]}"#;
    changes_of_old_and_new: r#"{"file_path":"f.txt","changes":[{"old_str":"keep me","new_str":"kept","change_all":false}]}"#;
    target_file: r#"{"target_file":"f.txt","old_string":"keep me","new_string":"kept","instructions":"x"}"#;
    a_path_in_a_project: r#"{"name":"replace_text_in_file","arguments":{"pathInProject":"f.txt","oldText":"keep me","newText":"kept"}}"#;
    a_mode_beside_edits: r#"{"path":"f.txt","mode":"edit","display_description":"x","edits":[{"old_text":"keep me","new_text":"kept"}]}"#;
    a_mode_that_overwrites: r#"{"path":"f.txt","mode":"overwrite","content":"a\nkept\nc\n"}"#;
    a_written_file_in_camel_case: r#"{"filePath":"f.txt","content":"a\nkept\nc\n"}"#;
    numbered_parameters: r#"{"command":"str_replace","path":"f.txt","old_str_1":"keep me","new_str_1":"kept","old_str_start_line_number_1":2}"#;
    blocks_in_a_parameter: format!(r#"{{"path":"f.txt","diff":"{BLOCK}"}}"#);
    blocks_in_a_command: format!(r#"{{"command":"str_replace","path":"f.txt","diff":"{BLOCK}"}}"#);
    a_diff_in_a_parameter: format!(r#"{{"path":"f.txt","diff":"{DIFF}"}}"#);
    an_envelope_in_a_parameter: format!(r#"{{"patchText":"{ENVELOPE}"}}"#);
    an_envelope_as_a_string: format!("\"{ENVELOPE}\"");
    a_diff_as_a_string: format!("\"{DIFF}\"");
    an_envelope_in_a_shell: format!(r#"{{"cmd":["bash","-lc","apply_patch <<'EOF'\n{ENVELOPE}\nEOF"]}}"#);
    an_envelope_in_a_shell_with_nothing_to_put_in: format!(r#"{{"cmd":["bash","-lc","apply_patch <<EOF\n{ENVELOPE}\nEOF"]}}"#);
    an_envelope_as_an_argument: format!(r#"{{"name":"shell","arguments":{{"command":["bash","-lc","apply_patch \"{ENVELOPE}\""]}}}}"#);
    an_argument_of_a_shell_line: format!("apply_patch \"{}\"\n", ENVELOPE.replace("\\n", "\n"));
    a_message_with_tool_use: r#"{"role":"assistant","content":[{"type":"text","text":"ok"},{"type":"tool_use","id":"t1","name":"Edit","input":{"file_path":"f.txt","old_string":"keep me","new_string":"kept"}}]}"#;
    a_whole_answer: r#"{"id":"m","type":"message","model":"x","content":[{"type":"tool_use","id":"t1","name":"str_replace_based_edit_tool","input":{"command":"str_replace","path":"f.txt","old_str":"keep me","new_str":"kept"}}],"usage":{"input_tokens":1}}"#;
    a_choice_with_tool_calls: r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"edit","arguments":"{\"filePath\":\"f.txt\",\"oldString\":\"keep me\",\"newString\":\"kept\"}"}}]}}]}"#;
    an_output_with_a_function_call: r#"{"object":"response","output":[{"type":"reasoning","summary":[]},{"type":"function_call","status":"completed","call_id":"c","name":"edit_file","arguments":"{\"path\":\"f.txt\",\"edits\":[{\"oldText\":\"keep me\",\"newText\":\"kept\"}]}"}]}"#;
    an_output_with_a_custom_call: format!(r#"{{"output":[{{"type":"custom_tool_call","call_id":"c","name":"apply_patch","status":"completed","input":"{ENVELOPE}"}}]}}"#);
    an_output_with_a_patch_call: r#"{"output":[{"type":"apply_patch_call","call_id":"c","status":"completed","operation":{"type":"update_file","path":"f.txt","diff":"@@\n a\n-keep me\n+kept\n"}}]}"#;
    a_candidate_with_a_function_call: r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"ok"},{"functionCall":{"name":"replace","args":{"file_path":"f.txt","instruction":"x","old_string":"keep me","new_string":"kept","expected_replacements":1}}}]}}]}"#;
    a_tool_use_in_camel_case: r#"{"output":{"message":{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"edit","input":{"path":"f.txt","old_str":"keep me","new_str":"kept"}}}]}}}"#;
    tool_uses_in_parallel: r#"{"tool_uses":[{"recipient_name":"functions.edit","parameters":{"path":"f.txt","old_str":"keep me","new_str":"kept"}}]}"#;
    a_request: r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"edit_block","arguments":{"file_path":"f.txt","old_string":"keep me","new_string":"kept","expected_replacements":1}}}"#;
    a_hook_before_a_tool: r#"{"session_id":"s","hook_event_name":"PreToolUse","tool_name":"Edit","tool_input":{"file_path":"f.txt","old_string":"keep me","new_string":"kept"}}"#;
    a_name_with_its_server: r#"{"name":"mcp__filesystem__edit_file","input":{"path":"f.txt","edits":[{"oldText":"keep me","newText":"kept"}]}}"#;
    an_answer_in_text: format!(r#"{{"response":"Here:\n\nf.txt\n{BLOCK}\n","stats":{{"tools":{{"totalCalls":0}}}}}}"#);
    lines_of_events_with_a_call_that_was_denied: r#"{"type":"system","subtype":"init","session_id":"s","tools":["Edit"]}
{"type":"assistant","message":{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Edit","input":{"file_path":"f.txt","old_string":"keep me","new_string":"kept"}}]}}
{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":"not granted"}]}}
{"type":"result","subtype":"success","result":"I could not.","permission_denials":[{"tool_name":"Edit","tool_use_id":"t1","tool_input":{}}]}"#;
    tags_of_a_call: "<replace_in_file>\n<path>f.txt</path>\n<diff>\n<<<<<<< SEARCH\nkeep me\n=======\nkept\n>>>>>>> REPLACE\n</diff>\n</replace_in_file>\n";
    tags_with_character_data: "I edit:\n\n<apply_diff>\n<args>\n<file>\n<path>f.txt</path>\n<diff>\n<content><![CDATA[\n<<<<<<< SEARCH\nkeep me\n=======\nkept\n>>>>>>> REPLACE\n]]></content>\n</diff>\n</file>\n</args>\n</apply_diff>\n";
    tags_of_a_whole_file: "<write_to_file>\n<path>f.txt</path>\n<content>\na\nkept\nc\n</content>\n<line_count>3</line_count>\n</write_to_file>\n";
    tags_of_a_search: "<search_and_replace>\n<path>f.txt</path>\n<search>keep me</search>\n<replace>kept</replace>\n</search_and_replace>\n";
    tags_that_invoke: "<function_calls>\n<invoke name=\"Edit\">\n<parameter name=\"file_path\">f.txt</parameter>\n<parameter name=\"old_string\">keep me</parameter>\n<parameter name=\"new_string\">kept</parameter>\n</invoke>\n</function_calls>\n";
    tags_of_a_function: "<tool_call>\n<function=edit>\n<parameter=file_path>\nf.txt\n</parameter>\n<parameter=old_string>\nkeep me\n</parameter>\n<parameter=new_string>\nkept\n</parameter>\n</function>\n</tool_call>\n";
    json_in_tags: "<tool_call>\n{\"name\": \"edit\", \"arguments\": {\"path\": \"f.txt\", \"old_str\": \"keep me\", \"new_str\": \"kept\"}}\n</tool_call>\n";
    json_in_tags_on_one_line: "<tool_call>{\"name\": \"edit\", \"arguments\": {\"path\": \"f.txt\", \"old_str\": \"keep me\", \"new_str\": \"kept\"}}</tool_call>\n";
    a_list_as_text: r#"{"path":"f.txt","edits":"[{\"oldText\":\"keep me\",\"newText\":\"kept\"}]"}"#;
    an_object_for_a_list: r#"{"path":"f.txt","edits":{"oldText":"keep me","newText":"kept"}}"#;
    objects_as_texts: r#"{"path":"f.txt","edits":["{\"oldText\":\"keep me\",\"newText\":\"kept\"}"]}"#;
    false_as_text: r#"{"file_path":"f.txt","old_string":"keep me","new_string":"kept","replace_all":"False"}"#;
    a_count_as_text: r#"{"file_path":"f.txt","old_string":"keep me","new_string":"kept","expected_replacements":"1"}"#;
}

#[test]
fn several_calls_are_carried_out_in_order() {
    let input = format!(
        r#"{{"role":"assistant","content":[
            {{"type":"tool_use","id":"1","name":"Edit","input":{{"file_path":"f.txt","old_string":"a","new_string":"A"}}}},
            {{"type":"tool_use","id":"2","name":"Bash","input":{{"command":"cargo test"}}}},
            {{"type":"tool_use","id":"3","name":"Read","input":{{"file_path":"f.txt"}}}},
            {{"type":"tool_use","id":"4","name":"apply_patch","input":{{"input":"{ENVELOPE}"}}}},
            {{"type":"tool_use","id":"5","name":"apply_diff","input":{{"path":"f.txt","diff":"{}"}}}},
            {{"type":"tool_use","id":"6","name":"Write","input":{{"file_path":"n.txt","content":"new\n"}}}}]}}"#,
        BLOCK
            .replace("keep me", "kept")
            .replace("\\nkept\\n>", "\\nlast\\n>"),
    );
    let (text, said) = applied(&input).unwrap();
    assert_eq!(text, "f.txt: A\nlast\nc\nn.txt: new\n");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("call 2: Bash is a command of a shell"),
        "{said:?}"
    );
    assert!(
        said[1].contains("call 3: Read of f.txt only looks"),
        "{said:?}"
    );
}

#[test]
fn what_the_agent_did_itself_is_told_and_not_done_again() {
    for input in [
        // What was carried out has a result.
        r#"{"type":"system","subtype":"init"}
{"type":"assistant","message":{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Edit","input":{"file_path":"f.txt","old_string":"keep me","new_string":"kept"}}]}}
{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"done"}]}}
{"type":"result","subtype":"success","result":"f.txt\n<<<<<<< SEARCH\nkeep me\n=======\nkept\n>>>>>>> REPLACE\n"}"#,
        r#"{"type":"thread.started","thread_id":"x"}
{"type":"turn.started"}
{"type":"item.started","item":{"id":"i1","type":"command_execution","command":"bash -lc ls","status":"in_progress"}}
{"type":"item.completed","item":{"id":"i1","type":"command_execution","command":"bash -lc ls","aggregated_output":"f.txt","exit_code":0,"status":"completed"}}
{"type":"item.completed","item":{"id":"i2","type":"file_change","changes":[{"path":"f.txt","kind":"update"}],"status":"completed"}}
{"type":"item.completed","item":{"id":"i3","type":"agent_message","text":"Done."}}
{"type":"turn.completed","usage":{"input_tokens":1}}"#,
        r#"{"type":"init","session_id":"s","model":"m"}
{"type":"tool_use","tool_name":"replace","tool_id":"r1","parameters":{"file_path":"f.txt","old_string":"keep me","new_string":"kept"}}
{"type":"tool_result","tool_id":"r1","status":"success","output":""}
{"type":"result","status":"success"}"#,
        r#"{"type":"tool","tool":"edit","callID":"c","state":{"status":"completed","input":{"filePath":"f.txt","oldString":"keep me","newString":"kept"}}}"#,
        r#"{"hook_event_name":"PostToolUse","tool_name":"Edit","tool_input":{"file_path":"f.txt","old_string":"keep me","new_string":"kept"},"tool_response":{"success":true}}"#,
        r#"{"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"edit","arguments":"{\"path\":\"f.txt\",\"old_str\":\"keep me\",\"new_str\":\"kept\"}"}}]},{"role":"tool","tool_call_id":"c","content":"ok"}]}"#,
    ] {
        let (text, said) = applied(input).unwrap_or_else(|why| panic!("{input}\n{why}"));
        assert_eq!(text, "", "{input}");
        assert!(
            said.iter().any(|said| said.contains("already executed")),
            "{input}\n{said:?}"
        );
    }
}

#[test]
fn a_call_that_looks_is_answered_as_such() {
    for input in [
        r#"{"command":"view","path":"f.txt"}"#,
        r#"{"name":"Read","input":{"file_path":"f.txt"}}"#,
        r#"{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"str_replace_based_edit_tool","input":{"command":"view","path":"f.txt","view_range":[1,2]}}]}"#,
    ] {
        let (text, said) = applied(input).unwrap_or_else(|why| panic!("{input}\n{why}"));
        assert_eq!((&*text, said.len()), ("", 1));
        assert!(said[0].contains("f.txt only looks"), "{said:?}");
    }
}

#[test]
fn every_fault_has_its_place_in_the_order_of_the_input() {
    let input = r#"[
  {"file_path": "f.txt", "old_string": {"x": 1}, "new_string": "b"},
  {"path": "f.txt", "edits": [{"oldText": "a"}, {"oldText": "b", "newText": null}, 7]},
  {"path": "../x", "old_str": "a", "new_str": "b"},
  {"path": "f.txt", "command": "splice"},
  {"type": "function_call", "name": "edit", "arguments": "{\"path\": \"f.txt\", \"old_str\": \"a\", \"new_sr\": \"b\"}"}
]"#;
    let unread = parse(input.as_bytes(), &Options::default()).unwrap_err();
    let faults: Vec<_> = unread.diagnostic().unwrap().all().collect();
    let places: Vec<_> = faults
        .iter()
        .map(|fault| (fault.line, fault.column, &*fault.path))
        .collect();
    assert_eq!(
        places,
        [
            (2, 40, "[0].old_string"),
            (3, 84, "[1].edits[2]"),
            (4, 12, "[2].path"),
            (5, 32, "[3].command"),
            (6, 101, "[4].arguments"),
        ]
    );
    assert_eq!(faults[2].code, Code::PathEscape);
    assert_eq!(faults[4].near.as_deref(), Some("new_str"));
    let list =
        r#"{"path": "f.txt", "edits": [{"oldText": "a"}, {"oldText": "b", "newText": null}]}"#;
    let unread = parse(list.as_bytes(), &Options::default()).unwrap_err();
    let paths: Vec<_> = unread
        .diagnostic()
        .unwrap()
        .all()
        .map(|fault| fault.path.clone())
        .collect();
    assert_eq!(paths, ["edits[0]", "edits[1]"]);
}

#[test]
fn what_is_not_clear_is_refused_by_its_name() {
    for (input, why) in [
        (
            r#"{"target_file":"f.txt","instructions":"x","code_edit":"// ... existing code ...\nkept\n"}"#,
            "sketch",
        ),
        (
            r#"{"name":"insert_edit_into_file","arguments":{"filePath":"f.txt","code":"kept"}}"#,
            "sketch",
        ),
        (
            r#"{"path":"f.txt","content":"x","start_line":2,"end_line":3}"#,
            "start_line",
        ),
        (
            r#"{"action":"edit","args":{"path":"f.txt","content":"x","start":1,"end":-1}}"#,
            "whole files",
        ),
        (
            r#"{"path":"f.txt","search":"k.*","replace":"x","use_regex":"true"}"#,
            "regular expression",
        ),
        (
            r#"{"filePath":"f.txt","edits":[{"op":"replace","pos":"2#VK","lines":["kept"]}]}"#,
            "tags",
        ),
        (
            r#"{"path":"f.txt","file_path":"g.txt","old_str":"a","new_str":"b"}"#,
            "twice",
        ),
        (
            r#"{"path":"f.txt","edits":[{"path":"g.txt","oldText":"keep me","newText":"x"}]}"#,
            "another file",
        ),
        (
            r#"{"file_path":"f.txt","new_string":"x"}"#,
            "to replace is missing",
        ),
        (
            r#"{"name":"edit_file","arguments":{"path":"f.txt","frobnicate":"x"}}"#,
            "frobnicate",
        ),
        (
            r#"{"command":"str_replace","path":"f.txt","old_str":"keep me","text":"x"}"#,
            "new_str",
        ),
        (
            r#"{"path":"f.txt","old_str":"keep me","new_str":["x"]}"#,
            "an array",
        ),
        (r#"{"path":"f.txt","content":{"a":1}}"#, "an object"),
        (r#"{"path":"f.txt","diff":"no patch"}"#, "holds no patch"),
        (
            "<write_to_file>\n<path>f.txt</path>\n<content>\na\n",
            "cut off",
        ),
        // What closes a text may stand in it: the rest is not lost.
        (
            r#"<invoke name="Write"><parameter name="path">f.txt</parameter><parameter name="content">a </parameter> b</parameter></invoke>"#,
            r#"found "b</parameter>""#,
        ),
        (
            "<function=Edit><parameter=path>f.txt</parameter><parameter=old_string>keep me</parameter><parameter=new_string>x</parameter><parameter=replace_all>true</function>",
            r#"found "<parameter=replace_all>true""#,
        ),
        (
            "<edit_file>\n<path>f.txt</path>\n<old_string>keep me</old_string> b</old_string>\n<new_string>x</new_string>\n</edit_file>",
            r#"found "b</old_string>"#,
        ),
        (
            "<tool_call>Edit\n<arg_key>path</arg_key><arg_value>f.txt</arg_value> b\n</tool_call>",
            r#"found "b"#,
        ),
        (
            "*** Update File: f.txt\n@@\n-keep me\n+kept\n*** End Patch\n",
            "*** Begin Patch",
        ),
        ("f.txt\n```\na\nkept\n```\n", "whole file"),
        (
            "keep me\n=======\nkept\n>>>>>>> REPLACE\n",
            "<<<<<<< SEARCH",
        ),
        ("@@\n-keep me\n+kept\n", "--- a/FILE"),
        (
            r#"{"role":"assistant","content":[{"type":"text","text":"f.txt\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n"},{"type":"tool_use","id":"1","name":"Edit","input":{"file_path":"f.txt","old_string":"keep me","new_string":"kept"}}]}"#,
            "mixed with other edits",
        ),
        (
            r#"[{"path":"f.txt","old_str":"a","new_str":"b"},{"documentChanges":[]}]"#,
            "workspace edit",
        ),
        (
            r#"[{"path":"f.txt","old_str":"a","new_str":"b"},{"operations":[]}]"#,
            "batch of operations",
        ),
    ] {
        let refusal = applied(input).expect_err(input);
        assert!(refusal.contains(why), "{input}\n{refusal}");
    }
}

#[test]
fn strict_reads_no_value_in_another_type() {
    let mut options = Options {
        strict: true,
        ..Options::default()
    };
    for input in [
        r#"{"file_path":"f.txt","old_string":"a","new_string":"b","replace_all":"true"}"#,
        r#"{"path":"f.txt","edits":{"oldText":"a","newText":"b"}}"#,
        r#"{"path":"f.txt","edits":"[{\"oldText\":\"a\",\"newText\":\"b\"}]"}"#,
        r#"{"path":"f.txt","old_str":"a","new_str":"b","colour":1}"#,
    ] {
        assert!(parse(input.as_bytes(), &options).is_err(), "{input}");
        options.strict = false;
        assert!(parse(input.as_bytes(), &options).is_ok(), "{input}");
        options.strict = true;
    }
}

#[test]
fn files_are_deleted_and_moved_by_their_tools() {
    for (input, name) in [
        (
            r#"{"name":"delete_file","arguments":{"target_file":"f.txt"}}"#,
            "delete-file",
        ),
        (
            r#"{"name":"move_file","arguments":{"source":"f.txt","destination":"n.txt"}}"#,
            "rename-file",
        ),
    ] {
        let patch = parse(input.as_bytes(), &Options::default()).unwrap();
        assert_eq!(patch.dialect(), Dialect::StrReplace);
        let tree = Tree::new().with_file(RelPath::new("f.txt").unwrap(), "a\n");
        let lowered = patch.lower(&tree).unwrap();
        assert_eq!(lowered.batch.operations[0].name(), name);
        assert!(!matches!(
            lowered.batch.operations[0].action,
            Action::Refused(_)
        ));
    }
}

#[test]
fn what_a_shell_would_change_is_refused_through_every_call() {
    let envelope = ENVELOPE.replace("+kept", "+kept $HOME");
    let document = format!(r"apply_patch <<EOF\n{envelope}\nEOF\n");
    let quoted = format!(r#"apply_patch \"\n{envelope}\n\""#);
    for command in [document, quoted] {
        for input in [
            format!(r#"{{"cmd":["bash","-lc","{command}"]}}"#),
            format!(r#"{{"name":"shell","arguments":{{"command":"{command}"}}}}"#),
            format!(
                r#"{{"type":"tool_use","id":"t","name":"Bash","input":{{"command":"{command}"}}}}"#
            ),
            format!(r#""{command}""#),
            command.replace(r"\n", "\n").replace(r#"\""#, "\""),
        ] {
            let refusal = applied(&input).expect_err(&input);
            assert!(
                refusal.contains("a shell puts something else in"),
                "{input}\n{refusal}"
            );
            assert!(refusal.contains("$HOME"), "{refusal}");
        }
    }
}

#[test]
fn the_patch_of_a_call_may_give_its_file_another_name() {
    let moved = ENVELOPE.replace(r"f.txt\n", r"f.txt\n*** Move to: n.txt\n");
    for patch in [&*moved, r"[f.txt#1a2b]\nMV n.txt\n"] {
        for input in [
            format!(r#"{{"path":"f.txt","diff":"{patch}"}}"#),
            format!(r#"{{"name":"apply_patch","arguments":{{"path":"f.txt","patch":"{patch}"}}}}"#),
        ] {
            let read = parse(input.as_bytes(), &Options::default());
            let read = read.unwrap_or_else(|why| panic!("{input}\n{why}"));
            let tree = Tree::new().with_file(RelPath::new("f.txt").unwrap(), "a\nkeep me\nc\n");
            let lowered = read.lower(&tree).unwrap();
            let mut operations = lowered.batch.operations.iter();
            assert!(operations.any(|one| one.name() == "rename-file"), "{input}");
            let other = input.replacen("f.txt", "g.txt", 1);
            let refusal = applied(&other).expect_err(&other);
            assert!(refusal.contains("another file"), "{refusal}");
        }
    }
}

/// `undo_edit` takes back the step before it on its file, a patch among the calls included, and no
/// more than that.
#[test]
fn a_step_is_taken_back_whatever_it_was() {
    let edit = |old: &str, new: &str| {
        format!(r#"{{"command":"str_replace","path":"f.txt","old_str":"{old}","new_str":"{new}"}}"#)
    };
    let undo = r#"{"command":"undo_edit","path":"f.txt"}"#;
    let write = r#"{"command":"create","path":"n.txt","file_text":"n\n"}"#;
    let patch = format!(r#"{{"name":"apply_patch","arguments":{{"input":"{ENVELOPE}"}}}}"#);
    for (steps, expected) in [
        (
            vec![edit("a", "A"), edit("c", "C"), undo.into()],
            "f.txt: A\nkeep me\nc\n",
        ),
        (
            vec![edit("a", "A"), patch.clone(), undo.into()],
            "f.txt: A\nkeep me\nc\n",
        ),
        (
            vec![patch.clone(), edit("a", "A"), undo.into()],
            "f.txt: a\nkept\nc\n",
        ),
        (
            vec![
                edit("a", "A"),
                patch,
                undo.into(),
                undo.into(),
                edit("c", "C"),
            ],
            "f.txt: a\nkeep me\nC\n",
        ),
        (
            vec![
                write.into(),
                edit("a", "A"),
                r#"{"command":"undo_edit","path":"n.txt"}"#.into(),
            ],
            "f.txt: A\nkeep me\nc\n",
        ),
    ] {
        let input = format!("[{}]", steps.join(","));
        let (text, _) = applied(&input).unwrap_or_else(|why| panic!("{input}\n{why}"));
        assert_eq!(text, expected, "{input}");
    }
}
