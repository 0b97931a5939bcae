//! Names, kinds and series of handlers, as a scrape shows them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]

use metrics_exporter_prometheus::PrometheusBuilder;
use proptest::prelude::*;

use super::*;
use crate::metrics::names::BUCKETS;

type Measurement = (&'static str, u8, String, Vec<(String, String)>);

/// What a scrape shows after these measurements.
fn scrape(measurements: &[Measurement]) -> String {
    let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap().build_recorder();
    let families = Arc::<Families>::default();
    let guests = ["a", "b"].map(|deployment| (deployment, GuestMetrics::among(deployment, families.clone())));
    metrics::with_local_recorder(&recorder, || {
        for (deployment, kind, name, attributes) in measurements {
            let (_, guest) = guests.iter().find(|(name, _)| name == deployment).unwrap();
            match kind {
                0 => guest.count(name, attributes, 1),
                1 => guest.set(name, attributes, 0.5),
                _ => guest.record(name, attributes, 0.5),
            }
        }
    });
    recorder.handle().render()
}

/// Prometheus' rules: one type for a family, every series once, every label once, names of the allowed characters.
fn check(text: &str) -> Result<(), String> {
    let is_name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut types = BTreeMap::new();
    let mut samples = BTreeSet::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# HELP"))
    {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or(line)?;
            if types.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err(format!("two types: {line}"));
            }
            continue;
        }
        let end = line.find(['{', ' ']).ok_or(line)?;
        let (name, rest) = line.split_at(end);
        let part = PARTS.iter().find_map(|part| name.strip_suffix(&format!("_{part}")));
        let histogram = part.filter(|family| types.get(*family).is_some_and(|kind| kind == "histogram"));
        let owner = histogram.unwrap_or(name);
        if !types.contains_key(owner) || histogram.is_none() && types[owner] == "histogram" {
            return Err(format!("of no family: {line}"));
        }
        let (labels, rest) = read_labels(rest)?;
        let names: BTreeSet<&String> = labels.iter().map(|(name, _)| name).collect();
        if names.len() != labels.len() || !is_name(name) || !names.iter().all(|name| is_name(name)) {
            return Err(format!("bad names: {line}"));
        }
        rest.trim().parse::<f64>().map_err(|_| format!("no number: {line}"))?;
        let mut sorted = labels;
        sorted.sort();
        if !samples.insert((name.to_owned(), sorted)) {
            return Err(format!("twice: {line}"));
        }
    }
    Ok(())
}

type Labels = Vec<(String, String)>;

fn read_labels(text: &str) -> Result<(Labels, &str), String> {
    let mut labels = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return Ok((labels, text));
    };
    loop {
        let (name, after) = rest.split_once("=\"").ok_or(text)?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().ok_or(text)? {
                (at, '"') => break at,
                (_, '\\') => match chars.next().ok_or(text)?.1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => return Err(format!("escape {c:?} in {text}")),
                },
                (_, c) => value.push(c),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok((labels, rest.strip_prefix('}').ok_or(text)?)),
        }
    }
}

fn one(kind: u8, name: &str, attributes: &[(&str, &str)]) -> Measurement {
    let attributes = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ("a", kind, name.to_owned(), attributes.collect())
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn names_are_mended_and_what_comes_to_the_same_is_one_series() {
    let text = scrape(&[
        one(0, "orders.seen", &[("shop-id", "1"), ("9", "x"), ("__name__", "y")]),
        one(
            0,
            "orders-seen",
            &[("__name__", "y"), ("shop_id", "1"), ("shop.id", "2"), ("9", "x")],
        ),
        one(0, "mine", &[("deployment", "other"), ("le", "1"), ("quantile", "2")]),
        one(0, "path", &[("p", "c:\\")]),
        one(0, "path", &[("p", "c:\\\\")]),
        one(0, "path", &[("p", "a\"b\nc")]),
    ]);
    check(&text).unwrap();
    insta::assert_snapshot!(sorted(&text), @r#"
    # TYPE handler_mine counter
    # TYPE handler_orders_seen counter
    # TYPE handler_path counter
    handler_mine{deployment="a",exported_deployment="other",exported_le="1",exported_quantile="2"} 1
    handler_orders_seen{deployment="a",_9="x",_name__="y",shop_id="1"} 2
    handler_path{deployment="a",p="a\"b\nc"} 1
    handler_path{deployment="a",p="c:\\"} 1
    handler_path{deployment="a",p="c:\\\\"} 1
    "#);
}

#[test]
fn a_name_has_one_kind_in_all_deployments() {
    let text = scrape(&[
        one(2, "time", &[]),
        one(0, "time", &[]),
        one(1, "time_count", &[]),
        ("b", 1, "time".to_owned(), Vec::new()),
        one(2, "checksum", &[]),
        one(0, "x_sum", &[]),
        one(2, "x", &[]),
    ]);
    check(&text).unwrap();
    let text = sorted(&text);
    for line in [
        "handler_time_count{deployment=\"a\"} 1",
        "handler_checksum_value_sum{deployment=\"a\"} 0.5",
        "handler_x_sum{deployment=\"a\"} 1",
        "sharemill_handler_metrics_dropped_total{deployment=\"a\"} 3",
        "sharemill_handler_metrics_dropped_total{deployment=\"b\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_deployment_has_a_hundred_series() {
    let many: Vec<Measurement> = (0..150).map(|n| one(0, "n", &[("n", &n.to_string())])).collect();
    let text = scrape(&many);
    check(&text).unwrap();
    assert!(
        text.contains("sharemill_handler_metrics_dropped_total{deployment=\"a\"} 50"),
        "{text}"
    );
}

/// Names without a series took the place of all other deployments' names.
#[test]
fn one_deployment_takes_no_names_from_another() {
    let many = (0..2 * MOST_FAMILIES).map(|n| one(0, &format!("n{n}"), &[]));
    let measurements: Vec<Measurement> = many.chain([("b", 2, "time".to_owned(), Vec::new())]).collect();
    let text = scrape(&measurements);
    check(&text).unwrap();
    assert!(text.contains("handler_time_count{deployment=\"b\"} 1"), "{text}");
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-b_.0-]{0,3}",
        "(a|deployment|le|quantile|__|a_sum|a_count|a_bucket|sum)",
        "\\PC{0,4}"
    ]
}

proptest! {
    #[test]
    fn every_scrape_is_valid(
        measurements in proptest::collection::vec(
            (
                prop_oneof![Just("a"), Just("b")],
                0..3_u8,
                word(),
                proptest::collection::vec((word(), "[a\\\\\"\n{},=]{0,4}"), 0..4),
            ),
            0..40,
        ),
    ) {
        prop_assert_eq!(check(&scrape(&measurements)), Ok(()));
    }
}
