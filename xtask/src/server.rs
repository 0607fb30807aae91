//! A `thalweg dev` process under test: started, waited for, stopped or killed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Enough for a debug build of the example import on a busy machine.
const READY_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(30);
const LOG_LINES_SHOWN: usize = 40;

/// A running server. Dropping it kills the process, so that no failure leaves one behind.
pub(crate) struct Server {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Server {
    /// Starts `binary dev` on a free port and waits until it says that it is ready. Its standard
    /// error is appended to the file `log`.
    pub(crate) fn start(binary: &Path, data: &Path, log: &Path, options: &[&str]) -> Result<Self> {
        let log_file = File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(binary)
            .arg("dev")
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let output = child.stdout.take().context("the output is not piped")?;
        let mut server = Server {
            child,
            url: String::new(),
            log: log.to_owned(),
        };
        match ready_url(output) {
            Ok(url) => {
                server.url = url;
                Ok(server)
            }
            Err(error) => Err(error.context(server.log_end())),
        }
    }

    /// The URL without a slash at its end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT` of the URL.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// SIGKILL: what has not been synced now never will be.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().context("cannot kill the server")?;
        self.child.wait().context("cannot wait for the server")?;
        Ok(())
    }

    /// SIGTERM: the server must finish what runs and exit with 0.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        if !sent.context("cannot start kill")?.success() {
            bail!("the server had already ended; {}", self.log_end());
        }
        match self.wait_until(Instant::now() + STOP_MAX)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("after SIGTERM: {status}; {}", self.log_end()),
            None => bail!(
                "still running {STOP_MAX:?} after SIGTERM; {}",
                self.log_end()
            ),
        }
    }

    /// The end of what the server logged, to go into an error message.
    pub(crate) fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let start = lines.len().saturating_sub(LOG_LINES_SHOWN);
        format!("the server's log ends with:\n{}", lines[start..].join("\n"))
    }

    fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        while Instant::now() < deadline {
            if let Some(status) = self
                .child
                .try_wait()
                .context("cannot wait for the server")?
            {
                return Ok(Some(status));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
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
fn ready_url(output: impl Read + Send + 'static) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(|line| line.ok()) {
            if let Some(url) = url_in(&line) {
                // The receiver is gone once it has the first URL.
                let _ = sender.send(url.to_owned());
            }
        }
    });
    receiver
        .recv_timeout(READY_MAX)
        .map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => anyhow::anyhow!("not ready after {READY_MAX:?}"),
            mpsc::RecvTimeoutError::Disconnected => anyhow::anyhow!("ended before it was ready"),
        })
}

fn url_in(line: &str) -> Option<&str> {
    let start = line.find("http://")?;
    let url = line[start..].split_whitespace().next()?;
    Some(url.trim_end_matches(['/', '.', ',']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_gives_the_url() {
        for (line, url) in [
            (
                "Thalweg is ready at http://127.0.0.1:41234/",
                Some("http://127.0.0.1:41234"),
            ),
            ("http://[::1]:4000", Some("http://[::1]:4000")),
            (
                "ready: http://127.0.0.1:80/ (movies)",
                Some("http://127.0.0.1:80"),
            ),
            ("loading movies", None),
        ] {
            assert_eq!(url_in(line), url, "{line}");
        }
    }

    #[test]
    fn a_server_that_ends_early_is_not_waited_for() {
        let error = ready_url(&b"loading\n"[..]).expect_err("no URL");
        assert_eq!(error.to_string(), "ended before it was ready");
    }
}
