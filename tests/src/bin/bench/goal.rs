//! What a figure has to be: the goals, read from a run's own medians, those of the peer measured in turn, or of another benchmark.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::report::Figures;

/// One figure that has a goal.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    /// What it is, with its unit.
    pub(crate) what: &'static str,
    pub(crate) of: Of,
    /// `None`: nothing is asked for but the stretch.
    pub(crate) gate: Option<Bound>,
    pub(crate) stretch: Option<Bound>,
}

/// Where a figure comes from.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    /// The benchmark's own.
    Own(&'static str),
    /// Its own, divided by the peer's.
    TimesPeer(&'static str),
    /// Its own, divided by another one of its own.
    Times(&'static str, &'static str),
    /// Its own, divided by that of another benchmark of the same run.
    TimesOther(&'static str, &'static str),
    /// Another benchmark's less its own.
    OtherLess(&'static str, &'static str),
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Medians of what was measured before in this run, by benchmark.
pub(crate) type Earlier = BTreeMap<&'static str, Figures>;

/// A goal and how far it was reached.
pub(crate) struct Standing {
    goal: Goal,
    value: Option<f64>,
}

impl Goal {
    pub(crate) const fn new(what: &'static str, of: Of, gate: Bound) -> Self {
        Self {
            what,
            of,
            gate: Some(gate),
            stretch: None,
        }
    }

    /// Without a gate.
    pub(crate) const fn wished(what: &'static str, of: Of, stretch: Bound) -> Self {
        Self {
            what,
            of,
            gate: None,
            stretch: Some(stretch),
        }
    }

    pub(crate) const fn stretch(self, bound: Bound) -> Self {
        Self {
            stretch: Some(bound),
            ..self
        }
    }

    /// `None` in a standing where what it is compared with was not measured.
    pub(crate) fn look(self, own: &Figures, peer: Option<&Figures>, earlier: &Earlier) -> Standing {
        let get = |figures: &Figures, name: &str| figures.get(name).copied();
        let value = match self.of {
            Of::Own(name) => get(own, name),
            Of::TimesPeer(name) => ratio(get(own, name), peer.and_then(|peer| get(peer, name))),
            Of::Times(name, by) => ratio(get(own, name), get(own, by)),
            Of::TimesOther(other, name) => ratio(get(own, name), earlier.get(other).and_then(|other| get(other, name))),
            Of::OtherLess(other, name) => earlier
                .get(other)
                .and_then(|other| get(other, name))
                .zip(get(own, name))
                .map(|(other, own)| other - own),
        };
        Standing { goal: self, value }
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
        }
    }
}

impl Standing {
    fn word(&self) -> &'static str {
        match self.value {
            None => "not measured",
            Some(value) if self.goal.gate.is_some_and(|gate| !gate.holds(value)) => "MISSED",
            Some(value) if self.goal.stretch.is_some_and(|stretch| stretch.holds(value)) => "stretch",
            Some(_) if self.goal.gate.is_some() => "reached",
            Some(_) => "-",
        }
    }

    /// For people.
    pub(crate) fn line(&self) -> String {
        let value = self.value.map_or_else(|| "-".to_owned(), brief);
        let words = |bound: Option<Bound>| bound.map_or_else(|| "-".to_owned(), Bound::words);
        format!(
            "    {:<54} {:>10}  gate {:<12} stretch {:<12} {}",
            self.goal.what,
            value,
            words(self.goal.gate),
            words(self.goal.stretch),
            self.word()
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "what": self.goal.what,
            "value": self.value,
            "gate": self.goal.gate.map(Bound::words),
            "stretch": self.goal.stretch.map(Bound::words),
            "standing": self.word(),
        })
    }
}

fn ratio(one: Option<f64>, by: Option<f64>) -> Option<f64> {
    one.zip(by).filter(|(_, by)| *by > 0.0).map(|(one, by)| one / by)
}

/// Three figures that matter, without an exponent.
pub(crate) fn brief(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}
