//! The control socket: how a command on the same machine reaches the server that has a data directory open.
//!
//! It is `control.sock` in that directory, so whoever may use it is whoever may enter the directory and write to the
//! socket, which is the server's own user; nothing of it is on the network. A request is one line, `backup`. The answer
//! is a line, `ok` or `error` and why, and after `ok` the backup itself, which says where it ends.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use thalweg_engine::Engine;

const BACKUP: &str = "backup";
const OK: &str = "ok";
/// Longest first line of either side.
const LINE_BYTES_MAX: u64 = 4096;
/// Who does not read for so long has gone away.
const WRITE_MAX: Duration = Duration::from_secs(60);
/// Who has connected and asks nothing holds up others for so long.
const REQUEST_MAX: Duration = Duration::from_secs(5);

fn path_in(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// A socket that is answered on; its file goes with it.
pub(crate) struct ControlSocket {
    path: PathBuf,
}

impl ControlSocket {
    /// Answers requests from now on. The directory must be locked by this process.
    pub(crate) fn listen(data: &Path, engine: Engine) -> io::Result<ControlSocket> {
        let path = path_in(data);
        // One that is there belongs to a server that was killed.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let socket = ControlSocket { path };
        fs::set_permissions(&socket.path, fs::Permissions::from_mode(0o600))?;
        // It ends with the process. One backup at a time is made, the next one waits.
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    if let Err(error) = answer(&stream, &engine) {
                        eprintln!("thalweg: a backup ended early: {error:#}");
                    }
                }
            })?;
        Ok(socket)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Where it cannot be removed, the next server does it.
        let _ = fs::remove_file(&self.path);
    }
}

fn answer(mut stream: &UnixStream, engine: &Engine) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(REQUEST_MAX))?;
    stream.set_write_timeout(Some(WRITE_MAX))?;
    match read_line(&mut BufReader::new(stream))?.as_str() {
        BACKUP => {
            writeln!(stream, "{OK}")?;
            engine.backup(&mut stream)?;
        }
        other => writeln!(
            stream,
            "error this server does not know the request {other:?}"
        )?,
    }
    Ok(())
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(LINE_BYTES_MAX).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Asks the server that has the directory open for a backup, to be read from what is returned.
pub(crate) fn request_backup(data: &Path) -> anyhow::Result<impl Read> {
    let path = path_in(data);
    let mut stream = UnixStream::connect(&path)
        .with_context(|| format!("cannot ask the server at {}", path.display()))?;
    writeln!(stream, "{BACKUP}")?;
    let mut reader = BufReader::new(stream);
    let line = read_line(&mut reader).context("the server did not answer")?;
    match line.split_once(' ') {
        None if line == OK => Ok(reader),
        Some(("error", reason)) => Err(anyhow!("the server refused: {reason}")),
        _ => bail!("the server's answer was {line:?}"),
    }
}
