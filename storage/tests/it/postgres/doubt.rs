//! What a commit says when its connection is cut at a certain point, or `COMMIT` itself is refused.

use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use thalweg_storage::{Backend, CommitError, Head, PostgresBackend, PostgresOptions, StorageError};

use super::{Schema, batch, eventually, put};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// When the head is about to be updated.
    BeforeTheWrites,
    /// When `COMMIT` is sent, which the server never sees.
    BeforeCommit,
    /// When the server has answered `COMMIT`, which the client never learns.
    AfterCommit,
}

/// A way to the server that cuts one connection where it is told to.
struct Proxy {
    port: u16,
    cut: Arc<Mutex<Option<Cut>>>,
}

impl Proxy {
    fn start(server: &str) -> Proxy {
        let (_, rest) = server
            .split_once('@')
            .expect("a URL with a user and a port");
        let address = rest.split(['/', '?']).next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(Mutex::new(None));
        let cut_here = Arc::clone(&cut);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&address).unwrap());
                let answers = Arc::new(Mutex::new(true));
                let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (cut, passes) = (Arc::clone(&cut_here), Arc::clone(&answers));
                thread::spawn(move || requests(up.0, up.1, &cut, &passes));
                thread::spawn(move || forward_answers(server, client, &answers));
            }
        });
        Proxy { port, cut }
    }

    /// The same URL, by way of the proxy.
    fn url(&self, server: &str, schema: &Schema) -> String {
        let (user, rest) = server
            .split_once('@')
            .expect("a URL with a user and a port");
        let end = rest.find(['/', '?']).unwrap();
        let separator = if rest.contains('?') { '&' } else { '?' };
        format!(
            "{user}@127.0.0.1:{}{}{separator}schema={}",
            self.port,
            &rest[end..],
            schema.name
        )
    }
}

/// Passes requests on until one is to be cut. Each is small enough to arrive in one piece on loopback.
fn requests(
    mut client: TcpStream,
    mut server: TcpStream,
    cut: &Mutex<Option<Cut>>,
    passes: &Mutex<bool>,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        let request = &bytes[..count];
        let contains = |text: &[u8]| request.windows(text.len()).any(|window| window == text);
        let mut cut = cut.lock();
        let here = match *cut {
            Some(Cut::BeforeTheWrites) => contains(b"READ COMMITTED READ WRITE"),
            Some(Cut::BeforeCommit | Cut::AfterCommit) => contains(b"COMMIT\0"),
            None => false,
        };
        if here {
            if cut.take() != Some(Cut::AfterCommit) {
                break;
            }
            *passes.lock() = false;
        }
        drop(cut);
        if server.write_all(request).is_err() {
            break;
        }
    }
    // Either end may be closed already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Passes answers on, and closes the connection instead where they no longer pass.
fn forward_answers(mut server: TcpStream, mut client: TcpStream, passes: &Mutex<bool>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = server.read(&mut bytes) {
        if !*passes.lock() || client.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Either end may be closed already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn a_cut_connection_is_doubt_only_once_commit_was_sent() {
    let schema = Schema::new();
    let proxy = Proxy::start(&schema.server);
    let url = proxy.url(&schema.server, &schema).parse().unwrap();
    let store = PostgresBackend::open(&url, PostgresOptions::default()).unwrap();
    // Snapshots end with COMMIT too, so those are taken beside the proxy.
    let direct = schema.open(PostgresOptions::default());
    let stored = || direct.snapshot().unwrap().head();
    let mut head: Option<Head> = None;
    for cut in [
        Cut::AfterCommit,
        Cut::BeforeTheWrites,
        Cut::BeforeCommit,
        Cut::AfterCommit,
    ] {
        let before = batch(head, vec![put(b"before", b"")]);
        store.commit(&before).unwrap();
        let doubtful = batch(Some(before.head), vec![put(b"doubtful", b"")]);
        *proxy.cut.lock() = Some(cut);
        let result = store.commit(&doubtful);
        assert_eq!(*proxy.cut.lock(), None, "{cut:?} has happened");
        match cut {
            Cut::BeforeTheWrites => {
                // Nothing had come of it, so it was tried again.
                assert!(result.is_ok(), "{result:?}");
                assert_eq!(stored(), Some(doubtful.head));
                head = Some(doubtful.head);
                continue;
            }
            Cut::BeforeCommit => assert_eq!(stored(), Some(before.head)),
            Cut::AfterCommit => assert_eq!(stored(), Some(doubtful.head)),
        }
        assert!(
            matches!(
                &result,
                Err(CommitError::Indeterminate(StorageError::Unavailable { .. }))
            ),
            "{cut:?}: {result:?}"
        );
        // A higher epoch settles it, on a new connection.
        let mut settling = batch(stored(), Vec::new());
        settling.head.epoch += 1;
        eventually("the doubt is settled", || {
            store
                .commit(&settling)
                .map_err(|error| format!("{error:?}"))
        });
        head = Some(settling.head);
    }
}

#[test]
fn a_refusal_of_commit_itself_is_certain() {
    let schema = Schema::new();
    let store = schema.open(PostgresOptions::default());
    let name = &schema.name;
    schema.sql(&format!(
        "CREATE FUNCTION {name}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$; \
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {name}.kv DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION {name}.refuse()"
    ));
    let refused = store.commit(&batch(None, vec![put(b"a", b"1")]));
    assert!(
        matches!(&refused, Err(CommitError::NotCommitted(error)) if error.to_string().contains("not today")),
        "{refused:?}"
    );
    assert_eq!(store.snapshot().unwrap().head(), None);
    schema.sql(&format!("DROP TRIGGER refuse ON {name}.kv"));
    store.commit(&batch(None, vec![put(b"a", b"1")])).unwrap();
}
