//! `postgres://…`: where the server is, and which schema of its database holds the store.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// The schema that is used when the URL names none.
const SCHEMA_DEFAULT: &str = "thalweg";

/// PostgreSQL cuts longer names short without a word.
const SCHEMA_BYTES_MAX: usize = 63;

const CONNECT_MAX: Duration = Duration::from_secs(2);
const SILENCE_MAX: Duration = Duration::from_secs(10);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_RETRIES: u32 = 3;

/// How to reach a store in PostgreSQL: `postgres://user:password@host:port/database`, with the parameters that
/// libpq knows and two of our own:
///
/// - `schema`: the schema that holds the store's tables, `thalweg` if absent; one database can hold many stores;
/// - `connections`: how many snapshots can be open at once,
///   [`PostgresOptions::snapshots_max`](super::PostgresOptions::snapshots_max) if absent.
///
/// ```
/// use thalweg_storage::postgres::PostgresUrl;
///
/// let url: PostgresUrl = "postgres://river@localhost/water?schema=rhine&connections=8".parse()?;
/// assert_eq!(url.schema(), "rhine");
/// # Ok::<(), thalweg_storage::postgres::PostgresUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl {
    /// Its `Debug` leaves the password out.
    pub(super) config: Config,
    pub(super) schema: String,
    pub(super) connections: Option<u32>,
}

/// Why a URL names no store.
#[derive(Debug, Error)]
pub enum PostgresUrlError {
    /// It is no URL, or has a parameter that is not known.
    #[error("{reason}; expected postgres://user@host:port/database?schema=name")]
    Syntax {
        /// What is wrong with it.
        reason: String,
    },
    /// The schema has characters that would need quotes, or is too long.
    #[error(
        "schema={schema:?} is not a name of 1 to {SCHEMA_BYTES_MAX} lower-case letters, digits and underscores that \
         begins with a letter"
    )]
    Schema {
        /// The schema as given.
        schema: String,
    },
    /// The number of connections is none, or zero.
    #[error("connections={given:?} is not a number from 1 on")]
    Connections {
        /// The number as given.
        given: String,
    },
    /// An encrypted connection is demanded, which this build cannot make.
    #[error(
        "sslmode=require: this build has no TLS; use a server on this machine, a Unix socket or a tunnel, with \
         sslmode=disable"
    )]
    Tls,
}

impl PostgresUrl {
    /// The schema that holds the store's tables.
    pub fn schema(&self) -> &str {
        &self.schema
    }
}

impl FromStr for PostgresUrl {
    type Err = PostgresUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (location, parameters) = text.split_once('?').unwrap_or((text, ""));
        let mut schema = SCHEMA_DEFAULT.to_owned();
        let mut connections = None;
        let mut others = Vec::new();
        for parameter in parameters.split('&').filter(|it| !it.is_empty()) {
            match parameter.split_once('=') {
                Some(("schema", given)) => schema = checked_schema(given)?,
                Some(("connections", given)) => connections = Some(checked_connections(given)?),
                _ => others.push(parameter),
            }
        }
        // Without a scheme it would be read as libpq's other form, `host=… user=…`.
        if !(location.starts_with("postgres://") || location.starts_with("postgresql://")) {
            return Err(PostgresUrlError::Syntax {
                reason: "no postgres:// in front".to_owned(),
            });
        }
        let separator = if others.is_empty() { "" } else { "?" };
        let rest = format!("{location}{separator}{}", others.join("&"));
        let mut config: Config = rest.parse().map_err(syntax)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(PostgresUrlError::Tls);
        }
        if config.get_hosts().is_empty() {
            return Err(PostgresUrlError::Syntax {
                reason: "no host is named".to_owned(),
            });
        }
        notice_a_dead_server(&mut config);
        if config.get_application_name().is_none() {
            config.application_name("thalweg");
        }
        Ok(Self {
            config,
            schema,
            connections,
        })
    }
}

/// A server that is gone without a word is noticed within seconds, unless the URL has other wishes.
fn notice_a_dead_server(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_MAX);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE_MAX);
    }
    if config.get_keepalives_interval().is_none() {
        config
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
    }
}

fn checked_schema(given: &str) -> Result<String, PostgresUrlError> {
    let is_name = given.len() <= SCHEMA_BYTES_MAX
        && given.starts_with(|first: char| first.is_ascii_lowercase())
        && given
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_name {
        return Err(PostgresUrlError::Schema {
            schema: given.to_owned(),
        });
    }
    Ok(given.to_owned())
}

fn checked_connections(given: &str) -> Result<u32, PostgresUrlError> {
    match given.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(PostgresUrlError::Connections {
            given: given.to_owned(),
        }),
    }
}

fn syntax(error: tokio_postgres::Error) -> PostgresUrlError {
    let reason = error
        .into_source()
        .map_or_else(|| "not a URL".to_owned(), |source| source.to_string());
    PostgresUrlError::Syntax { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_parameters_are_taken_out_and_the_rest_is_kept() {
        let url: PostgresUrl =
            "postgresql://u:p@h:7/d?schema=s_1&application_name=x&connections=3&sslmode=disable"
                .parse()
                .unwrap();
        assert_eq!(
            (url.schema.as_str(), url.connections),
            ("s_1", Some(3)),
            "{url:?}"
        );
        assert_eq!(url.config.get_application_name(), Some("x"));
        assert_eq!(url.config.get_ports(), [7]);
        assert_eq!(url.config.get_dbname(), Some("d"));
        assert!(!format!("{url:?}").contains("\"p\""), "{url:?}");

        let plain: PostgresUrl = "postgres://h".parse().unwrap();
        assert_eq!(plain.schema, "thalweg");
        assert_eq!(plain.config.get_connect_timeout(), Some(&CONNECT_MAX));
    }

    #[test]
    fn what_names_no_store_is_refused_with_the_reason() {
        for (text, part) in [
            ("host=h user=u", "no postgres:// in front"),
            ("postgres://", "no host"),
            ("postgres://h:x/d", "port"),
            ("postgres://h/d?colour=red", "colour"),
            ("postgres://h/d?sslmode=require", "no TLS"),
            ("postgres://h/d?sslmode=verify-full", "sslmode"),
            ("postgres://h/d?schema=", "not a name"),
            ("postgres://h/d?schema=Rhine", "not a name"),
            ("postgres://h/d?schema=a%22b", "not a name"),
            ("postgres://h/d?connections=0", "from 1 on"),
            ("postgres://h/d?connections=many", "from 1 on"),
        ] {
            let message = text.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        let long = format!("postgres://h/d?schema={}", "a".repeat(64));
        assert!(long.parse::<PostgresUrl>().is_err());
    }
}
