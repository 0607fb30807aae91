//! Rules that a single file keeps or breaks.

use super::files::SourceFile;

const LINES_MAX: usize = 700;

/// Kinds of file that people write and read as code.
const SOURCE: &[&str] = &["rs", "mjs", "js", "jsx", "ts", "tsx", "css", "sh"];

/// Where data from others, and what a tool has generated, is kept as it came.
const AS_IT_CAME: &[&str] = &["examples/data/", "gateway/assets/"];

/// Folders whose absolute paths say on whose machine something was written.
const MACHINE_FOLDERS: &[&str] = &["home", "root", "tmp", "Users"];

/// Checks one file against every rule.
pub(super) fn check(file: &SourceFile) -> Vec<String> {
    if AS_IT_CAME
        .iter()
        .any(|folder| file.path.starts_with(folder))
    {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let extension = file
        .path
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    if SOURCE.contains(&extension) {
        too_long(file, &mut findings);
        left_to_do(file, &mut findings);
    }
    if extension == "rs" {
        without_docs(file, &mut findings);
    }
    if file.path.ends_with("package-lock.json") {
        names_a_registry(file, &mut findings);
    } else {
        names_a_machine(file, &mut findings);
    }
    findings
}

fn too_long(file: &SourceFile, findings: &mut Vec<String>) {
    let lines = file.content.lines().count();
    if lines > LINES_MAX {
        let path = &file.path;
        findings.push(format!(
            "{path}: {lines} lines; split it, {LINES_MAX} is the most"
        ));
    }
}

/// `foo/tests.rs` needs no docs: its path says what it is for, its test names say what must hold.
fn without_docs(file: &SourceFile, findings: &mut Vec<String>) {
    if file.path.ends_with("/tests.rs") {
        return;
    }
    let first = file
        .content
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    if !first.starts_with("//!") && !first.starts_with("#![doc") {
        findings.push(format!(
            "{}:1: begin with //! and say what the module is for",
            file.path
        ));
    }
}

/// The words are put together here so that this file does not find itself.
fn left_to_do(file: &SourceFile, findings: &mut Vec<String>) {
    let words = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["X", "XX"].concat(),
    ];
    let calls = [["todo", "!("].concat(), ["unimplemented", "!("].concat()];
    for (number, line) in numbered(file) {
        let parts = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let left = parts
            .into_iter()
            .any(|part| words.iter().any(|word| word == part))
            || calls.iter().any(|call| line.contains(call));
        if left {
            findings.push(format!("{}:{number}: do it, or open an issue", file.path));
        }
    }
}

fn names_a_machine(file: &SourceFile, findings: &mut Vec<String>) {
    for (number, line) in numbered(file) {
        for folder in MACHINE_FOLDERS {
            if begins_path(line, &format!("/{folder}/")) {
                let path = &file.path;
                findings.push(format!(
                    "{path}:{number}: a path below /{folder} is nobody else's"
                ));
            }
        }
    }
}

/// Whether an absolute path that starts so is in the line; inside a URL or a longer path it is not.
fn begins_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(index, _)| {
        let before = line[..index].chars().next_back();
        before.is_none_or(|it| !it.is_alphanumeric() && !matches!(it, '.' | '_' | '-' | '}' | ')'))
    })
}

/// `npm` writes the address of each package unless told not to; it would be that of one's registry.
fn names_a_registry(file: &SourceFile, findings: &mut Vec<String>) {
    for (number, line) in numbered(file) {
        if line.contains("\"resolved\"") {
            let path = &file.path;
            findings.push(format!(
                "{path}:{number}: leave out \"resolved\" (omit-lockfile-registry-resolved)"
            ));
            return;
        }
    }
}

fn numbered(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    file.content
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn findings(path: &str, content: &str, expected: &[&str]) {
        let file = SourceFile {
            path: path.to_owned(),
            content: content.to_owned(),
        };
        let found = check(&file);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, part) in found.iter().zip(expected) {
            assert!(finding.contains(part), "{finding} lacks {part}");
        }
    }

    #[test]
    fn modules_begin_with_docs() {
        findings("a/src/b.rs", "//! What b does.\n", &[]);
        findings(
            "a/src/lib.rs",
            "#![doc = include_str!(\"../README.md\")]\n",
            &[],
        );
        findings("a/src/b.rs", "use x;\n", &["a/src/b.rs:1: begin with //!"]);
        findings("a/src/b.rs", "", &["begin with //!"]);
        findings("a/src/b/tests.rs", "use super::*;\n", &[]);
        findings("a/tests/it/main.rs", "mod x;\n", &["begin with //!"]);
        findings("a/b.mjs", "import x;\n", &[]);
    }

    #[test]
    fn long_files_are_split() {
        findings("b.rs", &format!("//! b\n{}", "x\n".repeat(699)), &[]);
        findings(
            "b.rs",
            &format!("//! b\n{}", "x\n".repeat(700)),
            &["701 lines"],
        );
        findings("README.md", &"x\n".repeat(900), &[]);
        findings("gateway/assets/app.js", &"x\n".repeat(900), &[]);
    }

    #[test]
    fn nothing_is_left_to_do() {
        for word in [["TO", "DO"], ["FIX", "ME"]] {
            let word = word.concat();
            findings(
                "b.rs",
                &format!("//! b\n// {word}: later\n"),
                &["b.rs:2: do it"],
            );
            findings("b.rs", &format!("//! b\nlet x = \"my{word}\";\n"), &[]);
            findings("b.md", &format!("no {word}\n"), &[]);
        }
        let call = ["todo", "!()"].concat();
        findings(
            "b.rs",
            &format!("//! b\nfn x() {{ {call} }}\n"),
            &["b.rs:2"],
        );
    }

    #[test]
    fn no_file_names_a_machine() {
        for folder in MACHINE_FOLDERS {
            let path = format!("/{folder}/x");
            findings("a.md", &format!("see {path}\n"), &["a.md:1: a path below"]);
            findings("a.json", &format!("{{\"x\":\"{path}\"}}"), &["a.json:1"]);
            findings(
                "a.md",
                &format!("https://example.org{path} and a.b{path} and $HOME{path}"),
                &[],
            );
        }
    }

    #[test]
    fn lock_files_name_no_registry() {
        findings("a/package-lock.json", "{\"version\": \"1\"}\n", &[]);
        findings(
            "a/package-lock.json",
            "{\n\"resolved\": \"https://x\"\n}\n",
            &[":2: leave out"],
        );
    }
}
