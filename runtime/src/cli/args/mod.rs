//! The command line as types: names, help, ranges. No logic; what a command does stands in the file of its name beside this folder.

#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "doc comments are the help texts that a terminal shows"
)]

mod archived;
mod crash;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "manual")]
mod manual;
mod query;
mod work;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use archived::{ArchivedArgs, ArchivedCommand, ArchivedFilter, ArchivedList, ArchivedRecover};
pub use crash::{CRASH_TEST_CHILD, CrashTestArgs, CrashTestChildArgs};
#[cfg(feature = "demo")]
pub use demo::DemoArgs;
#[cfg(feature = "manual")]
pub use manual::{CompletionsArgs, ManArgs};
pub use query::{
    DeadCommand, DeadFilterArgs, DeadList, DeadRedrive, GroupCommand, GroupReset, QueryArgs, RecordsArgs, TopicCommand,
    TopicCreate, TopicRead,
};
pub use work::{InvokeArgs, ProduceArgs, RunArgs, TestArgs};

use super::new::Lang;
use crate::output;

/// The `sharemill` command.
#[derive(Debug, Parser)]
#[command(
    name = "sharemill",
    version,
    about = "Run WebAssembly handlers over share groups",
    long_about = "Run WebAssembly handlers over share groups.\n\nA handler's return value is its record's acknowledgement. \
                  Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 called wrongly. --format json \
                  prints one object; what a command lists is an array in it, named after what it lists. Its keys are written with _, but for those \
                  of config show, which are a manifest's.",
    max_term_width = 100,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the example handlers, kill the host once, and check every count
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Make a project for a handler
    New(NewArgs),
    /// Run the deployments of a manifest
    Run(RunArgs),
    /// Append records to a topic
    Produce(ProduceArgs),
    /// List, describe, create and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// List, describe, reset and delete share groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// Show the state of a group's records
    Records(RecordsArgs),
    /// List, show and redrive dead letters
    #[command(subcommand)]
    Dead(DeadCommand),
    /// List what a group of a Kafka cluster has given up, and copy it
    Archived(ArchivedArgs),
    /// Check or show the manifest
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run one record through a component, without an engine
    Invoke(InvokeArgs),
    /// Run the records of files through a component and compare what becomes of them
    Test(TestArgs),
    /// Say why nothing is consumed from a Kafka cluster
    #[command(
        after_help = "Asks the cluster of the manifest's source, in the order in which one thing needs the other: addresses, TLS, login, versions, \
                      permissions, limits, groups, offsets, states. Joins each group for a moment and acquires nothing. Ends with 1 if something \
                      stands in the way."
    )]
    Doctor(DoctorArgs),
    /// Read everything on disk and report damage
    Verify(VerifyArgs),
    /// Kill a loaded engine again and again and check that nothing is lost
    CrashTest(CrashTestArgs),
    /// The process that crash-test kills
    #[command(name = CRASH_TEST_CHILD, hide = true)]
    CrashTestChild(CrashTestChildArgs),
    /// Look into a component
    #[command(subcommand)]
    Module(ModuleCommand),
    /// Write the contract between host and handlers, as WIT
    Wit(WitArgs),
    /// Print the completions for a shell
    #[cfg(feature = "manual")]
    Completions(CompletionsArgs),
    /// Write the man pages, one for each command
    #[cfg(feature = "manual")]
    Man(ManArgs),
}

/// Which manifest.
#[derive(Args, Clone, Debug)]
pub struct ManifestArg {
    /// Manifest to read [env: SHAREMILL_MANIFEST] [default: sharemill.toml]
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
}

/// Which data directory, or which cluster.
#[derive(Args, Clone, Debug, Default)]
pub struct DataArgs {
    /// Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default: sharemill.toml]
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]
    #[arg(long, value_name = "DIR", conflicts_with = "manifest")]
    pub data_dir: Option<PathBuf>,
    /// Brokers of a Kafka cluster, separated by commas; no manifest is read
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["manifest", "data_dir"])]
    pub bootstrap: Option<String>,
    /// Property of librdkafka for --bootstrap, may be given several times; other users see passwords: keep them in a manifest's secrets
    #[cfg(feature = "kafka")]
    #[arg(long = "property", value_name = "NAME=VALUE", requires = "bootstrap", value_parser = work::pair)]
    pub properties: Vec<(String, String)>,
}

impl DataArgs {
    /// Whether nothing but a manifest may be named.
    pub fn is_plain(&self) -> bool {
        #[cfg(feature = "kafka")]
        if self.bootstrap.is_some() {
            return false;
        }
        self.data_dir.is_none()
    }
}

/// `sharemill doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Which manifest.
    #[command(flatten)]
    pub manifest: ManifestArg,
    /// How the answer is printed.
    #[command(flatten)]
    pub format: FormatArg,
}

/// How the answer is printed.
#[derive(Args, Clone, Copy, Debug)]
pub struct FormatArg {
    /// How the answer is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub format: FormatChoice,
}

/// How the answer is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FormatChoice {
    /// Aligned columns
    Table,
    /// JSON
    Json,
}

impl From<FormatArg> for output::Format {
    fn from(arg: FormatArg) -> Self {
        match arg.format {
            FormatChoice::Table => Self::Table,
            FormatChoice::Json => Self::Json,
        }
    }
}

/// `sharemill config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Name everything that is wrong with the manifest and its components, and what it has left over
    #[command(
        after_help = "Components are loaded as run loads them: compiled, and kept in the cache. Whether the journal gets the open files \
                      and the room on the disk that it may come to is looked at. What is left over is asked of the host that runs; where none does, the data \
                      directory is read and not changed."
    )]
    Check(ConfigCheck),
    /// Print the manifest with every default
    Show(ConfigShow),
    /// Print a JSON Schema of the manifest, for editors
    #[command(
        after_help = "Write it beside the manifest, sharemill config schema > sharemill.schema.json, and #:schema ./sharemill.schema.json as the \
                      manifest's first line: editors that know TOML mark what is wrong then, and say what each key does."
    )]
    Schema,
}

/// `sharemill config check`.
#[derive(Args, Debug)]
pub struct ConfigCheck {
    /// Which manifest.
    #[command(flatten)]
    pub manifest: ManifestArg,
    /// How the answer is printed.
    #[command(flatten)]
    pub format: FormatArg,
}

/// `sharemill config show`.
#[derive(Args, Debug)]
pub struct ConfigShow {
    /// Which manifest.
    #[command(flatten)]
    pub manifest: ManifestArg,
    /// How the manifest is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "toml")]
    pub format: ShowFormat,
}

/// How `config show` prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ShowFormat {
    /// TOML, to be used as a manifest again
    Toml,
    /// JSON
    Json,
}

/// `sharemill verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Which data directory.
    #[command(flatten)]
    pub data: DataArgs,
    /// How the answer is printed.
    #[command(flatten)]
    pub format: FormatArg,
}

/// `sharemill module`.
#[derive(Debug, Subcommand)]
pub enum ModuleCommand {
    /// List what a component exports and imports, and what it is not granted
    Inspect(InspectArgs),
}

/// `sharemill module inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Component file, or - for the deployment's own
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,
    /// Deployment of the manifest whose grants are compared; without it nothing is granted
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Which manifest.
    #[command(flatten)]
    pub manifest: ManifestArg,
    /// How the answer is printed.
    #[command(flatten)]
    pub format: FormatArg,
}

/// `sharemill new`.
#[derive(Args, Debug)]
#[command(
    after_help = "Makes the folder NAME with handler, manifest, records with their expected outcomes, and a README that says how it is built. At a terminal \
                  what is not given is asked for."
)]
pub struct NewArgs {
    /// Name of the project, the package and the deployment; of its folder, which must not be there or be empty
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Language of the handler
    #[arg(long, value_enum, value_name = "LANG")]
    pub lang: Option<Lang>,
}

/// `sharemill wit`.
#[derive(Args, Debug)]
#[command(
    after_help = "Writes DIR/worker.wit, package sharemill:worker with its worlds, and in DIR/deps the interface by which handlers read their settings. \
                  wit-bindgen, jco and componentize-py take DIR as it is: wit-bindgen c DIR --world handler."
)]
pub struct WitArgs {
    /// Folder to write into; made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Write over files that differ
    #[arg(long)]
    pub force: bool,
}
