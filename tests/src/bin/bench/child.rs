//! Parts of a benchmark that need a process of their own: to have its memory measured, to be killed, to take processor time. Each says
//! what it has found in a line of JSON and waits until its standard input ends or it is killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use share_engine::config::{EngineConfig, GroupConfig, WindowMode};
use share_engine::engine::{Engine, Member};
use share_engine::ids::LeaseKey;
use share_engine::share::AcquireMode;

use crate::machine;
use crate::rig::{GROUP, TOPIC, produce_all, queue, record};

/// What a child is told.
#[derive(Parser)]
pub(crate) struct Arguments {
    #[arg(value_enum)]
    task: Task,
    /// Its data directory.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Records to produce.
    #[arg(long, default_value_t = 0)]
    records: u64,
    /// Records to hold.
    #[arg(long, default_value_t = 0)]
    acquired: u64,
    /// Drain before it is ready.
    #[arg(long)]
    drain: bool,
    /// Keep only so much in memory.
    #[arg(long)]
    window: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    /// Take processor time
    Spin,
    /// Produce, acquire
    Fill,
    /// Open what is there, and say how long it took
    Open,
}

/// The body of a child.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments.task {
        Task::Spin => {
            std::thread::spawn(|| {
                let mut number = 0_u64;
                loop {
                    number = std::hint::black_box(number.wrapping_mul(31).wrapping_add(7));
                }
            });
            say(&BTreeMap::new())?;
        }
        Task::Fill | Task::Open => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            // Whoever kills this process measures what it leaves: nothing is closed.
            let kept = runtime.block_on(fill(arguments))?;
            wait()?;
            drop(kept);
            std::process::abort();
        }
    }
    wait()
}

/// The engine and its members, so that nothing is given up.
async fn fill(arguments: &Arguments) -> Result<(Engine, Vec<Member>)> {
    let mut config = EngineConfig::default();
    config.memory_window = arguments.window.unwrap_or(config.memory_window);
    let mut found = BTreeMap::new();
    let began = machine::now();
    let data = arguments.data.as_ref().context("no data directory")?;
    let (engine, report) = Engine::open(data, config)?;
    found.insert("open ms", (machine::now() - began).as_secs_f64() * 1e3);
    found.insert("entries", report.entries as f64);
    found.insert("held", report.held as f64);
    if arguments.task == Task::Fill {
        engine.create_topic(TOPIC, queue(1)).await?;
        let group = GroupConfig {
            lock_millis: 60_000,
            window: WindowMode::Acquired(16_000_000),
            ..GroupConfig::default()
        };
        engine.create_group(GROUP, group).await?;
        engine.subscribe(GROUP, TOPIC).await?;
        let began = machine::now();
        produce_all(&engine, arguments.records, 4, 100, record).await?;
        found.insert(
            "produced/s",
            arguments.records as f64 / (machine::now() - began).as_secs_f64(),
        );
        if arguments.drain {
            engine.drain().await?;
        }
    }
    let pid = std::process::id();
    let megabytes = || Ok::<_, anyhow::Error>(machine::memory(pid, "VmRSS")? as f64 / 1e6);
    let member = engine.join(GROUP, &[TOPIC]).await?;
    if arguments.task == Task::Open {
        hold(&member, 1, |_| ()).await?;
        found.insert("ready ms", (machine::now() - began).as_secs_f64() * 1e3);
    }
    found.insert("before MB", megabytes()?);
    let began = machine::now();
    // What is read ahead, and what a call takes, is there from the first tenth on.
    let mut held = hold(&member, arguments.acquired / 10, |_| ()).await?;
    found.insert("tenth MB", megabytes()?);
    held += hold(&member, arguments.acquired - held, |_| ()).await?;
    found.insert("acquired/s", held as f64 / (machine::now() - began).as_secs_f64());
    // The places of the answers are counted once a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    found.insert("after MB", megabytes()?);
    found.insert("acquired", engine.stats().acquired as f64);
    found.insert("journal MiB", engine.stats().journal_used as f64 / f64::from(1 << 20));
    say(&found)?;
    Ok((engine, vec![member]))
}

/// Acquires so many records; what is told of each lease is all that is kept.
pub(crate) async fn hold(member: &Member, count: u64, mut keep: impl FnMut(LeaseKey)) -> Result<u64> {
    let mut held = 0;
    while held < count {
        let most = u32::try_from((count - held).min(1_000))?;
        let deliveries = member.acquire(most, 4 << 20, AcquireMode::RecordLimit).await?;
        ensure!(!deliveries.is_empty(), "an acquisition gave nothing");
        held += deliveries.len() as u64;
        for delivery in &deliveries {
            keep(delivery.lease);
        }
    }
    Ok(held)
}

fn say(found: &BTreeMap<&str, f64>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(found)?)?;
    Ok(out.flush()?)
}

/// Until the parent has enough, or is gone.
fn wait() -> Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// A child at work. Killed when dropped.
pub(crate) struct Helper {
    child: Child,
    out: BufReader<ChildStdout>,
    _input: ChildStdin,
}

impl Helper {
    pub(crate) fn spin() -> Result<Self> {
        let mut helper = Self::start("spin", &[])?;
        helper.found()?;
        Ok(helper)
    }

    pub(crate) fn fill(data: &Path, arguments: &[String]) -> Result<Self> {
        Self::on("fill", data, arguments)
    }

    pub(crate) fn open(data: &Path, arguments: &[String]) -> Result<Self> {
        Self::on("open", data, arguments)
    }

    fn on(task: &str, data: &Path, arguments: &[String]) -> Result<Self> {
        let data = data.display().to_string();
        Self::start(task, &[&["--data".to_owned(), data], arguments].concat())
    }

    fn start(task: &str, arguments: &[String]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([CHILD, task])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a child")?;
        let (Some(input), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("a child without pipes");
        };
        Ok(Self {
            child,
            out: BufReader::new(out),
            _input: input,
        })
    }

    /// What it has found, once it has.
    pub(crate) fn found(&mut self) -> Result<BTreeMap<String, f64>> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("a child ended, saying {line:?}"))
    }

    /// SIGKILL, and its end.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Whether it has ended by itself does not matter.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// First argument of a child.
pub(crate) const CHILD: &str = "child";
