//! A connection that is ready to work, and the pools of them.

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, RecycleError, RecycleResult};
use futures_util::future;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Statement};

use super::failure;
use super::layout::{self, Sql};
use crate::StorageError;

/// Beyond the connect timeout, which covers the socket: what the server may take to greet us.
const GREETING_MAX: Duration = Duration::from_secs(5);

/// What a notification calls.
pub(super) type Notified = Arc<dyn Fn() + Send + Sync>;

/// Connects. The task that moves the bytes ends with the connection, or when the client is dropped.
pub(super) async fn connect(
    config: &Config,
    notified: Option<Notified>,
) -> Result<(Client, JoinHandle<()>), StorageError> {
    let connecting = timeout(GREETING_MAX, config.connect(NoTls));
    let (client, mut connection) = connecting
        .await
        .map_err(|_| failure::timed_out("connecting"))?
        .map_err(|error| failure::of("connecting", error))?;
    let driver = tokio::spawn(async move {
        // An error ends the connection; whoever uses it is told by the client.
        while let Some(Ok(message)) =
            future::poll_fn(|context| connection.poll_message(context)).await
        {
            if let (AsyncMessage::Notification(_), Some(notified)) = (message, &notified) {
                notified();
            }
        }
    });
    Ok((client, driver))
}

/// A connection with its settings made and its statements prepared.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) statements: Statements,
}

pub(super) struct Statements {
    pub(super) head: Statement,
    pub(super) first_head: Statement,
    pub(super) next_head: Statement,
    pub(super) get: Statement,
    pub(super) forward: Statement,
    pub(super) backward: Statement,
    pub(super) put: Statement,
    pub(super) delete: Statement,
    pub(super) delete_range: Statement,
    pub(super) notify: Statement,
}

impl Statements {
    /// All at once, in one exchange.
    async fn prepare(client: &Client, sql: &Sql) -> Result<Self, tokio_postgres::Error> {
        let (head, first_head, next_head, get, forward) = future::try_join5(
            client.prepare(&sql.head),
            client.prepare(&sql.first_head),
            client.prepare(&sql.next_head),
            client.prepare(&sql.get),
            client.prepare(&sql.forward),
        )
        .await?;
        let (backward, put, delete, delete_range, notify) = future::try_join5(
            client.prepare(&sql.backward),
            client.prepare(&sql.put),
            client.prepare(&sql.delete),
            client.prepare(&sql.delete_range),
            client.prepare(sql.notify),
        )
        .await?;
        Ok(Self {
            head,
            first_head,
            next_head,
            get,
            forward,
            backward,
            put,
            delete,
            delete_range,
            notify,
        })
    }
}

/// Makes sessions for a pool.
pub(super) struct Manager {
    config: Config,
    sql: Sql,
    settings: String,
}

/// A session on loan. It goes back when dropped, so one whose state is not known must be discarded instead.
pub(super) type Loan = Object<Manager>;

pub(super) type Sessions = Pool<Manager>;

/// A pool of at most `size` sessions, on which callers wait in turn.
pub(super) fn pool(
    config: Config,
    schema: &str,
    size: u32,
    wait_max: Duration,
    reader_lifetime_max: Duration,
) -> Result<Sessions, StorageError> {
    let manager = Manager {
        config,
        sql: Sql::of(schema),
        settings: layout::settings(reader_lifetime_max.as_secs()),
    };
    Pool::builder(manager)
        .max_size(usize::try_from(size).unwrap_or(usize::MAX))
        .wait_timeout(Some(wait_max))
        .create_timeout(Some(GREETING_MAX))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StorageError::Unavailable {
            reason: error.to_string(),
        })
}

/// Ends a session whose state is not known.
pub(super) fn discard(loan: Loan) {
    drop(Object::take(loan));
}

impl managed::Manager for Manager {
    type Type = Session;
    type Error = StorageError;

    async fn create(&self) -> Result<Session, StorageError> {
        let (client, _) = connect(&self.config, None).await?;
        let prepared = async {
            client.batch_execute(&self.settings).await?;
            Statements::prepare(&client, &self.sql).await
        };
        let statements = prepared
            .await
            .map_err(|error| failure::of("preparing a connection", error))?;
        Ok(Session { client, statements })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<StorageError> {
        if session.client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}
