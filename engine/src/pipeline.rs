//! What drives the committer and the writer: two threads, or a test that takes their steps in an order of its own.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::committer::{Committer, Request};
use crate::error::EngineError;
use crate::published::Published;
use crate::writer::{Work, Writer, Written};

/// Tells everybody that nothing is committed any more if a thread of the pipeline panics.
struct FailOnPanic(Arc<Published>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&EngineError::Thread {
                reason: "it panicked".to_owned(),
            });
        }
    }
}

/// What is asked of the committer.
pub(crate) struct Inbox {
    pub(crate) requests: mpsc::Receiver<Request>,
    /// Ends when nothing more is to be taken.
    pub(crate) is_shut: oneshot::Receiver<()>,
}

/// Starts both threads. They end when the inbox is shut and all that was in it is written.
pub(crate) fn start(
    committer: Committer,
    writer: Writer,
    inbox: Inbox,
) -> Result<Vec<JoinHandle<()>>, EngineError> {
    let failed = |error: std::io::Error| EngineError::Thread {
        reason: error.to_string(),
    };
    // One group at a time is on its way, so neither channel ever holds more than one value.
    let (work, work_receiver) = std::sync::mpsc::channel();
    let (written, written_receiver) = mpsc::unbounded_channel();
    let published = Arc::clone(&committer.published);
    let writing = std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || {
            let _guard = FailOnPanic(published);
            for work in work_receiver {
                if written.send(writer.write(work)).is_err() {
                    break;
                }
            }
        })
        .map_err(failed)?;
    let published = Arc::clone(&committer.published);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(failed)?;
    let committing = std::thread::Builder::new()
        .name("committer".to_owned())
        .spawn(move || {
            let _guard = FailOnPanic(published);
            runtime.block_on(commit(committer, inbox, work, written_receiver));
        })
        .map_err(failed)?;
    Ok(vec![committing, writing])
}

/// Gathers what has come, hands it over when the writer is free, and waits for either.
async fn commit(
    mut committer: Committer,
    inbox: Inbox,
    work: std::sync::mpsc::Sender<Work>,
    mut written: mpsc::UnboundedReceiver<Written>,
) {
    let Inbox {
        mut requests,
        mut is_shut,
    } = inbox;
    let mut is_closed = false;
    loop {
        while committer.has_room() {
            match requests.try_recv() {
                Ok(request) => committer.take(request),
                Err(_) => break,
            }
        }
        if let Some(group) = committer.hand_over()
            && work.send(group).is_err()
        {
            return;
        }
        if is_closed && !committer.is_busy() {
            return;
        }
        tokio::select! {
            biased;
            written = written.recv() => match written {
                Some(written) => committer.written(written),
                // The writer has panicked, and has said so.
                None => return,
            },
            _ = &mut is_shut, if !requests.is_closed() => requests.close(),
            request = requests.recv(), if !is_closed && committer.has_room() => match request {
                Some(request) => committer.take(request),
                None => is_closed = true,
            },
        }
    }
}

/// One kind of step of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Take one request into the open group.
    Order,
    /// Close the open group and give it to the writer.
    HandOver,
    /// Write the group that was handed over, publish it, and answer.
    Write,
}

/// Drives an engine step by step, without threads, so that a simulation decides in which order things happen.
pub struct EngineStepper {
    committer: Committer,
    writer: Writer,
    inbox: Inbox,
    work: Option<Work>,
}

impl EngineStepper {
    pub(crate) fn new(committer: Committer, writer: Writer, inbox: Inbox) -> Self {
        EngineStepper {
            committer,
            writer,
            inbox,
            work: None,
        }
    }

    /// Whether a step of this kind has something to do.
    pub fn can_step(&self, stage: Stage) -> bool {
        match stage {
            Stage::Order => self.committer.has_room() && !self.inbox.requests.is_empty(),
            Stage::HandOver => self.committer.can_hand_over(),
            Stage::Write => self.work.is_some(),
        }
    }

    /// Takes one step; false where there was nothing to do.
    pub fn step(&mut self, stage: Stage) -> bool {
        match stage {
            Stage::Order => {
                if !self.committer.has_room() {
                    return false;
                }
                let Ok(request) = self.inbox.requests.try_recv() else {
                    return false;
                };
                self.committer.take(request);
                true
            }
            Stage::HandOver => {
                if !self.committer.can_hand_over() {
                    return false;
                }
                self.work = self.committer.hand_over();
                true
            }
            Stage::Write => {
                let Some(work) = self.work.take() else {
                    return false;
                };
                let written = self.writer.write(work);
                self.committer.written(written);
                true
            }
        }
    }
}

impl std::fmt::Debug for EngineStepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineStepper").finish_non_exhaustive()
    }
}
