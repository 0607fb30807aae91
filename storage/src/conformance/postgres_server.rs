//! A PostgreSQL server for tests: made from nothing, and gone with the process that started it.
//!
//! It listens on a free port of the loopback address, keeps its files in a temporary directory, and syncs as a real
//! one does. PostgreSQL refuses to run as root, so for root it runs as the user `postgres` that packages create.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A free port can be taken by somebody else before the server has it.
const START_ATTEMPTS: u32 = 5;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Connections are ended, and everything is written; as an administrator does.
    Fast,
    /// Everything ends at once, and the next start replays the log; as after a crash.
    Immediate,
}

/// A running PostgreSQL server with an empty database. Dropping it stops it and removes its files; so does the end of
/// the process, however it ends.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    directory: PathBuf,
    user: Option<User>,
    port: u16,
    /// A shell that waits for its input to end, which is when this process does, and then clears up.
    guardian: Child,
}

/// Whom the server runs as.
#[derive(Clone, Copy, Debug)]
struct User {
    uid: u32,
    gid: u32,
}

impl PostgresServer {
    /// Where the programs of the newest installed version are, if there is one.
    pub fn programs() -> Option<PathBuf> {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let number = path.file_name()?.to_str()?.parse().ok()?;
                Some((number, path.join("bin")))
            })
            .filter(|(_, programs)| {
                ["initdb", "pg_ctl", "postgres"]
                    .iter()
                    .all(|it| programs.join(it).is_file())
            })
            .collect();
        versions.sort();
        versions.pop().map(|(_, programs)| programs)
    }

    /// Makes a database and starts a server on it.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed, or does not start; the message has the end of its log.
    pub fn start_new() -> io::Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let programs = Self::programs().ok_or_else(|| {
            io::Error::other(format!(
                "no PostgreSQL below {VERSIONS}; Debian has it: apt-get install postgresql"
            ))
        })?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("thalweg-postgres-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let user = user_to_run_as()?;
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        if let Some(User { uid, gid }) = user {
            chown(&directory, Some(uid), Some(gid))?;
        }
        let guardian = guard(&programs, &directory, user)?;
        let mut server = Self {
            programs,
            directory,
            user,
            port: 0,
            guardian,
        };
        server.create_database()?;
        server.start_on_a_free_port()?;
        Ok(server)
    }

    /// The URL of its database, without parameters.
    pub fn url(&self) -> String {
        format!("postgres://thalweg@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it again where it was.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(&self) -> io::Result<()> {
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c max_connections=200 -c shared_buffers=64MB",
            self.port,
            self.directory.display()
        );
        let log = self.directory.join("log");
        let arguments = ["start", "--wait", "--timeout=60", "-l"].map(OsStr::new);
        let run = self.program("pg_ctl", |command| {
            command.args(arguments).arg(&log).arg("-o").arg(&options)
        });
        run.map_err(|error| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(20)..].join("\n");
            io::Error::other(format!("{error}\nits log ends with:\n{end}"))
        })
    }

    /// Stops it; its data stays.
    ///
    /// # Errors
    ///
    /// When it is not running, or does not stop.
    pub fn stop(&self, mode: StopMode) -> io::Result<()> {
        let mode = match mode {
            StopMode::Fast => "--mode=fast",
            StopMode::Immediate => "--mode=immediate",
        };
        self.program("pg_ctl", |command| command.args(["stop", "--wait", mode]))
    }

    fn create_database(&self) -> io::Result<()> {
        self.program("initdb", |command| {
            command.args([
                "--username=thalweg",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
        })
    }

    fn start_on_a_free_port(&mut self) -> io::Result<()> {
        let mut attempt = 1;
        loop {
            self.port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            match self.start() {
                Err(_) if attempt < START_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// Runs one of PostgreSQL's programs on the data to its end.
    fn program(
        &self,
        name: &str,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> io::Result<()> {
        let mut command = Command::new(self.programs.join(name));
        arguments(&mut command)
            .arg("--pgdata")
            .arg(self.directory.join("data"))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            // The server would inherit a pipe and keep it open.
            .stdout(Stdio::null());
        run_as(&mut command, self.user);
        let errors = self.directory.join("errors");
        command.stderr(fs::File::create(&errors)?);
        if command.status()?.success() {
            return Ok(());
        }
        let said = fs::read_to_string(&errors).unwrap_or_default();
        Err(io::Error::other(format!("{name} failed: {}", said.trim())))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        // Its only failure is that somebody else has waited for it.
        let _ = self.guardian.wait();
    }
}

/// Starts the shell that clears up. Killing this process ends its input as well.
fn guard(programs: &Path, directory: &Path, user: Option<User>) -> io::Result<Child> {
    let script = "trap '' INT TERM HUP; cat > /dev/null; \
                  \"$0\" stop --wait --mode=immediate --pgdata \"$1/data\" > /dev/null 2>&1; rm -rf \"$1\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(programs.join("pg_ctl"))
        .arg(directory)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of the terminal's Ctrl-C, which is for this process.
        .process_group(0);
    run_as(&mut command, user);
    command.spawn()
}

fn run_as(command: &mut Command, user: Option<User>) {
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
}

/// `None` for the user of this process, who may be anybody but root.
fn user_to_run_as() -> io::Result<Option<User>> {
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    Ok(Some(User {
        uid: id(&["-u", "postgres"])?,
        gid: id(&["-g", "postgres"])?,
    }))
}

/// Asks `id`, because the standard library has no call for it.
fn id(arguments: &[&str]) -> io::Result<u32> {
    let output = Command::new("id").args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| {
        io::Error::other(format!(
            "`id {}` gives no number; is there a user postgres?",
            arguments.join(" ")
        ))
    })
}
