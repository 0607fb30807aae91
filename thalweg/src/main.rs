//! The `thalweg` binary: one command line for the server and for the tools that talk to one.
//!
//! `dev` and `serve` run a server in this process (`server`) as it is configured (`config`). `backup`, `restore` and `verify` work on a store itself
//! (`store`), through its server where one has it open (`control`). Every other subcommand is a client of a running server
//! and reaches it over HTTP only (`client`). Nothing here knows how documents are stored or typed.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage. What a program would read goes to standard output,
//! everything else to standard error.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::{Arguments, Command, SchemaCommand};
use crate::config::{Configuration, ConfigurationError, Surroundings};

mod backup;
mod cli;
mod client;
mod codegen;
mod config;
mod control;
mod export;
mod import;
mod progress;
mod schema;
mod server;
mod service;
mod store;
#[cfg(test)]
mod test_server;
mod trusted;
mod verify;

/// With the system's allocator a request by id spends an eighth of its time in it; this one takes a few percent off
/// every request.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a subcommand that ran to its end has to say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// Some of the work failed, and the user has already been told what.
    Failed,
}

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse().and_then(Arguments::checked) {
        Ok(arguments) => arguments,
        Err(error) => return report_usage(&error),
    };
    match run(arguments.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(FAILED),
        Err(error) if error.is::<ConfigurationError>() => {
            eprintln!("error: the server cannot be started like this:\n{error}");
            ExitCode::from(WRONG_USAGE)
        }
        Err(error) => {
            eprintln!("thalweg: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Dev(arguments) => {
            let configuration = Configuration::of_dev(&arguments, &Surroundings::of_process())?;
            server::dev(&configuration.settings, arguments.example).map(|()| Outcome::Done)
        }
        Command::Serve(arguments) => {
            let configuration = Configuration::of_serve(&arguments, &Surroundings::of_process())?;
            server::serve(&configuration.settings).map(|()| Outcome::Done)
        }
        Command::Config(arguments) => {
            let configuration = Configuration::of_serve(&arguments, &Surroundings::of_process())?;
            print!("{}", config::toml(&configuration));
            Ok(Outcome::Done)
        }
        Command::Import(arguments) => import::run(&arguments),
        Command::Export(arguments) => export::run(&arguments).map(|()| Outcome::Done),
        Command::Backup(arguments) => backup::backup(&arguments).map(|()| Outcome::Done),
        Command::Restore(arguments) => backup::restore(&arguments).map(|()| Outcome::Done),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Schema(arguments) => match arguments.command {
            SchemaCommand::Print(arguments) => schema::print(&arguments).map(|()| Outcome::Done),
            SchemaCommand::Apply(arguments) => schema::apply(&arguments),
            SchemaCommand::Promote(arguments) => schema::promote(&arguments),
            SchemaCommand::Diff(arguments) => schema::diff(&arguments),
        },
        Command::Codegen(arguments) => codegen::run(&arguments),
    }
}

/// `--help` and `--version` arrive as errors too; they are answers, and their exit code is 0.
fn report_usage(error: &clap::Error) -> ExitCode {
    // A closed standard error leaves nobody to tell.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(WRONG_USAGE),
    }
}
