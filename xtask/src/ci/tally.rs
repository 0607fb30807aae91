//! How many tests passed and failed, read from what the test runners print.

/// Counts of one step, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Tally {
    /// Takes a line of output into account, if it is a summary: `test result: ok. 3 passed; 0
    /// failed; …` of cargo, `# pass 3` or `ℹ pass 3` of node.
    pub(super) fn see(&mut self, line: &str) {
        if let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        {
            for count in counts.split("; ") {
                match count.split_once(' ') {
                    Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                    Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                    _ => {}
                }
            }
        } else if let Some(count) = line.strip_prefix("# ").or(line.strip_prefix("ℹ ")) {
            match count.split_once(' ') {
                Some(("pass", number)) => self.passed += number.parse().unwrap_or(0),
                Some(("fail" | "cancelled", number)) => {
                    self.failed += number.parse().unwrap_or(0);
                }
                _ => {}
            }
        }
    }

    /// Ends a step: one that ran no tests counts as one, and one that failed counts a failure even
    /// if no test says so (it may not have compiled).
    pub(super) fn settle(&mut self, step_passed: bool) {
        match step_passed {
            true if self.passed + self.failed == 0 => self.passed = 1,
            false if self.failed == 0 => self.failed = 1,
            _ => {}
        }
    }

    pub(super) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], step_passed: bool, expected: (u64, u64)) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.see(line));
        tally.settle(step_passed);
        assert_eq!((tally.passed, tally.failed), expected, "{lines:?}");
    }

    #[test]
    fn summaries_are_added_up() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        let bad = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        check(&["running 12 tests", ok, "", ok], true, (24, 0));
        check(&[ok, bad], false, (15, 2));
        check(
            &["# tests 4", "# pass 3", "# fail 1", "# cancelled 0"],
            false,
            (3, 1),
        );
        check(&["ℹ tests 4", "ℹ pass 4", "ℹ fail 0"], true, (4, 0));
    }

    #[test]
    fn a_step_counts_at_least_once() {
        check(&["no tests here"], true, (1, 0));
        check(&["error: could not compile"], false, (0, 1));
        check(&["# pass 9"], false, (9, 1));
    }
}
