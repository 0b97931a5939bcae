//! What the machine can do at this moment, to be read beside every figure: a raw `fdatasync`, the load, the time that threads have
//! had, what a process has of memory and has written.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::time::{ClockId, clock_gettime};

use crate::report::Spread;

/// Overwrites of a preallocated block of 512 bytes, each followed by `fdatasync`: how long they take.
pub(crate) fn control(directory: &Path) -> Result<Spread> {
    let path = directory.join("control");
    let file = written(&path)?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let began = now();
        overwrite(&file, round)?;
        times.push(now() - began);
    }
    std::fs::remove_file(path)?;
    Ok(Spread::of(times))
}

fn written(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    file.write_all_at(&vec![0; BLOCK * BLOCKS], 0)?;
    file.sync_all()?;
    Ok(file)
}

fn overwrite(file: &File, round: usize) -> Result<()> {
    file.write_all_at(&[0xa5; BLOCK], ((round % BLOCKS) * BLOCK) as u64)?;
    Ok(file.sync_data()?)
}

/// What the processor can do: nanoseconds for each of a million offsets in random order that are put into a tree of intervals. 365 on
/// the machine on which the goals were set.
pub(crate) fn processor() -> f64 {
    let mut offsets: Vec<u64> = (0..OFFSETS).collect();
    shuffle(&mut offsets);
    let began = now();
    let mut intervals = BTreeMap::new();
    for offset in offsets {
        let end = intervals.remove(&(offset + 1)).unwrap_or(offset + 1);
        match intervals.range_mut(..offset).next_back() {
            Some((_, last)) if *last == offset => *last = end,
            _ => drop(intervals.insert(offset, end)),
        }
    }
    let left = std::hint::black_box(intervals).len();
    debug_assert_eq!(left, 1, "the intervals have met");
    (now() - began).as_secs_f64() * 1e9 / OFFSETS as f64
}

/// An order that has no order, the same each time.
pub(crate) fn shuffle<T>(all: &mut [T]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..all.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = usize::try_from(state % (last as u64 + 1)).unwrap_or(0);
        all.swap(last, other);
    }
}

/// Overwrites as those of [`control`] beside a measurement, one after the other until it ends: when the disk, or the processor, kept everybody
/// waiting, and when it was us.
pub(crate) struct Beside {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Interval>>>,
    path: PathBuf,
}

/// When a call began and ended.
pub(crate) type Interval = (Duration, Duration);

impl Beside {
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let path = directory.join("beside");
        let file = written(&path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            let mut all = Vec::new();
            for round in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let began = now();
                overwrite(&file, round)?;
                all.push((began, now()));
                // Five hundred a second at most: it is to see the disk, not to fill it.
                std::thread::park_timeout(Duration::from_millis(2));
            }
            Ok(all)
        })?;
        Ok(Self { stop, thread, path })
    }

    /// Everything that it did.
    pub(crate) fn end(self) -> Result<Vec<Interval>> {
        self.stop.store(true, Ordering::Relaxed);
        let all = self.thread.join().map_err(|_| anyhow!("the control panicked"))??;
        std::fs::remove_file(self.path)?;
        Ok(all)
    }
}

/// The part of `one` in which no single call of `others` was under way; calls shorter than `least` do not count.
pub(crate) fn alone(one: Interval, others: &[Interval], least: Duration) -> Duration {
    let mut left = one.1 - one.0;
    for other in others.iter().filter(|other| other.1 - other.0 >= least) {
        let common = one.1.min(other.1).saturating_sub(one.0.max(other.0));
        left = left.saturating_sub(common);
    }
    left
}

/// Time that this process's threads of these names have had.
pub(crate) fn cpu_of(names: &[&str]) -> Result<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        // A thread may end while we look.
        let Ok(name) = std::fs::read_to_string(path.join("comm")) else {
            continue;
        };
        if names.contains(&name.trim()) {
            let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            nanos += text.split_whitespace().next().map_or(Ok(0), str::parse::<u64>)?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// Processor time that a process has had, in hundredths of a second.
pub(crate) fn cpu_of_process(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    // Of user and system, as proc(5) counts the fields.
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// The threads of an engine that decide and write.
pub(crate) const ENGINE: &[&str] = &["journal", "shard"];

/// Bytes that `/proc/PID/status` has under `field`, such as `VmRSS` or `VmHWM`.
pub(crate) fn memory(pid: u32, field: &str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("no {field}"))?.parse::<u64>()? << 10)
}

/// Bytes that were given to the disk.
#[derive(Clone, Copy)]
pub(crate) struct Writes {
    /// By the process's calls; what it says to its clients counts as well.
    calls: u64,
    /// By everybody on this machine, as the disks count it. `write_bytes` of a process is of no use: it counts whole folios, of up to
    /// 2 MiB, however little of them is written.
    disks: u64,
}

impl Writes {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
        let mut disks = 0;
        for line in std::fs::read_to_string("/proc/diskstats")?.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Whole disks only: partitions are counted with theirs.
            if let [_, _, name, _, _, _, _, _, _, sectors, ..] = fields[..]
                && Path::new("/sys/block").join(name).exists()
            {
                disks += sectors.parse::<u64>()? * 512;
            }
        }
        Ok(Self {
            calls: line.context("no wchar")?.trim().parse()?,
            disks,
        })
    }

    /// What has been written since, for each of so many records.
    pub(crate) fn since(self, before: Self, records: u64) -> [(&'static str, f64); 2] {
        let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / records as f64;
        [
            ("bytes written a record", each(self.calls, before.calls)),
            ("bytes a record, all disks", each(self.disks, before.disks)),
        ]
    }
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
const OFFSETS: u64 = 1_000_000;
const ROUNDS: usize = 400;
