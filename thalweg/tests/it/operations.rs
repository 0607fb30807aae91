//! The operator's commands against a server that runs: the real binary, the real socket.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use thalweg_storage::conformance::postgres_server::PostgresServer;

use super::{text, thalweg};

/// A server, and its URL.
struct Server(Child, String);

impl Server {
    fn dev(data: &Path) -> Server {
        Server::start(&["dev", "--data", data.to_str().expect("UTF-8")])
    }

    fn start(arguments: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut ready)
            .expect("a line");
        let url = ready.split_whitespace().last().expect("a URL");
        Server(child, url.trim_end_matches('/').to_owned())
    }

    fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

#[track_caller]
fn done(arguments: &[&str]) -> String {
    let output = thalweg(arguments);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    text(&output.stdout)
}

#[track_caller]
fn failed(arguments: &[&str], because: &str) {
    let output = thalweg(arguments);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(errors.contains(because), "{errors}");
}

#[test]
fn a_running_server_is_backed_up_restored_elsewhere_and_checked() {
    let scratch = tempfile::tempdir().expect("a directory");
    let paths = ["data", "file", "copy", "rivers.json"].map(|name| scratch.path().join(name));
    let [data, file, copy, rivers] = paths.each_ref().map(|path| path.to_str().expect("UTF-8"));
    std::fs::write(
        rivers,
        r#"[{"id":1,"name":"Rhine"},{"id":2,"name":"Elbe"}]"#,
    )
    .expect("written");
    let server = Server::dev(&paths[0]);
    let url = server.1.clone();
    done(&["import", rivers, "--collection", "rivers", "--server", &url]);
    done(&["backup", "--out", file, "--data", data]);
    failed(&["verify", "--data", data], "is in use by process");
    failed(&["restore", file, "--data", data], "is in use by process");
    server.kill();
    // The socket of a server that was killed helps nobody, and hinders nobody.
    assert!(paths[0].join("control.sock").exists());
    assert!(done(&["verify", "--data", data]).contains("clean; 1 collections, 2 documents"));
    done(&["backup", "--out", file, "--data", data]);
    done(&["restore", file, "--data", copy]);
    let report = done(&["verify", "--data", copy, "--format", "json"]);
    assert!(report.starts_with(r#"{"clean":true,"#), "{report}");
    let server = Server::dev(&paths[2]);
    let exported = done(&["export", "--collection", "rivers", "--server", &server.1]);
    assert!(
        exported.contains("Rhine") && exported.contains("Elbe"),
        "{exported}"
    );
    done(&["backup", "--out", file, "--data", copy]);
    server.kill();
    failed(
        &[
            "verify",
            "--data",
            scratch.path().join("none").to_str().expect("UTF-8"),
        ],
        "no store",
    );
}

#[test]
fn a_store_moves_to_postgres_and_back() {
    let own;
    let server = match std::env::var("THALWEG_TEST_POSTGRES") {
        Ok(url) => url,
        Err(_) => {
            own = PostgresServer::start_new().expect("PostgreSQL");
            own.url()
        }
    };
    let separator = if server.contains('?') { '&' } else { '?' };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let schema = format!("operations_{}", now.expect("after 1970").as_nanos());
    let store = &format!("{server}{separator}schema={schema}");
    let scratch = tempfile::tempdir().expect("a directory");
    let paths = ["data", "there", "back", "rivers.json"].map(|name| scratch.path().join(name));
    let [data, there, back, rivers] = paths.each_ref().map(|path| path.to_str().expect("UTF-8"));
    std::fs::write(
        rivers,
        r#"[{"id":1,"name":"Rhine"},{"id":2,"name":"Elbe"}]"#,
    )
    .expect("written");
    let server = Server::dev(&paths[0]);
    done(&[
        "import",
        rivers,
        "--collection",
        "rivers",
        "--server",
        &server.1,
    ]);
    server.kill();
    done(&["backup", "--out", there, "--data", data]);
    done(&["restore", there, "--store", store]);
    // All of it while a server uses the store, which goes on.
    let server = Server::start(&["serve", "--store", store]);
    assert!(done(&["verify", "--store", store]).contains("clean; 1 collections, 2 documents"));
    done(&["backup", "--out", back, "--store", store]);
    failed(
        &["restore", there, "--store", store],
        "a server uses this store",
    );
    done(&[
        "import",
        rivers,
        "--collection",
        "rivers",
        "--server",
        &server.1,
    ]);
    server.kill();
    assert_eq!(
        std::fs::read(there).expect("a file"),
        std::fs::read(back).expect("a file"),
        "the same state is the same file"
    );
}
