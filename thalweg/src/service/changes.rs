//! The change stream on its way to clients, over SSE and as a subscription.
//!
//! Both read a page when they are polled and hold no more than that. What nobody who filters sees still moves the point
//! to resume from; it is told every [`PROGRESS_INTERVAL`], so that a client that was told nothing for long does not come
//! back to a log that no longer reaches so far.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use thalweg_engine::{
    ChangeEvent, ChangePage, ChangeStream, ChangesError, ChangesStart, Engine, EngineError,
};
use thalweg_gateway::{ApiError, ChangeItem, ChangesOptions, LiveEvent, LiveItem};
use thalweg_model::{CommitTs, ErrorCode};
use thalweg_resolvers::{ChangesRequest, Failure, Operation, Resolvers, write_change_json};
use tokio::time::{Instant, sleep_until};

/// How often a point to resume from is told that has moved without any change to tell.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);

/// Opens a stream; `resume_from` beats what the request says of where to begin.
pub(super) async fn open(
    engine: &Engine,
    request: ChangesRequest,
    resume_from: Option<CommitTs>,
) -> Result<ChangeStream, ApiError> {
    let engine = engine.clone();
    let open = move || {
        let start = resume_from.map_or(request.start, ChangesStart::After);
        ChangeStream::open(&engine, request.collections.as_deref(), start)
    };
    match tokio::task::spawn_blocking(open).await {
        Ok(opened) => opened.map_err(|error| refused(&error)),
        Err(_) => Err(ApiError::new(
            ErrorCode::Internal,
            "the change stream could not be opened",
        )),
    }
}

/// What an HTTP client asked for.
pub(super) fn request(options: ChangesOptions) -> Result<ChangesRequest, ApiError> {
    let ChangesOptions {
        collections,
        since,
        snapshot,
    } = options;
    ChangesRequest::new(collections, since, snapshot)
        .map_err(|message| ApiError::new(ErrorCode::BadRequest, message))
}

fn refused(error: &ChangesError) -> ApiError {
    ApiError::new(error.code(), error.to_string())
}

/// A stream that is being told to a client.
struct Telling {
    changes: ChangeStream,
    /// From where the client would resume.
    told: Option<CommitTs>,
    progress_at: Instant,
    is_over: bool,
}

/// What there is to tell.
enum News {
    Page(ChangePage),
    /// Only the point to resume from has moved.
    Progress(CommitTs),
    Failed(EngineError),
}

impl Telling {
    /// Of a client that begins to resume from `told`.
    fn new(changes: ChangeStream, told: Option<CommitTs>) -> Self {
        Telling {
            changes,
            told,
            progress_at: Instant::now() + PROGRESS_INTERVAL,
            is_over: false,
        }
    }

    async fn next(&mut self) -> Option<News> {
        while !self.is_over {
            let page = tokio::select! {
                page = self.changes.next() => page,
                () = sleep_until(self.progress_at) => {
                    self.progress_at = Instant::now() + PROGRESS_INTERVAL;
                    match self.changes.resume_from() {
                        Some(at) if self.told != Some(at) => {
                            self.told = Some(at);
                            return Some(News::Progress(at));
                        }
                        _ => continue,
                    }
                }
            };
            self.progress_at = Instant::now() + PROGRESS_INTERVAL;
            match page {
                Ok(Some(page)) => return Some(News::Page(page)),
                Ok(None) => self.is_over = true,
                Err(error) => {
                    self.is_over = true;
                    return Some(News::Failed(error));
                }
            }
        }
        None
    }
}

/// The stream as JSON objects. The first item says from where the client may resume, if that is known.
pub(super) fn as_json(
    changes: ChangeStream,
) -> impl Stream<Item = Result<Vec<ChangeItem>, ApiError>> + Send {
    let begun = changes.resume_from();
    let first = stream::iter(begun.map(|at| Ok(vec![progress(at)])));
    let telling = Telling::new(changes, begun);
    let news = stream::unfold(telling, |mut telling| async move {
        let items = match telling.next().await? {
            News::Page(page) => Ok(telling.items(&page)),
            News::Progress(at) => Ok(vec![progress(at)]),
            News::Failed(error) => Err(ApiError::new(error.code(), error.to_string())),
        };
        Some((items, telling))
    });
    futures_util::StreamExt::chain(first, news)
}

fn progress(at: CommitTs) -> ChangeItem {
    ChangeItem {
        json: None,
        resume_from: Some(at),
    }
}

impl Telling {
    fn items(&mut self, page: &ChangePage) -> Vec<ChangeItem> {
        let mut items = Vec::with_capacity(page.events.len() + 1);
        for event in &page.events {
            let mut json = Vec::new();
            write_change_json(event, &mut json);
            let resume_from = event.ends_commit.then_some(event.commit_ts);
            self.told = resume_from.or(self.told);
            items.push(ChangeItem {
                json: Some(Bytes::from(json)),
                resume_from,
            });
        }
        if let Some(at) = page.resume_from
            && self.told != Some(at)
        {
            self.told = Some(at);
            items.push(progress(at));
        }
        items
    }
}

/// The stream as the messages of a subscription: the changes of one commit in each, or a part of them where they are
/// many; and none, where only the point to resume from has moved.
pub(super) fn as_messages(
    resolvers: Resolvers,
    operation: Operation,
    changes: ChangeStream,
) -> impl Stream<Item = LiveItem> + Send {
    let begun = changes.resume_from();
    let messages = Messages {
        resolvers,
        operation,
        telling: Telling::new(changes, begun),
        page: Vec::new(),
        resume_from: begun,
    };
    stream::unfold(messages, |mut messages| async move {
        let item = messages.next().await?;
        Some((item, messages))
    })
}

struct Messages {
    resolvers: Resolvers,
    operation: Operation,
    telling: Telling,
    /// What of a page is still to be told.
    page: Vec<ChangeEvent>,
    /// From where to resume after all of it.
    resume_from: Option<CommitTs>,
}

impl Messages {
    async fn next(&mut self) -> Option<LiveItem> {
        if self.page.is_empty() {
            match self.telling.next().await? {
                News::Page(page) => {
                    self.page = page.events;
                    self.resume_from = page.resume_from;
                }
                News::Progress(at) => self.resume_from = Some(at),
                News::Failed(error) => {
                    let failure = Failure::new(error.code(), error.to_string());
                    return Some(LiveItem::Ended(failure.errors_json()));
                }
            }
        }
        let rest = self.page.split_off(commit_length(&self.page));
        let commit = std::mem::replace(&mut self.page, rest);
        // That another commit follows means that this one is whole.
        let resume_from = match commit.last() {
            Some(last) if !self.page.is_empty() => Some(last.commit_ts),
            _ => self.resume_from,
        };
        self.telling.told = resume_from;
        let body = self
            .resolvers
            .changes_message(&self.operation, &commit, resume_from);
        Some(LiveItem::Event(LiveEvent { resume_from, body }))
    }
}

/// How many of the first events are of one commit.
fn commit_length(events: &[ChangeEvent]) -> usize {
    let Some(first) = events.first() else {
        return 0;
    };
    events.partition_point(|event| event.commit_ts == first.commit_ts)
}

#[cfg(test)]
mod tests;
