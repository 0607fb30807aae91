//! `thalweg codegen`: what a client's tools need to know of a schema, written as the files that they read.
//!
//! Types of operations are made by each ecosystem's own generators, which read the schema as it is (`docs/clients.md`).
//! What is written here is what those cannot know by themselves. Files go into one directory; what their users are meant
//! to change is not replaced unasked.

mod relay;

use std::fs;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};

use crate::Outcome;
use crate::cli::{CodegenArguments, CodegenLanguage};
use crate::client::Client;
use crate::export::quiet_when_reader_left;

/// A file to be written.
#[derive(Debug, PartialEq, Eq)]
struct GeneratedFile {
    name: &'static str,
    text: String,
    ownership: Ownership,
}

/// Whose a file is once it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ownership {
    /// It is made anew each time.
    Program,
    /// The same, and it says so in its first line. A file of that name with another first line is somebody else's.
    MarkedProgram,
    /// Its users go on from what was made first.
    Users,
}

/// Writes the files, and says of each what became of it.
pub(crate) fn run(arguments: &CodegenArguments) -> anyhow::Result<Outcome> {
    let (sdl, source) = match &arguments.schema {
        Some(file) => {
            let sdl = fs::read_to_string(file);
            let source = file.display().to_string();
            (
                sdl.with_context(|| format!("cannot read {source}"))?,
                source,
            )
        }
        None => {
            let url = &arguments.server.url;
            let answer = Client::new(url).get(&["schema.graphql"])?;
            (answer.text()?, url.to_string())
        }
    };
    let out = &arguments.out;
    let files = match arguments.lang {
        CodegenLanguage::Relay => {
            let documents = relative(&absolute(out)?, &absolute(&arguments.documents.0)?);
            relay::files(&sdl, &documents).with_context(|| source.clone())?
        }
    };
    fs::create_dir_all(out.join(relay::ARTIFACTS))
        .with_context(|| format!("cannot create {}", out.display()))?;
    let mut outcome = Outcome::Done;
    for file in &files {
        let path = out.join(file.name);
        let before = match fs::read_to_string(&path) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let is_kept = match (&before, file.ownership) {
            (None, _) | (Some(_), Ownership::Program) => false,
            (Some(before), Ownership::MarkedProgram) => {
                !arguments.force && before.lines().next() != file.text.lines().next()
            }
            (Some(before), Ownership::Users) => !arguments.force && *before != file.text,
        };
        if !is_kept {
            fs::write(&path, &file.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            quiet_when_reader_left(writeln!(stdout(), "{} written", path.display()))?;
            continue;
        }
        let path = path.display();
        if file.ownership == Ownership::MarkedProgram {
            bail!("{path} was not made by this command; move it away, or replace it with --force");
        }
        quiet_when_reader_left(writeln!(
            stdout(),
            "{path} kept as it is; --force makes it anew"
        ))?;
        let disagreement = before.and_then(|before| relay::disagreement(&before, &file.text));
        if let Some(disagreement) = disagreement {
            quiet_when_reader_left(writeln!(stderr(), "{path}: {disagreement}"))?;
            outcome = Outcome::Failed;
        }
    }
    Ok(outcome)
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path)
        .with_context(|| format!("cannot find out where {} is", path.display()))?;
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    Ok(plain)
}

/// The way from a directory to a path, with slashes; both are absolute.
fn relative(from: &Path, to: &Path) -> String {
    let (mut from, mut to) = (from.components().peekable(), to.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.map(|_| "..".to_owned());
    let down = to.map(|part| part.as_os_str().to_string_lossy().into_owned());
    let parts: Vec<String> = up.chain(down).collect();
    match parts.is_empty() {
        true => ".".to_owned(),
        false => parts.join("/"),
    }
}

#[cfg(test)]
mod tests;
