//! Other servers, which run on Node.js: npm packages that are pinned in `bench/peers` and below; `cargo xtask bench`
//! installs them.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::server::Server;

/// A script, on the pinned Node.js: PostGraphile wants one from 22 on.
pub(crate) fn node(script: &str) -> Command {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut command = Command::new(directory.join("node_modules/node/bin/node"));
    command
        .arg(directory.join(script))
        .env("NODE_ENV", "production");
    command
}

/// `graphql-ws`: publishes to all its subscribers what is posted to it.
pub(crate) fn graphql_ws() -> Result<Server> {
    Server::start(node("graphql-ws.mjs"))
}

/// PostGraphile 4 with live queries, on a database that decodes its log.
pub(crate) fn postgraphile_4(url: &str) -> Result<Server> {
    let mut command = node("postgraphile-4/server.mjs");
    command.arg(url);
    Server::start(command)
}
