//! Arguments of `demo`.

use std::path::PathBuf;

use clap::Args;

/// `sharemill demo`.
#[derive(Args, Debug)]
#[command(
    after_help = "Feeds copies of images and texts, some of them damaged, through the example handlers, one of which sends to a web server \
                  of the demo, on the loopback; kills the host with SIGKILL in the middle, starts it again, compares every count with what is \
                  on disk, and prints a table: about 10 s. Where there are few files it makes its own. It reads files elsewhere and writes \
                  into its own folder alone, which stays for a look around; nothing stays running. Exit code 1 if a count differs."
)]
pub struct DemoArgs {
    /// Folder whose images and texts are fed; nothing in it is changed [default: what the machine has in the usual places]
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// New or empty folder to work in, or that of an earlier demo
    #[arg(long, value_name = "DIR", default_value = "sharemill-demo")]
    pub dir: PathBuf,
    /// Folder with the example components [default: share/sharemill/examples beside the folder of this program]
    #[arg(long, value_name = "DIR")]
    pub examples: Option<PathBuf>,
}
