//! A share group of a real Kafka cluster: our client alone, the program with a handler, and Kafka's own consumer, on one topic of one broker
//! in one run; the processor time of the broker is told beside that of the client. Left out where Java or Maven is missing.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use kafka_cluster::{Cluster, Options, Version, run_optimised};
use share_client::admin::{Admin, NewTopic};
use share_client::config::ClientConfig;
use share_client::consumer::{Acquisition, Credit, JoinOptions, Lease, Outcome, ShareConsumer, Verb};
use share_wire::records::{PLAIN_MAX, batches};
use sharemill::source::{KafkaProducer, ToProduce};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::machine;
use crate::report::{Figures, Sample, Spread};
use crate::rig::{Rig, component, record};

/// As many as Kafka's consumer was measured with.
const RECORDS: u64 = 1_000_000;

const TOPIC: &str = "jobs";

/// Why there is nothing to be measured, if so.
pub(crate) fn missing() -> Option<kafka_cluster::Error> {
    kafka_cluster::missing(Version::default())
}

/// One broker for all benchmarks, with the topic filled; it ends with the program.
struct Field {
    cluster: Cluster,
    admin: Admin,
    config: ClientConfig,
    properties: BTreeMap<String, String>,
    records: u64,
    /// A group for each run: all of them begin with the first record.
    groups: u32,
}

static FIELD: Mutex<Option<Field>> = Mutex::new(None);

fn field(rig: &Rig) -> Result<MutexGuard<'static, Option<Field>>> {
    let mut field = FIELD.lock().unwrap_or_else(PoisonError::into_inner);
    if field.is_none() {
        *field = Some(Field::begin(rig)?);
    }
    Ok(field)
}

impl Field {
    fn begin(rig: &Rig) -> Result<Self> {
        let options = Options {
            optimised: true,
            heap_mib: 768,
            ..Options::default()
        };
        // The locks of users, not those of tests.
        let cluster = Cluster::start(options.set("group.share.record.lock.duration.ms", "30000"))?;
        let properties = BTreeMap::from([("bootstrap.servers".to_owned(), cluster.bootstrap())]);
        let config = ClientConfig::new(&properties)?;
        let field = Self {
            admin: Admin::new(&config)?,
            config,
            properties,
            records: rig.count(RECORDS),
            groups: 0,
            cluster,
        };
        rig.runtime.block_on(field.fill())?;
        Ok(field)
    }

    async fn fill(&self) -> Result<()> {
        for topic in [TOPIC, IDLE] {
            let topic = NewTopic {
                partitions: Some(1),
                ..NewTopic::named(topic)
            };
            self.admin.create_topic(&topic).await?;
        }
        let producer = KafkaProducer::new(&self.properties)?;
        for first in (0..self.records).step_by(LOT) {
            let lot = (first..self.records.min(first + LOT as u64)).map(|number| {
                let record = record(number);
                to_produce(TOPIC, record.key, record.value)
            });
            for stored in producer.produce_all(lot.collect()).await {
                stored?;
            }
        }
        Ok(())
    }

    /// One that nobody was a member of yet.
    async fn group(&mut self) -> Result<String> {
        self.groups += 1;
        let group = format!("bench-{}", self.groups);
        let earliest = [("share.auto.offset.reset", Some("earliest"))];
        self.admin.set_group(&group, &earliest).await?;
        Ok(group)
    }

    fn broker(&self) -> Result<u32> {
        self.cluster.pid(1).context("the broker has ended")
    }
}

/// Records that are produced at a time.
const LOT: usize = 2_000;

fn to_produce(topic: &str, key: Option<Bytes>, value: Option<Bytes>) -> ToProduce {
    ToProduce {
        topic: topic.to_owned(),
        partition: Some(0),
        key,
        value,
        ..ToProduce::default()
    }
}

/// Time and processor time from here on, of a client and of the broker.
struct Meter {
    client: u32,
    broker: u32,
    began: Duration,
    cpu: (Duration, Duration),
}

impl Meter {
    fn start(client: u32, broker: u32) -> Result<Self> {
        Ok(Self {
            client,
            broker,
            began: machine::now(),
            cpu: (machine::cpu_of_process(client)?, machine::cpu_of_process(broker)?),
        })
    }

    fn sample(&self, records: u64) -> Result<Sample> {
        let took = machine::now() - self.began;
        let client = machine::cpu_of_process(self.client)? - self.cpu.0;
        let broker = machine::cpu_of_process(self.broker)? - self.cpu.1;
        let mib = |pid| Ok::<_, anyhow::Error>(machine::memory(pid, "VmHWM")? as f64 / f64::from(1 << 20));
        let more = Figures::from([
            ("broker cpu", broker.as_secs_f64() / records as f64 * 1e6),
            ("client MiB at most", mib(self.client)?),
            ("broker MiB at most", mib(self.broker)?),
        ]);
        Ok(Sample {
            records,
            took,
            cpu: Some(client),
            latency: None,
            more,
            control: Spread::of(Vec::new()),
        })
    }
}

/// Every record acquired, read and accepted by itself; the benchmark's name ends with the credit of a call, and with how many batches are
/// being settled while the next one is fetched.
pub(crate) fn client(rig: &Rig, name: &str) -> Result<Sample> {
    let numbers = name.rsplit_once('-').and_then(|(_, numbers)| numbers.split_once('x'));
    let (records, outstanding) = numbers.context("not the name of a benchmark of the client")?;
    let credit = Credit {
        records: records.parse()?,
        bytes: 50 << 20,
    };
    let outstanding: usize = outstanding.parse()?;
    let mut field = field(rig)?;
    let field = field.as_mut().context("no cluster")?;
    rig.runtime.block_on(async {
        let group = field.group().await?;
        let consumer = ShareConsumer::join(&field.config, JoinOptions::new(&group, &[TOPIC])).await?;
        let mut settling: JoinSet<usize> = JoinSet::new();
        let (mut taken, mut accepted, mut meter) = (0, 0, None);
        while accepted < field.records {
            while taken < field.records && settling.len() < outstanding {
                let acquisitions = consumer.acquire(credit).await?;
                if meter.is_none() {
                    meter = Some(Meter::start(std::process::id(), field.broker()?)?);
                }
                let mut verbs = Vec::new();
                for acquisition in &acquisitions {
                    read(acquisition, &mut verbs)?;
                }
                taken += verbs.len() as u64;
                let consumer = consumer.clone();
                settling.spawn(async move {
                    let outcomes = consumer.settle(verbs).await;
                    outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count()
                });
            }
            let settled = settling.join_next().await.context("nothing is being settled")?;
            accepted += settled? as u64;
        }
        let sample = meter.context("there was nothing")?.sample(accepted)?;
        consumer.close().await;
        Ok(sample)
    })
}

/// Looks at each record that was acquired.
fn read(acquisition: &Acquisition, verbs: &mut Vec<(Lease, Verb)>) -> Result<()> {
    let mut leases = acquisition.leases().peekable();
    for batch in batches(acquisition.records.clone()) {
        let plain = batch?.plain(PLAIN_MAX)?;
        for record in plain.records() {
            let record = record?;
            while let Some(gap) = leases.next_if(|lease| lease.offset < record.offset) {
                verbs.push((gap, Verb::Gap));
            }
            if let Some(lease) = leases.next_if(|lease| lease.offset == record.offset) {
                std::hint::black_box(record.value);
                verbs.push((lease, Verb::Accept));
            }
        }
    }
    verbs.extend(leases.map(|gap| (gap, Verb::Gap)));
    Ok(())
}

/// The program with a handler that reads and accepts, from the first records that the broker misses to the last.
pub(crate) fn handler(rig: &Rig, _: &str) -> Result<Sample> {
    let mut field = field(rig)?;
    let field = field.as_mut().context("no cluster")?;
    let directory = TempDir::new_in(&rig.scratch)?;
    let group = rig.runtime.block_on(field.group())?;
    let text = format!(
        "[host]\ncache-dir = {:?}\n[sources.main]\ntype = \"kafka\"\nstart = \"earliest\"\nproperties = {{ \"bootstrap.servers\" = {:?} }}\n\
         [deployments.bench]\ncomponent = {:?}\ntopic = \"{TOPIC}\"\ngroup = \"{group}\"\nconcurrency = 64\n",
        rig.scratch.join("cache").display().to_string(),
        field.cluster.bootstrap(),
        component(rig, "bench-accept").display().to_string()
    );
    let manifest = directory.path().join("sharemill.toml");
    std::fs::write(&manifest, text)?;
    let mut command = Command::new(&rig.sharemill);
    command.args(["run", "--log", "error", "--manifest"]).arg(&manifest);
    let host = Host(command.stdin(Stdio::null()).spawn().context("cannot start sharemill")?);
    rig.runtime.block_on(async {
        let give_up = machine::now() + PATIENCE;
        let mut begun = None;
        loop {
            let left = field.admin.backlog(&group, TOPIC).await?.total().0;
            match &begun {
                None if left < field.records => begun = Some((Meter::start(host.0.id(), field.broker()?)?, left)),
                Some((meter, first)) if left == 0 => return meter.sample(*first),
                _ => {}
            }
            ensure!(machine::now() < give_up, "{left} of {} records are left", field.records);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

/// Killed when it is dropped: nobody misses it.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const PATIENCE: Duration = Duration::from_mins(5);

/// One record at a time on an idle topic, each held for a while as by a slow handler, with a call for the next one pending meanwhile: from
/// its outcome to the confirmed acknowledgement.
pub(crate) fn slow(rig: &Rig, _: &str) -> Result<Sample> {
    let mut field = field(rig)?;
    let field = field.as_mut().context("no cluster")?;
    rig.runtime.block_on(async {
        let group = field.group().await?;
        let producer = KafkaProducer::new(&field.properties)?;
        let consumer = ShareConsumer::join(&field.config, JoinOptions::new(&group, &[IDLE])).await?;
        let credit = Credit {
            records: 1,
            bytes: 1 << 20,
        };
        let (mut times, began) = (Vec::new(), machine::now());
        let give = || producer.produce_all(vec![to_produce(IDLE, None, Some(Bytes::from_static(&[b'x'; 200])))]);
        give().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut next = tokio::spawn(take(consumer.clone(), credit));
        for number in 0..SLOW {
            let held = next.await??;
            next = tokio::spawn(take(consumer.clone(), credit));
            // Not in step with the fetches, which wait for 20 ms.
            tokio::time::sleep(Duration::from_micros(60_000 + number * 7_919 % 20_000)).await;
            let outcome = machine::now();
            let settled = consumer
                .settle(held.iter().map(|lease| (*lease, Verb::Accept)).collect())
                .await;
            times.push(machine::now() - outcome);
            ensure!(settled.iter().all(|one| *one == Outcome::Applied), "{settled:?}");
            give().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        next.abort();
        consumer.close().await;
        Ok(Sample {
            records: SLOW,
            took: machine::now() - began,
            cpu: None,
            latency: Some(Spread::of(times)),
            more: Figures::new(),
            control: Spread::of(Vec::new()),
        })
    })
}

async fn take(consumer: ShareConsumer, credit: Credit) -> Result<Vec<Lease>> {
    let acquisitions = consumer.acquire(credit).await?;
    Ok(acquisitions.iter().flat_map(Acquisition::leases).collect())
}

const IDLE: &str = "idle";

/// Slow records.
const SLOW: u64 = 300;

/// Kafka's own `ShareConsumerPerformance`, which acknowledges by asking for more. Its rate is its own figure, of a Java that starts cold.
pub(crate) fn java(rig: &Rig) -> Result<Sample> {
    beside(rig, |field, group| {
        let (servers, count) = (field.cluster.bootstrap(), field.records.to_string());
        let arguments = [
            "--bootstrap-server",
            &servers,
            "--topic",
            TOPIC,
            "--group",
            group,
            "--num-records",
            &count,
        ];
        let printed = run_optimised(
            Version::default(),
            "org.apache.kafka.tools.ShareConsumerPerformance",
            &arguments,
        )?;
        // Start, end, MB, MB a second, records a second, records, milliseconds of fetching, ...
        let line = printed.stdout.lines().rfind(|line| line.contains(", "));
        let fields: Vec<&str> = line.context("nothing was printed")?.split(", ").collect();
        let rate = fields.get(4).and_then(|text| text.trim().parse().ok());
        Ok(Figures::from([(
            "rate",
            rate.with_context(|| format!("no rate in {fields:?}"))?,
        )]))
    })
}

/// `ShareBench.java` of the folder of peers: Kafka's consumer, each record acknowledged by itself.
pub(crate) fn share_bench(rig: &Rig, name: &str) -> Result<Sample> {
    let program = rig.peer("ShareBench.java")?;
    beside(rig, |field, group| {
        let (servers, count) = (field.cluster.bootstrap(), field.records.to_string());
        let most = name.rsplit('-').next().unwrap_or_default();
        let arguments = [&servers, group, TOPIC, &count, "explicit", "batch_optimized", most];
        let printed = run_optimised(Version::default(), &program, &arguments)?;
        said(&printed.stdout)
    })
}

/// `share_librdkafka.py` of the folder of peers: librdkafka's preview of a consumer, each record acknowledged by itself.
pub(crate) fn librdkafka(rig: &Rig, name: &str) -> Result<Sample> {
    let program = rig.peer("share_librdkafka.py")?;
    beside(rig, |field, group| {
        let (servers, count) = (field.cluster.bootstrap(), field.records.to_string());
        let port = servers.rsplit(':').next().unwrap_or_default();
        let most = name.rsplit('-').next().unwrap_or_default();
        let mut command = Command::new("python3");
        command.args([&program, port, TOPIC, group, &count, "explicit", most]);
        let output = command.stdin(Stdio::null()).output().context("cannot start python3")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(output.status.success(), "{}", text(&output.stderr));
        said(&text(&output.stdout))
    })
}

/// What a peer prints of itself.
fn said(printed: &str) -> Result<Figures> {
    let number = |before: &str, behind: &str| {
        let (_, rest) = printed.split_once(before)?;
        rest.split(behind).next()?.trim().parse::<f64>().ok()
    };
    let rate = number("= ", "/s").with_context(|| format!("no rate in {printed:?}"))?;
    let mut figures = Figures::from([("rate", rate)]);
    figures.extend(number("client CPU ", " s/M").map(|cpu| ("cpu", cpu)));
    figures.extend(number("RSS ", " MB").map(|megabytes| ("client MiB at most", megabytes)));
    Ok(figures)
}

/// A peer's own figures, and what the broker took for it.
fn beside(rig: &Rig, run: impl FnOnce(&Field, &str) -> Result<Figures>) -> Result<Sample> {
    let mut field = field(rig)?;
    let field = field.as_mut().context("no cluster")?;
    let group = rig.runtime.block_on(field.group())?;
    let broker = field.broker()?;
    let before = machine::cpu_of_process(broker)?;
    let mut more = run(field, &group)?;
    let cpu = machine::cpu_of_process(broker)? - before;
    more.insert("broker cpu", cpu.as_secs_f64() / field.records as f64 * 1e6);
    more.insert(
        "broker MiB at most",
        machine::memory(broker, "VmHWM")? as f64 / f64::from(1 << 20),
    );
    Ok(Sample::of(more, Spread::of(Vec::new())))
}
