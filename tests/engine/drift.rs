//! Diffs that come to files which others have worked on. `benches/drift.rs` runs many more of them,
//! beside `git apply` and GNU `patch`.

#[path = "drift/stale.rs"]
mod stale;
#[path = "drift/trial.rs"]
mod trial;

use trial::{Random, Verdict, make};

/// Files that look like code: functions that share their words, blank lines and closing braces, so
/// that single lines, and now and then whole functions, stand in several places. They are the same
/// on every run; real files, which change with the project, are for the bench.
fn sources() -> Vec<Vec<String>> {
    const WORDS: [&str; 12] = [
        "path", "count", "entry", "line", "name", "digest", "batch", "state", "edit", "file",
        "record", "span",
    ];
    let mut random = Random(1);
    let mut word = move || WORDS[random.below(WORDS.len())];
    let mut random = Random(2);
    let mut below = move |bound| random.below(bound);
    let function = |word: &mut dyn FnMut() -> &'static str,
                    below: &mut dyn FnMut(usize) -> usize| {
        let mut lines = vec![format!("fn {}_{}({}: u64) {{", word(), word(), word())];
        for _ in 0..4 + below(20) {
            match below(6) {
                0 => {
                    lines.push(format!("    if {}.is_empty() {{", word()));
                    lines.push("        return;".to_owned());
                    lines.push("    }".to_owned());
                }
                1 => lines.push(format!("    // The {} of the {}.", word(), word())),
                _ => {
                    let (to, from) = (word(), word());
                    lines.push(format!("    let {to} = {from}.{}({});", word(), below(40)));
                }
            }
        }
        lines.extend(["}".to_owned(), String::new()]);
        lines
    };
    let mut file = || {
        let mut lines: Vec<String> = Vec::new();
        while lines.len() < 100 + below(500) {
            lines.extend(function(&mut word, &mut below));
        }
        lines
    };
    (0..60).map(|_| file()).collect()
}

/// How many of so many trials came out right, refused and wrong.
fn tally(count: usize, intact: bool) -> [usize; 3] {
    let sources = sources();
    let mut random = Random(7);
    let mut tally = [0; 3];
    for _ in 0..count {
        let source = &sources[random.below(sources.len())];
        let trial = make(source, &mut random, intact, true);
        let verdict = trial.ours();
        assert!(!intact || verdict != Verdict::Wrong, "{}", trial.patch);
        tally[verdict as usize] += 1;
    }
    tally
}

#[test]
fn where_the_target_is_intact_no_hunk_goes_elsewhere_and_almost_all_land() {
    let [right, ..] = tally(1_500, true);
    assert!(right * 100 >= 96 * 1_500, "{right} of 1,500");
}

#[test]
fn where_the_target_has_changed_a_copy_of_it_is_mostly_not_taken_for_it() {
    // Any place that git takes is wrong here, and it takes nearly all.
    let [.., wrong] = tally(500, false);
    assert!(wrong * 2 <= 500, "{wrong} of 500");
}

#[test]
fn a_batch_for_an_older_state_lands_where_its_lines_are_or_not_at_all() {
    let sources = sources();
    let mut random = Random(11);
    let (mut first_matches, mut expecting) = (0, 0);
    for intact in [true, false] {
        let mut tally = [0; 3];
        for _ in 0..600 {
            let trial = stale::make(&sources[random.below(sources.len())], &mut random, intact);
            assert_eq!(trial.strict(), Verdict::Refused);
            expecting += usize::from(trial.expecting() == Verdict::Wrong);
            first_matches += usize::from(trial.first_match() == Verdict::Wrong);
            let verdict = trial.rebased();
            assert_ne!(verdict, Verdict::Wrong, "{}", trial.patch());
            // What is suggested is what would have been done.
            assert_eq!(trial.retried(), verdict);
            tally[verdict as usize] += 1;
        }
        assert!(!intact || tally[0] * 100 >= 93 * 600, "{tally:?}");
    }
    // Lines expected without a hash may stand at the same number by chance.
    assert!(expecting <= 6, "{expecting}");
    assert!(first_matches > 0, "the trial is too easy");
}

#[test]
fn a_diff_of_a_known_blob_goes_where_its_lines_are_or_nowhere() {
    let sources = sources();
    let mut random = Random(13);
    for intact in [true, false] {
        let [mut alone, mut known, mut rebased] = [[0; 3]; 3];
        for _ in 0..300 {
            let trial = stale::make(&sources[random.below(sources.len())], &mut random, intact);
            alone[trial.diffed(false, false) as usize] += 1;
            known[trial.diffed(true, false) as usize] += 1;
            let verdict = trial.diffed(true, true);
            assert_ne!(verdict, Verdict::Wrong, "{}", trial.patch());
            rebased[verdict as usize] += 1;
        }
        assert!(
            intact || alone[Verdict::Wrong as usize] > 0,
            "the trial is too easy"
        );
        assert_eq!(known[Verdict::Wrong as usize], 0);
        assert!(!intact || rebased[0] * 100 >= 93 * 300, "{rebased:?}");
        assert!(rebased[0] >= known[0], "{rebased:?} {known:?}");
    }
}
