//! What the engine costs on a real disk: durable produce, durable acquire and acknowledge, and a raw `fdatasync`
//! control beside them. `cargo run --example engine_bench -- [DIRECTORY] [RECORDS]`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark program"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use share_engine::config::{EngineConfig, GroupConfig, Retention, TopicConfig};
use share_engine::engine::{Delivery, Engine, Member, Outcome, Settlement, block_on};
use share_engine::record::NewRecord;
use share_engine::share::AcquireMode;

const WORKERS: usize = 4;
const OUTSTANDING: usize = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "target/engine-bench".to_owned());
    let records: usize = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    control(&directory);
    let (engine, _) = Engine::open(&directory, EngineConfig::default()).unwrap();
    let topic = TopicConfig {
        retention: Retention::Queue,
        ..TopicConfig::default()
    };
    block_on(engine.create_topic("bench", topic)).unwrap();
    block_on(engine.create_group("bench", GroupConfig::default())).unwrap();
    block_on(engine.subscribe("bench", "bench")).unwrap();
    measure("produce", records, || {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| produce(&engine, records / WORKERS));
            }
        });
    });
    measure("acquire + accept", records, || {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| consume(&engine, records / WORKERS));
            }
        });
    });
    measure("both at once", records, || {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| produce(&engine, records / WORKERS));
                scope.spawn(|| consume(&engine, records / WORKERS));
            }
        });
    });
    one_at_a_time(&engine);
    one_through(&engine);
    println!("{:?}", engine.stats());
    block_on(engine.close()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}

fn record() -> NewRecord {
    NewRecord {
        key: Some(Bytes::from_static(b"customer-00042")),
        value: Some(Bytes::from_static(&[b'x'; 200])),
        ..NewRecord::default()
    }
}

fn produce(engine: &Engine, records: usize) {
    for _ in 0..records / OUTSTANDING {
        let batch = vec![record(); OUTSTANDING];
        let results = block_on(engine.produce("bench", None, batch));
        for result in results {
            result.unwrap();
        }
    }
}

fn consume(engine: &Engine, records: usize) {
    let member = block_on(engine.join("bench", &["bench"])).unwrap();
    let mut left = records;
    while left > 0 {
        let want = u32::try_from(left.min(OUTSTANDING)).unwrap();
        let deliveries = block_on(member.acquire(want, u64::MAX, AcquireMode::RecordLimit)).unwrap();
        left -= deliveries.len();
        accept(&member, &deliveries);
    }
    block_on(member.leave()).unwrap();
}

fn one_at_a_time(engine: &Engine) {
    let mut times: Vec<Duration> = (0..2_000)
        .map(|_| {
            let began = Instant::now();
            block_on(engine.produce("bench", None, vec![record()]))[0]
                .clone()
                .unwrap();
            began.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "one producer, one outstanding: p50 {:?}, p99 {:?}",
        times[1_000], times[1_980]
    );
}

/// From the call of `produce` to the durable acknowledgement of the record, 200 a second.
fn one_through(engine: &Engine) {
    let member = block_on(engine.join("bench", &["bench"])).unwrap();
    loop {
        // What was left by the producer alone.
        let left = block_on(engine.describe_group("bench")).unwrap().partitions[0].lag;
        if left == 0 {
            break;
        }
        let deliveries = block_on(member.acquire(1_000, u64::MAX, AcquireMode::RecordLimit)).unwrap();
        accept(&member, &deliveries);
    }
    let count = 1_000;
    let (began, times) = std::sync::mpsc::channel();
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..count {
                std::thread::sleep(Duration::from_millis(5));
                began.send(Instant::now()).unwrap();
                block_on(engine.produce("bench", None, vec![record()]))[0]
                    .as_ref()
                    .unwrap();
            }
        });
        (0..count)
            .map(|_| {
                let deliveries = block_on(member.acquire(1, u64::MAX, AcquireMode::RecordLimit)).unwrap();
                accept(&member, &deliveries);
                times.recv().unwrap().elapsed()
            })
            .collect()
    });
    times.sort();
    println!("one through at 200/s: p50 {:?}, p99 {:?}", times[500], times[990]);
    block_on(member.leave()).unwrap();
}

fn accept(member: &Member, deliveries: &[Delivery]) {
    let accept = |lease| Settlement {
        lease,
        outcome: Outcome::Accept { emit: Vec::new() },
        evidence: None,
    };
    let settlements = deliveries.iter().map(|delivery| accept(delivery.lease)).collect();
    block_on(member.settle(settlements));
}

fn control(directory: &str) {
    let path = format!("{directory}/control");
    let file = std::fs::File::create(&path).unwrap();
    file.write_all_at(&vec![0; 8 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let mut times: Vec<Duration> = (0..2_000_u64)
        .map(|turn| {
            let began = Instant::now();
            file.write_all_at(&[1; 512], (turn * 512) % (8 << 20)).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("raw fdatasync: p50 {:?}, p99 {:?}", times[1_000], times[1_980]);
    std::fs::remove_file(&path).unwrap();
}

fn measure(what: &str, records: usize, work: impl FnOnce()) {
    let (wall, cpu) = (Instant::now(), cpu());
    work();
    let (wall, cpu) = (wall.elapsed(), cpu_since(cpu));
    println!(
        "{what}: {:.0} records/s, {:.2} CPU s per million",
        records as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / records as f64
    );
}

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn cpu_since(earlier: Duration) -> Duration {
    cpu().saturating_sub(earlier)
}
