//! What a page asks to be run: its console blocks, and remarks about them that only the page's source shows. Pure.
//!
//! A remark is an HTML comment, `<!-- docs-run: WORDS -->`, about the next block: `stays` (its last command goes on), `exit N` (its last
//! command ends with that code), `soon` (its commands only look, and what they look for comes before long), `numbers vary`, `in the
//! repository`, `kafka` (it needs Kafka's own programs). `ctrl-c` stands for itself: what goes on is ended there.

use anyhow::{Result, bail, ensure};

/// What is to be done, in the page's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A block.
    Block(Block),
    /// What goes on gets Ctrl-C, and ends with 0.
    CtrlC,
}

/// One fenced block of a console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of its first command, from 1.
    pub(super) line: usize,
    /// What stands before the first command: what the program that goes on says.
    pub(super) heard: Vec<String>,
    pub(super) commands: Vec<Command>,
    pub(super) remarks: Remarks,
}

/// One command, and what it prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) line: usize,
    /// As it stands there, with the lines of its here-document.
    pub(super) text: String,
    /// Nothing: it is not compared.
    pub(super) output: Vec<String>,
}

/// What is remarked of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
pub(super) struct Remarks {
    pub(super) stays: bool,
    pub(super) exit: u8,
    pub(super) soon: bool,
    pub(super) numbers_vary: bool,
    pub(super) kafka: bool,
    pub(super) in_repository: bool,
}

/// The steps of a page.
pub(super) fn steps(text: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut remarks = Remarks::default();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        if let Some(words) = line.strip_prefix("<!-- docs-run: ") {
            let Some(words) = words.strip_suffix(" -->") else {
                bail!("line {number}: the remark does not end with ` -->`");
            };
            match words {
                "ctrl-c" => steps.push(Step::CtrlC),
                "stays" => remarks.stays = true,
                "soon" => remarks.soon = true,
                "kafka" => remarks.kafka = true,
                "numbers vary" => remarks.numbers_vary = true,
                "in the repository" => remarks.in_repository = true,
                other => match other.strip_prefix("exit ").map(str::parse) {
                    Some(Ok(code)) => remarks.exit = code,
                    _ => bail!("line {number}: unknown remark `{other}`"),
                },
            }
            continue;
        }
        let Some(fence) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let is_console = fence == "console";
        ensure!(
            is_console || OTHERS.contains(&fence),
            "line {number}: a block of `{fence}`: commands stand in blocks of `console`"
        );
        let mut body = Vec::new();
        loop {
            let Some((index, line)) = lines.next() else {
                bail!("line {number}: the block has no end");
            };
            if line.trim_start().starts_with("```") {
                break;
            }
            body.push((index + 1, line));
        }
        let command = body.iter().find(|(_, line)| line.starts_with("$ "));
        if let Some((line, _)) = command.filter(|_| !is_console) {
            bail!("line {line}: a command in a block of `{fence}`, where it is not run");
        }
        if is_console {
            steps.push(Step::Block(block(&body, std::mem::take(&mut remarks))?));
        }
    }
    ensure!(remarks == Remarks::default(), "the last remark is about no block");
    Ok(steps)
}

fn block(body: &[(usize, &str)], remarks: Remarks) -> Result<Block> {
    let mut block = Block {
        line: body.first().map_or(0, |(line, _)| *line),
        remarks,
        ..Block::default()
    };
    let mut lines = body.iter();
    while let Some((line, text)) = lines.next() {
        let Some(command) = text.strip_prefix("$ ") else {
            let output = block
                .commands
                .last_mut()
                .map_or(&mut block.heard, |command| &mut command.output);
            output.push((*text).to_owned());
            continue;
        };
        let mut whole = command.to_owned();
        if let Some(end) = here_document(command) {
            loop {
                let Some((_, text)) = lines.next() else {
                    bail!("line {line}: the here-document has no end");
                };
                whole.push('\n');
                whole.push_str(text);
                if *text == end {
                    break;
                }
            }
        }
        block.commands.push(Command {
            line: *line,
            text: whole,
            output: Vec::new(),
        });
    }
    ensure!(
        !block.commands.is_empty() || !block.heard.is_empty(),
        "line {}: the block is empty",
        block.line
    );
    Ok(block)
}

/// What stands in blocks that nobody runs.
const OTHERS: [&str; 5] = ["", "json", "rust", "text", "toml"];

/// The word that ends the document which a command reads.
fn here_document(command: &str) -> Option<&str> {
    let (_, word) = command.split_once("<<")?;
    let word = word.split_whitespace().next()?;
    Some(word.trim_matches(['\'', '"']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# A page

```toml
no = \"console\"
```

<!-- docs-run: stays -->
```console
$ cd there
$ host run   # goes on
ready at ...
```

```console
WARN beside
$ cat > file <<'END'
$ not a command
END
$ host ask
yes
no
```

<!-- docs-run: ctrl-c -->
";

    #[test]
    fn commands_and_what_they_print_are_told_apart() {
        let command = |line, text: &str, output: &[&str]| Command {
            line,
            text: text.to_owned(),
            output: output.iter().map(|line| (*line).to_owned()).collect(),
        };
        let first = Block {
            line: 9,
            heard: Vec::new(),
            commands: vec![
                command(9, "cd there", &[]),
                command(10, "host run   # goes on", &["ready at ..."]),
            ],
            remarks: Remarks {
                stays: true,
                ..Remarks::default()
            },
        };
        let second = Block {
            line: 15,
            heard: vec!["WARN beside".to_owned()],
            commands: vec![
                command(16, "cat > file <<'END'\n$ not a command\nEND", &[]),
                command(19, "host ask", &["yes", "no"]),
            ],
            remarks: Remarks::default(),
        };
        let expected = [Step::Block(first), Step::Block(second), Step::CtrlC];
        assert_eq!(steps(PAGE).unwrap_or_default(), expected);
    }

    #[test]
    fn what_would_not_be_run_is_refused() {
        let refused = |text| steps(text).map_err(|error| error.to_string());
        let error = |text: &str| Err(text.to_owned());
        assert_eq!(
            refused("<!-- docs-run: skip -->\n```console\n$ a\n```"),
            error("line 1: unknown remark `skip`")
        );
        assert_eq!(
            refused("```sh\na\n```"),
            error("line 1: a block of `sh`: commands stand in blocks of `console`")
        );
        assert_eq!(
            refused("```text\n$ a\n```"),
            error("line 2: a command in a block of `text`, where it is not run")
        );
        assert_eq!(refused("```console\n$ a"), error("line 1: the block has no end"));
        assert_eq!(
            refused("```console\n$ a <<END\nb\n```"),
            error("line 2: the here-document has no end")
        );
        assert_eq!(
            refused("<!-- docs-run: stays -->"),
            error("the last remark is about no block")
        );
    }
}
