use super::*;
use crate::error::Code;
use crate::text::LineNumber;

fn sample() -> Record {
    let state = |bytes: &[u8]| FileState {
        digest: Digest::of(bytes),
        executable: false,
        link: false,
    };
    Record {
        version: VERSION,
        transaction: TransactionId::now(),
        batch_id: "b-1".into(),
        content: Digest::of(b"content"),
        request: None,
        labels: Labels {
            task_id: Some("A1F2".into()),
            ..Labels::default()
        },
        state: TransactionState::Committed,
        status: Status::Applied,
        plan: Digest::of(b"plan"),
        at: "2026-01-02T03:04:05Z".into(),
        duration_ms: 3,
        overrides: Overrides {
            partial: true,
            allow_paths: vec![RelPath::new(".vscode").unwrap()],
            ..Overrides::default()
        },
        refusal: None,
        previous: None,
        undoes: None,
        undoes_batch: None,
        redoes: None,
        undoes_also: Vec::new(),
        redoes_also: Vec::new(),
        command: None,
        operations: [crate::plan::Verdict {
            op: "append".into(),
            file: "a".into(),
            outcome: Outcome::Applied,
            lines: Some([LineNumber::FIRST; 2]),
            guarded: true,
            note: None,
            matched: None,
            rebased: None,
            allow: crate::operation::Allowances::default(),
            refusal: None,
            labels: None,
        }]
        .into_iter()
        .collect(),
        changes: vec![ChangeRecord {
            path: RelPath::new(b"caf\xe9").unwrap(),
            from: Some(RelPath::new("a").unwrap()),
            kind: ChangeKind::Renamed,
            before: Some(state(b"old")),
            after: Some(state(b"new")),
            slot: Some(1),
            edits: vec![EditRecord::of(&Edit::replace(0..3, b"\xff\0".to_vec()))],
            touches: vec![],
            lines_added: 1,
            lines_removed: 1,
        }],
        journal: Journal {
            steps: vec![Step {
                path: RelPath::new(b"caf\xe9").unwrap(),
                slot: 0,
                beside: false,
                old: None,
                new: Some(Identity {
                    ino: 7,
                    size: 2,
                    mtime: [1, 2],
                    mode: 0o644,
                    digest: Digest::of(b"new"),
                    link: false,
                }),
            }],
            ..Journal::default()
        },
    }
}

#[test]
fn r22_a_record_reads_back_as_it_was_written_names_that_are_not_utf8_included() {
    let record = sample();
    assert_eq!(Record::from_bytes(&record.to_bytes(None)).unwrap(), record);
}

#[test]
fn a_long_record_is_written_as_serde_writes_it() {
    let mut record = sample();
    let mut expected = |operations: usize, changes: usize| {
        record.operations = vec![record.operations[0].clone(); operations].into();
        record.changes = vec![record.changes[0].clone(); changes];
        let bytes = record.to_bytes(None);
        let document = serde_json::to_vec(&record).unwrap();
        assert!(bytes.starts_with(&[&document[..], b"\n"].concat()));
        assert_eq!(Record::from_bytes(&bytes).unwrap(), record);
    };
    expected(1, 256);
    expected(2000, 1000);
    record.journal = Journal::default();
    let bytes = record.to_bytes(None);
    assert_eq!(Record::from_bytes(&bytes).unwrap(), record);
}

#[test]
fn r13_a_record_with_any_byte_changed_or_cut_off_does_not_exist() {
    let bytes = sample().to_bytes(None);
    for at in 0..bytes.len() {
        let mut torn = bytes.clone();
        torn[at] ^= 1;
        assert!(Record::from_bytes(&torn).is_err(), "byte {at}");
        assert!(Record::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_record_is_ours_if_our_key_sealed_it_and_every_byte_is_as_it_was() {
    let [ours, other] = [7, 8].map(Key::sample);
    let record = sample();
    let bytes = record.to_bytes(Some(&ours));
    assert!(
        matches!(Record::unseal(&bytes, Some(&ours)), Unsealed::Ours(read, _) if *read == record)
    );
    assert!(Record::is_end_ours(
        &bytes[bytes.len() - LAST_LINE..],
        &ours
    ));
    assert_eq!(Record::from_bytes(&bytes).unwrap(), record);
    for (bytes, key) in [
        (&bytes, Some(&other)),
        (&bytes, None),
        (&record.to_bytes(None), Some(&ours)),
        (&record.to_bytes(Some(&other)), Some(&ours)),
    ] {
        assert!(matches!(Record::unseal(bytes, key), Unsealed::Foreign));
    }
    assert!(!Record::is_end_ours(&record.to_bytes(None)[1..], &ours));
    let body = bytes.len() - LAST_LINE;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let changed = Record::unseal(&changed, Some(&ours));
        let is_right = match changed {
            Unsealed::Damaged(_) => at < body,
            Unsealed::Foreign => at >= body && at + 1 < bytes.len(),
            Unsealed::Torn => at + 1 == bytes.len(),
            Unsealed::Ours(..) => false,
        };
        assert!(is_right, "byte {at}: {changed:?}");
        let cut = Record::unseal(&bytes[..at], Some(&ours));
        assert!(matches!(cut, Unsealed::Torn), "cut at {at}: {cut:?}");
    }
}

#[test]
fn r13_a_forged_path_is_refused_even_under_a_valid_checksum() {
    for (name, evil) in [("file\":\"a", "file\":\"a"), ("\"a\"", "\"../a\"")] {
        let text = String::from_utf8(sample().to_bytes(None)).unwrap();
        let body = text[..text.len() - 72]
            .replace(&format!("\"from\":{name}"), &format!("\"from\":{evil}"));
        let forged = format!("{body}{}\n", Digest::of(body.as_bytes()));
        let result = Record::from_bytes(forged.as_bytes());
        assert_eq!(result.is_err(), body.contains(".."), "{result:?}");
    }
}

#[test]
fn another_version_is_named() {
    let mut record = sample();
    record.version = 2;
    let error = Record::from_bytes(&record.to_bytes(None)).unwrap_err();
    assert_eq!(error.code(), Code::UnsupportedVersion);
}

#[test]
fn a_long_replacement_is_cut_and_says_so() {
    let edit = EditRecord::of(&Edit::insert(0, vec![b'x'; MAX_TEXT + 1]));
    assert!(edit.is_cut());
    assert_eq!(edit.text.len(), MAX_TEXT);
}

#[test]
fn an_id_has_one_spelling() {
    let id = TransactionId::now();
    let text = id.to_string();
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(
        text.to_uppercase().parse::<TransactionId>(),
        Err(InvalidTransactionId)
    );
    assert_eq!(
        "../../etc".parse::<TransactionId>(),
        Err(InvalidTransactionId)
    );
}

#[test]
fn the_record_of_a_preview_can_be_written_but_is_none_of_the_log() {
    let record = Record {
        state: TransactionState::Previewed,
        ..sample()
    };
    let error = Record::from_bytes(&record.to_bytes(None)).unwrap_err();
    assert_eq!(error.code(), Code::Io);
    let report = record.report();
    assert_eq!(report.transaction, None);
    assert_eq!(report.batch_id.as_deref(), Some("b-1"));
    assert_eq!(report.operations[0].outcome, Outcome::Previewed);
    assert_eq!(
        report.operations[0].would,
        Some(record.operations[0].outcome)
    );
}
