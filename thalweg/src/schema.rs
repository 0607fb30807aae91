//! `thalweg schema print`: the API schema of a running server, as SDL.

use std::io::{Write, stdout};

use crate::cli::ServerArguments;
use crate::client::Client;
use crate::export::quiet_when_reader_left;

/// Prints the SDL as the server sends it.
pub(crate) fn print(arguments: &ServerArguments) -> anyhow::Result<()> {
    let sdl = Client::new(&arguments.url)
        .get(&["schema.graphql"])?
        .text()?;
    quiet_when_reader_left(stdout().write_all(sdl.as_bytes()))?;
    Ok(())
}
