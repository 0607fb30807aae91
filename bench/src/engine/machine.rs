//! What this process takes of the machine, and what others take meanwhile, as Linux tells.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

/// What the kernel counts processor time in, for programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// From a moment on, the processor time that others have taken: other processes, and the kernel's own threads, which also
/// write back what this process has written.
pub(crate) struct Others {
    started: Instant,
    ticks: u64,
}

impl Others {
    pub(crate) fn watch() -> Result<Others> {
        Ok(Others {
            started: Instant::now(),
            ticks: ticks_of_others()?,
        })
    }

    /// How many CPUs they kept busy on average.
    pub(crate) fn cpus(&self) -> Result<f64> {
        let ticks = ticks_of_others()?.saturating_sub(self.ticks);
        Ok(ticks as f64 / TICKS_PER_SECOND / self.started.elapsed().as_secs_f64())
    }

    /// The same as a part of a heading.
    pub(crate) fn text(&self) -> Result<String> {
        Ok(format!("others took {:.2} CPUs", self.cpus()?))
    }
}

fn ticks_of_others() -> Result<u64> {
    let all = fs::read_to_string("/proc/stat")?;
    let all = all.lines().next().unwrap_or_default().split_whitespace();
    // user nice system idle iowait irq softirq steal, of which idle and iowait are nobody's.
    let busy: u64 = all
        .skip(1)
        .take(8)
        .enumerate()
        .filter(|(column, _)| !matches!(column, 3 | 4))
        .filter_map(|(_, ticks)| ticks.parse::<u64>().ok())
        .sum();
    Ok(busy.saturating_sub(own_ticks()?))
}

fn own_ticks() -> Result<u64> {
    let own = fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in parentheses, may hold anything.
    let (_, fields) = own
        .rsplit_once(')')
        .context("/proc/self/stat is not as expected")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    Ok(ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

/// The processor time that this process has taken so far, in seconds: what a busy machine changes least.
pub(crate) fn processor_seconds() -> Result<f64> {
    Ok(own_ticks()? as f64 / TICKS_PER_SECOND)
}

/// Memory of this process, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// What it has allocated and touched.
    pub(crate) anonymous: f64,
    /// Pages of files that it has mapped, which the kernel can take back.
    pub(crate) mapped: f64,
}

pub(crate) fn memory() -> Result<Memory> {
    let status = fs::read_to_string("/proc/self/status")?;
    let bytes = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes =
            line.and_then(|line| line.trim_end_matches("kB").trim().parse::<f64>().ok());
        Ok(kilobytes.with_context(|| format!("/proc/self/status has no {name}"))? * 1024.0)
    };
    Ok(Memory {
        anonymous: bytes("RssAnon:")?,
        mapped: bytes("RssFile:")?,
    })
}
