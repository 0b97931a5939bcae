//! Every key of the manifest, once, but for what a handler is given.

use super::{Fallback, Key, Kind, Shape, SourceKind, key};
use crate::config::values::names::Rule;
use Fallback::{Derived, Is, Nothing, Profiled, Required};
use Kind::{Boolean, Choice, Duration, Form, Fraction, Integer, Name, Path, Size, Table, Text};
use SourceKind::{Embedded, Kafka};

/// In the order in which the reference and `config show` print them.
pub(super) const KEYS: &[Key] = &[
    key("host", Table, Nothing, "The process as a whole."),
    key(
        "host.profile",
        Choice(&["default", "edge"]),
        Is("default"),
        "`edge` lowers the defaults of memory and disk for small machines; keys that are given win.",
    ),
    key(
        "host.lanes",
        Integer { min: 1, max: 256 },
        Derived("one per core"),
        "Threads that run handlers.",
    ),
    key(
        "host.drain-timeout",
        Duration { min: "0s", max: "1h" },
        Is("30s"),
        "How long running handlers may take to finish after the first signal; what is not done then is released.",
    ),
    key(
        "host.cache-dir",
        Path,
        Derived("`sharemill` in the user's cache folder, else `cache` in the data directory"),
        "Where compiled components are kept between starts. Whoever can write there can run code as the host.",
    ),
    key(
        "host.metrics",
        Form(Shape::Address),
        Nothing,
        "Serves Prometheus text at `http://ADDRESS/metrics`; port 0 takes a free one and logs it.",
    ),
    key(
        "host.log",
        Text,
        Is("info"),
        "Least severe level that is logged, or a filter such as `info,sharemill=debug`.",
    ),
    key(
        "host.log-format",
        Choice(&["text", "json"]),
        Is("text"),
        "How log lines on stderr look.",
    ),
    key(
        "sources",
        Table,
        Nothing,
        "Where records come from. Without any, `sources.main` is an embedded engine in `data`.",
    ),
    key("sources.*", Table, Nothing, "One source, by name."),
    key(
        "sources.*.type",
        Choice(&["embedded", "kafka"]),
        Is("embedded"),
        "`embedded`: the engine in this process. `kafka`: share groups of an Apache Kafka cluster, 4.2.1 or newer. One source in a manifest.",
    ),
    key(
        "sources.*.data-dir",
        Path,
        Is("data"),
        "Folder that holds everything durable; one process owns it at a time. With `kafka` nothing durable is in it, and several hosts may name the same: the cache, if the user has no folder for it.",
    ),
    key(
        "sources.*.durability",
        Choice(&["sync", "os"]),
        Is("sync"),
        "`sync`: acknowledged means on disk. `os`: the operating system writes when it likes; a power cut loses the newest records.",
    )
    .only(Embedded),
    key(
        "sources.*.journal-size",
        Size {
            min: "16MiB",
            max: "64GiB",
        },
        Profiled {
            default: "512MiB",
            edge: "16MiB",
        },
        "What the journal may grow to on disk. Above three quarters of it produce is refused until it drains. Its files, at most 512 in a new directory, are all held open. A journal that is larger already keeps its size: a host says so when it starts.",
    )
    .only(Embedded),
    key(
        "sources.*.memory-window",
        Size {
            min: "1MiB",
            max: "16GiB",
        },
        Profiled {
            default: "128MiB",
            edge: "4MiB",
        },
        "Records kept in memory before they drain into partition logs; a queue that keeps up within it is never written twice.",
    )
    .only(Embedded),
    key(
        "sources.*.reserve",
        Size { min: "0B", max: "1GiB" },
        Profiled {
            default: "16MiB",
            edge: "4MiB",
        },
        "Disk space held back and given up first when the disk is full, so that settling and deleting go on; 0 for none.",
    )
    .only(Embedded),
    key(
        "sources.*.start",
        Form(Shape::Start),
        Nothing,
        "`start` of the deployments that have none of their own. Without either, a group begins as it or its cluster is set.",
    )
    .only(Kafka),
    key(
        "sources.*.isolation-level",
        Choice(&["read_uncommitted", "read_committed"]),
        Derived("as the group or its cluster is set; of a new one: `read_uncommitted`"),
        "Whether a group is given records of transactions before they are committed. Given, the host writes it to the group where it may.",
    )
    .only(Kafka),
    key(
        "sources.*.parking",
        Integer { min: 0, max: 10_000 },
        Is("1000"),
        "Records of a deployment that wait here for a later time: released with a delay, or renewed for later. The host holds and renews them; while so many wait, nothing more is acquired, and those that wait longest move to `retry-topic`.",
    )
    .only(Kafka),
    key(
        "sources.*.properties",
        Table,
        Nothing,
        "How the cluster is reached, by the names that librdkafka has for it; `bootstrap.servers` is required. `compression.type`, `compression.level`, `linger.ms`, `batch.size` and `message.timeout.ms` hold for what is produced.",
    )
    .only(Kafka),
    key(
        "sources.*.properties.*",
        Form(Shape::Scalar),
        Nothing,
        "One property. Its name has dots: write it in quotes.",
    )
    .only(Kafka),
    key(
        "sources.*.secrets",
        Table,
        Nothing,
        "Properties that do not belong in a manifest: passwords and keys.",
    )
    .only(Kafka),
    key(
        "sources.*.secrets.*",
        Form(Shape::Secret),
        Nothing,
        "Where the value is read from at a start; a line end behind it is cut off. It is never printed.",
    )
    .only(Kafka),
    key(
        "topics",
        Table,
        Nothing,
        "Topics with settings of their own; others that are named are created with the defaults.",
    ),
    key("topics.*", Table, Nothing, "One topic, by name."),
    key(
        "topics.*.source",
        Name(Rule::Plain),
        Derived("the only source"),
        "Needed only where there are several sources.",
    ),
    key(
        "topics.*.partitions",
        Integer { min: 1, max: 1_000 },
        Is("1"),
        "Number of partitions. It can grow later, never shrink; concurrency does not depend on it.",
    ),
    key(
        "topics.*.retention",
        Form(Shape::Retention),
        Derived("`queue` with a deployment and for dead letters, else `7d`"),
        "`queue` keeps a record until every group has finished with it. A duration (1s to 3650d) or size of each partition (1MiB to 1024TiB) drops whole segments older or beyond it, never one with acquired or parked records.",
    ),
    key(
        "topics.*.max-bytes",
        Size {
            min: "1MiB",
            max: "1024TiB",
        },
        Is("10GiB"),
        "What the topic may hold on disk over all partitions; `on-full` decides what happens there.",
    ),
    key(
        "topics.*.on-full",
        Choice(&["refuse", "drop-oldest"]),
        Is("refuse"),
        "`refuse`: producing fails until space is free. `drop-oldest`: the oldest records go, processed or not. What is held, parked or on its way to disk cannot go at once: for that the topic takes a quarter more, at least 8 MiB, and then it refuses.",
    ),
    key(
        "topics.*.segment-bytes",
        Size {
            min: "64KiB",
            max: "1GiB",
        },
        Derived("`64MiB`, or a quarter of `max-bytes` if that is less"),
        "Size at which a new log segment begins; space is freed in whole segments. At most half of `max-bytes`.",
    ),
    key("deployments", Table, Nothing, "Handlers and what they work on."),
    key("deployments.*", Table, Nothing, "One deployment, by name."),
    key(
        "deployments.*.component",
        Path,
        Required,
        "The handler: a WebAssembly component file.",
    ),
    key(
        "deployments.*.topic",
        Name(Rule::Topic),
        Required,
        "The topic whose records it handles.",
    ),
    key(
        "deployments.*.source",
        Name(Rule::Plain),
        Derived("the only source"),
        "Needed only where there are several sources.",
    ),
    key(
        "deployments.*.group",
        Name(Rule::Group),
        Derived("the deployment's name"),
        "The share group that it joins.",
    ),
    key(
        "deployments.*.enabled",
        Boolean,
        Is("true"),
        "`false` keeps the deployment in the manifest without running it.",
    ),
    key(
        "deployments.*.concurrency",
        Integer { min: 1, max: 10_000 },
        Is("16"),
        "Records in the handler at the same time, over all lanes of this process.",
    ),
    key(
        "deployments.*.instance",
        Choice(&["reuse", "fresh"]),
        Is("reuse"),
        "`reuse`: an instance handles many records, one after another. `fresh`: each record gets a new one.",
    ),
    key(
        "deployments.*.deadline",
        Duration {
            min: "10ms",
            max: "24h",
        },
        Is("30s"),
        "What one call may take before it is stopped. At most `max-lease`.",
    ),
    key(
        "deployments.*.max-lease",
        Duration { min: "1s", max: "7d" },
        Is("10m"),
        "What one attempt may take, renewals and parking included.",
    ),
    key(
        "deployments.*.lock",
        Duration { min: "1s", max: "60s" },
        Is("30s"),
        "Acquisition lock: how soon a record of a dead or stuck host is available again. The host extends it while the handler runs.",
    ),
    key(
        "deployments.*.memory",
        Size {
            min: "1MiB",
            max: "4GiB",
        },
        Is("64MiB"),
        "What one instance may allocate.",
    ),
    key(
        "deployments.*.attempts",
        Integer { min: 1, max: 10 },
        Is("5"),
        "Deliveries of a record before it becomes a dead letter; the group's delivery count limit.",
    ),
    key(
        "deployments.*.backoff",
        Table,
        Nothing,
        "Delay before the next attempt of a record that was released or failed.",
    ),
    key(
        "deployments.*.backoff.first",
        Duration { min: "0s", max: "1d" },
        Is("1s"),
        "Delay after the first attempt; it doubles with each one.",
    ),
    key(
        "deployments.*.backoff.max",
        Duration { min: "0s", max: "7d" },
        Is("5m"),
        "What the delay grows to. At least `first`.",
    ),
    key(
        "deployments.*.backoff.jitter",
        Fraction { min: 0.0, max: 1.0 },
        Is("0.2"),
        "Share of the delay that is random, up and down.",
    ),
    key(
        "deployments.*.dead-letter",
        Form(Shape::TopicOrNone),
        Derived("`GROUP.dead`"),
        "Topic for records that were rejected or ran out of attempts, created on demand. `false`: they are dropped.",
    ),
    key(
        "deployments.*.retry-topic",
        Form(Shape::TopicOrNone),
        Derived("`GROUP.retry`"),
        "Topic of the same group, of no other deployment, to which a record is copied that is held for later and keeps the window of its partition from moving on; created on demand. `false`: it stays, and the window stands still.",
    )
    .only(Kafka),
    key(
        "deployments.*.start",
        Form(Shape::Start),
        Is("earliest"),
        "Where the group begins when it is created: `by-duration:1h` (or `PT1H`) takes records not older than that.",
    ),
];
