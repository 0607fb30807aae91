//! Accepting connections, and draining them when the process is told to stop.
//!
//! One permit of a semaphore travels with the socket itself, through an upgrade to WebSocket too, so the
//! number of free permits always says how many connections are open. That bounds connections, and tells a
//! drain when it is done.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

use crate::api::Api;
use crate::options::GatewayOptions;
use crate::router::{self, Drain, Shared};

/// How long to wait when the process is out of file descriptors, which only others can give back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// HTTP, WebSocket and SSE in front of an [`Api`].
pub struct Gateway<A> {
    shared: Arc<Shared<A>>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every connection finished what it was doing.
    Completely,
    /// This many connections were cut off, because the drain took longer than it may.
    CutOff(usize),
}

impl<A: Api> Gateway<A> {
    /// A gateway in front of `api`.
    pub fn new(api: A, options: GatewayOptions) -> Self {
        Self {
            shared: Arc::new(Shared::new(api, options)),
        }
    }

    /// All paths as a service, for embedding into another server. WebSockets and event streams served this
    /// way end with their clients; only [`Gateway::serve`] drains them.
    pub fn router(&self) -> Router {
        router::build(&self.shared)
    }

    /// Serves connections until `shutdown` resolves, then stops accepting, lets requests finish, closes
    /// WebSockets with 1001 and ends event streams, for at most
    /// [`drain_timeout`](GatewayOptions::drain_timeout).
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Drained {
        let connections_max = self
            .shared
            .options
            .connections_max
            .min(Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(connections_max));
        let service = TowerToHyperService::new(self.router());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let (stream, permit) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = accept(&listener, &permits) => accepted,
            };
            while connections.try_join_next().is_some() {}
            let socket = Socket::new(stream, permit, self.shared.options.write_timeout);
            let serving = serve_connection(
                socket,
                service.clone(),
                self.shared.drain(),
                self.shared.options.read_timeout,
            );
            connections.spawn(serving);
        }
        drop(listener);
        self.shared.begin_drain();
        let all = u32::try_from(connections_max).unwrap_or(u32::MAX);
        match timeout(self.shared.options.drain_timeout, permits.acquire_many(all)).await {
            Ok(_) => Drained::Completely,
            Err(_) => {
                let open = connections_max - permits.available_permits();
                connections.shutdown().await;
                Drained::CutOff(open)
            }
        }
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = loop {
        // The semaphore is never closed, so this loop ends with the first turn.
        if let Ok(permit) = Arc::clone(permits).acquire_owned().await {
            break permit;
        }
    };
    loop {
        let accepted: io::Result<(TcpStream, SocketAddr)> = listener.accept().await;
        match accepted {
            Ok((stream, _)) => {
                // Responses and events are written whole; waiting to fill a segment would only delay them.
                // A socket that refuses the option is already broken, and its first read says so.
                let _ = stream.set_nodelay(true);
                return (stream, permit);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Whether an error of `accept` is about the connection that was to be accepted, not about the process.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn serve_connection(
    socket: Socket,
    service: TowerToHyperService<Router>,
    mut drain: Drain,
    read_timeout: Duration,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(read_timeout)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades()
    );
    // A connection that breaks is its client's affair: whatever ran for it has been told by being dropped.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = drain.begun() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// A TCP stream that holds a connection's permit for as long as it is open, and that breaks when its peer
/// takes nothing for too long.
struct Socket {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
    write_timeout: Duration,
    /// Runs while a write has to wait; dropped when one succeeds.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit, write_timeout: Duration) -> Self {
        Self {
            stream,
            _permit: permit,
            write_timeout,
            patience: None,
        }
    }

    /// Passes on the outcome of a write, unless writes have been waiting for too long.
    fn impatiently(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.patience = None;
            return written;
        }
        let write_timeout = self.write_timeout;
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        ready!(patience.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.impatiently(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.impatiently(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
