//! Figures of runs, their medians, and how they are printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::goal::{Standing, brief};

/// Median, 99th percentile and the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Spread {
    /// Of times in any order; zero if there are none.
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        Self {
            p50: at(50),
            p99: at(99),
            longest: times.last().copied().unwrap_or_default(),
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
    /// What else was measured, by name with its unit.
    pub(crate) more: Figures,
    /// Raw `fdatasync` straight before.
    pub(crate) control: Spread,
}

/// Figures by name.
pub(crate) type Figures = BTreeMap<&'static str, f64>;

impl Sample {
    /// A run that is not about a rate.
    pub(crate) fn of(more: Figures, control: Spread) -> Self {
        Self {
            records: 0,
            took: Duration::ZERO,
            cpu: None,
            latency: None,
            more,
            control,
        }
    }

    pub(crate) fn rate(&self) -> Option<f64> {
        (self.records > 0).then(|| self.records as f64 / self.took.as_secs_f64())
    }

    /// Everything that was measured.
    fn figures(&self) -> Figures {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let cpu = self.cpu.filter(|_| self.records > 0);
        let mut all = self.more.clone();
        let mut put = |name, value: Option<f64>| {
            if let Some(value) = value {
                all.insert(name, value);
            }
        };
        put("rate", self.rate());
        put("cpu", cpu.map(|cpu| cpu.as_secs_f64() / self.records as f64 * 1e6));
        put("p50", self.latency.map(|spread| micros(spread.p50)));
        put("p99", self.latency.map(|spread| micros(spread.p99)));
        put("longest", self.latency.map(|spread| micros(spread.longest)));
        put("sync p50", Some(micros(self.control.p50)));
        put("sync p99", Some(micros(self.control.p99)));
        all
    }
}

/// Those that have a column of their own.
const COLUMNS: [&str; 7] = ["rate", "cpu", "p50", "p99", "longest", "sync p50", "sync p99"];

/// Medians of the runs of one benchmark.
pub(crate) struct Row {
    name: &'static str,
    what: &'static str,
    load: String,
    runs: usize,
    rates: (f64, f64),
    figures: Figures,
}

impl Row {
    pub(crate) fn new(name: &'static str, what: &'static str, samples: &[Sample], load: String) -> Self {
        let mut all: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
        for (figure, value) in samples.iter().flat_map(Sample::figures) {
            all.entry(figure).or_default().push(value);
        }
        let rates = all.get("rate").cloned().unwrap_or_default();
        Self {
            name,
            what,
            load,
            runs: samples.len(),
            rates: (
                rates.iter().copied().fold(f64::INFINITY, f64::min),
                rates.iter().copied().fold(0.0, f64::max),
            ),
            figures: all
                .into_iter()
                .filter_map(|(figure, values)| Some((figure, median(values)?)))
                .collect(),
        }
    }

    /// The medians.
    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// For people: a line of columns, a line of what has none, and a line for each goal.
    pub(crate) fn lines(&self, standings: &[Standing]) -> String {
        let column = |name: &str, digits: usize| {
            let value = self.figures.get(name);
            value.map_or_else(String::new, |value| format!("{value:.digits$}"))
        };
        let mut text = format!(
            "{:<14} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}  {:<17} {}",
            self.name,
            column("rate", 0),
            column("cpu", 2),
            column("p50", 0),
            column("p99", 0),
            column("longest", 0),
            column("sync p50", 0),
            column("sync p99", 0),
            self.load,
            self.what,
        );
        let more: Vec<String> = self
            .more()
            .map(|(name, value)| format!("{name} {}", brief(*value)))
            .collect();
        if !more.is_empty() {
            let _ = write!(text, "\n    {}", more.join(", "));
        }
        for standing in standings {
            let _ = write!(text, "\n{}", standing.line());
        }
        text
    }

    fn more(&self) -> impl Iterator<Item = (&&'static str, &f64)> {
        self.figures.iter().filter(|(name, _)| !COLUMNS.contains(name))
    }

    /// For programs.
    pub(crate) fn json(&self, standings: &[Standing]) -> String {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        let figure = |name: &str| json!(self.figures.get(name));
        put("name", json!(self.name));
        put("what", json!(self.what));
        put("runs", json!(self.runs));
        put("records_per_second", figure("rate"));
        put("slowest", json!(self.rates.0));
        put("fastest", json!(self.rates.1));
        put("cpu_seconds_per_million", figure("cpu"));
        put("p50_us", figure("p50"));
        put("p99_us", figure("p99"));
        put("longest_us", figure("longest"));
        put("fdatasync_p50_us", figure("sync p50"));
        put("fdatasync_p99_us", figure("sync p99"));
        put(
            "figures",
            self.more()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect(),
        );
        put("goals", standings.iter().map(Standing::json).collect());
        put("load", json!(self.load));
        Value::Object(object).to_string()
    }
}

/// The line above the table.
pub(crate) fn heading(load: &str, processor: f64) -> String {
    format!(
        "medians; times in us; fdatasync: 512 B over written blocks, same run; load at the start: {load}; \
         an offset into a tree of intervals: {processor:.0} ns (365 where the goals were set)\n\
         {:<14} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}  {:<17} what",
        "name", "records/s", "cpu s/M", "p50", "p99", "longest", "sync p50", "sync p99", "load"
    )
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
