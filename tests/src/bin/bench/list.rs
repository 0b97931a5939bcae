//! The benchmarks, what each is about, what it has to come to, and what a peer is measured at beside it.

use anyhow::Result;

use crate::goal::Bound::{AtLeast, AtMost};
use crate::goal::Goal;
use crate::goal::Of::{OtherLess, Own, Times, TimesOther, TimesPeer};
#[cfg(feature = "kafka")]
use crate::kafka;
#[cfg(feature = "redis")]
use crate::redis;
use crate::report::Sample;
use crate::rig::Rig;
use crate::{contention, edge, engine, host, latency, recover, scale, slots, stall, start};

/// A benchmark: its name, what it does in a line, and one run of it.
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&Rig, &'static str) -> Result<Sample>,
    pub(crate) goals: &'static [Goal],
    /// It repeats within itself, or is too large to be repeated.
    pub(crate) once: bool,
}

impl Bench {
    const fn new(
        name: &'static str,
        what: &'static str,
        run: fn(&Rig, &'static str) -> Result<Sample>,
        goals: &'static [Goal],
    ) -> Self {
        Self {
            name,
            what,
            run,
            goals,
            once: false,
        }
    }

    const fn once(self) -> Self {
        Self { once: true, ..self }
    }
}

/// The same work done by a peer, measured in turn with ours.
pub(crate) struct Peer {
    /// Of which benchmark.
    of: &'static str,
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&Rig) -> Result<Sample>,
}

#[cfg(feature = "redis")]
const STREAMS: &str = "the same work by Redis streams, every append synced; cpu with the server's";

#[cfg(feature = "redis")]
const PEERS: &[Peer] = &[
    Peer {
        of: "p1-batch",
        name: "p1-redis",
        what: STREAMS,
        run: redis::append,
    },
    Peer {
        of: "p4",
        name: "p4-redis",
        what: STREAMS,
        run: redis::read_and_acknowledge,
    },
    Peer {
        of: "p9",
        name: "p9-redis",
        what: STREAMS,
        run: redis::append_to_acknowledgement,
    },
    Peer {
        of: "p12-acquired",
        name: "p12-redis",
        what: STREAMS,
        run: redis::memory,
    },
    Peer {
        of: "p16-1g",
        name: "p16-redis",
        what: STREAMS,
        run: redis::recover,
    },
    Peer {
        of: "p17-produce",
        name: "p17-redis-add",
        what: STREAMS,
        run: contention::redis_append,
    },
    Peer {
        of: "p17-settle",
        name: "p17-redis-ack",
        what: STREAMS,
        run: contention::redis_read,
    },
];
#[cfg(not(feature = "redis"))]
const PEERS: &[Peer] = &[];

/// What is measured beside a benchmark, if it is installed.
pub(crate) fn peer_of(bench: &Bench) -> Option<&'static Peer> {
    #[cfg(feature = "kafka")]
    if bench.name == JAVA.of {
        return Some(&JAVA);
    }
    #[cfg(feature = "redis")]
    if !redis::is_installed() {
        return None;
    }
    PEERS.iter().find(|peer| peer.of == bench.name)
}

#[cfg(feature = "kafka")]
const JAVA: Peer = Peer {
    of: "p18-500x2",
    name: "p18-kafka",
    what: "Kafka's own ShareConsumerPerformance on the same topic; its rate as it says it",
    run: kafka::java,
};

/// Those that need brokers, where brokers run; with the programs of others if their folder is known.
pub(crate) fn kafka(peers: bool) -> Vec<&'static Bench> {
    #[cfg(feature = "kafka")]
    if kafka::missing().is_none() {
        let others = if peers { OTHERS } else { &[] };
        return KAFKA.iter().chain(others).collect();
    }
    #[cfg(not(feature = "kafka"))]
    let _ = peers;
    Vec::new()
}

#[cfg(feature = "kafka")]
const KAFKA: &[Bench] = &[
    Bench::new(
        "p18-500x2",
        "a member of a Kafka group accepts each record; 500 at a time, 2 batches being settled",
        kafka::client,
        &[Goal::new("times Kafka's own consumer", TimesPeer("rate"), AtLeast(1.0))],
    ),
    Bench::new("p18-2000x1", "the same; 2,000 at a time, one batch", kafka::client, &[]),
    Bench::new(
        "p18-handler",
        "the same records through a handler of the program, 64 slots",
        kafka::handler,
        &[],
    ),
    Bench::new(
        "p18-slow",
        "one slow record at a time on an idle topic: from its outcome to the confirmed acknowledgement",
        kafka::slow,
        &[],
    ),
];

#[cfg(feature = "kafka")]
const OTHERS: &[Bench] = &[
    Bench::new(
        "p18-java-500",
        "Kafka's consumer, each record acknowledged, 500 at a time",
        kafka::share_bench,
        &[],
    ),
    Bench::new("p18-java-2000", "the same; 2,000 at a time", kafka::share_bench, &[]),
    Bench::new(
        "p18-rdkafka-500",
        "librdkafka's preview of a consumer, each record acknowledged, 500 at a time",
        kafka::librdkafka,
        &[],
    ),
    Bench::new("p18-rdkafka-2000", "the same; 2,000 at a time", kafka::librdkafka, &[]),
];

const REDIS: &str = "times Redis, every append synced";
const CPU: &str = "cpu seconds per million";
const RATE: &str = "records a second";

pub(crate) const BENCHES: &[Bench] = &[
    Bench::new(
        "p1-batch",
        "durable produce, 4 callers, batches of 100",
        engine::produce_batches,
        &[
            Goal::new(REDIS, TimesPeer("rate"), AtLeast(3.0)),
            Goal::new(CPU, Own("cpu"), AtMost(0.8)),
            Goal::wished(RATE, Own("rate"), AtLeast(2e6)),
        ],
    ),
    Bench::new(
        "p1-single",
        "durable produce, 4 x 100 callers of one record each",
        engine::produce_singles,
        &[],
    ),
    Bench::new(
        "p3",
        "durable produce, one record at a time",
        latency::produce_one,
        &[
            Goal::new("p50, times a raw fdatasync", Times("p50", "sync p50"), AtMost(1.5)),
            Goal::new("p99, times a raw fdatasync", Times("p99", "sync p99"), AtMost(3.0)),
        ],
    ),
    Bench::new(
        "p4",
        "durable acquire and single acknowledgements, 4 x 100, produced in batches",
        engine::settle_batches,
        &[
            Goal::new(REDIS, TimesPeer("rate"), AtLeast(5.0)),
            Goal::wished(RATE, Own("rate"), AtLeast(2e6)),
        ],
    ),
    Bench::new(
        "p4-single",
        "the same, each record produced by itself",
        engine::settle_singles,
        &[],
    ),
    Bench::new(
        "p6",
        "produce and handle at once, stock guest, reused instances",
        host::reused,
        &[
            Goal::new(CPU, Own("cpu"), AtMost(4.0)).stretch(AtMost(2.0)),
            Goal::new(RATE, Own("rate"), AtLeast(300e3)).stretch(AtLeast(700e3)),
        ],
    ),
    Bench::new(
        "p7",
        "the same, a fresh instance for each record",
        host::fresh,
        &[
            Goal::new(CPU, Own("cpu"), AtMost(13.0)),
            Goal::new(RATE, Own("rate"), AtLeast(120e3)),
        ],
    ),
    Bench::new(
        "p7-lean",
        "the same, lean guest",
        host::fresh_lean,
        &[
            Goal::new(CPU, Own("cpu"), AtMost(10.0)),
            Goal::new(RATE, Own("rate"), AtLeast(150e3)),
        ],
    ),
    Bench::new(
        "p8",
        "the same, handler in native Rust",
        host::native,
        &[
            Goal::new("Wasm costs, us a record: reused", OtherLess("p6", "cpu"), AtMost(1.0)),
            Goal::new("fresh", OtherLess("p7", "cpu"), AtMost(11.0)),
            Goal::new("fresh, lean guest", OtherLess("p7-lean", "cpu"), AtMost(8.0)),
        ],
    ),
    Bench::new(
        "enrich",
        "orders of two lines, each line emitted with the acknowledgement",
        host::enrich,
        &[],
    ),
    Bench::new(
        "p9",
        "produce to durable acknowledgement at 200 records/s",
        latency::produce_to_acknowledgement,
        &[
            Goal::new("p50, times Redis", TimesPeer("p50"), AtMost(0.8)),
            Goal::new("p99, times Redis", TimesPeer("p99"), AtMost(1.0)),
            Goal::wished("p50, us", Own("p50"), AtMost(350.0)),
            Goal::wished("p99, us", Own("p99"), AtMost(800.0)),
        ],
    ),
    Bench::new(
        "p10",
        "produce at half of what the engine takes, all of it drained; 2 ms controls beside",
        stall::half_load,
        &[
            Goal::new("p99 of a produce, ms", Own("p99 ms"), AtMost(5.0)),
            Goal::new("longest produce, ms", Own("longest ms"), AtMost(50.0)),
        ],
    ),
    Bench::new(
        "p11",
        "process start to first durable acknowledgement",
        start::first_record,
        &[Goal::new("p50, us", Own("p50"), AtMost(25e3))],
    ),
    Bench::new(
        "p12-acquired",
        "a million acquired at once on one partition",
        scale::memory,
        &[Goal::new("memory, bytes a record", Own("bytes a record"), AtMost(24.0))],
    ),
    Bench::new(
        "p12-idle",
        "the program with one deployment and nothing to do",
        edge::idle,
        &[Goal::new("resident, MB", Own("process MB"), AtMost(20.0))],
    ),
    Bench::new(
        "p12-edge",
        "edge profile, enrich at 1,000 orders/s, address space of 1 GiB",
        edge::load,
        &[Goal::new("peak of resident memory, MB", Own("peak MB"), AtMost(64.0))],
    ),
    Bench::new(
        "disk-pace",
        "edge profile, 1,000 records/s of 200 bytes, handled as they come",
        edge::keeping_pace,
        &[],
    ),
    Bench::new(
        "disk-up",
        "edge profile, the same as fast as one connection goes",
        edge::keeping_up,
        &[],
    ),
    Bench::new(
        "disk-lag",
        "edge profile, the same, taken by nobody",
        edge::lagging,
        &[],
    ),
    Bench::new(
        "p13",
        "a million leases that end at once, somebody else at work",
        scale::expire,
        EXPIRY,
    ),
    Bench::new(
        "p13-apart",
        "the same, no two of them neighbours",
        scale::expire_apart,
        EXPIRY,
    ),
    Bench::new("p14-1x1", "handler of 5 ms: 1 slot, 1 partition", slots::sleeping, &[]),
    Bench::new("p14-4x1", "4 slots", slots::sleeping, LINEAR),
    Bench::new("p14-16x1", "16 slots", slots::sleeping, LINEAR),
    Bench::new("p14-64x1", "64 slots", slots::sleeping, LINEAR),
    Bench::new("p14-256x1", "256 slots", slots::sleeping, LINEAR),
    Bench::new("p14-1000x1", "1,000 slots", slots::sleeping, LINEAR),
    Bench::new("p14-64x4", "64 slots, 4 partitions", slots::sleeping, LINEAR),
    Bench::new(
        "p14-now-4x1",
        "handler without delay: 4 slots, 1 partition",
        slots::waking,
        &[],
    ),
    Bench::new(
        "p14-now-64x1",
        "64 slots",
        slots::waking,
        &[Goal::new(
            "throughput, times that of 4 slots",
            TimesOther("p14-now-4x1", "rate"),
            AtLeast(0.9),
        )],
    ),
    Bench::new(
        "p15-order",
        "a million held, acknowledged from first to last, 4 x 100",
        scale::in_order,
        &[],
    ),
    Bench::new(
        "p15-random",
        "the same in random order",
        scale::at_random,
        &[Goal::new(
            "cpu, times that in order",
            TimesOther("p15-order", "cpu"),
            AtMost(2.0),
        )],
    ),
    Bench::new(
        "p16-1g",
        "1 GB after kill -9, until the first record is given",
        recover::gigabyte,
        &[Goal::new("ready after, ms", Own("ready after ms"), AtMost(300.0))],
    )
    .once(),
    Bench::new(
        "p16-drained",
        "the same straight after a checkpoint",
        recover::drained,
        &[Goal::new(
            "times that without",
            TimesOther("p16-1g", "ready after ms"),
            AtMost(1.0),
        )],
    )
    .once(),
    Bench::new(
        "p16-10g",
        "10 GB with a million acquired after kill -9, until the first record is given",
        recover::ten_gigabytes,
        &[Goal::new("ready after, ms", Own("ready after ms"), AtMost(1_000.0))],
    )
    .once(),
    Bench::new(
        "p17-produce",
        "as p1-batch, beside 4 processes that take all they get",
        contention::produce,
        CONTENTION,
    ),
    Bench::new("p17-settle", "as p4, beside the same", contention::settle, CONTENTION),
    Bench::new(
        "groups",
        "10,000 share partitions: a record through each",
        scale::share_partitions,
        &[],
    ),
    Bench::new(
        "backlog",
        "10,000,000 records that nobody takes, then a tenth of them acquired",
        scale::backlog,
        &[],
    )
    .once(),
];

const EXPIRY: &[Goal] = &[
    Goal::new("engine time, ms", Own("engine ms"), AtMost(100.0)),
    Goal::new("longest other request, ms", Own("others' longest ms"), AtMost(10.0)),
    Goal::new("the last one late by, ms", Own("late ms"), AtMost(50.0)),
];
const LINEAR: &[Goal] = &[Goal::new(
    "a slot's records/s, times those of a single one",
    TimesOther("p14-1x1", "records/s a slot"),
    AtLeast(0.95),
)];
const CONTENTION: &[Goal] = &[Goal::new(
    "part of the throughput that is left, times Redis",
    TimesPeer("kept"),
    AtLeast(1.0),
)];
