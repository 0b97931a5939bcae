//! `cargo xtask docs-run`: runs every console block of every page, word for word, as a reader would: in an empty home, outside the
//! repository, with the program that is built. What is printed otherwise than the page says is an error.

mod compare;
mod page;
mod shell;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use self::compare::difference;
use self::page::{Block, Step};
use self::shell::Shell;
use crate::guests;

/// Run the console blocks of all pages and compare what they print.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these pages, by their paths in the repository.
    pages: Vec<String>,
    /// The program to use [default: target/debug/sharemill].
    #[arg(long, value_name = "FILE")]
    sharemill: Option<PathBuf>,
}

/// What a page takes for granted, by how its path ends.
const BEFORE: [(&str, &str); 1] = [(
    "templates/rust/README.md",
    "sharemill new my-handler --lang rust && cd my-handler",
)];

/// Fewer than this means that blocks were not found.
const BLOCKS_MIN: usize = 20;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let sharemill = match &arguments.sharemill {
        Some(path) => path.canonicalize(),
        None => guests::target_dir().join("debug/sharemill").canonicalize(),
    };
    let sharemill = sharemill.context("there is no program: `cargo build --workspace` makes target/debug/sharemill")?;
    let place = std::env::temp_dir().join(format!("sharemill-docs-{}", std::process::id()));
    let mut blocks = 0;
    for (path, text) in pages()? {
        let steps = page::steps(&text).with_context(|| path.clone())?;
        let is_meant = arguments.pages.is_empty() || arguments.pages.contains(&path);
        if steps.is_empty() || !is_meant {
            continue;
        }
        let began = Instant::now();
        let reader = Reader::new(&place.join(path.replace('/', "-")), &sharemill, &path)?;
        let run = reader.read(&steps).with_context(|| {
            format!(
                "{path} does not say what happens; what it made is in {}",
                place.display()
            )
        })?;
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
    fn new(place: &Path, sharemill: &Path, page: &str) -> Result<Self> {
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
        if let Some((_, command)) = BEFORE.iter().find(|(path, _)| *path == page) {
            let ended = shell.run(command, None)?;
            ensure!(ended.code == Some(0), "`{command}`: {}", ended.output.join("\n"));
        }
        Ok(Self { shell })
    }

    /// How many blocks were run.
    fn read(mut self, steps: &[Step]) -> Result<usize> {
        let mut blocks = 0;
        for step in steps {
            match step {
                Step::Block(block) => {
                    self.block(block)?;
                    blocks += 1;
                }
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
        let remarks = block.remarks;
        let repository = remarks.in_repository.then(guests::root);
        for (index, command) in block.commands.iter().enumerate() {
            let is_last = index + 1 == block.commands.len();
            let (line, text) = (command.line, &command.text);
            if is_last && remarks.stays {
                let differs = self.shell.stay(text, &command.output)?;
                ensure!(
                    differs.is_none(),
                    "line {line}: `{text}`: {}",
                    differs.unwrap_or_default()
                );
                continue;
            }
            let ended = self
                .shell
                .run(text, repository.as_deref())
                .with_context(|| format!("line {line}: `{text}`"))?;
            let expected = if is_last { i32::from(remarks.exit) } else { 0 };
            let said = || ended.output.join("\n");
            if ended.code != Some(expected) {
                bail!(
                    "line {line}: `{text}` ended with {:?}, not {expected}:\n{}",
                    ended.code,
                    said()
                );
            }
            if command.output.is_empty() {
                continue;
            }
            if let Some(differs) = difference(&command.output, &ended.output, remarks.numbers_vary, true) {
                bail!("line {line}: `{text}`:\n{differs}\nall that it printed:\n{}", said());
            }
        }
        Ok(())
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
