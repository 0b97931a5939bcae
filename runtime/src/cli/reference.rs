//! The reference pages of the command line and of what it ends with, printed from the parser's own table and from those of the codes. A
//! test keeps the committed pages up to date.

use std::fmt::Write as _;

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::args::Cli;
use crate::admin::ErrorCode;
use crate::output::Exit;

/// Every command with its arguments, as Markdown.
pub fn commands() -> String {
    let mut page = String::from(COMMANDS);
    let mut root = Cli::command();
    root.build();
    let mut rest: Vec<&Command> = visible(&root);
    rest.reverse();
    while let Some(command) = rest.pop() {
        let inner = visible(command);
        if inner.is_empty() || command.get_arguments().any(is_shown) {
            describe(&mut page, command);
        }
        rest.extend(inner.into_iter().rev());
    }
    page
}

/// What a process ends with, and what the admin socket answers, as Markdown.
pub fn codes() -> String {
    let mut page = String::from(EXITS);
    for exit in Exit::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {} | {} |", exit.code(), exit.meaning());
    }
    page.push_str(ERRORS);
    for code in ErrorCode::ALL {
        let _ = writeln!(page, "| `{}` | {} | {} |", code.name(), code.status(), code.meaning());
    }
    page
}

fn visible(command: &Command) -> Vec<&Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set()).collect()
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set()
        && !matches!(
            argument.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong
        )
}

fn describe(page: &mut String, command: &Command) {
    let mut command = command.clone();
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(page, "\n## {name}\n\n{}\n\n```text\n{usage}\n```", sentence(&about));
    let arguments: Vec<&Arg> = command.get_arguments().filter(|one| is_shown(one)).collect();
    if !arguments.is_empty() {
        page.push_str("\n| | |\n|---|---|\n");
    }
    for argument in arguments {
        let _ = writeln!(page, "| `{}` | {} |", spelled(argument), explained(argument));
    }
    if let Some(more) = command.get_after_long_help().or(command.get_after_help()) {
        let more = more.to_string();
        let _ = if more.contains('\n') {
            writeln!(page, "\n```text\n{}\n```", more.trim_end())
        } else {
            writeln!(page, "\n{}", escaped(&more))
        };
    }
}

/// As it is written on the command line.
fn spelled(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let values: Vec<String> = names.iter().filter(|_| takes).map(|name| format!("<{name}>")).collect();
    let values = values.join(" ");
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    if flags.is_empty() {
        return values;
    }
    format!("{} {values}", flags.join(", ")).trim_end().to_owned()
}

/// Its help, with default and choices.
fn explained(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let mut text = cell(&help.map(ToString::to_string).unwrap_or_default());
    let is_flag = !argument.get_action().takes_values();
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if !is_flag && !defaults.is_empty() && !argument.is_hide_default_value_set() {
        let _ = write!(text, " [default: {}]", cell(&defaults.join(", ")));
    }
    let choices = argument.get_possible_values();
    let choices: Vec<&str> = choices
        .iter()
        .filter(|one| !one.is_hide_set())
        .map(PossibleValue::get_name)
        .collect();
    if !is_flag && !choices.is_empty() {
        let _ = write!(text, " [{}]", choices.join(", "));
    }
    text
}

fn sentence(text: &str) -> String {
    let text = escaped(text);
    if text.ends_with(['.', ':']) {
        text
    } else {
        format!("{text}.")
    }
}

/// Within a table.
fn cell(text: &str) -> String {
    let joined: Vec<&str> = text.split_whitespace().collect();
    escaped(&joined.join(" ")).replace('|', "\\|")
}

fn escaped(text: &str) -> String {
    text.trim().replace('<', "&lt;")
}

const COMMANDS: &str = "# Commands

Every command of `sharemill` with its arguments, printed from the program's own table. A test fails when this page is stale. `--help` of each
command says the same. How commands end stands in [codes.md](codes.md).
";

const EXITS: &str = "# Codes

What commands end with and what the admin socket answers, printed from the program's own tables. A test fails when this page is stale. Causes
of dead letters stand in [metrics.md](metrics.md).

## Exit codes

| code | |
|---|---|
";

const ERRORS: &str = "
## Errors

A command that fails prints a line `error: ...` with the value and the limit, and where there is a way out, a line `hint: ...`, to standard
error. The admin socket (`admin.sock` in the data directory, HTTP and JSON) answers an error with an HTTP status and an object with `code`,
`message` and, where there is one, `hint`.

| code | status | |
|---|---|---|
";
