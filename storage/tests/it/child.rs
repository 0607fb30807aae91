//! Running one test of this binary in a process of its own, which may be limited or killed.
//!
//! Such a test is `#[ignore]`d, so that it only runs when asked for by name, and finds its directory in the environment.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DIRECTORY: &str = "THALWEG_STORAGE_TEST_DIRECTORY";

/// A command that runs the ignored test `name` on `directory`, after the shell has executed `limits`.
pub(crate) fn command(name: &str, directory: &Path, limits: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits}\nexec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "--test-threads=1",
            name,
        ])
        .env(DIRECTORY, directory)
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, which must be a success, and proves that it was this test that ran.
pub(crate) fn succeed(name: &str, directory: &Path, limits: &str) {
    let output = command(name, directory, limits).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed:\n{text}\n{errors}");
    assert!(
        text.contains("1 passed"),
        "{name} did not run:\n{text}\n{errors}"
    );
}

/// In the child: the directory to work on.
pub(crate) fn directory() -> PathBuf {
    env::var_os(DIRECTORY)
        .expect("this test is run by another one")
        .into()
}
