//! Which steps run after one has failed, and what the summary looks like.

use super::*;

fn row(step: Step, verdict: Verdict, passed: u64, failed: u64) -> Row {
    Row {
        step,
        verdict,
        tally: Tally { passed, failed },
        took: Duration::from_millis(1250),
    }
}

#[test]
fn a_failure_ends_the_run_unless_told_to_go_on() {
    let before = [row(Step::Tidy, Verdict::Failed, 0, 1)];
    assert!(must_skip(Step::Lint, &before, false));
    assert!(!must_skip(Step::Lint, &before, true));
    assert!(!must_skip(Step::Crash, &before, true));
    assert!(!must_skip(Step::Tidy, &[], false));
}

#[test]
fn without_a_binary_nothing_is_run_against_it() {
    for verdict in [Verdict::Failed, Verdict::Skipped] {
        let before = [row(Step::Release, verdict, 0, 0)];
        assert!(must_skip(Step::EndToEnd, &before, true));
        assert!(must_skip(Step::Crash, &before, true));
    }
    assert!(!must_skip(
        Step::Crash,
        &[row(Step::Release, Verdict::Passed, 1, 0)],
        true
    ));
}

#[test]
fn the_table_ends_with_the_counts() {
    let rows = [
        row(Step::Format, Verdict::Passed, 1, 0),
        row(Step::Test, Verdict::Failed, 40, 2),
        row(Step::EndToEnd, Verdict::Skipped, 0, 0),
    ];
    let text = table(&rows);
    assert!(text.contains("end-to-end   skipped"), "{text}");
    assert!(
        text.contains("test         failed       1.2s          40 of 42"),
        "{text}"
    );
    assert!(text.ends_with("\n41 passed, 2 failed\n"), "{text}");
}
