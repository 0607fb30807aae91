//! The blocking contract over asynchronous connections: a thread that drives the sockets, and a way to wait for it.
//!
//! Sockets, timers and reconnecting live on a runtime of one thread that the backend owns. A caller polls its own
//! request on its own thread and parks until the answer is there, so a request costs no second hop. It may
//! be called from anywhere, threads of another runtime included.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::{block_in_place, coop};

use crate::StorageError;

/// The runtime of one backend. Its tasks end when it is dropped.
#[derive(Debug)]
pub(super) struct Bridge {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Bridge {
    pub(super) fn start() -> Result<Self, StorageError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()
            .map_err(|source| StorageError::Io {
                action: "starting the thread that talks to PostgreSQL".to_owned(),
                source,
            })?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Where tasks are spawned that outlive a call.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Blocks until the future is done. Timers and tasks that it starts belong to this runtime.
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        let inside = Handle::try_current().map(|handle| handle.runtime_flavor());
        if matches!(inside, Ok(RuntimeFlavor::MultiThread)) {
            // The caller's runtime moves its other tasks to another thread for as long as this one waits.
            block_in_place(|| self.park(future))
        } else {
            self.park(future)
        }
    }

    fn park<F: Future>(&self, future: F) -> F::Output {
        let _context = self.handle.enter();
        // Else the budget of the caller's task could run out, and nothing would refill it while it is parked.
        let mut future = pin!(coop::unconstrained(future));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A plain drop would wait, which a thread of another runtime must not.
            runtime.shutdown_background();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs a timer of the bridge and a task on it, and more polls than a task of the caller has budget for.
    async fn work() -> u32 {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for number in 1..=1000 {
                if sender.send(number).await.is_err() {
                    return;
                }
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let mut sum = 0;
        while let Some(number) = receiver.recv().await {
            sum += number;
        }
        sum
    }

    #[test]
    fn waiting_works_outside_and_inside_of_any_runtime() {
        let bridge = Arc::new(Bridge::start().unwrap());
        assert_eq!(bridge.wait(work()), 500_500);
        for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
            let runtime = builder.worker_threads(1).enable_all().build().unwrap();
            let inner = Arc::clone(&bridge);
            let task = runtime.spawn(async move { inner.wait(work()) });
            assert_eq!(runtime.block_on(task).unwrap(), 500_500);
        }
        let inner = Arc::clone(&bridge);
        let on_itself = bridge.handle().spawn(async move { inner.wait(work()) });
        assert_eq!(bridge.wait(on_itself).unwrap(), 500_500);
    }

    #[test]
    fn it_may_be_dropped_inside_a_runtime() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { drop(Bridge::start().unwrap()) });
    }
}
