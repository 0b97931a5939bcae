//! From the start of the real program to the first durable acknowledgement, with the component in the cache.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use share_engine::config::EngineConfig;
use share_engine::engine::Engine;
use sharemill::admin::{Admin as _, AdminClient};
use tempfile::TempDir;

use crate::machine;
use crate::report::{Figures, Sample, Spread};
use crate::rig::{GROUP, Rig, TOPIC, component, produce, record};

/// Ten starts; each finds one record, and is asked over its socket until that record is settled.
pub(crate) fn first_record(rig: &Rig, _: &str) -> Result<Sample> {
    let control = machine::control(&rig.scratch)?;
    let directory = TempDir::new_in(&rig.scratch)?;
    let manifest = directory.path().join("sharemill.toml");
    let text = format!(
        "[host]\ncache-dir = \"cache\"\n[topics.{TOPIC}]\n[deployments.bench]\ncomponent = {:?}\ntopic = \"{TOPIC}\"\ngroup = \"{GROUP}\"\n",
        component(rig, "bench-accept").display().to_string()
    );
    std::fs::write(&manifest, text)?;
    let data = directory.path().join("data");
    // Fills the cache and makes topic and group.
    let status = program(rig, &manifest).arg("--until-idle").status()?;
    ensure!(status.success(), "sharemill run ended with {status}");
    rig.runtime.block_on(async {
        let mut times = Vec::new();
        let began = machine::now();
        for number in 0..STARTS {
            {
                let (engine, _) = Engine::open(&data, EngineConfig::default())?;
                produce(&engine, number, 1, record).await?;
                engine.close().await?;
            }
            let began = machine::now();
            let mut child = program(rig, &manifest).spawn().context("cannot start sharemill")?;
            let settled = tokio::time::timeout(PATIENCE, settled(&data, number + 1)).await;
            times.push(machine::now() - began);
            end(&mut child)?;
            settled.context("no acknowledgement within 30 s")??;
        }
        Ok(Sample {
            records: STARTS,
            took: machine::now() - began,
            cpu: None,
            latency: Some(Spread::of(times)),
            more: Figures::new(),
            control,
        })
    })
}

fn program(rig: &Rig, manifest: &Path) -> Command {
    let mut command = Command::new(&rig.sharemill);
    command
        .args(["run", "--log", "error", "--manifest"])
        .arg(manifest)
        .stdin(Stdio::null());
    command
}

/// Asks until the record at the end of the topic is settled.
async fn settled(data: &Path, end: u64) -> Result<()> {
    let client = loop {
        match AdminClient::connect(data).await {
            Ok(Some(client)) => break client,
            // Not there yet, or there and not listening.
            Ok(None) | Err(_) => tokio::time::sleep(LOOK).await,
        }
    };
    loop {
        let group = client.group(GROUP).await?;
        let partition = group.share_partitions.first().context("no share partition")?;
        if partition.start_offset >= Some(end) {
            return Ok(());
        }
        if partition.log_end > end {
            bail!("the topic has more records than were produced");
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn end(child: &mut Child) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.context("no process id")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    child.wait()?;
    Ok(())
}

const STARTS: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_micros(200);
