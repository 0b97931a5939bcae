//! What users download: the archive and the Debian package that `cargo xtask dist` makes, of the program that the tests run and of
//! components that it builds as for users, without a folder of this machine in them. Its parts are there, are the same bytes wherever they
//! are built and packed, work in an empty folder without any environment, and are understood by the programs that they are for.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sharemill_tests::guests;
use tempfile::TempDir;

/// Everything that is in the archive beside the man pages.
const FILES: &[&str] = &[
    "LICENSE",
    "README.txt",
    "SHA256SUMS",
    "THIRD-PARTY-LICENCES.txt",
    "bin/sharemill",
    "container/Containerfile",
    "container/compose.yaml",
    "container/sharemill.toml",
    "etc/sharemill/sharemill.toml",
    "lib/systemd/system/sharemill.service",
    "share/bash-completion/completions/sharemill",
    "share/doc/sharemill/CHANGELOG.md",
    "share/doc/sharemill/codes.md",
    "share/doc/sharemill/commands.md",
    "share/doc/sharemill/manifest.md",
    "share/doc/sharemill/metrics.md",
    "share/fish/vendor_completions.d/sharemill.fish",
    "share/sharemill/examples/enrich.md",
    "share/sharemill/examples/enrich.wasm",
    "share/sharemill/examples/poll.md",
    "share/sharemill/examples/poll.wasm",
    "share/sharemill/examples/thumbnail.md",
    "share/sharemill/examples/thumbnail.wasm",
    "share/sharemill/examples/webhook.md",
    "share/sharemill/examples/webhook.wasm",
    "share/zsh/site-functions/_sharemill",
];

/// One packing of the same program, in a folder of its own.
struct Packed {
    folder: TempDir,
}

impl Packed {
    fn make(program: &Path) -> Self {
        // As `cargo xtask dist`, so that it is built already where all tests run.
        let mut xtask = Command::new(env!("CARGO"));
        xtask.args(["run", "--quiet", "--locked", "--package", "xtask", "--"]);
        Self::by(xtask, program)
    }

    /// The components are built anew, in another folder.
    fn elsewhere(program: &Path, target: &Path) -> Self {
        let built = Path::new(env!("CARGO_BIN_EXE_sharemill-under-test"));
        let mut xtask = Command::new(built.with_file_name("xtask"));
        xtask.env("CARGO_TARGET_DIR", target);
        Self::by(xtask, program)
    }

    fn by(mut xtask: Command, program: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        xtask
            .current_dir(guests::root())
            .args(["dist", "--binary"])
            .arg(program)
            .arg("--out")
            .arg(folder.path())
            .env("SOURCE_DATE_EPOCH", "1700000000");
        good(&mut xtask);
        Self { folder }
    }

    /// The only file with this ending.
    fn file(&self, end: &str) -> PathBuf {
        let files = files(self.folder.path());
        let mut fitting = files.iter().filter(|name| name.ends_with(end));
        let (Some(name), None) = (fitting.next(), fitting.next()) else {
            panic!("{end}: {files:?}")
        };
        self.folder.path().join(name)
    }
}

/// Runs a program that must end well; what it said.
fn good(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Names of all files below a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found
}

/// Whether a program is there that a machine may lack; the one that runs everything has those of `.ci/run`.
fn has(program: &str) -> bool {
    let is_there = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success();
    if !is_there {
        eprintln!("left out, since {program} is not there");
        let must = std::env::var_os("CI").is_some() && matches!(program, "dpkg" | "man" | "systemd-analyze");
        assert!(!must, "{program} is missing");
    }
    is_there
}

#[test]
fn what_users_download_works_without_anything_else() {
    let room = TempDir::new().unwrap();
    let program = room.path().join("sharemill");
    fs::copy(env!("CARGO_BIN_EXE_sharemill-under-test"), &program).unwrap();
    if has("strip") {
        good(Command::new("strip").arg(&program));
    }
    let first = Packed::make(&program);
    good(
        Command::new("tar")
            .args(["-xzf"])
            .arg(first.file(".tar.gz"))
            .current_dir(room.path()),
    );
    let mut entries = fs::read_dir(room.path()).unwrap().map(|entry| entry.unwrap().path());
    let unpacked = entries.find(|path| path.is_dir()).unwrap();

    std::thread::scope(|both| {
        both.spawn(|| {
            let target = room.path().join("another/target");
            let second = Packed::elsewhere(&program, &target);
            for end in [".tar.gz", ".deb", "SHA256SUMS"] {
                let same = fs::read(first.file(end)).unwrap() == fs::read(second.file(end)).unwrap();
                assert!(same, "{end} differs between two folders");
            }
        });
        both.spawn(|| demo(&unpacked));
        contents(&unpacked);
        for folder in [unpacked.as_path(), first.folder.path()] {
            good(
                Command::new("sha256sum")
                    .args(["--check", "--quiet", "SHA256SUMS"])
                    .current_dir(folder),
            );
        }
        understood(&unpacked, room.path());
        package(&first.file(".deb"));
    });
}

/// In an empty folder, with nothing in the environment.
fn demo(unpacked: &Path) {
    let folder = TempDir::new().unwrap();
    let output = good(
        Command::new(unpacked.join("bin/sharemill"))
            .arg("demo")
            .current_dir(folder.path())
            .env_clear(),
    );
    let table = String::from_utf8(output.stdout).unwrap();
    for part in [
        "\nenrich ",
        "\nthumbnail ",
        "\npoll ",
        "\nwebhook ",
        " requests in the receiver's own log: ",
        "\ntotal ",
        " s in all\n",
        "exactly what had to be there, each once",
    ] {
        assert!(table.contains(part), "{part:?}: {table}");
    }
    let counts: serde_json::Value = serde_json::from_str(table.lines().last().unwrap()).unwrap();
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert!(
        count("in") > 100 && count("in") == count("accepted") + count("dead"),
        "{counts}"
    );
    let left = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["sharemill-demo"]);
}

fn contents(unpacked: &Path) {
    let (pages, others): (BTreeSet<_>, BTreeSet<_>) = files(unpacked)
        .into_iter()
        .partition(|name| name.starts_with("share/man/man1/"));
    let expected: BTreeSet<String> = FILES.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(others, expected);
    for page in ["sharemill.1", "sharemill-run.1", "sharemill-topic-read.1"] {
        assert!(pages.contains(&format!("share/man/man1/{page}")), "{page}: {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.contains("crash-test-child")), "{pages:?}");
    let licences = fs::read_to_string(unpacked.join("THIRD-PARTY-LICENCES.txt")).unwrap();
    for part in [
        "\nwasmtime ",
        "\nopenssl-src ",
        "librdkafka/LICENSES.txt",
        "\nsharemill-handler",
    ] {
        // The handler's crate is ours.
        assert_eq!(licences.contains(part), !part.contains("handler"), "{part}");
    }
}

/// By the programs that they are for.
fn understood(unpacked: &Path, room: &Path) {
    let completions = [
        ("bash", "-n", "share/bash-completion/completions/sharemill"),
        ("zsh", "-n", "share/zsh/site-functions/_sharemill"),
        ("fish", "--no-execute", "share/fish/vendor_completions.d/sharemill.fish"),
    ];
    for (shell, check, script) in completions {
        if has(shell) {
            good(Command::new(shell).arg(check).arg(unpacked.join(script)));
        }
    }
    if has("man") {
        for page in files(&unpacked.join("share/man/man1")) {
            let mut man = Command::new("man");
            man.args(["--warnings", "-l"])
                .arg(unpacked.join("share/man/man1").join(&page));
            let output = good(man.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100"));
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page}");
            assert!(!output.stdout.is_empty(), "{page}");
        }
    }
    if has("systemd-analyze") {
        // The program is looked for where the unit says.
        let unit = fs::read_to_string(unpacked.join("lib/systemd/system/sharemill.service")).unwrap();
        let copy = room.join("sharemill.service");
        let program = unpacked.join("bin/sharemill").display().to_string();
        fs::write(&copy, unit.replace("/usr/bin/sharemill", &program)).unwrap();
        let output = good(Command::new("systemd-analyze").args(["--man=no", "verify"]).arg(&copy));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("sharemill.service"), "{said}");
    }
}

/// Installed, removed and purged in a root of its own, which stays as it was.
fn package(file: &Path) {
    if !has("dpkg") {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out, since only root installs packages: {}", file.display());
        return;
    }
    let root = TempDir::new().unwrap();
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.path().join("var/lib/dpkg").join(folder)).unwrap();
    }
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    let dpkg = |arguments: &[&str], file: Option<&Path>| {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", root.path().display()))
            // There is nothing in this root that scripts could run with, or that it depends on.
            .args(["--force-script-chrootless", "--force-depends", "--force-confold"])
            .args(arguments)
            .args(file);
        good(&mut dpkg)
    };
    let own = || -> BTreeSet<String> {
        let all = files(root.path()).into_iter();
        all.filter(|name| !name.starts_with("var/")).collect()
    };
    dpkg(&["--install"], Some(file));
    let installed = own();
    for name in [
        "usr/bin/sharemill",
        "usr/lib/systemd/system/sharemill.service",
        "usr/share/bash-completion/completions/sharemill",
        "usr/share/doc/sharemill/copyright",
        "usr/share/man/man1/sharemill.1.gz",
        "usr/share/sharemill/examples/enrich.wasm",
        "usr/share/zsh/vendor-completions/_sharemill",
    ] {
        assert!(installed.contains(name), "{name}: {installed:?}");
    }
    let program = root.path().join("usr/bin/sharemill");
    let manifest = root.path().join("etc/sharemill/sharemill.toml");
    good(
        Command::new(&program)
            .args(["config", "check", "--manifest"])
            .arg(&manifest)
            .env_clear(),
    );
    dpkg(&["--remove", "sharemill"], None);
    assert_eq!(own(), BTreeSet::from(["etc/sharemill/sharemill.toml".to_owned()]));
    dpkg(&["--purge", "sharemill"], None);
    assert_eq!(own(), BTreeSet::new());
}
