//! Produces inputs through the command line, as any user would, and keeps where each one went.
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::host::program;
use super::plan::{Handler, Input};

/// Handler, partition and offset.
pub(super) type Place = (Handler, u64, u64);

/// Where confirmed inputs are, by their position in the plan.
#[derive(Default)]
pub(super) struct Receipts {
    pub(super) places: BTreeMap<Place, usize>,
}

impl Receipts {
    /// Produces inputs of one handler; each is on disk when this returns.
    pub(super) fn produce(&mut self, binary: &Path, manifest: &Path, inputs: &[(usize, &Input)]) -> Result<()> {
        let Some((_, first)) = inputs.first() else {
            return Ok(());
        };
        let handler = first.handler;
        let mut child = program(binary)
            .args([
                "produce",
                handler.topic(),
                "--ndjson",
                "-",
                "--format",
                "json",
                "--manifest",
            ])
            .arg(manifest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start sharemill produce")?;
        let lines: Vec<String> = inputs
            .iter()
            .map(|(_, input)| json!({"key": input.name, "value": input.value}).to_string())
            .collect();
        let lines = lines.join("\n");
        let stdin = child.stdin.take().context("no standard input")?;
        // Bursts are small: the answers fit into the pipe until they are read below.
        { stdin }.write_all(lines.as_bytes())?;
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "produce to {} failed:\n{errors}",
            handler.topic()
        );
        let answers = String::from_utf8(output.stdout)?;
        let mut count = 0;
        for (line, (index, _)) in answers.lines().zip(inputs) {
            let answer: Value = serde_json::from_str(line)?;
            let field = |name: &str| {
                let value = answer.get(name).and_then(Value::as_u64);
                value.with_context(|| format!("produce answered {line}"))
            };
            self.places
                .insert((handler, field("partition")?, field("offset")?), *index);
            count += 1;
        }
        ensure!(
            count == inputs.len(),
            "produce confirmed {count} of {} records",
            inputs.len()
        );
        Ok(())
    }
}
