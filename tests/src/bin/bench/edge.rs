//! What the real program needs of memory and disk: idle, and in the edge profile under load.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use sharemill::admin::{Admin as _, AdminClient, PRODUCE_BUFFER, ProduceOutcome, ProduceResult, Record};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::host::order;
use crate::machine::{self, Writes};
use crate::report::{Figures, Sample, Spread};
use crate::rig::{Rig, component};

/// A host with one deployment and nothing to do.
pub(crate) fn idle(rig: &Rig, _: &str) -> Result<Sample> {
    let field = Field::new(rig, "default", "bench-accept")?;
    rig.runtime.block_on(async {
        let host = field.start(rig)?;
        let client = host.client(&field.data).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let megabytes = |name| Ok::<_, anyhow::Error>(machine::memory(client.pid(), name)? as f64 / 1e6);
        let more = Figures::from([
            ("process MB", megabytes("VmRSS")?),
            ("of it anonymous, MB", megabytes("RssAnon")?),
            ("of it files, MB", megabytes("RssFile")?),
        ]);
        Ok(Sample::of(more, field.control))
    })
}

/// Orders at a thousand a second, in one gigabyte of address space.
pub(crate) fn load(rig: &Rig, _: &str) -> Result<Sample> {
    let field = Field::new(rig, "edge", "enrich")?;
    let seconds = rig.count(800) / 80;
    rig.runtime.block_on(async {
        let host = field.start(rig)?;
        let client = host.client(&field.data).await?;
        let before = Writes::of(client.pid())?;
        let make = |number| order(number).value;
        produce(&client, "jobs", seconds * 1_000, Some(1_000), make).await?;
        settled(&client, seconds * 1_000).await?;
        let after = Writes::of(client.pid())?;
        let mut more = Figures::from([
            ("peak MB", machine::memory(client.pid(), "VmHWM")? as f64 / 1e6),
            ("anonymous MB", machine::memory(client.pid(), "RssAnon")? as f64 / 1e6),
        ]);
        more.extend(after.since(before, seconds * 1_000));
        Ok(Sample::of(more, field.control))
    })
}

/// Records of 200 bytes that are handled as they come.
pub(crate) fn keeping_up(rig: &Rig, _: &str) -> Result<Sample> {
    written(rig, "jobs", None)
}

/// The same at a thousand a second.
pub(crate) fn keeping_pace(rig: &Rig, _: &str) -> Result<Sample> {
    written(rig, "jobs", Some(1_000))
}

/// Records of 200 bytes that nobody takes.
pub(crate) fn lagging(rig: &Rig, _: &str) -> Result<Sample> {
    written(rig, "heap", None)
}

fn written(rig: &Rig, topic: &str, rate: Option<u64>) -> Result<Sample> {
    let field = Field::new(rig, "edge", "bench-accept")?;
    let count = rig.count(if rate.is_some() { 5_000 } else { 200_000 });
    rig.runtime.block_on(async {
        let host = field.start(rig)?;
        let client = host.client(&field.data).await?;
        let before = Writes::of(client.pid())?;
        let value = |_| Some(Bytes::from_static(&[b'x'; 200]));
        let began = machine::now();
        produce(&client, topic, count, rate, value).await?;
        if topic == "jobs" {
            settled(&client, count).await?;
        }
        let took = machine::now() - began;
        let after = Writes::of(client.pid())?;
        let mut more = Figures::from(after.since(before, count));
        more.insert("peak MB", machine::memory(client.pid(), "VmHWM")? as f64 / 1e6);
        Ok(Sample {
            records: count,
            took,
            ..Sample::of(more, field.control)
        })
    })
}

/// A folder with a manifest, its cache filled.
struct Field {
    control: Spread,
    data: PathBuf,
    manifest: PathBuf,
    _directory: TempDir,
}

impl Field {
    fn new(rig: &Rig, profile: &str, guest: &str) -> Result<Self> {
        let control = machine::control(&rig.scratch)?;
        let directory = TempDir::new_in(&rig.scratch)?;
        let manifest = directory.path().join("sharemill.toml");
        let component = component(rig, guest).display().to_string();
        let text = format!(
            "[host]\nprofile = \"{profile}\"\ncache-dir = \"cache\"\n[topics.heap]\nretention = \"forever\"\n\
             [deployments.jobs]\ncomponent = {component:?}\ntopic = \"jobs\"\ngrants = {{ emit = [\"order-lines\"] }}\n"
        );
        std::fs::write(&manifest, text)?;
        let field = Self {
            control,
            data: directory.path().join("data"),
            manifest,
            _directory: directory,
        };
        let status = program(rig, &field.manifest).arg("--until-idle").status()?;
        ensure!(status.success(), "sharemill run ended with {status}");
        Ok(field)
    }

    /// In one gigabyte of address space if the profile is for that.
    fn start(&self, rig: &Rig) -> Result<Host> {
        let edge = std::fs::read_to_string(&self.manifest)?.contains("\"edge\"");
        let mut command = if edge {
            let mut limited = Command::new("prlimit");
            limited.arg(format!("--as={}", 1 << 30)).arg(&rig.sharemill);
            arguments(&mut limited, &self.manifest);
            limited
        } else {
            program(rig, &self.manifest)
        };
        Ok(Host(command.spawn().context("cannot start sharemill")?))
    }
}

fn program(rig: &Rig, manifest: &Path) -> Command {
    let mut command = Command::new(&rig.sharemill);
    arguments(&mut command, manifest);
    command
}

fn arguments(command: &mut Command, manifest: &Path) {
    command.args(["run", "--log", "error", "--manifest"]).arg(manifest);
    command.stdin(Stdio::null());
}

/// The running program; killed when dropped.
struct Host(Child);

impl Host {
    async fn client(&self, data: &Path) -> Result<AdminClient> {
        let give_up = machine::now() + PATIENCE;
        loop {
            match AdminClient::connect(data).await {
                Ok(Some(client)) => return Ok(client),
                _ if machine::now() > give_up => anyhow::bail!("sharemill does not answer"),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Whether it has ended by itself does not matter.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Over the socket, as fast as it goes or at a rate.
async fn produce(
    client: &AdminClient,
    topic: &str,
    count: u64,
    rate: Option<u64>,
    make: impl Fn(u64) -> Option<Bytes>,
) -> Result<()> {
    let (records, taken) = mpsc::channel(PRODUCE_BUFFER);
    let (results, mut answers) = mpsc::channel::<ProduceResult>(PRODUCE_BUFFER);
    let send = async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        for number in 0..count {
            if let Some(rate) = rate
                && number % (rate / 1_000) == 0
            {
                ticks.tick().await;
            }
            let value = make(number);
            records
                .send(Record {
                    value,
                    ..Record::default()
                })
                .await?;
        }
        anyhow::Ok(())
    };
    let listen = async {
        let mut stored = 0;
        while let Some(answer) = answers.recv().await {
            stored += u64::from(matches!(answer.outcome, ProduceOutcome::Stored { .. }));
        }
        stored
    };
    let (sent, done, stored) = tokio::join!(send, client.produce(topic, PATIENCE, taken, results), listen);
    sent?;
    done?;
    ensure!(stored == count, "{stored} of {count} records were taken");
    Ok(())
}

/// Until so many are.
async fn settled(client: &AdminClient, count: u64) -> Result<()> {
    let give_up = machine::now() + PATIENCE;
    loop {
        let group = client.group("jobs").await?;
        let start: u64 = group
            .share_partitions
            .iter()
            .filter_map(|share| share.start_offset)
            .sum();
        if start >= count {
            return Ok(());
        }
        ensure!(machine::now() < give_up, "{start} of {count} records were settled");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const PATIENCE: Duration = Duration::from_mins(1);
