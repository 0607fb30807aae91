//! `thalweg dev` and `thalweg serve`: a server in this process.

use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use thalweg_engine::{CollectionRef, Engine, ExpiryChange, Intent};
use thalweg_examples::{Example, ExampleCollection, NpmFile, cache_directory};
use thalweg_gateway::{Drained, Gateway};
use thalweg_model::{Document, Value};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::cli::StoreUrl;
use crate::config::Settings;
use crate::control::ControlSocket;
use crate::service::Service;
use crate::store;
use crate::trusted;

/// Runs a development server until it is told to stop.
pub(crate) fn dev(settings: &Settings, example: Option<&'static Example>) -> anyhow::Result<()> {
    let engine = store::open(settings)?;
    let runtime = runtime()?;
    if let Some(example) = example {
        runtime.block_on(load(&engine, example))?;
    }
    run(&runtime, &engine, settings)
}

/// Runs a server until it is told to stop.
pub(crate) fn serve(settings: &Settings) -> anyhow::Result<()> {
    let engine = store::open(settings)?;
    run(&runtime()?, &engine, settings)
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")
}

/// Lets commands on this machine reach the server through the data directory, where it has one. It serves without that, too.
fn control(url: &StoreUrl, engine: &Engine) -> Option<ControlSocket> {
    let StoreUrl::File(data) = url else {
        return None;
    };
    ControlSocket::listen(data, engine.clone())
        .inspect_err(|error| {
            eprintln!(
                "thalweg: no backup can be made while this server runs: {}/control.sock: {error}",
                data.display()
            );
        })
        .ok()
}

fn run(runtime: &Runtime, engine: &Engine, settings: &Settings) -> anyhow::Result<()> {
    let _control = control(&settings.store, engine);
    let service = Service::start(engine.clone(), settings)?;
    let trusted_documents = settings.trusted_documents.as_deref();
    if let Some(path) = trusted_documents {
        trusted::apply(path, service.resolvers())?;
    }
    let (listen, options) = (settings.listen, settings.gateway.clone());
    let drained = runtime.block_on(async {
        if let Some(path) = trusted_documents {
            trusted::reload_on_hangup(path.to_owned(), service.resolvers().clone())?;
        }
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let shutdown = shutdown_signal()?;
        // The one line that `dev` prints, once connections are accepted.
        println!("Thalweg is ready at http://{address}/");
        anyhow::Ok(
            Gateway::new(service, options)
                .serve(listener, shutdown)
                .await,
        )
    })?;
    engine.close();
    match drained {
        Drained::Completely => Ok(()),
        Drained::CutOff(open) => bail!("{open} connections did not end in time and were cut off"),
    }
}

/// Resolves with the first SIGTERM or SIGINT. A second one ends the process at once.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    })
}

/// Loads the collections of an example that are not there yet or are empty.
async fn load(engine: &Engine, example: &Example) -> anyhow::Result<()> {
    for collection in example.collections {
        let found = engine
            .catalog()
            .by_name(collection.name)
            .map(|found| found.id);
        let count = match found {
            Some(id) => engine.snapshot()?.document_count(id)?,
            None => 0,
        };
        if count == 0 {
            load_collection(engine, collection)
                .await
                .with_context(|| format!("cannot load the example {:?}", example.name))?;
        }
    }
    Ok(())
}

async fn load_collection(engine: &Engine, collection: &ExampleCollection) -> anyhow::Result<()> {
    let announce = |file: &NpmFile| eprintln!("{}", file.announcement());
    let json = collection
        .load(&cache_directory(), announce)
        .map_err(|error| anyhow!("{:#}\n{}", anyhow!(error), nothing_to_fetch()))?;
    let list = Value::parse(&json).context("the example is not JSON")?;
    let documents: Vec<Document> = list
        .as_ref()
        .items()
        .map(|item| Document::from_value(item.to_value()))
        .collect::<Result<_, _>>()
        .context("the example has something that is no object")?;
    let name: Arc<str> = collection.name.into();
    // One transaction, so that a start that is interrupted leaves nothing half loaded.
    engine
        .transact(move |transaction| {
            for document in &documents {
                transaction.write(Intent::Put {
                    collection: CollectionRef::Name {
                        name: Arc::clone(&name),
                        create: true,
                    },
                    id: None,
                    document: document.clone(),
                    expiry: ExpiryChange::KEEP,
                })?;
            }
            Ok(())
        })
        .await?;
    Ok(())
}

/// What somebody can do whose example cannot be fetched.
fn nothing_to_fetch() -> String {
    let names: Vec<String> = thalweg_examples::all()
        .iter()
        .filter(|example| example.is_embedded())
        .map(|example| format!("`thalweg dev --example {}`", example.name))
        .collect();
    format!("There is nothing to fetch for {}.", names.join(" or "))
}
