//! A server process under test: started on a free port, killed when dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::machine;

const READY_MAX: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills the process, so that no failure leaves one behind.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts `thalweg serve` on a store in that directory.
    pub(crate) fn thalweg(binary: &Path, data: &Path) -> Result<Self> {
        Server::thalweg_with(binary, data, &[])
    }

    /// The same with settings, each `NAME=VALUE`.
    pub(crate) fn thalweg_with(binary: &Path, data: &Path, limits: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["serve", "--auto-create", "--listen", "127.0.0.1:0"]);
        command
            .arg("--store")
            .arg(format!("file:{}", data.display()));
        for limit in limits {
            command.args(["--limit", limit]);
        }
        Server::start(command)
    }

    /// Starts a server that prints a line with its URL once it accepts connections.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let shown = format!("{command:?}");
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.with_context(|| format!("cannot start {shown}"))?;
        let output = child.stdout.take();
        let mut server = Server {
            child,
            address: String::new(),
        };
        server.address = ready_address(output.context("the output is not piped")?)
            .with_context(|| format!("{shown} is not ready"))?;
        Ok(server)
    }

    /// Applies a schema, which is left in that directory.
    pub(crate) fn apply(&self, binary: &Path, directory: &Path, schema: &str) -> Result<()> {
        let file = directory.join("schema.graphql");
        std::fs::write(&file, schema)?;
        let mut apply = Command::new(binary);
        apply.args(["schema", "apply", "--server"]);
        apply.arg(format!("http://{}", self.address)).arg(&file);
        let status = apply.stdout(Stdio::null()).status()?;
        ensure!(status.success(), "the schema was refused: {status}");
        Ok(())
    }

    /// `HOST:PORT`
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Processor time that the process has used, in seconds; NaN where there is no `/proc`.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        machine::processor_seconds_of(&self.child.id().to_string()).unwrap_or(f64::NAN)
    }

    /// Its resident memory in bytes, without the files that it has mapped; NaN where there is no `/proc`.
    pub(crate) fn memory_bytes(&self) -> f64 {
        let memory = machine::memory_of(&self.child.id().to_string());
        memory.map_or(f64::NAN, |it| it.anonymous)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process has already been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the ready line, and goes on reading so that the server never blocks on a full pipe.
fn ready_address(output: impl Read + Send + 'static) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(|line| line.ok()) {
            if let Some(address) = address_in(&line) {
                // The receiver is gone once it has the first address.
                let _ = sender.send(address.to_owned());
            }
        }
    });
    match receiver.recv_timeout(READY_MAX) {
        Ok(address) => Ok(address),
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("no line with a URL in {READY_MAX:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => bail!("it ended early"),
    }
}

fn address_in(line: &str) -> Option<&str> {
    let (_, url) = line.split_once("http://")?;
    url.split(['/', ' ']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_has_the_address() {
        assert_eq!(
            address_in("ready at http://127.0.0.1:41/"),
            Some("127.0.0.1:41")
        );
        assert_eq!(
            address_in("http://127.0.0.1:41 (bare)"),
            Some("127.0.0.1:41")
        );
        assert_eq!(address_in("loading"), None);
    }
}
