//! Feature `testing`, never part of a build for users: the process kills itself at a chosen step of the engine's work.
//! `SHAREMILL_KILL=PHASE:N` names the step and how often it is passed before. Called where the host opens its engine.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use share_engine::config::EngineConfig;
use share_engine::engine::{Engine, Environment, RecoveryReport};
use share_engine::error::OpenError;
use share_engine::hook::{Hook, Load, Phase};

/// As [`Engine::open`], with the kill that the environment asks for.
pub(super) fn open(directory: &Path, config: EngineConfig) -> Result<(Engine, RecoveryReport), OpenError> {
    let environment = Environment {
        hook: std::env::var(VARIABLE).map_or_else(|_| Hook::default(), |plan| hook(&plan)),
        ..Environment::system(directory)?
    };
    Engine::open_in(environment, config)
}

const VARIABLE: &str = "SHAREMILL_KILL";
/// A kill with less under way proves little: it waits until so many records are held and some settlement is not durable.
const ACQUIRED_MIN: u64 = 32;

/// Recovery happens before anything can be under way.
const RECOVERY: &str = "recovery";

fn name(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::BeforeSync | Phase::AfterSync => Some("journal-written"),
        Phase::LogsSynced => Some("drain"),
        Phase::SnapshotWritten | Phase::SnapshotNamed => Some("snapshot"),
        Phase::Settling => Some("emit"),
        Phase::Extending => Some("extend"),
        Phase::Recovered | Phase::Rewritten => Some(RECOVERY),
        _ => None,
    }
}

fn hook(plan: &str) -> Hook {
    let (wanted, after) = plan.split_once(':').unwrap_or((plan, "1"));
    let (wanted, after) = (wanted.to_owned(), after.parse().unwrap_or(1));
    let passed = AtomicU64::new(0);
    Hook::with_load(move |phase, load| {
        if name(phase) != Some(wanted.as_str()) || passed.fetch_add(1, Ordering::Relaxed) + 1 < after {
            return;
        }
        // The settlement that reaches this phase is not among those that the journal has.
        let settling = load.settling + u64::from(phase == Phase::Settling);
        if wanted == RECOVERY || (load.acquired >= ACQUIRED_MIN && settling > 0) {
            die(phase, Load { settling, ..load });
        }
    })
}

fn die(phase: Phase, load: Load) {
    let Load { acquired, settling } = load;
    let line = format!("killed at {phase:?} acquired={acquired} settling={settling}\n");
    // One write, so that the line is whole; nobody is left to be told of a failure.
    let _ = std::io::stderr().write_all(line.as_bytes());
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal has been sent; nothing may happen before it arrives.
    loop {
        std::thread::park();
    }
}
