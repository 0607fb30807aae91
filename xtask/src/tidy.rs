//! `cargo xtask tidy`: the rules of this repository that no other tool knows.
//!
//! - crates depend only on what the table of rooms allows (`rooms`);
//! - source files are short, begin with module docs, leave nothing to be done, and no file names a
//!   place on somebody's machine (`text`);
//! - `docs/errors.md` describes exactly the codes that exist (`error_codes`).
//!
//! Every rule gives all its findings, and each finding says where and what would be right.

use anyhow::{Result, bail};

use crate::workspace;

mod error_codes;
mod files;
mod rooms;
mod text;

/// Checks all rules and prints what they find.
pub(crate) fn run() -> Result<()> {
    let mut findings = rooms::check(&workspace::metadata()?);
    for file in files::all(workspace::root())? {
        findings.extend(text::check(&file));
    }
    findings.extend(error_codes::check(workspace::root())?);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("tidy: {count} findings"),
    }
}
