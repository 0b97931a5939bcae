//! What the machine can do at this moment, to be read beside every figure: a raw `fdatasync`, the load, the process's own time.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};

use crate::report::Spread;

/// Overwrites of a preallocated block of 512 bytes, each followed by `fdatasync`: how long they take.
pub(crate) fn control(directory: &Path) -> Result<Spread> {
    let path = directory.join("control");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all_at(&vec![0; BLOCK * BLOCKS], 0)?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let began = now();
        file.write_all_at(&[0xa5; BLOCK], ((round % BLOCKS) * BLOCK) as u64)?;
        file.sync_data()?;
        times.push(now().saturating_sub(began));
    }
    std::fs::remove_file(path)?;
    Ok(Spread::of(times))
}

/// Monotonic time.
pub(crate) fn now() -> Duration {
    duration(ClockId::Monotonic)
}

/// Time that all threads of this process have had together.
pub(crate) fn cpu() -> Duration {
    duration(ClockId::ProcessCPUTime)
}

/// Load averages of 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn duration(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

const BLOCK: usize = 512;
const BLOCKS: usize = 1_024;
const ROUNDS: usize = 400;
