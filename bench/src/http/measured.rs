//! What was measured of one server under one kind of request.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::wrk;
use crate::server::Server;
use crate::statistics::Samples;

/// Rounds of load on one server.
#[derive(Default)]
pub(crate) struct Measured {
    requests_per_second: Samples,
    /// Processor time of the server for each request.
    pub(crate) cpu_micros: Samples,
    pub(crate) p50_ms: Samples,
    pub(crate) p99_ms: Samples,
}

impl Measured {
    /// One more round: the requests of the file `requests` in `directory`.
    pub(crate) fn add(
        &mut self,
        directory: &Path,
        requests: &str,
        server: &Server,
        duration: Duration,
    ) -> Result<()> {
        let before = server.cpu_seconds();
        let load = wrk::load(directory, requests, server.address(), duration)?;
        let used = server.cpu_seconds() - before;
        self.requests_per_second.push(load.requests_per_second);
        self.cpu_micros.push(used * 1e6 / load.requests);
        self.p50_ms.push(load.p50_ms);
        self.p99_ms.push(load.p99_ms);
        Ok(())
    }

    /// Requests per second, the median of the rounds.
    pub(crate) fn rate(&self) -> f64 {
        self.requests_per_second.median()
    }
}
