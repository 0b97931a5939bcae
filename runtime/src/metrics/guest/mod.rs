//! What handlers measure. Whatever a handler names and however often, a scrape stays valid Prometheus text and of bounded size: names are
//! mended, a family has one kind, a series appears once, and what finds no place is counted. Called by `lane`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use metrics::{Label, counter, gauge, histogram};

use super::names;

/// The measurements of one deployment's handlers.
#[derive(Debug)]
pub struct GuestMetrics {
    deployment: String,
    families: Arc<Families>,
    series: Mutex<BTreeSet<(String, BTreeMap<String, String>)>>,
}

/// Names that stand for something, over all deployments of the process.
#[derive(Debug, Default)]
struct Families(Mutex<BTreeMap<String, Family>>);

/// What a name stands for: kind, and the family that it belongs to.
type Family = (Kind, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl GuestMetrics {
    /// For the handlers of a deployment of this process.
    pub fn new(deployment: &str) -> Self {
        static FAMILIES: LazyLock<Arc<Families>> = LazyLock::new(Arc::default);
        Self::among(deployment, FAMILIES.clone())
    }

    fn among(deployment: &str, families: Arc<Families>) -> Self {
        Self {
            deployment: deployment.to_owned(),
            families,
            series: Mutex::default(),
        }
    }

    /// Adds to a counter.
    pub fn count(&self, name: &str, attributes: &[(String, String)], delta: u64) {
        if let Some((name, labels)) = self.series(Kind::Counter, name, attributes) {
            counter!(name, labels).increment(delta);
        }
    }

    /// Sets a gauge.
    pub fn set(&self, name: &str, attributes: &[(String, String)], value: f64) {
        if let Some((name, labels)) = self.series(Kind::Gauge, name, attributes) {
            gauge!(name, labels).set(value);
        }
    }

    /// Puts a value into a histogram.
    pub fn record(&self, name: &str, attributes: &[(String, String)], value: f64) {
        if let Some((name, labels)) = self.series(Kind::Histogram, name, attributes) {
            histogram!(name, labels).record(value);
        }
    }

    /// Name and labels as they are exposed; `None`, and counted, if there is no place for them.
    fn series(&self, kind: Kind, name: &str, attributes: &[(String, String)]) -> Option<(String, Vec<Label>)> {
        let series = (metric_name(kind, name), labels(attributes));
        let mut known = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = known.contains(&series);
        // A name is taken together with a series. Of another kind it is another series, which the family does not take.
        let fits = (is_known || known.len() < MOST_SERIES) && self.families.take(&series.0, kind);
        if fits && !is_known {
            known.insert(series.clone());
        }
        drop(known);
        if !fits {
            counter!(names::HANDLER_METRICS_DROPPED, "deployment" => self.deployment.clone()).increment(1);
            return None;
        }
        let (name, attributes) = series;
        let mut labels = vec![Label::new("deployment", self.deployment.clone())];
        labels.extend(attributes.into_iter().map(|(name, value)| Label::new(name, value)));
        Some((name, labels))
    }
}

impl Families {
    /// Whether the name is, or becomes, one of this kind.
    fn take(&self, name: &str, kind: Kind) -> bool {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, family)) = families.get(name) {
            return *known == kind && family == name;
        }
        let parts: &[&str] = if kind == Kind::Histogram { &PARTS } else { &[] };
        let parts: Vec<String> = parts.iter().map(|part| format!("{name}_{part}")).collect();
        if families.len() >= MOST_FAMILIES || parts.iter().any(|part| families.contains_key(part)) {
            return false;
        }
        for part in parts {
            families.insert(part, (kind, name.to_owned()));
        }
        families.insert(name.to_owned(), (kind, name.to_owned()));
        true
    }
}

/// Series that one deployment's handlers may make.
const MOST_SERIES: usize = 100;
/// Names that all handlers of a process may use; a histogram takes four.
const MOST_FAMILIES: usize = 10_000;
/// What a histogram's samples are called behind its name.
const PARTS: [&str; 3] = ["bucket", "sum", "count"];
/// Labels that are the host's or the format's.
const RESERVED: [&str; 3] = ["deployment", "le", "quantile"];
const MOST_LABELS: usize = 16;
const NAME_CHARACTERS: usize = 128;
const VALUE_CHARACTERS: usize = 256;

fn metric_name(kind: Kind, name: &str) -> String {
    let mut exposed = format!("handler_{}", plain(name));
    // A histogram's samples get their endings; a name that has one already would pass for one of them.
    if kind == Kind::Histogram && PARTS.iter().any(|part| exposed.ends_with(part)) {
        exposed.push_str("_value");
    }
    exposed
}

/// By name, each once: of two that come to the same name the first counts.
fn labels(attributes: &[(String, String)]) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, value) in attributes {
        if labels.len() < MOST_LABELS {
            labels.entry(label_name(name)).or_insert_with(|| label_value(value));
        }
    }
    labels
}

fn label_name(name: &str) -> String {
    let name = plain(name);
    if RESERVED.contains(&name.as_str()) {
        return format!("exported_{name}");
    }
    // Two underscores are Prometheus' own, digits do not begin a name.
    let rest = name.trim_start_matches('_');
    match rest.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("_{rest}"),
        Some(_) if name.starts_with('_') => format!("_{rest}"),
        Some(_) => name,
        None => "_".to_owned(),
    }
}

/// The exporter takes two backslashes for one that is escaped already.
fn label_value(value: &str) -> String {
    let cut: String = value.chars().take(VALUE_CHARACTERS).collect();
    cut.replace('\\', "\\\\")
}

fn plain(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().take(NAME_CHARACTERS).map(allowed).collect()
}

#[cfg(test)]
mod tests;
