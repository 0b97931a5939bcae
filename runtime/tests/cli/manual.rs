//! Man pages and completions: every command that is shown is in them, and none that is not.

use std::collections::BTreeSet;
use std::fs;

use crate::support::Folder;

/// Commands of the overview, those below others included.
const COMMANDS: [&str; 6] = ["completions", "dead redrive", "demo", "man", "run", "topic read"];

fn said(arguments: &[&str]) -> String {
    let output = Folder::new().command(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = said(&["completions", shell]);
        for name in COMMANDS.iter().flat_map(|command| command.split(' ')) {
            assert!(script.contains(name), "{shell}: {name}");
        }
        assert!(script.contains("until-idle"), "{shell}");
        assert!(!script.contains("crash-test-child"), "{shell}");
    }
}

#[test]
fn each_command_has_a_page() {
    let folder = Folder::new();
    let shown = folder.run(&["man", "new/pages"]);
    assert_eq!(shown, "exit 0\n");
    let pages: BTreeSet<String> = fs::read_dir(folder.path().join("new/pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for command in COMMANDS {
        let page = format!("sharemill-{}.1", command.replace(' ', "-"));
        assert!(pages.contains(&page), "{page}: {pages:?}");
    }
    assert!(pages.contains("sharemill.1"));
    assert!(!pages.iter().any(|page| page.contains("child")), "{pages:?}");
    let page = fs::read_to_string(folder.path().join("new/pages/sharemill-topic-read.1")).unwrap();
    assert!(page.contains("sharemill topic read"), "{page}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    folder.file("file", "");
    insta::assert_snapshot!(folder.run(&["man", "file"]), @"
    exit 1
    --- stderr
    error: cannot write man pages into file: File exists (os error 17)
    hint: name a folder in which this user may write
    ");
}
