//! The live operations of a client: live queries together, change streams each by itself.

use futures_util::{Stream, stream};
use thalweg_engine::Engine;
use thalweg_gateway::{Api, Connection, Followed, GraphqlResponse, LiveEvent, LiveItem, Told};
use thalweg_model::{CommitTs, ErrorCode};
use thalweg_resolvers::{LiveResult, Resolvers, live_message};
use thalweg_subscriptions::{Follow, Item, SubscriptionId};

use super::{ResolverRunner, Service, ServiceOperation, changes, not_subscribed, refused};

/// The live operations of one client.
pub(crate) struct ServiceConnection {
    engine: Engine,
    resolvers: Resolvers,
    live: thalweg_subscriptions::Connection<ResolverRunner>,
}

impl ServiceConnection {
    pub(super) fn new(
        engine: Engine,
        resolvers: Resolvers,
        live: thalweg_subscriptions::Connection<ResolverRunner>,
    ) -> Self {
        ServiceConnection {
            engine,
            resolvers,
            live,
        }
    }
}

impl Connection<Service> for ServiceConnection {
    async fn subscribe(
        &self,
        number: u64,
        operation: ServiceOperation,
        resume_from: Option<CommitTs>,
    ) -> Result<Followed<<Service as Api>::Events>, GraphqlResponse> {
        let ServiceOperation::Prepared {
            operation,
            resume_from: wanted,
            ..
        } = operation
        else {
            let message = "a mutation cannot be followed";
            return Err(GraphqlResponse::request_error(
                ErrorCode::BadRequest,
                message,
            ));
        };
        let resume_from = resume_from.or(wanted);
        if let Some(request) = operation.changes() {
            let request = request.map_err(|failure| refused(&failure))?.clone();
            let changes = changes::open(&self.engine, request, resume_from)
                .await
                .map_err(|error| GraphqlResponse::request_error(error.code, &error.message))?;
            let messages = changes::as_messages(self.resolvers.clone(), operation, changes);
            return Ok(Followed::Alone(Box::pin(messages)));
        }
        let follow = Follow {
            resume_from,
            patch: operation.takes_patches(),
        };
        let number = SubscriptionId(number);
        match self.live.subscribe(number, operation, follow).await {
            Ok(()) => Ok(Followed::Together),
            Err(error) => Err(not_subscribed(&error)),
        }
    }

    fn unsubscribe(&self, number: u64) {
        self.live.unsubscribe(SubscriptionId(number));
    }

    fn shown(&self) -> Option<CommitTs> {
        self.live.shown()
    }

    async fn next(&self) -> Option<Told> {
        let told = self.live.next().await?;
        let items = told.items.into_iter();
        Some(
            items
                .map(|(SubscriptionId(number), item)| (number, live_item(item, told.commit_ts)))
                .collect(),
        )
    }
}

fn live_item(item: Item, commit_ts: CommitTs) -> LiveItem {
    let body = match item {
        Item::Result { result, revision } => {
            live_message(LiveResult::Full(&result), revision, commit_ts)
        }
        Item::Patch {
            operations,
            revision,
        } => live_message(LiveResult::Patch(&operations), Some(revision), commit_ts),
        Item::Ended(errors) => return LiveItem::Ended(errors),
    };
    LiveItem::Event(LiveEvent {
        resume_from: Some(commit_ts),
        body,
    })
}

/// What a connection tells of its only operation.
pub(super) fn only(connection: ServiceConnection) -> impl Stream<Item = LiveItem> + Send {
    stream::unfold(connection, |connection| async move {
        let mut told = connection.next().await?;
        // There is one operation, so there is one item.
        let (_, item) = told.pop()?;
        Some((item, connection))
    })
}
