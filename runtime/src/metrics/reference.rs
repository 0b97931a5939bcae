//! The reference page of the metrics, printed from the table of names. A test keeps the committed page up to date.

use std::fmt::Write as _;

use super::names::{BUCKETS, Kind, LABELS, NAMES, Unit};

/// The reference page as Markdown.
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for metric in NAMES {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let unit = match metric.unit {
            Unit::Count => "",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {} | {unit} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        );
    }
    let bounds: Vec<String> = BUCKETS.iter().map(|bound| format!("{bound}")).collect();
    let _ = writeln!(
        page,
        "\nBuckets of the histograms end at {} seconds.",
        bounds.join(", ")
    );
    page.push_str("\n## Labels\n");
    for label in LABELS {
        let _ = writeln!(page, "\n### `{}`\n\n{}", label.name, label.help);
        if !label.values.is_empty() {
            page.push_str("\n| value | meaning |\n|---|---|\n");
        }
        for (value, meaning) in label.values {
            let _ = writeln!(page, "| `{value}` | {meaning} |");
        }
    }
    page.push_str(HANDLERS);
    page
}

const INTRODUCTION: &str = "\
# Metrics reference

This page is generated from the table that the host itself uses (`runtime/src/metrics/names.rs`).

`sharemill run --metrics 127.0.0.1:9464`, or `metrics` under `[host]`, serves Prometheus text at `/metrics`. Counters count from the start of the
process, and a series appears with its first value; the figures of the engine are brought up to date once a second.

| name | type | labels | unit | meaning |
|---|---|---|---|---|
";

const HANDLERS: &str = "
## What handlers measure

Handlers count by themselves through `sharemill:worker/metrics`. A metric `NAME` of a handler is exposed as `handler_NAME`, with its attributes
and `deployment` as labels. Every character other than letters, digits and `_` becomes `_`; attributes called `deployment`, `le` or
`quantile` become `exported_deployment` and so on; of two attributes that come to one name the first counts, and of more than 16 the first 16.
A histogram whose name ends with `sum`, `count` or `bucket` gets the ending `_value`.

A name has one kind, the first that it was used for in the process, and a deployment has at most 100 series. What finds no place is counted
in `sharemill_handler_metrics_dropped_total`.
";
