//! `thalweg export`: collections of a running server as NDJSON.
//!
//! One collection goes to standard output or to a file; more than one, or all, to a directory with
//! a file `NAME.ndjson` for each. A file is written under another name and renamed when it is
//! complete, so a name never stands for half a collection. Each collection is one snapshot; two
//! collections may be of different moments.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::Context;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;

use crate::cli::ExportArguments;
use crate::client::Client;
use crate::progress;

const BUFFER_BYTES: usize = 64 << 10;

/// What a collection's name may not bring into a file name, on any system.
const NOT_IN_FILE_NAMES: &AsciiSet = &CONTROLS
    .add(b'/')
    .add(b'\\')
    .add(b':')
    .add(b'*')
    .add(b'?')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'|')
    .add(b'%');

/// Exports what the arguments ask for.
pub(crate) fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    let client = Client::new(&arguments.server.url);
    let collections = match arguments.collections.as_slice() {
        [] => all_collections(&client)?,
        named => named.to_vec(),
    };
    match destination(arguments) {
        Destination::StandardOutput(collection) => {
            let mut body = client.get(&["export", collection])?.into_reader();
            quiet_when_reader_left(copy_to_stdout(&mut body))?;
        }
        Destination::File { collection, path } => export_file(&client, collection, path)?,
        Destination::Directory(directory) => {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
            for collection in &collections {
                export_file(&client, collection, &directory.join(file_name(collection)))?;
            }
        }
    }
    Ok(())
}

enum Destination<'a> {
    StandardOutput(&'a str),
    File { collection: &'a str, path: &'a Path },
    Directory(&'a Path),
}

fn destination(arguments: &ExportArguments) -> Destination<'_> {
    match (arguments.collections.as_slice(), arguments.out.as_deref()) {
        ([collection], None) => Destination::StandardOutput(collection),
        ([collection], Some(out)) if out.as_os_str() == "-" => {
            Destination::StandardOutput(collection)
        }
        ([collection], Some(path)) if !means_directory(path) => {
            Destination::File { collection, path }
        }
        (_, out) => Destination::Directory(out.unwrap_or(Path::new("."))),
    }
}

fn means_directory(path: &Path) -> bool {
    path.is_dir()
        || path
            .as_os_str()
            .to_string_lossy()
            .ends_with(std::path::is_separator)
}

fn all_collections(client: &Client) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Data {
        collections: Vec<Collection>,
    }
    #[derive(Deserialize)]
    struct Collection {
        name: String,
    }
    let data: Data = client
        .query("{ collections { name } }")
        .context("cannot list the collections")?;
    Ok(data
        .collections
        .into_iter()
        .map(|collection| collection.name)
        .collect())
}

/// A file name that cannot leave its directory or hide in it.
fn file_name(collection: &str) -> String {
    let escaped = utf8_percent_encode(collection, NOT_IN_FILE_NAMES).to_string();
    match escaped.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}.ndjson"),
        None => format!("{escaped}.ndjson"),
    }
}

fn export_file(client: &Client, collection: &str, path: &Path) -> anyhow::Result<()> {
    let mut body = client
        .get(&["export", collection])
        .context(collection.to_owned())?
        .into_reader();
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);

    let documents = match write_file(collection, &mut body, &partial) {
        Ok(documents) => documents,
        Err(error) => {
            // Nothing to add if even that fails: the error that matters is the first.
            let _ = fs::remove_file(&partial);
            return Err(error).with_context(|| format!("cannot export {collection}"));
        }
    };
    fs::rename(&partial, path).with_context(|| format!("cannot create {}", path.display()))?;
    eprintln!("{collection}: {documents} documents in {}", path.display());
    Ok(())
}

/// Copies the stream to a file, makes it durable, and counts its lines.
fn write_file(label: &str, body: &mut dyn Read, path: &Path) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    let bar = progress::bytes(label, None);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut documents = 0;
    loop {
        let read = body.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        documents += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
        file.write_all(&buffer[..read])?;
        bar.inc(read as u64);
    }
    bar.finish_and_clear();
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    Ok(documents)
}

fn copy_to_stdout(body: &mut dyn Read) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, stdout().lock());
    io::copy(body, &mut out)?;
    out.flush()
}

/// Whoever reads the output may stop early (`| head`); that is not a failure.
pub(crate) fn quiet_when_reader_left(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
