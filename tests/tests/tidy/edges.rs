//! Who may depend on whom, as data. A new arrow is a change of the architecture: it changes a row here and the picture in
//! ARCHITECTURE.md in the same commit. Tests are free to use what they like.

use crate::Finding;
use crate::lexer::is_word;
use crate::tree::{SourceFile, Tree};

/// Modules at the root of a crate that may use every other one: they put the others together.
const ANY: &[&str] = &["*"];

/// Folder of the crate's source, module, what it may use of the crate.
const EDGES: &[(&str, &str, &[&str])] = &[
    ("share-engine/src", "ids", &[]),
    ("share-engine/src", "time", &[]),
    ("share-engine/src", "entropy", &[]),
    ("share-engine/src", "sys", &[]),
    ("share-engine/src", "testing", &["entropy", "time"]),
    ("share-engine/src", "record", &["ids", "time"]),
    ("share-engine/src", "letter", &["ids", "record", "time"]),
    // The storage in memory takes its choices from seeded entropy.
    ("share-engine/src", "storage", &["entropy", "sys", "testing"]),
    ("share-engine/src", "share", &["ids", "time"]),
    ("share-engine/src", "catalog", &["config", "ids"]),
    ("share-engine/src", "hook", &[]),
    (
        "share-engine/src",
        "journal",
        &["hook", "ids", "share", "storage", "time"],
    ),
    ("share-engine/src", "log", &["ids", "record", "storage", "time"]),
    ("share-engine/src", "snapshot", &["hook", "storage"]),
    // `engine` for the mailboxes on both sides of the drain thread.
    (
        "share-engine/src",
        "drain",
        &[
            "catalog", "engine", "hook", "ids", "journal", "log", "record", "share", "snapshot", "storage", "time",
        ],
    ),
    ("share-engine/src", "config", &["ids", "journal"]),
    ("share-engine/src", "error", &["catalog", "config", "record"]),
    ("share-engine/src", "engine", ANY),
    ("share-engine/src", "lib", ANY),
    ("share-wire/src", "error", &["call"]),
    ("share-wire/src", "code", &[]),
    ("share-wire/src", "frame", &["error"]),
    ("share-wire/src", "reader", &["error"]),
    ("share-wire/src", "writer", &[]),
    ("share-wire/src", "layout", &["error", "reader"]),
    ("share-wire/src", "layouts", &["layout"]),
    ("share-wire/src", "call", &["error", "kafka", "layout", "layouts"]),
    ("share-wire/src", "message", &["call", "error", "reader", "writer"]),
    ("share-wire/src", "records", &[]),
    ("share-wire/src", "conversation", &["call", "error", "frame", "reader"]),
    (
        "share-wire/src",
        "versions",
        &["call", "code", "conversation", "error", "kafka"],
    ),
    ("share-wire/src", "lib", ANY),
    ("share-client/src", "config", &[]),
    ("share-client/src", "tools", &["config"]),
    ("share-client/src", "sasl", &[]),
    ("share-client/src", "net", &["config", "sasl"]),
    ("share-client/src", "session", &[]),
    ("share-client/src", "membership", &["config", "session", "tools"]),
    ("share-client/src", "metadata", &["config", "session"]),
    (
        "share-client/src",
        "consumer",
        &["config", "membership", "metadata", "net", "session", "tools"],
    ),
    ("share-client/src", "admin", &["config", "net", "tools"]),
    ("share-client/src", "lib", ANY),
    ("runtime/src", "config", &[]),
    ("runtime/src", "metrics", &[]),
    ("runtime/src", "handler", &["config", "metrics"]),
    // The types that both sides of the loop speak lie with their makers: `lane`, `dispatch` and `settle` know the
    // supervisor's specification of a deployment, and it knows them.
    ("runtime/src", "source", &["config", "handler", "lane", "metrics"]),
    ("runtime/src", "lease", &["lane", "metrics", "source"]),
    ("runtime/src", "settle", &["handler", "metrics", "source", "supervisor"]),
    (
        "runtime/src",
        "lane",
        &["dispatch", "handler", "metrics", "settle", "source", "supervisor"],
    ),
    (
        "runtime/src",
        "dispatch",
        &["lane", "lease", "metrics", "settle", "source", "supervisor"],
    ),
    ("runtime/src", "shutdown", &["lane"]),
    (
        "runtime/src",
        "supervisor",
        &[
            "config", "dispatch", "handler", "lane", "lease", "metrics", "settle", "shutdown", "source",
        ],
    ),
    ("runtime/src", "output", &["config"]),
    (
        "runtime/src",
        "admin",
        &["config", "host", "metrics", "output", "source", "supervisor"],
    ),
    ("runtime/src", "host", ANY),
    ("runtime/src", "cli", ANY),
    ("runtime/src", "lib", ANY),
    ("runtime/src", "main", ANY),
];

/// Names from outside that only some files may use.
struct Outside {
    within: &'static [&'static str],
    except: &'static [&'static str],
    names: &'static [&'static str],
    advice: &'static str,
}

const OUTSIDE: &[Outside] = &[
    Outside {
        within: &["share-engine/src/"],
        except: &["share-engine/src/storage/file/", "share-engine/src/sys.rs"],
        names: &["std::fs", "rustix::fs"],
        advice: "only `storage::file` touches the file system: go through the `Storage` trait",
    },
    Outside {
        within: &["share-engine/src/"],
        except: &["share-engine/src/engine/clock.rs"],
        names: &["Instant::now", "SystemTime::now", "rustix::time"],
        advice: "time is an argument; only `engine::clock` reads it",
    },
    Outside {
        within: &["share-engine/src/"],
        except: &["share-engine/src/engine/"],
        names: &["std::thread", "std::sync::mpsc"],
        advice: "only `engine` knows of threads: everything else is stepped",
    },
    Outside {
        within: &["share-engine/src/"],
        except: &[],
        names: &["tokio", "wasmtime", "std::net", "metrics"],
        advice: "the engine is a library without a runtime, sockets, Wasm and metrics exporters",
    },
    Outside {
        within: &[
            "share-wire/src/",
            "share-client/src/config/",
            "share-client/src/sasl/",
            "share-client/src/session/",
            "share-client/src/admin/states/",
        ],
        except: &[],
        names: &[
            "tokio",
            "std::net",
            "std::fs",
            "std::thread",
            "Instant::now",
            "SystemTime::now",
        ],
        advice: "bytes in, messages out: sockets, files, time and threads are for those who call it",
    },
    Outside {
        within: &["runtime/src/handler/"],
        except: &[],
        names: &["share_engine"],
        advice: "`handler` knows nothing of the engine: translate in `source` or `lane`",
    },
    Outside {
        within: &["runtime/src/"],
        except: &[],
        names: &[
            "share_engine::drain",
            "share_engine::journal",
            "share_engine::log",
            "share_engine::share",
            "share_engine::snapshot",
            "share_engine::storage",
        ],
        advice: "the host uses what `share_engine::engine` and the root re-export, not the engine's rooms",
    },
    Outside {
        within: &["runtime/src/settle/", "runtime/src/lease/"],
        except: &[],
        names: &["tokio", "std::fs", "std::net", "std::thread", "Instant::now"],
        advice: "decisions are pure: time and input are arguments, I/O is the caller's",
    },
    Outside {
        within: &["runtime/src/"],
        except: &[
            "runtime/src/admin/",
            "runtime/src/handler/http/",
            "runtime/src/metrics/",
        ],
        names: &["tokio::net"],
        advice: "only `admin`, `handler::http` and `metrics` have sockets",
    },
];

pub(crate) fn module_edges(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, module, code) in product_code(tree) {
        let row = EDGES
            .iter()
            .find(|(root, name, _)| file.path.starts_with(root) && *name == module[0]);
        let Some((_, _, may)) = row else {
            let advice = format!(
                "module `{}` has no row in tests/tests/tidy/edges.rs: say what it may use",
                module[0]
            );
            findings.push(Finding::new(&file.path, 1, advice));
            continue;
        };
        for (line, path) in paths(code) {
            let Some(used) = used_module(&path, &module) else {
                continue;
            };
            let is_module = used.starts_with(|first: char| first.is_ascii_lowercase());
            if is_module && used != module[0] && !may.contains(&used) && *may != ANY {
                let advice = format!("`{}` may not use `{used}`: {}", module[0], describe(may));
                findings.push(Finding::new(&file.path, line, advice));
            }
        }
    }
    findings
}

fn describe(may: &[&str]) -> String {
    match may {
        [] => "it uses no other module of its crate".to_owned(),
        some => format!("it may use {}", some.join(", ")),
    }
}

pub(crate) fn outside_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _, code) in product_code(tree) {
        let starts = |folders: &[&str]| folders.iter().any(|folder| file.path.starts_with(folder));
        let rules: Vec<&Outside> = OUTSIDE
            .iter()
            .filter(|rule| starts(rule.within) && !starts(rule.except))
            .collect();
        for (line, path) in paths(code) {
            for rule in &rules {
                if let Some(name) = rule.names.iter().find(|name| contains(&path, name)) {
                    findings.push(Finding::new(&file.path, line, format!("`{name}`: {}", rule.advice)));
                }
            }
        }
    }
    findings
}

/// A name that starts with a crate stands at a path's start; `Type::function` anywhere in it.
fn contains(path: &[&str], name: &str) -> bool {
    let name: Vec<&str> = name.split("::").collect();
    let is_type = name[0].starts_with(|first: char| first.is_ascii_uppercase());
    path.starts_with(&name) || is_type && path.windows(name.len()).any(|window| window == name)
}

/// Files of the crates that have rows, with their module path and their code up to the tests.
fn product_code(tree: &Tree) -> impl Iterator<Item = (&SourceFile, Vec<&str>, &str)> {
    let product = tree.rust().filter(|(file, _)| !file.is_test());
    product.filter_map(|(file, views)| {
        let (root, _, _) = EDGES.iter().find(|(root, _, _)| file.path.starts_with(root))?;
        let inside = file.path.strip_prefix(root)?.strip_prefix('/')?.strip_suffix(".rs")?;
        let inside = inside.strip_suffix("/mod").unwrap_or(inside);
        let lines = file.test_tail().map_or(usize::MAX, |tail| tail - 1);
        let end: usize = views.code.split_inclusive('\n').take(lines).map(str::len).sum();
        Some((file, inside.split('/').collect(), &views.code[..end]))
    })
}

/// The module at the crate's root that a path leads to, if it leads there.
fn used_module<'a>(path: &[&'a str], module: &[&str]) -> Option<&'a str> {
    let ups = path.iter().take_while(|part| **part == "super").count();
    match path {
        ["crate", used, ..] => Some(used),
        _ if ups > 0 && ups >= module.len() => path.get(ups).copied(),
        _ => None,
    }
}

/// All paths of two and more parts, groups taken apart, each with its line.
fn paths(code: &str) -> Vec<(usize, Vec<&str>)> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    let (mut at, mut line, mut counted) = (0, 1, 0);
    while at < bytes.len() {
        let starts = is_word(bytes[at])
            && !at
                .checked_sub(1)
                .is_some_and(|before| matches!(bytes[before], b':' | b'\''));
        if !starts {
            at += 1;
            continue;
        }
        line += code[counted..at].matches('\n').count();
        counted = at;
        let mut of_this = Vec::new();
        at = path_at(code, at, &[], &mut of_this);
        found.extend(
            of_this
                .into_iter()
                .filter(|path| path.len() > 1)
                .map(|path| (line, path)),
        );
    }
    found
}

/// Reads one path, or one item of a group, and returns where it ends.
fn path_at<'a>(code: &'a str, from: usize, prefix: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = from;
    loop {
        let end = code[at..]
            .bytes()
            .position(|byte| !is_word(byte))
            .map_or(code.len(), |length| at + length);
        path.push(&code[at..end]);
        let rest = &code[end..];
        let next = rest.strip_prefix("::").and_then(|rest| rest.bytes().next());
        match next {
            Some(b'{') => return group_at(code, end + 3, &path, found),
            Some(byte) if is_word(byte) => at = end + 2,
            _ => {
                found.push(path);
                return end;
            }
        }
    }
}

fn group_at<'a>(code: &'a str, from: usize, prefix: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> usize {
    let mut at = from;
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b'}' => return at + 1,
            byte if is_word(*byte) => at = path_at(code, at, prefix, found),
            _ => at += 1,
        }
    }
    at
}

#[test]
fn groups_are_taken_apart() {
    let code = "use a::{b, c::{self, D}, *};\nfn f(x: e::F<g::H>) { super::super::i::<J>() }\nuse k;\n";
    let found: Vec<(usize, String)> = paths(code)
        .into_iter()
        .map(|(line, path)| (line, path.join("::")))
        .collect();
    let expected = [
        (1, "a::b"),
        (1, "a::c::self"),
        (1, "a::c::D"),
        (2, "e::F"),
        (2, "g::H"),
        (2, "super::super::i"),
    ];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}
