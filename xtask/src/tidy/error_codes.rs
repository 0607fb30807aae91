//! `docs/errors.md` describes every error code: each has a section with the parts that a reader
//! looks for. That the sections are exactly the codes that exist is a test, since only tests may
//! use the crate that has them.

use std::path::Path;

use anyhow::{Context, Result};

const PAGE: &str = "docs/errors.md";

/// What each section says, in bold at the start of a line.
const PARTS: &[&str] = &[
    "**Class**",
    "**When**",
    "**Example**",
    "**What to do**",
    "**Seen as**",
];

/// Checks that each section of the page is complete.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(root.join(PAGE)).context(PAGE)?;
    let mut findings = Vec::new();
    for section in sections(&page) {
        for part in PARTS {
            if !section.text.lines().any(|line| line.starts_with(part)) {
                findings.push(format!("{PAGE}: {} lacks {part}", section.code));
            }
        }
    }
    Ok(findings)
}

/// The description of one code.
struct Section<'a> {
    code: &'a str,
    text: &'a str,
}

/// A section begins with a heading that is a code: `## BAD_REQUEST`.
fn sections(page: &str) -> Vec<Section<'_>> {
    page.split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .filter(|(heading, _)| is_code(heading))
        .map(|(code, text)| Section { code, text })
        .collect()
}

fn is_code(heading: &str) -> bool {
    !heading.is_empty()
        && heading
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use thalweg_model::ErrorCode;

    use super::*;

    #[test]
    fn the_page_describes_exactly_the_codes_that_exist() {
        let page = include_str!("../../../docs/errors.md");
        let described: Vec<&str> = sections(page).iter().map(|section| section.code).collect();
        let existing: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(described, existing);
    }

    #[test]
    fn the_page_gives_the_class_of_each_code() {
        let page = include_str!("../../../docs/errors.md");
        for (section, code) in sections(page).iter().zip(ErrorCode::ALL) {
            let class = format!("**Class** {}", format!("{:?}", code.class()).to_lowercase());
            assert!(
                section.text.lines().any(|line| line == class),
                "{}: {class}",
                section.code
            );
        }
    }

    #[test]
    fn headings_that_are_codes_make_sections() {
        let page = "# Errors\n\n## How to read\nx\n\n## NOT_FOUND\n**When** gone\n\n## TIMEOUT\n";
        let codes: Vec<&str> = sections(page).iter().map(|section| section.code).collect();
        assert_eq!(codes, ["NOT_FOUND", "TIMEOUT"]);
    }
}
