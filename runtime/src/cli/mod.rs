//! The `sharemill` command: arguments to actions to exit codes. Called by `main` alone.
//! Commands print through [`crate::output`] and reach data through [`crate::admin::Admin`]; they hold no state of their own.

mod archived;
pub mod args;
mod cluster;
mod component;
mod components;
mod config;
mod crash_test;
mod dead;
#[cfg(feature = "demo")]
mod demo;
mod direct;
mod doctor;
pub mod environment;
mod given;
mod group;
mod invoke;
mod leftover;
mod manifest;
#[cfg(feature = "manual")]
mod manual;
mod module;
pub mod new;
mod open;
mod produce;
mod records;
pub mod reference;
mod run;
mod shown;
pub mod specs;
mod stale;
mod test;
mod topic;
mod verify;
mod wit;

use std::ffi::OsString;

use clap::Parser as _;

pub use given::Given;
pub use run::RunPlan;

use crate::config::schema;
use crate::output::{self, Exit, Failure};
use args::{Cli, Command, ConfigCommand, ModuleCommand};

/// Runs one command and says how the process ends.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to be told that the streams are gone.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    match dispatch(cli.command).await {
        Ok(()) => Exit::Success,
        Err(failure) => {
            output::failure(&failure);
            failure.exit()
        }
    }
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Config(ConfigCommand::Check(args)) => config::check(&args).await,
        Command::Config(ConfigCommand::Show(args)) => config::show(&args),
        Command::Config(ConfigCommand::Schema) => output::json(&schema()),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args).await,
        Command::New(args) => new::run(args),
        Command::Run(args) => run::run(args).await,
        Command::Produce(args) => produce::run(args).await,
        Command::Topic(command) => topic::run(command).await,
        Command::Group(command) => group::run(command).await,
        Command::Records(args) => records::run(args).await,
        Command::Dead(command) => dead::run(command).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Archived(args) => archived::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::CrashTest(args) => crash_test::run(args).await,
        Command::CrashTestChild(args) => crash_test::child(args).await,
        Command::Invoke(args) => invoke::run(args).await,
        Command::Test(args) => test::run(args).await,
        Command::Module(ModuleCommand::Inspect(args)) => module::inspect(&args),
        Command::Wit(args) => wit::run(&args),
        #[cfg(feature = "manual")]
        Command::Completions(args) => manual::completions(args.shell),
        #[cfg(feature = "manual")]
        Command::Man(args) => manual::pages(&args),
    }
}
