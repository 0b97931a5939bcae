//! Arguments of `crash-test`, and of the process that it kills.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::FormatArg;
use crate::config::parse_duration;

/// Name of the hidden command that a crash test starts and kills.
pub const CRASH_TEST_CHILD: &str = "crash-test-child";

/// `sharemill crash-test`.
#[derive(Args, Debug)]
#[command(
    after_help = "A process of this program opens the embedded engine, produces, acquires, accepts, releases, parks and rejects, and is \
                  killed with SIGKILL at random moments, some of them while it recovers from the kill before. What it was acknowledged \
                  is written down outside of it. After each restart and at the end, after everything was worked off, all of that is \
                  compared with what is there: nothing that was acknowledged may be gone, nothing that was accepted may come again, \
                  and no delivery count may fall. A record whose answer was under way at a kill may be either.\n\n\
                  What counts as unanswered was found to be durable although a kill came before the answer. At the end, what was produced, with \
                  and without an answer, is together what was accepted, with and without an answer, and the dead letters.\n\n\
                  Exit code 1 if any of this does not hold; 3 if nothing of the kind was seen and the test came to no end, be it for \
                  a disk that is full or fails, a machine that ran short, a folder that somebody deleted, or Ctrl-C. In all these \
                  cases the data is kept, and named, but after one Ctrl-C: that ends the test early, checks what was done for up to \
                  15 s, and tells the result so far. A second one does not wait for that. A loss of power is not tried: the operating system \
                  outlives every kill. What lies in memory (tmpfs), as temporary files often do, says nothing of a disk; then the \
                  result tells so."
)]
pub struct CrashTestArgs {
    /// How long processes are killed, 1s to 7d; working off and checking the rest comes on top
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = limit)]
    pub limit: Duration,
    /// End after so many kills, if that is sooner
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub kills: Option<u64>,
    /// Seed of what is drawn; when it happens differs from run to run [default: a random one]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// New or empty folder for the test's data [default: a new one among the temporary files]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Keep the data also when all is well
    #[arg(long)]
    pub keep: bool,
    /// How the answer is printed.
    #[command(flatten)]
    pub format: FormatArg,
    /// Mistake that the engine makes on purpose
    #[cfg(feature = "plant")]
    #[arg(long, value_name = "NAME", hide = true)]
    pub plant: Option<share_engine::testing::plant::Plant>,
}

impl CrashTestArgs {
    /// The mistake that the engine makes on purpose.
    #[cfg(feature = "plant")]
    pub(in crate::cli) fn plant(&self) -> Option<String> {
        self.plant.map(|plant| plant.to_string())
    }

    /// There is none in a build for users.
    #[cfg(not(feature = "plant"))]
    #[expect(clippy::unused_self, reason = "there is a mistake to make in tests only")]
    pub(in crate::cli) fn plant(&self) -> Option<String> {
        None
    }
}

/// The process that a crash test kills.
#[derive(Args, Debug)]
pub struct CrashTestChildArgs {
    /// The test's data directory
    #[arg(value_name = "DIR")]
    pub data_dir: PathBuf,
}

fn limit(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) {
        Err("below the limit of 1s".to_owned())
    } else if duration > Duration::from_hours(7 * 24) {
        Err("above the limit of 7d".to_owned())
    } else {
        Ok(duration)
    }
}
