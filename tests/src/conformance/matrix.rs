//! What came of the scenarios: a line for each, a column for each backend.

use std::collections::BTreeMap;
use std::fmt;

use super::backend::Place;

/// What came of one scenario on one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Pass,
    /// As this line of ARCHITECTURE.md says.
    Differs(&'static str),
    Failed(String),
    /// There is no such backend on this machine.
    LeftOut,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// In this order.
    pub names: Vec<&'static str>,
    pub cells: BTreeMap<(&'static str, Place), Cell>,
}

impl Matrix {
    /// What is wrong: failures, and cells that nobody filled.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for name in &self.names {
            for place in Place::ALL {
                match self.cells.get(&(*name, place)) {
                    Some(Cell::Failed(why)) => wrong.push(format!("{name} on {place}: {why}")),
                    Some(_) => {}
                    None => wrong.push(format!("{name} on {place}: nothing came of it")),
                }
            }
        }
        wrong
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut anchors: Vec<&str> = Vec::new();
        write!(f, "{:width$}", "SCENARIO")?;
        for place in Place::ALL {
            write!(f, "  {:11}", place.to_string())?;
        }
        writeln!(f)?;
        for name in &self.names {
            write!(f, "{name:width$}")?;
            for place in Place::ALL {
                let word = match self.cells.get(&(*name, place)) {
                    Some(Cell::Pass) => "pass".to_owned(),
                    Some(Cell::Differs(anchor)) => {
                        let number = anchors.iter().position(|one| one == anchor).unwrap_or_else(|| {
                            anchors.push(anchor);
                            anchors.len() - 1
                        });
                        format!("differs {}", number + 1)
                    }
                    Some(Cell::Failed(_)) => "FAILED".to_owned(),
                    Some(Cell::LeftOut) => "left out".to_owned(),
                    None => "EMPTY".to_owned(),
                };
                write!(f, "  {word:11}")?;
            }
            writeln!(f)?;
        }
        for (number, anchor) in (1..).zip(anchors) {
            writeln!(f, "differs {number}: {anchor} (ARCHITECTURE.md)")?;
        }
        Ok(())
    }
}
