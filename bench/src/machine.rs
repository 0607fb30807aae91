//! What processes take of the machine, as Linux tells.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

/// What the kernel counts processor time in, for programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// This process, where one is named.
const OWN: &str = "self";

/// From a moment on, the processor time that others have taken: other processes, and the kernel's own threads, which also
/// write back what this process has written. What this process has started and waited for counts as its own.
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
    // user nice system idle iowait irq softirq steal: idle and iowait are nobody's, and interrupts mostly those of what is
    // measured.
    let busy: u64 = all
        .skip(1)
        .take(8)
        .enumerate()
        .filter(|(column, _)| !matches!(column, 3..=6))
        .filter_map(|(_, ticks)| ticks.parse::<u64>().ok())
        .sum();
    let [user, system, children_user, children_system] = ticks_of(OWN)?;
    Ok(busy.saturating_sub(user + system + children_user + children_system))
}

/// User and system time of a process and of the children that it has waited for: fields 14 to 17 of its line.
fn ticks_of(process: &str) -> Result<[u64; 4]> {
    let path = format!("/proc/{process}/stat");
    ticks_in(&fs::read_to_string(&path)?).with_context(|| format!("{path} is not as expected"))
}

fn ticks_in(stat: &str) -> Option<[u64; 4]> {
    // The name of the program, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields = fields.split_whitespace().skip(11).take(4);
    let ticks: Vec<u64> = fields.filter_map(|ticks| ticks.parse().ok()).collect();
    ticks.try_into().ok()
}

/// The processor time that this process has taken so far, in seconds: what a busy machine changes least.
pub(crate) fn processor_seconds() -> Result<f64> {
    processor_seconds_of(OWN)
}

/// The same of another process.
pub(crate) fn processor_seconds_of(process: &str) -> Result<f64> {
    let [user, system, ..] = ticks_of(process)?;
    Ok((user + system) as f64 / TICKS_PER_SECOND)
}

/// Resident memory of a process, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// What it has allocated and touched.
    pub(crate) anonymous: f64,
    /// Pages of files that it has mapped, which the kernel can take back.
    #[cfg(feature = "stores")]
    pub(crate) mapped: f64,
}

/// Memory of this process.
#[cfg(feature = "stores")]
pub(crate) fn memory() -> Result<Memory> {
    memory_of(OWN)
}

/// Memory of a process.
pub(crate) fn memory_of(process: &str) -> Result<Memory> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path)?;
    let bytes = |name: &str| {
        let kilobytes = kilobytes_in(&status, name);
        let kilobytes = kilobytes.with_context(|| format!("{path} has no {name}"));
        kilobytes.map(|it| it * 1024.0)
    };
    Ok(Memory {
        anonymous: bytes("RssAnon:")?,
        #[cfg(feature = "stores")]
        mapped: bytes("RssFile:")?,
    })
}

fn kilobytes_in(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b)) S 1 2 3 4 5 6 7 8 9 10 250 50 3 4 20 0";
        assert_eq!(ticks_in(stat), Some([250, 50, 3, 4]));
        assert_eq!(ticks_in(""), None);
    }

    #[test]
    fn anonymous_memory_is_told_from_that_of_files() {
        let status = "VmRSS:\t   900 kB\nRssAnon:\t     700 kB\nRssFile:\t     200 kB\n";
        assert_eq!(kilobytes_in(status, "RssAnon:"), Some(700.0));
        assert_eq!(kilobytes_in("", "RssAnon:"), None);
    }
}
