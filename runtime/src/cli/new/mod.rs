//! `sharemill new`: a project for a handler. It is there whole or not at all: made beside its place and moved there by one rename.

mod files;
mod lang;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;

pub use lang::Lang;

use super::args::NewArgs;
use crate::output::{self, Failure};

/// Makes the project; asks for what is not given where a person sits at a terminal.
pub(super) fn run(args: NewArgs) -> Result<(), Failure> {
    let (name, lang) = match (args.name, args.lang) {
        (Some(name), Some(lang)) => (name, lang),
        (name, lang) if output::can_ask() => asked(name, lang)?,
        (name, lang) => return Err(missing(name.is_none(), lang.is_none())),
    };
    check(&name, lang).map_err(|objection| Failure::usage(objection).hint(NAMES))?;
    let place = PathBuf::from(&name);
    free(&place)?;
    make(&place, &files::files(lang, &name))?;
    let title = lang.title();
    output::data(&format!(
        "made {name}, a handler in {title}; its README.md says more\n\n  cd {name}\n"
    ))?;
    for step in lang.steps().iter().chain(&["sharemill test", "sharemill run"]) {
        output::data(&format!("  {step}\n"))?;
    }
    Ok(())
}

fn check(name: &str, lang: Lang) -> Result<(), String> {
    match lang.objection(name) {
        Some(objection) => Err(format!("the name \"{}\" {objection}", output::printable(name))),
        None => Ok(()),
    }
}

fn missing(name: bool, lang: bool) -> Failure {
    let what = match (name, lang) {
        (true, true) => "the name of the project and its language are missing",
        (true, false) => "the name of the project is missing",
        _ => "the language of the project is missing",
    };
    Failure::usage(format!("{what}, and there is no terminal to ask at"))
        .hint(format!("sharemill new NAME --lang {}", langs(" | ")))
}

/// What was not given, by question and answer.
fn asked(name: Option<String>, lang: Option<Lang>) -> Result<(String, Lang), Failure> {
    let lang = match lang {
        Some(lang) => lang,
        None => answer(&format!("Language ({}) [rust]: ", langs(", ")), |text| {
            let text = if text.is_empty() { "rust" } else { text };
            Lang::from_str(text, true).map_err(|_| format!("there is no {text:?} yet, but {}", langs(", ")))
        })?,
    };
    let name = match name {
        Some(name) => name,
        None => answer("Name of the project: ", |text| {
            check(text, lang).map(|()| text.to_owned())
        })?,
    };
    Ok((name, lang))
}

/// The first answer that will do.
fn answer<T>(question: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
    for _ in 0..ANSWERS_MAX {
        let Some(text) = output::ask(question) else { break };
        match read(text.trim()) {
            Ok(answer) => return Ok(answer),
            Err(objection) => output::message(&objection),
        }
    }
    Err(Failure::usage("there was no answer to that").hint(format!("sharemill new NAME --lang {}", langs(" | "))))
}

fn langs(between: &str) -> String {
    let names = Lang::value_variants()
        .iter()
        .filter_map(|lang| Some(lang.to_possible_value()?.get_name().to_owned()));
    names.collect::<Vec<_>>().join(between)
}

/// Fails where something lies that would be covered.
fn free(place: &Path) -> Result<(), Failure> {
    let taken = |what: &str| {
        Failure::new(format!("{} {what}", place.display()))
            .hint("choose another name, or another folder to run this in")
    };
    // No folder is moved to the place of a link, not even of one that leads to an empty folder.
    if fs::symlink_metadata(place).is_ok_and(|found| found.is_symlink()) {
        return Err(taken("is there already and is a link"));
    }
    match fs::read_dir(place) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(taken("is there already and is not empty")),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(taken("is there already and is no folder")),
        Err(error) => Err(taken(&format!("cannot be read: {error}"))),
    }
}

fn make(place: &Path, files: &[(String, String)]) -> Result<(), Failure> {
    let cannot = |error: io::Error| {
        Failure::new(format!("cannot make {}: {error}", place.display()))
            .hint("run this in a folder in which this user may write, on a disk with room")
    };
    let partial = PathBuf::from(format!(".{}.partial-{}", place.display(), std::process::id()));
    match fs::create_dir(&partial) {
        // In containers on one volume the first process of each has the same number.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let message = format!("{} is there already", partial.display());
            return Err(Failure::new(message).hint("remove it, unless another sharemill new is at work here"));
        }
        made => made.map_err(cannot)?,
    }
    let made = write(&partial, files).and_then(|()| fs::rename(&partial, place));
    made.map_err(|error| {
        // What was written of it goes with the failure; if that cannot be done, either, its name says what it is.
        let _ = fs::remove_dir_all(&partial);
        cannot(error)
    })
}

fn write(folder: &Path, files: &[(String, String)]) -> io::Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    Ok(())
}

const ANSWERS_MAX: usize = 3;
const NAMES: &str = "a name is made of a-z, 0-9, - and _, begins with a letter and has at most 64 characters";
