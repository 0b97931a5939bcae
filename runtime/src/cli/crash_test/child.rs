//! The child of a crash test: opens the engine, looks at everything that is there, then produces, acquires and settles until it is
//! killed. Tells its parent what the engine acknowledged, never before it did. Judges nothing but the content of records.

use std::fmt::Display;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use share_engine::config::{EngineConfig, GroupConfig, Limits, Retention, TopicConfig};
use share_engine::engine::{Engine, block_on};

use super::load::{self, Load};
use super::look;
use super::patience::Patience;
use super::said::{FINISH, Known, Said, Task};

/// Topic of the tasks.
pub(super) const TASKS: &str = "tasks";
/// Topic that accepts emit to.
pub(super) const RESULTS: &str = "results";
/// Topic of the dead letters.
pub(super) const LETTERS: &str = "tasks.dead";
/// The share group.
pub(super) const GROUP: &str = "workers";
/// Partitions of the tasks.
pub(super) const PARTITIONS: u32 = 4;
/// Bytes of results that are kept.
pub(super) const RESULTS_BYTES: u64 = 16 << 20;

/// Does what the first line on standard input says, until it is killed, or told to finish.
pub(super) fn run(data: &Path) -> Result<(), ()> {
    tell_panics();
    let done = task().and_then(|task| work(data, &task));
    done.map_err(|why| say(&[Said::Failed(why)]))
}

fn task() -> Result<Task, String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(text)?;
    serde_json::from_str(&line).map_err(|error| format!("no task on standard input: {error}"))
}

/// No thread of this process, the engine's included, ends with a panic unheard, and nothing goes on without it.
fn tell_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        let what = panic.to_string().replace('\n', " ");
        // Before it is printed, which takes long enough for a kill.
        say(&[Said::Failed(format!("thread {name} {what}"))]);
        print(panic);
        give_up();
    }));
}

fn work(data: &Path, task: &Task) -> Result<(), String> {
    plant(task)?;
    say(&[Said::Opening]);
    let (engine, _) = Engine::open(data, config()).map_err(text)?;
    block_on(make(&engine))?;
    say(&[Said::Ready]);
    block_on(look::all(&engine, task.known))?;
    let pace = Pace::new(block_on(left(&engine))?);
    std::thread::scope(|scope| {
        scope.spawn(|| obey(&pace));
        let worked = load::start(scope, &engine, task, &pace).and_then(|load| finish(&engine, &pace, load));
        if let Err(why) = worked {
            // The threads may wait for ever.
            say(&[Said::Failed(why)]);
            give_up();
        }
    });
    drop(engine);
    say(&[Said::Finished]);
    Ok(())
}

/// Works off what is there, looks at all of it from the beginning and closes the engine.
fn finish(engine: &Engine, pace: &Pace, load: Load<'_>) -> Result<(), String> {
    pace.until_finishing();
    // Whatever they had under way is told when they have ended: nothing is left out of what is counted and looked at then.
    let workers = load.end_producers();
    work_off(engine, pace)?;
    pace.end();
    workers.end()?;
    block_on(look::all(engine, Known::default()))?;
    block_on(engine.close()).map_err(text)
}

/// The engine is to make a mistake.
#[cfg(feature = "plant")]
fn plant(task: &Task) -> Result<(), String> {
    use share_engine::testing::plant;
    if task.plant.as_deref() == Some(PANIC) {
        let body = || panic!("planted");
        let thread = std::thread::Builder::new().name("planted".to_owned()).spawn(body);
        drop(thread.map_err(text)?.join());
    } else if let Some(name) = &task.plant {
        plant::arm(name.parse().map_err(text)?);
    }
    Ok(())
}

/// A thread that panics, and is no mistake of the engine's.
#[cfg(feature = "plant")]
const PANIC: &str = "panic";

#[cfg(not(feature = "plant"))]
fn plant(task: &Task) -> Result<(), String> {
    match &task.plant {
        Some(name) => Err(format!("this build knows no mistake {name}")),
        None => Ok(()),
    }
}

/// Small files, so that a second of load goes round the ring, drains it into logs, rolls segments and prunes snapshots many times.
fn config() -> EngineConfig {
    EngineConfig {
        journal_file_bytes: 256 << 10,
        journal_bytes: 1 << 20,
        memory_window: 192 << 10,
        segment_bytes: 64 << 10,
        reserve_bytes: 1 << 20,
        limits: Limits {
            group_bytes: 128 << 10,
            ..Limits::default()
        },
        ..EngineConfig::default()
    }
}

/// Makes topics and group where a child before has not come to it.
async fn make(engine: &Engine) -> Result<(), String> {
    let topics = engine.topics().await.map_err(text)?;
    let tasks = TopicConfig {
        partitions: PARTITIONS,
        retention: Retention::Queue,
        ..TopicConfig::default()
    };
    // What was emitted is looked at after the next kill, and not needed any more.
    let results = TopicConfig {
        retention: Retention::Bounded {
            millis: None,
            bytes: Some(RESULTS_BYTES),
        },
        ..TopicConfig::default()
    };
    for (name, config) in [(TASKS, tasks), (RESULTS, results)] {
        if !topics.iter().any(|topic| topic.name == name) {
            engine.create_topic(name, config).await.map_err(text)?;
        }
    }
    let group = GroupConfig {
        attempts: 1_000,
        lock_millis: 1_000,
        max_lease_millis: 7 * 24 * 3_600_000,
        dead_letter: Some(LETTERS.to_owned()),
        ..GroupConfig::default()
    };
    let groups = engine.groups().await.map_err(text)?;
    let there = groups.iter().find(|group| group.name == GROUP);
    if there.is_none() {
        engine.create_group(GROUP, group).await.map_err(text)?;
    }
    if there.is_none_or(|group| !group.topics.contains_key(TASKS)) {
        engine.subscribe(GROUP, TASKS).await.map_err(text)?;
    }
    Ok(())
}

/// Records of the group that are not finished.
async fn left(engine: &Engine) -> Result<u64, String> {
    let group = engine.describe_group(GROUP).await.map_err(text)?;
    Ok(group.partitions.iter().map(|one| one.lag).sum())
}

fn work_off(engine: &Engine, pace: &Pace) -> Result<(), String> {
    let mut patience = Patience::new(engine, LOOK_AGAIN);
    loop {
        let left = block_on(left(engine))?;
        if left == 0 {
            return Ok(());
        }
        patience.rest(left, |turn| pace.rest(turn))?;
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Listens to the parent. Without it nobody would ever end this process.
fn obey(pace: &Pace) {
    for line in std::io::stdin().lock().lines() {
        match line {
            Ok(line) if line == FINISH => return pace.finish(),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    give_up();
}

#[expect(clippy::exit, reason = "the parent is gone, or does not listen any more")]
fn give_up() -> ! {
    std::process::exit(1)
}

/// Tells the parent, in one write.
pub(super) fn say(said: &[Said]) {
    let mut text = String::new();
    for said in said {
        // Plain data always has a form in JSON.
        text += &serde_json::to_string(said).unwrap_or_default();
        text.push('\n');
    }
    if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
        give_up();
    }
}

pub(super) fn text(error: impl Display) -> String {
    error.to_string()
}

/// How much may be left undone, and when to stop.
#[derive(Debug)]
pub(super) struct Pace {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Tasks that are not finished.
    left: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Load,
    Finishing,
    Ended,
}

impl Pace {
    fn new(left: u64) -> Self {
        let state = State {
            left,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Waits until more may be produced; false when nothing is produced any more.
    pub(super) fn may_produce(&self, count: u64) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| state.stage == Stage::Load && state.left + count > LEFT_MAX;
        let state = self.changed.wait_while(state, waits);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.stage != Stage::Load {
            return false;
        }
        state.left += count;
        true
    }

    /// So many tasks are not left any more.
    pub(super) fn finished(&self, count: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Tasks that a kill left without an answer were not counted.
        state.left = state.left.saturating_sub(count);
        drop(state);
        self.changed.notify_all();
    }

    /// Whether everything is to be accepted.
    pub(super) fn is_finishing(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stage != Stage::Load
    }

    /// Whether everything is finished.
    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stage == Stage::Ended
    }

    /// Waits for so long, or until the end.
    pub(super) fn rest(&self, limit: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| state.stage != Stage::Ended;
        drop(self.changed.wait_timeout_while(state, limit, waits));
    }

    fn until_finishing(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(state, |state| state.stage == Stage::Load));
    }

    fn finish(&self) {
        self.reach(Stage::Finishing);
    }

    fn end(&self) {
        self.reach(Stage::Ended);
    }

    fn reach(&self, stage: Stage) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stage = stage;
        self.changed.notify_all();
    }
}

/// Tasks that may be left undone: more would make every look at them, and the end, longer.
const LEFT_MAX: u64 = 3_000;
