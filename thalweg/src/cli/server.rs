//! The options of a server: of `dev`, `serve` and `config`.
//!
//! None has a default here: what is not given comes from the environment, the file, or the defaults of
//! [`Settings`](crate::config::Settings).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use thalweg_examples::Example;

use super::{Evolve, Ids, StoreUrl, address, not_empty, store_url};

/// Where settings come from that have no option of their own.
#[derive(Debug, Args)]
pub(crate) struct ConfigurationArguments {
    /// A file of settings, TOML; `thalweg config` prints one. Without it, what THALWEG_CONFIG names.
    #[arg(long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
    /// A setting, such as rows_max=5000000, time_max=1m or http.batch_max=0; may be repeated. --help lists them all.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = not_empty)]
    pub(crate) limits: Vec<String>,
}

impl ConfigurationArguments {
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.file.clone()
    }
}

/// What `thalweg dev` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
    /// Where to keep the data; created when it is not there [default: ./thalweg-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The loopback address to listen on; port 0 takes a free one [default: 127.0.0.1:4000].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,
    /// How types follow the data [default: follow, at once].
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) evolve: Option<Evolve>,
    /// How long a field that no document has stays, deprecated, where data only adds; every operation that uses it
    /// starts the time anew. Such as `30d` or `12h` [default: 30d].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) keep_deprecated: Option<Duration>,
    /// What the API schema calls ids; documents are stored alike [default: local].
    #[arg(long, value_enum, value_name = "NAMES")]
    pub(crate) ids: Option<Ids>,
    /// Load example data first, unless its collections are already there.
    #[arg(long, value_name = "NAME", value_parser = example_parser())]
    pub(crate) example: Option<&'static Example>,
}

/// What `thalweg serve` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
    /// Where to keep the data; short for `--store file:DIR` [default: ./thalweg-data].
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    data: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:4000].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,
    /// The store: `memory:` (gone at exit), `file:PATH` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "URL", value_parser = store_url)]
    store: Option<StoreUrl>,
    /// How types follow the data [default: additive: fields are added, and what is published stays as it is].
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) evolve: Option<Evolve>,
    /// How long a field that no document has stays, deprecated, where data only adds; every operation that uses it
    /// starts the time anew. Such as `30d` or `12h` [default: 30d].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) keep_deprecated: Option<Duration>,
    /// What the API schema calls ids; documents are stored alike [default: local].
    #[arg(long, value_enum, value_name = "NAMES")]
    pub(crate) ids: Option<Ids>,
    /// Create a collection when something is first inserted into it.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) auto_create: Option<bool>,
    /// Let everybody who can reach the address read and write; there is no login yet, so an address
    /// that is not a loopback one is refused without this.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) allow_anonymous: Option<bool>,
    /// Run only the documents that this file, or the files of this directory, list: manifests of Apollo,
    /// Relay or graphql-codegen (.json), or one document a file (.graphql). SIGHUP reads them again.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) trusted_documents: Option<PathBuf>,
    /// A host name under which the server is reached, with a port where only that port is meant; may be
    /// repeated. Without it: localhost on a loopback address, any on others.
    #[arg(long = "allow-host", value_name = "HOST", value_parser = not_empty)]
    pub(crate) allow_hosts: Vec<String>,
    /// An origin whose pages may ask from a browser, such as `https://app.example.com`; may be repeated.
    #[arg(long = "allow-origin", value_name = "ORIGIN", value_parser = not_empty)]
    pub(crate) allow_origins: Vec<String>,
}

impl ServeArguments {
    /// The store, from whichever of the two options names it.
    pub(crate) fn store(&self) -> Option<StoreUrl> {
        let data = self.data.clone().map(StoreUrl::File);
        self.store.clone().or(data)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    thalweg_engine::parse_duration(text).map_err(|error| error.to_string())
}

/// Accepts the names that exist, so that help and error messages list them.
fn example_parser() -> impl TypedValueParser<Value = &'static Example> {
    let names = thalweg_examples::all()
        .iter()
        .map(|example| PossibleValue::new(example.name).help(example.about));
    PossibleValuesParser::new(names)
        .try_map(|name| thalweg_examples::find(&name).ok_or("there is no such example"))
}
