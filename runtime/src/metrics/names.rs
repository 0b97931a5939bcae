//! Every metric of the host loop: name, kind, unit, labels, meaning. The only place where they stand; the reference page is made from it.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// A value now.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// As it is exposed.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it is measured in.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! names {
    ($($(#[doc = $help:literal])+ $ident:ident = $name:literal, $kind:ident, $unit:ident, [$($label:literal),*];)*) => {
        $($(#[doc = $help])+ pub const $ident: &str = $name;)*

        /// All metrics, in the order of the reference page.
        pub const NAMES: &[Name] = &[$(Name {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            help: concat!($($help),+).trim_ascii(),
        }),*];
    };
}

names! {
    /// Records whose acknowledgement is durable, by verdict: accept, release, reject, renew, give-back.
    RECORDS = "sharemill_records_total", Counter, Count, ["deployment", "verdict"];
    /// Calls of handlers that ended, by what they came to.
    CALLS = "sharemill_calls_total", Counter, Count, ["deployment", "end"];
    /// Records acquired.
    DELIVERIES = "sharemill_deliveries_total", Counter, Count, ["deployment"];
    /// Leases extended by the host.
    RENEWALS = "sharemill_lease_renewals_total", Counter, Count, ["deployment"];
    /// Leases that ran out or were taken away while the host held them.
    EXPIRIES = "sharemill_lease_expiries_total", Counter, Count, ["deployment"];
    /// Records that the host gave up, by the cause that their dead letters bear.
    ARCHIVED = "sharemill_archived_total", Counter, Count, ["deployment", "cause"];
    /// Outcomes dropped because the lease was lost before the call ended.
    DROPPED = "sharemill_outcomes_dropped_total", Counter, Count, ["deployment"];
    /// Settlements that came too late and changed nothing.
    STALE = "sharemill_settlements_stale_total", Counter, Count, ["deployment"];
    /// Settlements that the source rolled back; they are tried again.
    REFUSED = "sharemill_settlements_refused_total", Counter, Count, ["deployment"];
    /// Settlements whose fate the source could not tell.
    UNKNOWN = "sharemill_settlements_unknown_total", Counter, Count, ["deployment"];
    /// Instances made.
    INSTANCES = "sharemill_instances_opened_total", Counter, Count, ["deployment"];
    /// Slots, by state: busy, idle, waiting for the host.
    SLOTS = "sharemill_slots", Gauge, Count, ["deployment", "lane", "state"];
    /// Records handed to lanes whose calls have not ended.
    HELD = "sharemill_records_held", Gauge, Count, ["deployment"];
    /// Records whose settlement is not durable yet.
    SETTLING = "sharemill_records_settling", Gauge, Count, ["deployment"];
    /// Records that wait for a delay or a continuation.
    PARKED = "sharemill_records_parked", Gauge, Count, ["deployment"];
    /// 1 while the lane has shown no progress for a second.
    WEDGED = "sharemill_lane_wedged", Gauge, Count, ["deployment", "lane"];
    /// From the start to the end of a call.
    HANDLER_SECONDS = "sharemill_handler_seconds", Histogram, Seconds, ["deployment"];
    /// From the append of a record to its durable acceptance; of a record that an earlier process appended, or that has left memory, from
    /// its timestamp, which its producer may have chosen.
    ACKNOWLEDGED_SECONDS = "sharemill_acknowledged_seconds", Histogram, Seconds, ["deployment"];
    /// Lines of a deployment's handlers that were not logged because it says too much.
    LOG_DROPPED = "sharemill_handler_log_lines_dropped_total", Counter, Count, ["deployment"];
    /// Measurements of a deployment's handlers that found no place: too many series, or a name that stands for another kind.
    HANDLER_METRICS_DROPPED = "sharemill_handler_metrics_dropped_total", Counter, Count, ["deployment"];
    /// Requests of a deployment's handlers to other servers, by what came of them, told when the body of the response has
    /// ended or is dropped: answered (whatever the status, and however much
    /// of it was read), refused (by a grant or a limit, before it was sent), failed.
    HTTP_REQUESTS = "sharemill_http_requests_total", Counter, Count, ["deployment", "result"];
    /// Log lines that were dropped because standard error was not read.
    LOG_LOST = "sharemill_log_lines_lost_total", Counter, Count, [];
    /// One sync of the journal.
    JOURNAL_SYNC_SECONDS = "sharemill_journal_sync_seconds", Histogram, Seconds, [];
    /// Records archived by the embedded engine over all groups, by what it was told: reject, delivery-limit (the last attempt failed or its
    /// lease ran out, whatever the cause), retention, host-crash.
    ENGINE_ARCHIVED = "sharemill_engine_archived_total", Counter, Count, ["cause"];
    /// Leases that ran out in the embedded engine.
    ENGINE_EXPIRIES = "sharemill_engine_lease_expiries_total", Counter, Count, [];
    /// Times that the journal was moved into logs and a snapshot.
    ENGINE_DRAINS = "sharemill_engine_drains_total", Counter, Count, [];
    /// Bytes of the journal in use.
    JOURNAL_USED = "sharemill_journal_used_bytes", Gauge, Bytes, [];
    /// Bytes of the journal.
    JOURNAL_CAPACITY = "sharemill_journal_capacity_bytes", Gauge, Bytes, [];
    /// Bytes of records that the embedded engine holds in memory.
    MEMORY_WINDOW = "sharemill_engine_window_bytes", Gauge, Bytes, [];
}

/// A label, what it says, and its values with their meanings where they are a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelName {
    /// As it is exposed.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Every value that there is; empty where users choose it.
    pub values: &'static [(&'static str, &'static str)],
}

/// All labels, in the order of the reference page.
pub const LABELS: &[LabelName] = &[
    LabelName {
        name: "deployment",
        help: "Its name in the manifest.",
        values: &[],
    },
    LabelName {
        name: "lane",
        help: "Number of the thread that runs handlers, from 0.",
        values: &[],
    },
    LabelName {
        name: "state",
        help: "What a slot does.",
        values: &[
            ("busy", "a handler runs in it"),
            ("waiting", "its handler waits for the host"),
            ("idle", "it is free"),
        ],
    },
    LabelName {
        name: "verdict",
        help: "The acknowledgement that became durable.",
        values: &[
            ("accept", "the record is done"),
            (
                "release",
                "the attempt failed, or the handler gave the record back; the last one ends it",
            ),
            ("reject", "the record is given up"),
            ("renew", "the same attempt goes on later"),
            (
                "give-back",
                "the host could not do its part; the attempt does not count",
            ),
        ],
    },
    LabelName {
        name: "end",
        help: "What a call came to.",
        values: ENDS,
    },
    LabelName {
        name: "result",
        help: "What came of a request of a handler.",
        values: &[
            ("answered", "the server answered, whatever the status"),
            (
                "refused",
                "the host did not let it through: not granted, an address that is not public, no free connection, too large",
            ),
            (
                "failed",
                "no answer, or none that is HTTP and within `header-bytes`: no such name, no connection, no TLS, out of time, its call ended",
            ),
        ],
    },
    LabelName {
        name: "cause",
        help: "Why a record was given up; `dead list` shows the same words.",
        values: CAUSES,
    },
];

/// What calls come to.
const ENDS: &[(&str, &str)] = &[
    ("accept", "the handler accepted"),
    ("release", "the handler released"),
    ("reject", "the handler rejected"),
    ("renew", "the handler renewed"),
    ("max-lease", "the handler renewed, and the attempt is over"),
    ("trap", "the guest trapped"),
    ("out-of-memory", "the guest was refused memory and gave up"),
    ("deadline", "the call took longer than `deadline`"),
    (
        "limit",
        "another limit was passed: host calls, bytes that cross to the host, tables, checkpoint",
    ),
    ("exit", "the guest called `exit`"),
    ("panic", "the host panicked while it ran the record"),
    (
        "cancelled",
        "the host ended, or the lease was lost, before the call did",
    ),
    ("host-fault", "the host could not do its part: the record is given back"),
    ("failed-start", "no instance started for the record: it is given back"),
];

/// Why records are given up, as their dead letters say it.
pub const CAUSES: &[(&str, &str)] = &[
    ("reject", "the handler rejected it"),
    ("release", "the handler released it in its last attempt"),
    ("trap", "the guest trapped in the last attempt"),
    ("out-of-memory", "the guest was refused memory in the last attempt"),
    ("deadline", "the last attempt took longer than `deadline`"),
    (
        "max-lease",
        "the last attempt, renewals and parking included, took longer than `max-lease`",
    ),
    (
        "limit",
        "the last attempt passed another limit, or its outcome can never be taken",
    ),
    ("exit", "the guest called `exit` in the last attempt"),
    (
        "host-crash",
        "the process died twice while it was handled, or panicked over it",
    ),
    ("delivery-limit", "the lease of the last attempt ran out"),
    ("retention", "retention or a full topic dropped it before it was done"),
    ("unreadable", "its bytes could not be read, in any attempt"),
];

/// Whether the label can have this value.
pub(super) fn is_value(label: &str, value: &str) -> bool {
    let mut known = LABELS.iter().filter(|known| known.name == label);
    known.any(|known| known.values.is_empty() || known.values.iter().any(|(name, _)| *name == value))
}

/// Upper bounds of the histograms' buckets, in seconds.
pub const BUCKETS: [f64; 21] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Tells the installed recorder what every metric means.
pub fn describe() {
    for metric in NAMES {
        let unit = match metric.unit {
            Unit::Count => metrics::Unit::Count,
            Unit::Seconds => metrics::Unit::Seconds,
            Unit::Bytes => metrics::Unit::Bytes,
        };
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for metric in NAMES {
            assert!(metric.name.starts_with("sharemill_"));
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{}",
                metric.name
            );
            assert_eq!(
                metric.name.ends_with("_seconds"),
                metric.unit == Unit::Seconds,
                "{}",
                metric.name
            );
            assert_eq!(NAMES.iter().filter(|other| other.name == metric.name).count(), 1);
            for label in metric.labels {
                assert!(LABELS.iter().any(|known| known.name == *label), "{label}");
            }
        }
        assert!(BUCKETS.is_sorted());
    }
}
