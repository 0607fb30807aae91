//! The files that belong to the repository.
//!
//! Found by walking, not by asking git, so that a copy without history is checked the same way.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What is made on the spot and never committed.
const NOT_OURS: &[&str] = &["target", "node_modules", "dist", "thalweg-data"];

/// Hidden folders that are part of the project.
const OURS_THOUGH_HIDDEN: &[&str] = &[".cargo", ".ci", ".github"];

/// A text file.
pub(super) struct SourceFile {
    /// From the root, with forward slashes.
    pub(super) path: String,
    pub(super) content: String,
}

/// All text files, sorted by path.
pub(super) fn all(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn walk(directory: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && belongs(&name) {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| path.clone())?;
            // What is not UTF-8 is no text: images, compressed bundles.
            if let Ok(content) = String::from_utf8(bytes) {
                files.push(SourceFile { path, content });
            }
        }
    }
    Ok(())
}

fn belongs(folder: &str) -> bool {
    let hidden = folder.starts_with('.') && !OURS_THOUGH_HIDDEN.contains(&folder);
    !hidden && !NOT_OURS.contains(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_is_found() {
        let root = tempfile::tempdir().expect("a directory");
        for path in [
            ".ci/run",
            ".git/config",
            "a/target/x.rs",
            "a/b.rs",
            "node_modules/c.js",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            fs::write(path, "text").expect("written");
        }
        fs::write(root.path().join("a/image.png"), [0xff, 0xfe]).expect("written");
        let found: Vec<String> = all(root.path())
            .expect("readable")
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(found, [".ci/run", "a/b.rs"]);
    }
}
