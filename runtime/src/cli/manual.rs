//! `sharemill completions` and `sharemill man`: made of the command line's own types, so that they cannot differ from what is understood.

use std::fs;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::{Cli, ManArgs};
use crate::output::{self, Failure};

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(&Cli::command()), NAME, &mut script);
    output::data(&String::from_utf8_lossy(&script))
}

/// Writes a page for each command into a folder.
pub(super) fn pages(args: &ManArgs) -> Result<(), Failure> {
    fs::create_dir_all(&args.dir)
        .and_then(|()| clap_mangen::generate_to(shown(&Cli::command()), &args.dir))
        .map_err(|error| {
            Failure::new(format!("cannot write man pages into {}: {error}", args.dir.display()))
                .hint("name a folder in which this user may write")
        })
}

const NAME: &str = "sharemill";

/// Without what is for the program alone: the generator for shells has no notion of hidden commands.
fn shown(command: &clap::Command) -> clap::Command {
    let mut bare = clap::Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .arg_required_else_help(true)
        .disable_help_subcommand(true);
    if let Some(about) = command.get_about() {
        bare = bare.about(about.clone());
    }
    if let Some(about) = command.get_long_about() {
        bare = bare.long_about(about.clone());
    }
    let subcommands = command.get_subcommands().filter(|command| !command.is_hide_set());
    bare.subcommands(subcommands.cloned())
}
