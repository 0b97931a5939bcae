//! `cargo xtask test`: everything that must pass before a change is good, in stages, the quick ones first. It stops at the
//! first stage that fails and says how to run that one alone. `.ci/run` calls it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::{docs, guests};

/// Run everything that must pass.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name the stages and end.
    #[arg(long)]
    list: bool,
    /// Run only this stage; may be given again.
    #[arg(long, value_name = "STAGE", value_parser = stage_names())]
    only: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        let mut out = std::io::stdout();
        for stage in &STAGES {
            writeln!(out, "{:8} {} ({})", stage.name, stage.what, stage.expected)?;
        }
        return Ok(());
    }
    let chosen = |stage: &&Stage| arguments.only.is_empty() || arguments.only.iter().any(|name| name == stage.name);
    let stages: Vec<&Stage> = STAGES.iter().filter(chosen).collect();
    let mut times = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        let (number, count) = (index + 1, stages.len());
        say(&format!(
            "{number}/{count} {}: {} ({})",
            stage.name, stage.what, stage.expected
        ));
        let start = Instant::now();
        let result = (stage.run)();
        times.push((stage.name, start.elapsed()));
        if let Err(error) = result {
            say_times(&times);
            let name = stage.name;
            return Err(error.context(format!(
                "stage {name} failed; to run it alone: cargo xtask test --only {name}"
            )));
        }
    }
    say_times(&times);
    say("all passed");
    if stages.iter().any(|stage| stage.name == "test") {
        say_left_out();
    }
    Ok(())
}

/// One thing that must pass.
struct Stage {
    name: &'static str,
    what: &'static str,
    /// On two cores with nothing compiled; then with everything compiled.
    expected: &'static str,
    run: fn() -> Result<()>,
}

const STAGES: [Stage; 10] = [
    Stage {
        name: "fmt",
        what: "formatting of all three workspaces",
        expected: "2 s",
        run: || {
            WORKSPACES
                .into_iter()
                .try_for_each(|workspace| cargo(workspace, &["fmt", "--all", "--check"]))
        },
    },
    Stage {
        name: "core",
        what: "the libraries by themselves, without features",
        expected: "20 s, then 1 s",
        run: || {
            cargo(
                ROOT,
                &[
                    "check",
                    "--locked",
                    "--package",
                    "share-engine",
                    "--package",
                    "share-wire",
                    "--package",
                    "share-client",
                    "--no-default-features",
                ],
            )
        },
    },
    Stage {
        name: "clippy",
        what: "lints, none allowed to remain",
        expected: "4 min, then 2 s",
        run: || {
            cargo(
                ROOT,
                &[
                    "clippy",
                    "--locked",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "--deny",
                    "warnings",
                ],
            )
        },
    },
    Stage {
        name: "doc",
        what: "documentation without a broken link",
        expected: "1 min, then 2 s",
        run: || {
            let mut command = command(ROOT, &["doc", "--locked", "--workspace", "--no-deps"]);
            finish(command.env("RUSTDOCFLAGS", "--deny warnings"))
        },
    },
    Stage {
        name: "guests",
        what: "the SDK with its tests, the examples and the hostile guests, the bindings against wit/",
        expected: "3 min, then 8 s",
        run: guests::build_and_check,
    },
    Stage {
        name: "build",
        what: "everything that the tests need",
        expected: "10 min, then 2 s",
        run: || cargo(ROOT, &["test", "--locked", "--workspace", "--no-run"]),
    },
    Stage {
        name: "tidy",
        what: "the style rules, licences and duplicates",
        expected: "3 s",
        run: || {
            cargo(
                ROOT,
                // Of the whole workspace, so that features are as in the stage before and nothing is compiled anew.
                &["test", "--locked", "--workspace", "--test", "tidy"],
            )
        },
    },
    Stage {
        name: "docs",
        what: "every console block of every page, word for word, in an empty home",
        expected: "3 min",
        run: docs::run_all,
    },
    Stage {
        name: "schedules",
        what: "the engine's hand-offs in every schedule of threads, the engine as a whole in random ones",
        expected: "2 min, then 30 s",
        run: || ["loom", "shuttle"].into_iter().try_for_each(schedules),
    },
    Stage {
        name: "test",
        what: "all tests",
        expected: "7 min",
        run: || cargo(ROOT, &["test", "--locked", "--workspace"]),
    },
];

const ROOT: &str = "";
const WORKSPACES: [&str; 3] = [ROOT, "guest-sdk/rust", "guest-examples"];

/// Runs the engine's models under a checker. Its flag changes every crate, so that it builds in a place of its own.
fn schedules(checker: &str) -> Result<()> {
    let arguments = ["test", "--locked", "--package", "share-engine", "--lib", "schedules::"];
    let mut command = command(ROOT, &arguments);
    command
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", format!("--cfg {checker}"))
        .env("CARGO_TARGET_DIR", guests::target_dir().join(checker));
    finish(&mut command)
}

fn stage_names() -> Vec<&'static str> {
    STAGES.iter().map(|stage| stage.name).collect()
}

fn cargo(workspace: &str, arguments: &[&str]) -> Result<()> {
    finish(&mut command(workspace, arguments))
}

fn command(workspace: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(guests::root().join(workspace))
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot start cargo")?;
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    ensure!(status.success(), "`cargo {}` ended with {status}", words.join(" "));
    Ok(())
}

/// Tests say so themselves, far above.
fn say_left_out() {
    if let Some(missing) = kafka_cluster::missing(kafka_cluster::Version::default()) {
        say(&format!(
            "left out, since {missing}: tests/tests/kafka_*.rs, share-client/tests, share-engine/tests/dump_log_segments.rs"
        ));
    }
}

fn say_times(times: &[(&str, Duration)]) {
    for (name, time) in times {
        say(&format!("{name:8} {:8.1} s", time.as_secs_f64()));
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    say(&format!("{:8} {:8.1} s", "total", total.as_secs_f64()));
}

/// Progress goes to standard error; a closed one is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "test: {text}");
}
