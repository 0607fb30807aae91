//! `thalweg import`: streams files to `POST /import/{collection}` and reports what became of them.
//!
//! Each file is one request, in the order given. All files are opened before the first is sent, so a
//! wrong name changes nothing. When the server ends an import for a reason outside the file, or has
//! refused an `--atomic` one, the files after it are not sent; the report covers what was.

use std::fs::File;
use std::io::{self, BufReader, Read, Write, stderr, stdin, stdout};
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::cli::{ImportArguments, ReportFormat};
use crate::client::{Client, ClientError, refusal};
use crate::export::quiet_when_reader_left;
use crate::progress;

mod format;

/// The unit in which a file is read.
const BUFFER_BYTES: usize = 256 << 10;

/// Imports the files, prints the report, and says whether every document went in.
pub(crate) fn run(arguments: &ImportArguments) -> anyhow::Result<Outcome> {
    run_to(arguments, &mut stdout(), &mut stderr())
}

fn run_to(
    arguments: &ImportArguments,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let mut report = Report::default();
    let result = import_all(arguments, &mut report);
    let printed = report.print(arguments.format, out, errors);
    quiet_when_reader_left(printed).context("cannot print the report")?;
    result?;
    Ok(report.outcome())
}

fn import_all(arguments: &ImportArguments, report: &mut Report) -> anyhow::Result<()> {
    let inputs: Vec<Input> = arguments
        .files
        .iter()
        .map(|path| Input::open(path))
        .collect::<anyhow::Result<_>>()?;
    let client = Client::new(&arguments.server.url);
    let files = inputs.len();
    for (index, input) in inputs.into_iter().enumerate() {
        let name = input.name.clone();
        let answer = send(&client, arguments, input).with_context(|| name.clone())?;
        let stop = answer.was_ended() || (arguments.atomic && answer.failed > 0);
        report.add(&name, answer);
        if stop && index + 1 < files {
            anyhow::bail!("stopped: {} of {files} files not sent", files - index - 1);
        }
    }
    Ok(())
}

/// A file to import, or standard input; opened, and not yet read.
struct Input {
    name: String,
    reader: Box<dyn Read>,
    bytes: Option<u64>,
}

impl Input {
    fn open(path: &Path) -> anyhow::Result<Input> {
        if path.as_os_str() == "-" {
            let name = "<stdin>".to_owned();
            return Ok(Input {
                name,
                reader: Box::new(stdin()),
                bytes: None,
            });
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let metadata = file
            .metadata()
            .with_context(|| format!("cannot open {name}"))?;
        if metadata.is_dir() {
            anyhow::bail!("{name} is a directory");
        }
        let bytes = metadata.is_file().then_some(metadata.len());
        let reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, file));
        Ok(Input {
            name,
            reader,
            bytes,
        })
    }
}

fn send(
    client: &Client,
    arguments: &ImportArguments,
    input: Input,
) -> Result<FileAnswer, ClientError> {
    let mut query = Vec::new();
    if let Some(path) = &arguments.id_field {
        query.push(("idField", path.as_str()));
    }
    if arguments.atomic {
        query.push(("atomic", "true"));
    }
    let content_type = format::content_type(Path::new(&input.name));
    let bar = progress::bytes(&input.name, input.bytes);
    let started = Instant::now();
    let mut body = bar.wrap_read(input.reader);
    let answer = client.post(
        &["import", &arguments.collection],
        &query,
        content_type,
        &mut body,
    );
    bar.finish_and_clear();
    let answer = answer?;

    // An import that ended early is an error status *with* a report, so the body decides.
    let status = answer.status();
    let complete = answer.is_success();
    let text = answer.text()?;
    match serde_json::from_str::<FileAnswer>(&text) {
        Ok(report) => Ok(FileAnswer {
            complete,
            seconds: started.elapsed().as_secs_f64(),
            ..report
        }),
        Err(_) => Err(refusal(status, &text)),
    }
}

/// What the server says about one file.
#[derive(Debug, Deserialize)]
struct FileAnswer {
    inserted: u64,
    replaced: u64,
    failed: u64,
    #[serde(default)]
    errors: Vec<LineError>,
    /// Whether the server got to the end of the file; the status says so.
    #[serde(skip)]
    complete: bool,
    /// Measured here, from the first byte sent to the answer.
    #[serde(skip)]
    seconds: f64,
}

impl FileAnswer {
    /// Whether the reason lies outside the file: such an error has no line.
    fn was_ended(&self) -> bool {
        !self.complete && self.errors.iter().any(|error| error.line.is_none())
    }
}

#[derive(Debug, Deserialize)]
struct LineError {
    line: Option<u64>,
    message: String,
}

/// What became of all files; its JSON form is what `--format json` prints.
#[derive(Debug, Default, Serialize)]
struct Report {
    inserted: u64,
    replaced: u64,
    failed: u64,
    errors: Vec<DocumentError>,
    files: Vec<FileReport>,
}

#[derive(Debug, Serialize)]
struct DocumentError {
    file: String,
    line: Option<u64>,
    message: String,
}

#[derive(Debug, Serialize)]
struct FileReport {
    file: String,
    inserted: u64,
    replaced: u64,
    failed: u64,
    complete: bool,
    seconds: f64,
    /// The server names only so many faulty lines; this many went unnamed.
    errors_omitted: u64,
}

impl Report {
    fn outcome(&self) -> Outcome {
        let done = |file: &FileReport| file.complete && file.failed == 0;
        if self.files.iter().all(done) {
            Outcome::Done
        } else {
            Outcome::Failed
        }
    }

    fn add(&mut self, file: &str, answer: FileAnswer) {
        let named = answer
            .errors
            .iter()
            .filter(|error| error.line.is_some())
            .count() as u64;
        self.inserted += answer.inserted;
        self.replaced += answer.replaced;
        self.failed += answer.failed;
        self.files.push(FileReport {
            file: file.to_owned(),
            inserted: answer.inserted,
            replaced: answer.replaced,
            failed: answer.failed,
            complete: answer.complete,
            seconds: answer.seconds,
            errors_omitted: answer.failed.saturating_sub(named),
        });
        let errors = answer.errors.into_iter();
        self.errors
            .extend(errors.map(|LineError { line, message }| DocumentError {
                file: file.to_owned(),
                line,
                message,
            }));
    }

    fn print(
        &self,
        format: ReportFormat,
        out: &mut dyn Write,
        errors: &mut dyn Write,
    ) -> io::Result<()> {
        match format {
            ReportFormat::Text => {
                // Standard error may be closed; the exit code still tells.
                let _ = self.write_errors(errors);
                self.write_summary(out)
            }
            ReportFormat::Json => writeln!(out, "{}", serde_json::to_string(self)?),
        }
    }

    /// One line for each fault, in the form that editors can jump to.
    fn write_errors(&self, out: &mut dyn Write) -> io::Result<()> {
        for DocumentError {
            file,
            line,
            message,
        } in &self.errors
        {
            match line {
                Some(line) => writeln!(out, "{file}:{line}: {message}")?,
                None => writeln!(out, "{file}: {message}")?,
            }
        }
        for FileReport {
            file,
            errors_omitted,
            ..
        } in &self.files
        {
            if *errors_omitted > 0 {
                writeln!(out, "{file}: and {errors_omitted} more")?;
            }
        }
        Ok(())
    }

    fn write_summary(&self, out: &mut dyn Write) -> io::Result<()> {
        for FileReport {
            file,
            inserted,
            replaced,
            failed,
            seconds,
            ..
        } in &self.files
        {
            writeln!(
                out,
                "{file}: {inserted} inserted, {replaced} replaced, {failed} failed in {seconds:.1} s",
            )?;
        }
        if self.files.len() > 1 {
            let Report {
                inserted,
                replaced,
                failed,
                ..
            } = self;
            writeln!(
                out,
                "total: {inserted} inserted, {replaced} replaced, {failed} failed"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
