//! `cargo xtask docs-run`: runs every console block of every page, word for word, as a reader would: in an empty home, outside the
//! repository, with the program that is built. What is printed otherwise than the page says is an error.

mod compare;
mod page;
mod shell;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use self::compare::difference;
use self::page::{Block, Remarks, Step};
use self::shell::Shell;
use crate::{dist, guests, kafka};

/// Run the console blocks of all pages and compare what they print.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these pages, by their paths in the repository.
    pages: Vec<String>,
    /// The program to use [default: target/debug/sharemill].
    #[arg(long, value_name = "FILE")]
    sharemill: Option<PathBuf>,
}

/// What pages take for granted, by how their paths begin.
const BEFORE: [(&str, &str); 2] = [
    (
        "templates/rust/",
        "sharemill new my-handler --lang rust && cd my-handler",
    ),
    ("guest-examples/", "tar -xzf sharemill-*.tar.gz && cd sharemill-*/"),
];

/// What comes before long is there by then.
const SOON: Duration = Duration::from_secs(30);

/// Fewer than this means that blocks were not found.
const BLOCKS_MIN: usize = 20;

/// All pages, with the program of the tests.
pub(crate) fn run_all() -> Result<()> {
    run(&Arguments {
        pages: Vec::new(),
        sharemill: None,
    })
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let sharemill = match &arguments.sharemill {
        Some(path) => path.canonicalize(),
        None => guests::target_dir().join("debug/sharemill").canonicalize(),
    };
    let sharemill = sharemill.context("there is no program: `cargo build --workspace` makes target/debug/sharemill")?;
    let missing = kafka_cluster::missing(kafka_cluster::Version::default());
    if let Some(missing) = &missing {
        ensure!(
            std::env::var_os("CI").is_none(),
            "what needs Kafka cannot be run: {missing}"
        );
        say(&format!("left out, since {missing}: the blocks that need Kafka"))?;
    }
    let place = tempfile::Builder::new().prefix("sharemill-docs-").tempdir()?.keep();
    ensure!(
        kafka::standing().look()?.is_none(),
        "a Kafka cluster of yours runs, and pages begin with a new one: `cargo xtask kafka down` ends it"
    );
    let archive = archive(&sharemill, &place.join("download"))?;
    let mut blocks = 0;
    for (index, (path, text)) in pages()?.into_iter().enumerate() {
        let steps = page::steps(&text).with_context(|| path.clone())?;
        let is_meant = arguments.pages.is_empty() || arguments.pages.contains(&path);
        if steps.is_empty() || !is_meant {
            continue;
        }
        let began = Instant::now();
        let reader = Reader::new(&place.join(index.to_string()), &sharemill, &archive, &path)?;
        let run = reader.read(&steps, missing.is_some());
        if run.is_err() {
            // What a page has started in the repository would end with its last block.
            kafka::standing().down()?;
        }
        let left = || {
            format!(
                "{path} does not say what happens; what it made is in {}",
                place.display()
            )
        };
        let run = run.with_context(left)?;
        say(&format!("{path}: {run} blocks, {:.1} s", began.elapsed().as_secs_f64()))?;
        blocks += run;
    }
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    say(&format!("{blocks} blocks run, all as the pages say"))?;
    let is_all = arguments.pages.is_empty();
    ensure!(
        !is_all || blocks >= BLOCKS_MIN,
        "only {blocks} blocks were found, {BLOCKS_MIN} or more are expected"
    );
    Ok(())
}

/// What users download, with this program.
fn archive(sharemill: &Path, out: &Path) -> Result<PathBuf> {
    dist::run(&dist::Arguments {
        binary: Some(sharemill.to_owned()),
        examples: Some(guests::default_out()),
        out: Some(out.to_owned()),
    })?;
    let files: Vec<PathBuf> = fs::read_dir(out)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    let archive = files
        .into_iter()
        .find(|file| file.to_string_lossy().ends_with(".tar.gz"));
    archive.with_context(|| format!("there is no archive in {}", out.display()))
}

/// All pages of the repository, in order.
fn pages() -> Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    let output = Command::new("git")
        .args(["ls-files", "-z", "*.md"])
        .current_dir(guests::root())
        .output()
        .context("cannot start git")?;
    ensure!(
        output.status.success(),
        "`git ls-files` failed: the pages are those that git knows"
    );
    for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
        pages.push((path.to_owned(), fs::read_to_string(guests::root().join(path))?));
    }
    Ok(pages)
}

/// Who follows a page.
struct Reader {
    shell: Shell,
}

impl Reader {
    fn new(place: &Path, sharemill: &Path, archive: &Path, page: &str) -> Result<Self> {
        let programs = place.join("bin");
        fs::create_dir_all(&programs)?;
        std::os::unix::fs::symlink(sharemill, programs.join("sharemill"))?;
        let mut more = Vec::new();
        // Where rustup cannot fetch a target, the guests were built with another compiler; so is the reader's handler.
        let compiler = fs::read_to_string(guests::target_dir().join("guests/rustc")).unwrap_or_default();
        if !compiler.is_empty() {
            more.push(("RUSTC".to_owned(), compiler));
            script(&programs.join("rustup"), "exit 0")?;
        }
        let shell = Shell::new(place, &[programs], &more)?;
        // As downloaded.
        fs::hard_link(archive, shell.folder().join(archive.file_name().unwrap_or_default()))?;
        if let Some((_, command)) = BEFORE.iter().find(|(path, _)| page.starts_with(path)) {
            let ended = shell.run(command, None)?;
            ensure!(ended.code == Some(0), "`{command}`: {}", ended.output.join("\n"));
        }
        Ok(Self { shell })
    }

    /// How many blocks were run.
    fn read(mut self, steps: &[Step], without_kafka: bool) -> Result<usize> {
        let mut blocks = 0;
        for step in steps {
            match step {
                Step::Block(block) if block.remarks.kafka && without_kafka => {}
                Step::Block(block) => {
                    self.block(block)?;
                    blocks += 1;
                }
                // What would go on was left out.
                Step::CtrlC if without_kafka && !self.shell.is_busy() => {}
                Step::CtrlC => {
                    let status = self.shell.interrupt()?;
                    ensure!(status.success(), "after Ctrl-C it ended with {status}");
                }
            }
        }
        Ok(blocks)
    }

    fn block(&mut self, block: &Block) -> Result<()> {
        if !block.heard.is_empty() {
            let differs = self.shell.hear(&block.heard)?;
            ensure!(
                differs.is_none(),
                "line {}: {}",
                block.line,
                differs.unwrap_or_default()
            );
        }
        for (index, command) in block.commands.iter().enumerate() {
            let is_last = index + 1 == block.commands.len();
            let differs = if is_last && block.remarks.stays {
                self.shell.stay(&command.text, &command.output)
            } else {
                let exit = if is_last { block.remarks.exit } else { 0 };
                self.until_it_fits(command, exit, block.remarks)
            };
            let place = || format!("line {}: `{}`", command.line, command.text);
            if let Some(differs) = differs.with_context(place)? {
                bail!("{}:\n{differs}", place());
            }
        }
        Ok(())
    }

    /// What differs, of a command that comes to its end.
    fn until_it_fits(&self, command: &page::Command, exit: u8, remarks: Remarks) -> Result<Option<String>> {
        let repository = remarks.in_repository.then(guests::root);
        let until = Instant::now() + SOON;
        loop {
            let ended = self.shell.run(&command.text, repository.as_deref())?;
            let said = || format!("all that it printed:\n{}", ended.output.join("\n"));
            let differs = if ended.code != Some(exit.into()) {
                Some(format!("it ended with {:?}, not {exit}; {}", ended.code, said()))
            } else if command.output.is_empty() {
                None
            } else {
                let differs = difference(&command.output, &ended.output, remarks.numbers_vary);
                differs.map(|differs| format!("{differs}\n{}", said()))
            };
            if differs.is_none() || !remarks.soon || Instant::now() >= until {
                return Ok(differs);
            }
            sleep(Duration::from_millis(100));
        }
    }
}

fn script(path: &Path, body: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, format!("#!/bin/sh\n{body}\n"))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "docs: {text}")?)
}
