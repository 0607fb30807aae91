//! A server process under test: started on a free port, killed when dropped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const READY_MAX: Duration = Duration::from_secs(60);

/// The unit of `/proc/PID/stat` on every Linux that is in use.
const TICKS_PER_SECOND: f64 = 100.0;

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

    /// `HOST:PORT`
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Processor time that the process has used, in seconds; NaN where there is no `/proc`.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.ok()
            .and_then(|stat| cpu_ticks(&stat))
            .map_or(f64::NAN, |it| it / TICKS_PER_SECOND)
    }

    /// Its resident memory in bytes, without the files that it has mapped; NaN where there is no `/proc`.
    pub(crate) fn memory_bytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        status
            .ok()
            .and_then(|status| anonymous_kilobytes(&status))
            .map_or(f64::NAN, |it| it * 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process has already been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time of a line of `/proc/PID/stat`: fields 14 and 15. The second field, a name in parentheses, may
/// hold anything.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system) = (fields.next()?, fields.next()?);
    Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
}

/// Resident anonymous memory in a `/proc/PID/status`.
fn anonymous_kilobytes(status: &str) -> Option<f64> {
    let (_, rest) = status.split_once("RssAnon:")?;
    rest.split_whitespace().next()?.parse().ok()
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

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(cpu_ticks(stat), Some(300.0));
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn anonymous_memory_is_told_from_that_of_files() {
        let status = "VmRSS:\t   900 kB\nRssAnon:\t     700 kB\nRssFile:\t     200 kB\n";
        assert_eq!(anonymous_kilobytes(status), Some(700.0));
        assert_eq!(anonymous_kilobytes(""), None);
    }
}
