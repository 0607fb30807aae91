//! What a server is told: every option of the command line and every limit, in one place.
//!
//! A setting has a default, which the file given with `--config` replaces, which the environment (`THALWEG_…`) replaces,
//! which the command line replaces. [`table`] names each setting once; what reads a file (`file`), a variable or
//! `--limit`, what prints the effective configuration, the help and `docs/configuration.md` (`print`) all go by it. Whatever
//! is wrong with a configuration is told at once, each with its place and what would be right.

mod file;
mod print;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use thalweg_engine::{EngineOptions, Evolution, write_duration};
use thalweg_gateway::{GatewayOptions, OriginPolicy};
use thalweg_resolvers::{IdNames, Limits};
use thalweg_storage::{EmbeddedOptions, PostgresOptions};
use thalweg_subscriptions::LiveLimits;

use self::table::{KNOBS, Knob};
use self::value::Given;
use crate::cli::{DevArguments, Evolve, Ids, ServeArguments, StoreUrl};

pub(crate) use print::{help, toml};

/// Names the file where the command line does not.
const FILE_VARIABLE: &str = "THALWEG_CONFIG";
/// What the names of all variables begin with.
const VARIABLE_PREFIX: &str = "THALWEG_";

/// Everything that can be set, as it is in force.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) store: StoreUrl,
    pub(crate) allow_anonymous: bool,
    pub(crate) allow_hosts: Vec<String>,
    pub(crate) allow_origins: Vec<String>,
    /// The only documents that are run, where there are any.
    pub(crate) trusted_documents: Option<PathBuf>,
    /// What the API schema calls ids.
    pub(crate) ids: IdNames,
    pub(crate) limits: Limits,
    /// How long one operation may take.
    pub(crate) time_max: Duration,
    /// Long responses that are written at a time.
    pub(crate) long_responses_max: usize,
    /// Bytes of long responses that are kept for slow clients, all together.
    pub(crate) kept_bytes_max: usize,
    pub(crate) live: LiveLimits,
    /// How long one evaluation of a live query may take.
    pub(crate) live_time_max: Duration,
    pub(crate) gateway: GatewayOptions,
    pub(crate) engine: EngineOptions,
    pub(crate) embedded: EmbeddedOptions,
    pub(crate) postgres: PostgresOptions,
}

impl Settings {
    /// What `thalweg serve` does unless told otherwise.
    pub(crate) fn serve() -> Settings {
        Settings {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000),
            store: StoreUrl::File(PathBuf::from("./thalweg-data")),
            allow_anonymous: false,
            allow_hosts: Vec::new(),
            allow_origins: Vec::new(),
            trusted_documents: None,
            ids: IdNames::Local,
            limits: Limits {
                auto_create: false,
                ..Limits::default()
            },
            time_max: Duration::from_secs(20),
            long_responses_max: 8,
            kept_bytes_max: 256 << 20,
            live: LiveLimits::default(),
            live_time_max: Duration::from_secs(10),
            gateway: GatewayOptions::default(),
            engine: EngineOptions {
                evolution: Evolution::Additive,
                detect_relations: true,
                ..EngineOptions::default()
            },
            embedded: EmbeddedOptions::default(),
            postgres: PostgresOptions::default(),
        }
    }

    /// What `thalweg dev` does unless told otherwise.
    pub(crate) fn dev() -> Settings {
        let mut settings = Settings::serve();
        settings.limits.auto_create = true;
        settings.engine.evolution = Evolution::Follow;
        settings
    }

    /// Whom `thalweg serve` serves. Whoever listens on a loopback address means this machine, unless told otherwise; that
    /// also lets the console's own page ask its server.
    fn origins(&self) -> OriginPolicy {
        let mut hosts = self.allow_hosts.clone();
        if hosts.is_empty() && self.listen.ip().is_loopback() {
            hosts = ["localhost", "127.0.0.1", "[::1]"]
                .map(str::to_owned)
                .to_vec();
        }
        OriginPolicy::AllowList {
            hosts,
            origins: self.allow_origins.clone(),
        }
    }
}

/// Where a setting has its value from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Default,
    /// A place in a file, such as `thalweg.toml:3`.
    File(String),
    Variable(String),
    CommandLine,
}

/// The configuration of a server, and where each part of it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    pub(crate) settings: Settings,
    /// For each of [`KNOBS`].
    origins: Vec<Origin>,
}

/// A configuration that cannot be: everything that is wrong with it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub(crate) struct ConfigurationError {
    pub(crate) problems: Vec<String>,
}

/// What surrounds the program: variables and files.
pub(crate) struct Surroundings<'s> {
    /// All variables of the environment whose names and values are text.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) read_file: &'s dyn Fn(&std::path::Path) -> std::io::Result<String>,
}

impl Surroundings<'static> {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Surroundings {
            variables: variables.collect(),
            read_file: &|path| std::fs::read_to_string(path),
        }
    }
}

impl Configuration {
    /// What `thalweg serve` was asked to do.
    pub(crate) fn of_serve(
        arguments: &ServeArguments,
        surroundings: &Surroundings<'_>,
    ) -> Result<Configuration, ConfigurationError> {
        let mut layers = Layers::new(Settings::serve());
        layers.below_command_line(arguments.configuration.file(), surroundings);
        layers.flag("listen", arguments.listen, |settings| &mut settings.listen);
        layers.flag("store", arguments.store(), |settings| &mut settings.store);
        layers.flag("auto_create", arguments.auto_create, |settings| {
            &mut settings.limits.auto_create
        });
        layers.flag("allow_anonymous", arguments.allow_anonymous, |settings| {
            &mut settings.allow_anonymous
        });
        layers.flag("allow_hosts", listed(&arguments.allow_hosts), |settings| {
            &mut settings.allow_hosts
        });
        layers.flag(
            "allow_origins",
            listed(&arguments.allow_origins),
            |settings| &mut settings.allow_origins,
        );
        layers.types(arguments.evolve, arguments.keep_deprecated);
        layers.ids(arguments.ids);
        let trusted = arguments.trusted_documents.clone();
        layers.flag("trusted_documents", trusted.map(Some), |settings| {
            &mut settings.trusted_documents
        });
        layers.words(&arguments.configuration.limits);
        let settings = &layers.configuration.settings;
        if !settings.listen.ip().is_loopback() && !settings.allow_anonymous {
            layers.problems.push(format!(
                "{} can be reached by others, and there is no login yet, so everybody could read and write; listen on a \
                 loopback address behind a proxy that authenticates, or add --allow-anonymous",
                settings.listen
            ));
        }
        let origins = settings.origins();
        layers.configuration.settings.gateway.origins = origins;
        layers.finish()
    }

    /// What `thalweg dev` was asked to do.
    pub(crate) fn of_dev(
        arguments: &DevArguments,
        surroundings: &Surroundings<'_>,
    ) -> Result<Configuration, ConfigurationError> {
        let mut layers = Layers::new(Settings::dev());
        layers.below_command_line(arguments.configuration.file(), surroundings);
        layers.flag("listen", arguments.listen, |settings| &mut settings.listen);
        layers.types(arguments.evolve, arguments.keep_deprecated);
        layers.ids(arguments.ids);
        let data = arguments.data.clone().map(StoreUrl::File);
        layers.flag("store", data, |settings| &mut settings.store);
        layers.words(&arguments.configuration.limits);
        let settings = &mut layers.configuration.settings;
        settings.gateway.origins = OriginPolicy::Localhost;
        settings.trusted_documents = None;
        if !settings.listen.ip().is_loopback() {
            layers.problems.push(format!(
                "`dev` has no login, so it listens on loopback only and {} is not; use `thalweg serve`",
                settings.listen.ip(),
            ));
        }
        layers.finish()
    }
}

fn listed(names: &[String]) -> Option<Vec<String>> {
    (!names.is_empty()).then(|| names.to_vec())
}

/// A configuration in the making.
struct Layers {
    configuration: Configuration,
    problems: Vec<String>,
}

impl Layers {
    fn new(settings: Settings) -> Layers {
        Layers {
            configuration: Configuration {
                settings,
                origins: vec![Origin::Default; KNOBS.len()],
            },
            problems: Vec::new(),
        }
    }

    /// The file and the environment.
    fn below_command_line(&mut self, file: Option<PathBuf>, surroundings: &Surroundings<'_>) {
        let variables = &surroundings.variables;
        let named = variables.iter().find(|(name, _)| name == FILE_VARIABLE);
        let named = named.map(|(_, path)| PathBuf::from(path));
        if let Some(path) = file.or(named) {
            match (surroundings.read_file)(&path) {
                Ok(text) => self.file(&path.display().to_string(), &text),
                Err(error) => self.problems.push(format!(
                    "the configuration {} cannot be read: {error}",
                    path.display()
                )),
            }
        }
        self.variables(variables);
    }

    fn variables(&mut self, variables: &[(String, String)]) {
        let mut is_data_given = false;
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            match KNOBS.iter().position(|knob| knob.variable() == *name) {
                Some(knob) => {
                    if KNOBS[knob].sets_store() && std::mem::replace(&mut is_data_given, true) {
                        self.problems.push(table::DATA_AND_STORE.to_owned());
                    }
                    self.set(knob, &Given::Word(text), Origin::Variable(name.clone()));
                }
                // Others may have variables of that prefix too; but not of one of our sections.
                None if table::sections().any(|section| {
                    let section = section.to_uppercase();
                    rest.strip_prefix(&*section)
                        .is_some_and(|rest| rest.starts_with('_'))
                }) =>
                {
                    let names = KNOBS.iter().map(Knob::variable);
                    let nearest = nearest(name, names);
                    self.problems
                        .push(format!("there is no setting {name}{nearest}"));
                }
                None => {}
            }
        }
    }

    /// `NAME=VALUE` of the command line.
    fn words(&mut self, words: &[String]) {
        for word in words {
            let Some((name, text)) = word.split_once('=') else {
                self.problems.push(format!(
                    "--limit {word} has no value; write it as --limit NAME=VALUE"
                ));
                continue;
            };
            match table::named(name) {
                Some(knob) => self.set(knob, &Given::Word(text), Origin::CommandLine),
                None => {
                    let nearest = nearest(name, KNOBS.iter().map(Knob::name));
                    self.problems.push(format!(
                        "--limit {word}: there is no setting {name}{nearest}"
                    ));
                }
            }
        }
    }

    fn set(&mut self, knob: usize, given: &Given<'_>, origin: Origin) {
        match KNOBS[knob].set(&mut self.configuration.settings, given) {
            Ok(()) => self.configuration.origins[knob] = origin,
            Err(wrong) => {
                let place = match &origin {
                    Origin::File(place) => format!("{place}: {}", KNOBS[knob].name()),
                    Origin::Variable(name) => name.clone(),
                    Origin::CommandLine | Origin::Default => {
                        format!("--limit {}", KNOBS[knob].name())
                    }
                };
                self.problems.push(format!("{place} {wrong}"));
            }
        }
    }

    /// How types follow the data, as the command line says.
    fn types(&mut self, evolve: Option<Evolve>, keep_deprecated: Option<Duration>) {
        self.flag("evolve", evolve.map(Evolution::from), |settings| {
            &mut settings.engine.evolution
        });
        self.flag("keep_deprecated", keep_deprecated, |settings| {
            &mut settings.engine.deprecated_kept
        });
    }

    /// What ids are called, as the command line says.
    fn ids(&mut self, ids: Option<Ids>) {
        self.flag("ids", ids.map(IdNames::from), |settings| &mut settings.ids);
    }

    /// An option of its own on the command line.
    fn flag<T>(&mut self, key: &str, given: Option<T>, place: impl Fn(&mut Settings) -> &mut T) {
        let Some(given) = given else { return };
        *place(&mut self.configuration.settings) = given;
        let knobs = KNOBS
            .iter()
            .position(|knob| knob.section.is_empty() && knob.key == key);
        if let Some(knob) = knobs {
            self.configuration.origins[knob] = Origin::CommandLine;
        }
    }

    /// What only the whole shows to be wrong.
    fn finish(mut self) -> Result<Configuration, ConfigurationError> {
        let settings = &mut self.configuration.settings;
        settings.gateway.query_bytes_max = settings.limits.text_bytes_max;
        if settings.limits.page_default > settings.limits.page_max {
            self.problems.push(format!(
                "limits.page_default is {}, which is above limits.page_max, {}",
                settings.limits.page_default, settings.limits.page_max
            ));
        }
        let (reader, lifetime) = match settings.store {
            StoreUrl::Memory => ("", Duration::MAX),
            StoreUrl::File(_) => ("embedded", settings.embedded.reader_lifetime_max),
            StoreUrl::Postgres(_) => ("postgres", settings.postgres.reader_lifetime_max),
        };
        for (name, time_max) in [
            ("limits.time_max", settings.time_max),
            ("live.time_max", settings.live_time_max),
        ] {
            if time_max > lifetime {
                self.problems.push(format!(
                    "{name} is {}, but a snapshot of the store can be read for {} only: lower it, or raise \
                     {reader}.reader_lifetime_max",
                    write_duration(time_max),
                    write_duration(lifetime)
                ));
            }
        }
        if self.problems.is_empty() {
            return Ok(self.configuration);
        }
        Err(ConfigurationError {
            problems: self.problems,
        })
    }
}

/// `; did you mean …?` where one of the names is much like it.
fn nearest(name: &str, names: impl Iterator<Item = String>) -> String {
    /// Of Jaro-Winkler similarity: a letter or two that are wrong, missing or in each other's place.
    const ALIKE: f64 = 0.85;
    let likeness = |known: &str| {
        // The section may have been left out.
        let bare = known.rsplit('.').next().unwrap_or(known);
        strsim::jaro_winkler(name, known).max(strsim::jaro_winkler(name, bare))
    };
    let scored = names.map(|known| (likeness(&known), known));
    let best = scored.max_by(|(one, _), (two, _)| one.total_cmp(two));
    match best {
        Some((likeness, known)) if likeness >= ALIKE => format!("; did you mean {known}?"),
        _ => "; `thalweg config` lists those that there are".to_owned(),
    }
}
