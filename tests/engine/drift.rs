//! Diffs that come to files which others have worked on. `benches/drift.rs` runs many more of them,
//! beside `git apply` and GNU `patch`.

#[path = "drift/trial.rs"]
mod trial;

use trial::{Random, Verdict, make, sources};

/// How many of so many trials came out right, refused and wrong.
fn tally(count: usize, intact: bool) -> [usize; 3] {
    let sources = sources();
    assert!(sources.len() > 50, "the project has more files than that");
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
