//! The peer that the goals name: Redis streams that sync every append, on the same disk in the same run. Four connections as our four
//! callers, each record acknowledged by itself. Left out where `redis-server` is not installed.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::streams::{StreamId, StreamReadReply};
use ::redis::{AsyncConnectionConfig, Client, Pipeline, Value, cmd, pipe};
use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::latency::{INTERVAL, WARM};
use crate::machine;
use crate::report::{Figures, Sample, Spread};
use crate::rig::{PRODUCED, Rig, SETTLED};

/// Whether there is a server to measure.
pub(crate) fn is_installed() -> bool {
    let version = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

pub(crate) fn append(rig: &Rig) -> Result<Sample> {
    let server = Server::start(&rig.scratch)?;
    let count = rig.count(PRODUCED);
    rig.runtime.block_on(async {
        server.group().await?;
        append_all(&server, count).await?;
        let meter = server.meter()?;
        append_all(&server, count).await?;
        meter.sample(&server, count)
    })
}

pub(crate) fn read_and_acknowledge(rig: &Rig) -> Result<Sample> {
    let server = Server::start(&rig.scratch)?;
    let count = rig.count(SETTLED);
    rig.runtime.block_on(async {
        server.group().await?;
        append_all(&server, count).await?;
        let meter = server.meter()?;
        let mut workers = JoinSet::new();
        for worker in 0..CONNECTIONS {
            let connection = server.connect().await?;
            workers.spawn(work(connection, worker, BATCH, None));
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        meter.sample(&server, count)
    })
}

pub(crate) fn append_to_acknowledgement(rig: &Rig) -> Result<Sample> {
    let server = Server::start(&rig.scratch)?;
    let count = rig.count(800);
    rig.runtime.block_on(async {
        server.group().await?;
        let (sender, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
        let mut workers = JoinSet::new();
        for worker in 0..CONNECTIONS {
            let connection = server.connect().await?;
            workers.spawn(work(connection, worker, 1, Some(sender.clone())));
        }
        let producer = server.connect().await?;
        let mut ticks = tokio::time::interval(INTERVAL);
        let mut appends = JoinSet::new();
        let mut meter = server.meter()?;
        for number in 0..WARM + count {
            ticks.tick().await;
            if number == WARM {
                meter = server.meter()?;
            }
            let mut producer = producer.clone();
            appends.spawn(async move {
                let value = stamped(number, machine::now());
                let _: Value = add(&mut pipe(), &value).query_async(&mut producer).await?;
                anyhow::Ok(())
            });
        }
        let mut times = Vec::new();
        for _ in 0..WARM + count {
            let (number, took) = acknowledged.recv().await.context("a worker ended")?;
            if number >= WARM {
                times.push(took);
            }
        }
        while let Some(done) = appends.join_next().await {
            done??;
        }
        let mut sample = meter.sample(&server, count)?;
        sample.latency = Some(Spread::of(times));
        workers.shutdown().await;
        Ok(sample)
    })
}

/// What the server needs more for a million entries that are delivered and not acknowledged.
pub(crate) fn memory(rig: &Rig) -> Result<Sample> {
    let server = Server::start(&rig.scratch)?;
    let count = rig.count(1_000_000);
    rig.runtime.block_on(async {
        server.group().await?;
        append_all(&server, count).await?;
        let before = machine::memory(server.child.id(), "VmRSS")?;
        let mut connection = server.connect().await?;
        while !take(&mut connection, 0, 1_000, false).await?.is_empty() {}
        let after = machine::memory(server.child.id(), "VmRSS")?;
        let each = after.saturating_sub(before) as f64 / count as f64;
        Ok(Sample::of(Figures::from([("bytes a record", each)]), server.control))
    })
}

/// How long it takes to be ready again after kill -9 with a million entries.
pub(crate) fn recover(rig: &Rig) -> Result<Sample> {
    let mut server = Server::start(&rig.scratch)?;
    let count = rig.count(1_000_000);
    rig.runtime.block_on(async {
        server.group().await?;
        append_all(&server, count).await?;
        server.child.kill()?;
        server.child.wait()?;
        let began = machine::now();
        server.child = serve(server.port, server.directory.path())?;
        let mut connection = server.connect().await?;
        loop {
            // It answers that it is loading until it has.
            let length = cmd("XLEN").arg(STREAM).query_async::<u64>(&mut connection).await;
            match length {
                Ok(length) => {
                    ensure!(length == count, "{length} of {count} entries are there");
                    break;
                }
                Err(error) if machine::now() > began + PATIENCE => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        let took = (machine::now() - began).as_secs_f64() * 1e3;
        let more = Figures::from([("ready after ms", took), ("records", count as f64)]);
        Ok(Sample::of(more, server.control))
    })
}

/// Appends records of 200 bytes on four connections, 100 on their way on each.
async fn append_all(server: &Server, count: u64) -> Result<()> {
    let mut callers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut connection = server.connect().await?;
        callers.spawn(async move {
            for _ in 0..count / CONNECTIONS / BATCH {
                let mut batch = pipe();
                for _ in 0..BATCH {
                    add(&mut batch, &[b'x'; 200]);
                }
                let () = batch.ignore().query_async(&mut connection).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

fn add<'a>(batch: &'a mut Pipeline, value: &[u8]) -> &'a mut Pipeline {
    batch.cmd("XADD").arg(STREAM).arg("*").arg("v").arg(value)
}

type Acknowledged = tokio::sync::mpsc::UnboundedSender<(u64, Duration)>;

/// Reads and acknowledges. Ends when there is nothing more, or else tells of each acknowledgement and goes on.
async fn work(mut connection: MultiplexedConnection, worker: u64, most: u64, tell: Option<Acknowledged>) -> Result<()> {
    loop {
        let entries = take(&mut connection, worker, most, tell.is_some()).await?;
        if entries.is_empty() {
            if tell.is_some() {
                continue;
            }
            return Ok(());
        }
        let mut batch = pipe();
        let mut values = Vec::new();
        for entry in &entries {
            let value: Vec<u8> = entry.get("v").context("an entry without a value")?;
            values.push(value);
            batch.cmd("XACK").arg(STREAM).arg(GROUP).arg(&entry.id).ignore();
        }
        let () = batch.query_async(&mut connection).await?;
        let Some(tell) = &tell else { continue };
        for value in values {
            let (number, began) = unstamped(&value).context("a value of another's")?;
            tell.send((number, machine::now() - began))?;
        }
    }
}

async fn take(connection: &mut MultiplexedConnection, worker: u64, most: u64, block: bool) -> Result<Vec<StreamId>> {
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg(GROUP).arg(worker).arg("COUNT").arg(most);
    if block {
        read.arg("BLOCK").arg(1_000);
    }
    read.arg("STREAMS").arg(STREAM).arg(">");
    let read: Option<StreamReadReply> = read.query_async(connection).await?;
    let keys = read.into_iter().flat_map(|read| read.keys);
    Ok(keys.flat_map(|key| key.ids).collect())
}

/// 200 bytes that begin with the record's number and when it was made.
fn stamped(number: u64, at: Duration) -> Vec<u8> {
    let mut value = vec![b'x'; 200];
    let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    let stamp = number.to_le_bytes().into_iter().chain(nanos.to_le_bytes());
    for (to, from) in value.iter_mut().zip(stamp) {
        *to = from;
    }
    value
}

fn unstamped(value: &[u8]) -> Option<(u64, Duration)> {
    let (number, rest) = value.split_first_chunk()?;
    let (nanos, _) = rest.split_first_chunk()?;
    Some((
        u64::from_le_bytes(*number),
        Duration::from_nanos(u64::from_le_bytes(*nanos)),
    ))
}

/// A server of its own, in a directory of its own, that syncs before it answers.
struct Server {
    child: Child,
    client: Client,
    control: Spread,
    port: u16,
    directory: TempDir,
}

impl Server {
    fn start(scratch: &Path) -> Result<Self> {
        let control = machine::control(scratch)?;
        let directory = TempDir::new_in(scratch)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Ok(Self {
            child: serve(port, directory.path())?,
            client: Client::open(format!("redis://127.0.0.1:{port}/"))?,
            control,
            port,
            directory,
        })
    }

    /// Waits until the server answers.
    async fn connect(&self) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let give_up = machine::now() + PATIENCE;
        loop {
            match self.client.get_multiplexed_async_connection_with_config(&config).await {
                Ok(connection) => return Ok(connection),
                Err(error) if machine::now() > give_up => return Err(error).context("redis-server does not answer"),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn group(&self) -> Result<()> {
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(STREAM).arg(GROUP).arg("0").arg("MKSTREAM");
        let _: Value = create.query_async(&mut self.connect().await?).await?;
        Ok(())
    }

    fn meter(&self) -> Result<Meter> {
        Ok(Meter {
            began: machine::now(),
            cpu: machine::cpu() + self.cpu()?,
        })
    }

    /// Processor time of the server so far.
    fn cpu(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = text.rsplit_once(')').context("an unknown form of /proc/PID/stat")?;
        let ticks: Vec<u64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .flat_map(str::parse)
            .collect();
        ensure!(ticks.len() == 2, "an unknown form of /proc/PID/stat");
        Ok(TICK * u32::try_from(ticks.iter().sum::<u64>())?)
    }
}

fn serve(port: u16, directory: &Path) -> Result<Child> {
    Command::new(PROGRAM)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(directory)
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start redis-server")
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whether it has ended by itself does not matter.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Meter {
    began: Duration,
    cpu: Duration,
}

impl Meter {
    fn sample(&self, server: &Server, records: u64) -> Result<Sample> {
        Ok(Sample {
            records,
            took: machine::now() - self.began,
            cpu: Some(machine::cpu() + server.cpu()? - self.cpu),
            latency: None,
            more: Figures::new(),
            control: server.control,
        })
    }
}

const PROGRAM: &str = "redis-server";
const STREAM: &str = "jobs";
const GROUP: &str = "work";
const CONNECTIONS: u64 = 4;
/// Records on their way on one connection.
const BATCH: u64 = 100;
const PATIENCE: Duration = Duration::from_mins(1);
/// Of the figures in `/proc/PID/stat`.
const TICK: Duration = Duration::from_millis(10);
