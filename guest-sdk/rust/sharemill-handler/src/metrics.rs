//! The handler's own metrics. The host prefixes names and adds the deployment; names and attributes should be few.
use crate::host;

/// Pairs of a name and a value.
pub type Attributes<'a> = &'a [(&'a str, &'a str)];

/// Adds to a counter.
pub fn counter_add(name: &str, delta: u64, attributes: Attributes<'_>) {
    host::counter_add(name, delta, &owned(attributes));
}

/// Sets a gauge.
pub fn gauge_set(name: &str, value: f64, attributes: Attributes<'_>) {
    host::gauge_set(name, value, &owned(attributes));
}

/// Records one value of a distribution.
pub fn histogram_record(name: &str, value: f64, attributes: Attributes<'_>) {
    host::histogram_record(name, value, &owned(attributes));
}

fn owned(attributes: Attributes<'_>) -> Vec<(String, String)> {
    attributes
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
