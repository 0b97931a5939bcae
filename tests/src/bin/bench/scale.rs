//! Large numbers: records held at once, a backlog, share partitions, leases that end together, acknowledgements in any order.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use share_engine::config::{GroupConfig, WindowMode};
use share_engine::engine::{Engine, Member, Outcome, Settlement};
use share_engine::error::SettleResult;
use share_engine::ids::LeaseKey;
use share_engine::share::AcquireMode;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::child::{Helper, hold};
use crate::machine;
use crate::report::{Figures, Sample, Spread};
use crate::rig::{GROUP, Meter, Rig, TOPIC, produce_all, queue, record};

/// What one process needs more for a million records of 200 bytes that are acquired and in nobody's hands any more.
pub(crate) fn memory(rig: &Rig, _: &str) -> Result<Sample> {
    let control = machine::control(&rig.scratch)?;
    let directory = TempDir::new_in(&rig.scratch)?;
    let count = rig.count(1_000_000);
    let window = 8 << 20;
    let mut child = Helper::fill(
        directory.path(),
        &options(&[("records", count), ("window", window)], true),
    )?;
    child.found()?;
    child.kill()?;
    // Another process, so that nothing is taken from what producing them has left over.
    let mut child = Helper::open(
        directory.path(),
        &options(&[("acquired", count - 1), ("window", window)], false),
    )?;
    let found = child.found()?;
    child.kill()?;
    let get = |name: &str| found.get(name).copied().context("a figure is missing");
    ensure!((get("acquired")? - count as f64).abs() < 1.0, "not all are held");
    let more = Figures::from([
        (
            "bytes a record",
            (get("after MB")? - get("tenth MB")?) * 1e6 / (count - count / 10) as f64,
        ),
        (
            "with what is read ahead",
            (get("after MB")? - get("before MB")?) * 1e6 / count as f64,
        ),
        ("acquired/s", get("acquired/s")?),
        ("process before, MB", get("before MB")?),
        ("process after, MB", get("after MB")?),
    ]);
    Ok(Sample::of(more, control))
}

/// Arguments of a child.
pub(crate) fn options(numbers: &[(&str, u64)], drain: bool) -> Vec<String> {
    let named = numbers.iter().map(|(name, value)| format!("--{name}={value}"));
    named.chain(drain.then(|| "--drain".to_owned())).collect()
}

/// Ten million records that nobody takes, then a tenth of them taken.
pub(crate) fn backlog(rig: &Rig, _: &str) -> Result<Sample> {
    let control = machine::control(&rig.scratch)?;
    let directory = TempDir::new_in(&rig.scratch)?;
    let count = rig.count(10_000_000);
    let taken = count / 10;
    let began = machine::now();
    let mut child = Helper::fill(
        directory.path(),
        &options(&[("records", count), ("acquired", taken)], false),
    )?;
    let found = child.found()?;
    child.kill()?;
    let get = |name: &str| found.get(name).copied().context("a figure is missing");
    let mut sample = Sample::of(
        Figures::from([
            ("produced/s", get("produced/s")?),
            ("acquired/s", get("acquired/s")?),
            ("process with the backlog, MB", get("before MB")?),
            ("process with a tenth held, MB", get("after MB")?),
        ]),
        control,
    );
    sample.records = count;
    sample.took = machine::now() - began;
    Ok(sample)
}

/// A hundred groups on a topic of a hundred partitions: one record in each partition, taken and accepted by each group.
pub(crate) fn share_partitions(rig: &Rig, _: &str) -> Result<Sample> {
    let data = rig.bench(1)?;
    rig.runtime.block_on(async {
        let engine = &data.engine;
        engine.create_topic("wide", queue(100)).await?;
        let began = machine::now();
        for number in 0..100 {
            let group = format!("group-{number}");
            engine.create_group(&group, GroupConfig::default()).await?;
            engine.subscribe(&group, "wide").await?;
        }
        let made = machine::now() - began;
        let rss = machine::memory(std::process::id(), "VmRSS")?;
        for partition in 0..100 {
            for result in engine.produce("wide", Some(partition), vec![record(0)]).await {
                result?;
            }
        }
        let meter = Meter::start();
        let mut groups = JoinSet::new();
        for number in 0..100 {
            let engine = engine.clone();
            groups.spawn(async move {
                let member = engine.join(&format!("group-{number}"), &["wide"]).await?;
                let mut leases = Vec::new();
                while leases.len() < 100 {
                    hold(&member, 1, |lease| leases.push(lease)).await?;
                }
                accept(&member, &leases).await
            });
        }
        while let Some(done) = groups.join_next().await {
            done??;
        }
        let mut sample = meter.sample(10_000, data.control);
        sample.more.extend([
            ("made in ms", made.as_secs_f64() * 1e3),
            ("process MB", rss as f64 / 1e6),
        ]);
        data.close().await?;
        Ok(sample)
    })
}

pub(crate) async fn accept(member: &Member, leases: &[LeaseKey]) -> Result<()> {
    let settlements = leases.iter().map(|lease| Settlement {
        lease: *lease,
        outcome: Outcome::Accept { emit: Vec::new() },
        evidence: None,
    });
    let results = member.settle(settlements.collect()).await;
    let applied = results.iter().all(|result| *result == SettleResult::Applied);
    ensure!(applied, "a settlement was not applied");
    Ok(())
}

/// Acknowledgements of everything that is held, from the first to the last.
pub(crate) fn in_order(rig: &Rig, _: &str) -> Result<Sample> {
    acknowledge(rig, |_| ())
}

/// The same in an order that has no order.
pub(crate) fn at_random(rig: &Rig, _: &str) -> Result<Sample> {
    acknowledge(rig, machine::shuffle)
}

fn acknowledge(rig: &Rig, order: fn(&mut [LeaseKey])) -> Result<Sample> {
    let data = rig.bench(1)?;
    let count = rig.count(1_000_000);
    rig.runtime.block_on(async {
        let (members, mut leases) = held(&data.engine, count).await?;
        order(&mut leases);
        let share = leases.len().div_ceil(members.len());
        let meter = Meter::start();
        let mut workers = JoinSet::new();
        for (member, part) in members.into_iter().zip(leases.chunks(share)) {
            let part = part.to_vec();
            workers.spawn(async move {
                for batch in part.chunks(100) {
                    accept(&member, batch).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = workers.join_next().await {
            done??;
        }
        let sample = meter.sample(count, data.control);
        data.close().await?;
        Ok(sample)
    })
}

/// Records of the usual topic, all of them acquired, with a lease of a minute.
async fn held(engine: &Engine, count: u64) -> Result<(Vec<Member>, Vec<LeaseKey>)> {
    produce_all(engine, count, 4, 100, record).await?;
    engine.alter_group(GROUP, patient(60_000)).await?;
    let (mut members, mut leases) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let member = engine.join(GROUP, &[TOPIC]).await?;
        hold(&member, count / 4, |lease| leases.push(lease)).await?;
        members.push(member);
    }
    Ok((members, leases))
}

fn patient(lock_millis: u32) -> GroupConfig {
    GroupConfig {
        lock_millis,
        window: WindowMode::Acquired(16_000_000),
        ..GroupConfig::default()
    }
}

/// A million leases with one deadline, while somebody else produces, acquires and settles on another topic.
pub(crate) fn expire(rig: &Rig, _: &str) -> Result<Sample> {
    expire_every(rig, 1)
}

/// The same where every second record was acknowledged before: no two that end are neighbours.
pub(crate) fn expire_apart(rig: &Rig, _: &str) -> Result<Sample> {
    expire_every(rig, 2)
}

fn expire_every(rig: &Rig, distance: u64) -> Result<Sample> {
    let data = rig.bench(1)?;
    let count = rig.count(1_000_000);
    rig.runtime.block_on(async {
        let engine = &data.engine;
        engine.create_topic("other", queue(1)).await?;
        engine.create_group("others", GroupConfig::default()).await?;
        engine.subscribe("others", "other").await?;
        let (members, leases) = held(engine, count * distance).await?;
        let member = members.first().context("no member")?;
        let (leases, others): (Vec<_>, Vec<_>) =
            leases.into_iter().partition(|lease| lease.offset.get() % distance == 0);
        for some in others.chunks(1_000) {
            accept(member, some).await?;
        }
        engine.alter_group(GROUP, patient(2_000)).await?;
        let (stop, stopped) = watch::channel(false);
        let other = tokio::spawn(requests(engine.clone(), stopped));
        let renewed = member.renew(leases).await;
        let deadline = renewed.into_iter().next_back().context("no lease")??;
        // How much the others ask of the engine by themselves.
        let quiet = (machine::now(), machine::cpu_of(machine::ENGINE)?);
        let left = deadline.since(engine.now().monotonic);
        tokio::time::sleep(left.saturating_sub(EARLY)).await;
        let (then, cpu) = (machine::now(), machine::cpu_of(machine::ENGINE)?);
        ensure!(engine.stats().expired == 0, "a lease ended early");
        while engine.stats().expired < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let late = engine.now().monotonic.since(deadline);
        let (now, after) = (machine::now(), machine::cpu_of(machine::ENGINE)?);
        stop.send(true)?;
        let all = other.await??;
        let during: Vec<_> = all
            .iter()
            .filter(|(began, ended)| *ended > then && *began < now)
            .copied()
            .collect();
        let before: Vec<_> = all
            .iter()
            .filter(|(began, ended)| *began > quiet.0 && *ended < then)
            .copied()
            .collect();
        // What the others' calls cost when nothing else happens is theirs.
        let call = (cpu - quiet.1).as_secs_f64() / before.len().max(1) as f64;
        let spent = (after - cpu).as_secs_f64() - call * during.len() as f64;
        let spread =
            |calls: Vec<machine::Interval>| Spread::of(calls.into_iter().map(|(began, ended)| ended - began).collect());
        let (during, before) = (spread(during), spread(before));
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let more = Figures::from([
            ("engine ms", spent * 1e3),
            ("with the others' calls, ms", millis(after - cpu)),
            ("late ms", millis(late)),
            ("others' longest ms", millis(during.longest)),
            ("others' longest before ms", millis(before.longest)),
        ]);
        let sample = Sample::of(more, data.control);
        data.close().await?;
        Ok(sample)
    })
}

/// Produce, acquire, settle, one after the other; when each call began and ended.
async fn requests(engine: Engine, stop: watch::Receiver<bool>) -> Result<Vec<machine::Interval>> {
    let member = engine.join("others", &["other"]).await?;
    let mut all = Vec::new();
    while !*stop.borrow() {
        let began = machine::now();
        for result in engine.produce("other", None, vec![record(0)]).await {
            result?;
        }
        let produced = machine::now();
        let deliveries = member.acquire(1, 1 << 20, AcquireMode::RecordLimit).await?;
        let acquired = machine::now();
        let leases: Vec<LeaseKey> = deliveries.iter().map(|delivery| delivery.lease).collect();
        accept(&member, &leases).await?;
        all.extend([(began, produced), (produced, acquired), (acquired, machine::now())]);
    }
    Ok(all)
}

/// Before the deadline, to see what follows from the beginning.
const EARLY: Duration = Duration::from_millis(20);
