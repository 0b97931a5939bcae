//! Arguments of `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `sharemill completions`.
#[derive(Args, Debug)]
#[command(
    after_help = "bash: sharemill completions bash > ~/.local/share/bash-completion/completions/sharemill\n\
                  fish: sharemill completions fish > ~/.config/fish/completions/sharemill.fish\n\
                  zsh:  sharemill completions zsh > DIR/_sharemill, for a DIR of $fpath"
)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// `sharemill man`.
#[derive(Args, Debug)]
#[command(
    after_help = "Writes DIR/sharemill.1 and a page for each command, such as DIR/sharemill-topic-read.1: man -l DIR/sharemill.1 shows one."
)]
pub struct ManArgs {
    /// Folder to write into; made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
