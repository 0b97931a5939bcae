//! Figures of runs, their medians, and how they are printed.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// Median and 99th percentile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Spread {
    /// Of times in any order; zero if there are none.
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        Self {
            p50: at(50),
            p99: at(99),
        }
    }
}

/// What one run came to.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) records: u64,
    pub(crate) took: Duration,
    /// Processor time of the whole process; `None` where another process was measured.
    pub(crate) cpu: Option<Duration>,
    /// For benchmarks of latency.
    pub(crate) latency: Option<Spread>,
    /// Part of what so many slots could do at best.
    pub(crate) linear: Option<f64>,
    /// Raw `fdatasync` straight before.
    pub(crate) control: Spread,
}

/// Medians of the runs of one benchmark.
pub(crate) struct Row {
    name: &'static str,
    what: &'static str,
    load: String,
    runs: usize,
    rate: f64,
    rates: (f64, f64),
    cpu: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
    linear: Option<f64>,
    control_p50: f64,
    control_p99: f64,
}

impl Row {
    pub(crate) fn new(name: &'static str, what: &'static str, samples: &[Sample], load: String) -> Self {
        let rate = |sample: &Sample| sample.records as f64 / sample.took.as_secs_f64();
        let rates: Vec<f64> = samples.iter().map(rate).collect();
        let all = |value: &dyn Fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(value).collect());
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Self {
            name,
            what,
            load,
            runs: samples.len(),
            rates: (
                rates.iter().copied().fold(f64::INFINITY, f64::min),
                rates.iter().copied().fold(0.0, f64::max),
            ),
            rate: median(rates).unwrap_or(0.0),
            cpu: all(&|sample| sample.cpu.map(|cpu| cpu.as_secs_f64() / sample.records as f64 * 1e6)),
            p50: all(&|sample| sample.latency.map(|spread| micros(spread.p50))),
            p99: all(&|sample| sample.latency.map(|spread| micros(spread.p99))),
            linear: all(&|sample| sample.linear),
            control_p50: all(&|sample| Some(micros(sample.control.p50))).unwrap_or(0.0),
            control_p99: all(&|sample| Some(micros(sample.control.p99))).unwrap_or(0.0),
        }
    }

    /// For people.
    pub(crate) fn line(&self) -> String {
        let optional =
            |value: Option<f64>, digits: usize| value.map_or_else(String::new, |one| format!("{one:.digits$}"));
        let mut line = String::new();
        let _ = write!(
            line,
            "{:<12} {:>11.0} {:>9} {:>9} {:>9} {:>7} {:>9.0} {:>9.0}  {:<16} {}",
            self.name,
            self.rate,
            optional(self.cpu, 2),
            optional(self.p50, 0),
            optional(self.p99, 0),
            optional(self.linear, 2),
            self.control_p50,
            self.control_p99,
            self.load,
            self.what,
        );
        line
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("name", json!(self.name));
        put("what", json!(self.what));
        put("runs", json!(self.runs));
        put("records_per_second", json!(self.rate));
        put("slowest", json!(self.rates.0));
        put("fastest", json!(self.rates.1));
        put("cpu_seconds_per_million", json!(self.cpu));
        put("p50_us", json!(self.p50));
        put("p99_us", json!(self.p99));
        put("share_of_linear", json!(self.linear));
        put("fdatasync_p50_us", json!(self.control_p50));
        put("fdatasync_p99_us", json!(self.control_p99));
        put("load", json!(self.load));
        Value::Object(object).to_string()
    }
}

/// The line above the table.
pub(crate) fn heading(load: &str) -> String {
    format!(
        "medians; times in us; fdatasync: 512 B over written blocks, same run; load at the start: {load}\n\
         {:<12} {:>11} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9}  {:<16} what",
        "name", "records/s", "cpu s/M", "p50", "p99", "linear", "sync p50", "sync p99", "load"
    )
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
