//! The clients as threads of the operating system, against the engine as it runs in production.
//!
//! Who goes first is the scheduler's choice, so a seed does not repeat a run; in return the threads really meet.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::{Life, Run, draw_jump, work};

/// How often, in a thousand transactions, a client moves the clock first.
const JUMPS_IN_THOUSAND: usize = 100;

/// Lets all clients work until they are done or the life is over.
pub(super) fn live(run: &mut Run<'_>, life: &Life) {
    let Run {
        clients,
        random,
        clock,
        history,
        ..
    } = run;
    let (random, clock, history) = (&*random, &*clock, &*history);
    thread::scope(|scope| {
        for client in clients {
            let number = client.number * 1_000_000 + client.left;
            let mut random = random.stream(number as u64);
            let jump = move || {
                if random.in_thousand(JUMPS_IN_THOUSAND) {
                    clock.jump(draw_jump(&mut random));
                }
            };
            scope.spawn(move || block_on(work(history, life, client, jump)));
        }
    });
}

/// Waits for a future on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let woken = Arc::new(Woken {
        thread: thread::current(),
        is_woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        while !woken.is_woken.swap(false, Ordering::SeqCst) {
            thread::park();
        }
    }
}

struct Woken {
    thread: Thread,
    /// Asked beside the thread's own token, which a future that waits for something itself may have used up.
    is_woken: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}
