//! Every wrong file has its own error and hint; every right one says what it is; the cache is used and never trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::super::compiled::hex;
use super::super::testing::{ACCEPT, HANDLE, component, component_with, engine, engine_with, handler, input, module};
use super::super::{
    Access, Allocation, CallControl, CallEnd, CompiledFrom, FileGrant, HandlerSpec, HostEngine, HostEngineConfig,
    HostEngineError, ImportGrant, LoadError, LoadedHandler, NullServices, Outcome,
};

fn try_load(bytes: &[u8], spec: HandlerSpec) -> Result<Arc<LoadedHandler>, LoadError> {
    engine().load_bytes(Path::new("guest.wasm"), bytes, Arc::new(spec))
}

fn refused(bytes: &[u8]) -> LoadError {
    try_load(bytes, HandlerSpec::default()).expect_err("refused")
}

/// A component of a world given as WIT, from an empty core module.
fn world(wit: &str) -> Vec<u8> {
    component_with(&[wit], "test:guest/w", "(module (memory (export \"memory\") 1))")
}

/// A component whose own import makes it more than a handler.
fn importing(package: &str, interface: &str, function: &str) -> Vec<u8> {
    let (name, version) = package.split_once('@').unwrap();
    let import = format!("{name}/{interface}@{version}");
    component_with(
        &[
            &format!("package {package}; interface {interface} {{ {function}: func(); }}"),
            &format!("package test:guest; world w {{ include sharemill:worker/handler@0.1.0; import {import}; }}"),
        ],
        "test:guest/w",
        &module(
            &format!("(import \"{import}\" \"{function}\" (func $f))"),
            &format!("(call $f) {ACCEPT}"),
        ),
    )
}

#[test]
fn what_is_no_component() {
    let whole = handler("", ACCEPT);
    let core = wat::parse_str("(module)").unwrap();
    let check = |bytes: &[u8], message: &str, hint: Option<&str>| {
        let error = refused(bytes);
        assert_eq!(error.to_string(), message);
        let said = error.hint();
        assert!(!said.is_empty() && said.contains(hint.unwrap_or_default()), "{said:?}");
    };
    check(b"", "guest.wasm is not a wasm component: it is empty", None);
    check(
        b"{\"json\": 1}",
        "guest.wasm is not a wasm component: it does not start with the wasm magic number",
        None,
    );
    check(
        b"(component)",
        "guest.wasm is not a wasm component: it looks like the text form of wasm",
        Some("wasm-tools"),
    );
    check(
        &core,
        "guest.wasm is a core wasm module, not a component",
        Some("component new"),
    );
    check(
        b"\0asm\x63\0\x63\0",
        "guest.wasm is not a wasm component: it has an unknown wasm version",
        None,
    );
    let precompiled = engine().engine.precompile_component(&whole).unwrap();
    check(
        &precompiled,
        "guest.wasm is precompiled code, not a wasm component",
        Some(".wasm file"),
    );
    let cut = &whole[..whole.len() - 10];
    let message = format!(
        "guest.wasm is cut off: it has {} bytes and needs at least {}",
        cut.len(),
        whole.len()
    );
    check(cut, &message, Some("again"));
}

#[test]
fn every_cut_is_noticed() {
    let whole = handler("", ACCEPT);
    let engine = engine();
    for len in (0..whole.len()).step_by(7) {
        let loaded = engine.load_bytes(Path::new("guest.wasm"), &whole[..len], Arc::new(HandlerSpec::default()));
        loaded.expect_err("a part of a component");
    }
}

#[test]
fn wrong_worlds() {
    let error = refused(&world("package test:guest; world w { }"));
    assert!(
        matches!(&error, LoadError::WrongWorld { exports, .. } if exports.is_empty()),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("wanted is sharemill:worker/record-handler@0.1.0"),
        "{error}"
    );

    let other = component_with(
        &["package test:guest; interface greet { hello: func(); } world w { export greet; }"],
        "test:guest/w",
        "(module (memory (export \"memory\") 1) (func (export \"test:guest/greet#hello\")))",
    );
    assert!(refused(&other).to_string().contains("it has test:guest/greet"));
}

#[test]
fn wrong_versions_and_types() {
    // A package of the same name cannot stand beside ours, so these worlds are resolved on their own.
    let with = |version: &str| {
        super::super::testing::component_of(
            &[&format!(
                "package sharemill:worker@{version}; interface record-handler {{ handle: func(id: u64) -> u64; }}
                 world w {{ export record-handler; }}"
            )],
            "w",
            &format!(
                "(module (memory (export \"memory\") 1)
                   (func (export \"sharemill:worker/record-handler@{version}#handle\") (param i64) (result i64) (local.get 0)))"
            ),
        )
    };
    let error = refused(&with("0.7.0"));
    assert!(
        matches!(&error, LoadError::WrongVersion { version, .. } if version == "0.7.0"),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "guest.wasm is built for sharemill:worker@0.7.0 (it has sharemill:worker/record-handler@0.7.0), this host serves \
         sharemill:worker@0.1.0"
    );
    assert!(error.hint().contains("sharemill wit DIR"));
    let error = refused(&with("0.1.0"));
    assert!(matches!(&error, LoadError::WrongType { .. }), "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn imports_that_cannot_be_met() {
    let spec = HandlerSpec {
        deployment: "notify".to_owned(),
        ..HandlerSpec::default()
    };
    let error = try_load(&importing("wasi:http@0.2.0", "outgoing-handler", "handle"), spec).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "guest.wasm imports wasi:http/outgoing-handler@0.2.0, which deployment \"notify\" is not granted"
    );
    assert_eq!(
        error.hint(),
        "add `http = [{ url = \"https://HOST\", methods = [\"GET\", \"POST\"] }]` with the server's name to [deployments.notify.grants]"
    );
    let error = refused(&importing("acme:db@1.0.0", "query", "run"));
    assert_eq!(
        error.to_string(),
        "guest.wasm imports acme:db/query@1.0.0, which this host does not have"
    );
    let error = refused(&importing("wasi:cli@0.2.0", "exit", "exit"));
    assert!(
        matches!(&error, LoadError::WrongImport { message, .. } if message.contains("exit")),
        "{error}"
    );
}

#[test]
fn features_that_are_off() {
    let exports = format!(
        "(func (export \"{HANDLE}\") {} unreachable)",
        super::super::testing::PARAMS
    );
    for (name, memory) in [
        ("memory64", "(memory i64 1)"),
        ("threads", "(memory 1 1 shared)"),
        ("gc", "(type (struct (field i32)))"),
        ("exceptions", "(tag)"),
    ] {
        let wat = format!("(module (memory (export \"memory\") 1) {memory} {exports})");
        let core = wat::parse_str(&wat).unwrap();
        // Wrapped by hand: a component with this module in it and nothing else.
        let mut bytes = b"\0asm\x0d\0\x01\0\x01".to_vec();
        let mut size = core.len();
        while size >= 0x80 {
            bytes.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
            size >>= 7;
        }
        bytes.push(u8::try_from(size).unwrap());
        bytes.extend(core);
        let error = refused(&bytes);
        assert!(matches!(&error, LoadError::Feature { .. }), "{name}: {error}");
    }
}

#[test]
fn limits_are_checked_at_load() {
    let wasm = component(
        "handler",
        &module("", ACCEPT).replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 1100)"),
    );
    let error = refused(&wasm);
    assert!(
        matches!(
            error,
            LoadError::Memory {
                needed: 72_089_600,
                limit: 67_108_864,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.hint(), "raise `memory` to at least 69MiB");
    let mut spec = HandlerSpec::default();
    spec.limits.memory = 1 << 40;
    let error = try_load(&wasm, spec).expect_err("refused");
    assert!(matches!(error, LoadError::MemoryLimit { .. }), "{error}");
    let mut spec = HandlerSpec::default();
    spec.grants.files.push(FileGrant {
        host: PathBuf::from("/no/such/directory"),
        guest: "/d".to_owned(),
        access: Access::Read,
    });
    let error = try_load(&handler("", ACCEPT), spec).expect_err("refused");
    assert!(matches!(error, LoadError::Directory { .. }), "{error}");
    let error = engine()
        .load(Path::new("/no/such/file.wasm"), Arc::default())
        .expect_err("refused");
    assert!(
        error
            .to_string()
            .starts_with("cannot read component /no/such/file.wasm: "),
        "{error}"
    );
}

#[test]
fn a_component_says_what_it_is() {
    let import = r#"(import "sharemill:worker/context@0.1.0" "group" (func (param i32)))
        (import "sharemill:worker/producer@0.1.0" "send" (func (param i32 i32 i32)))"#;
    let wasm = handler(import, ACCEPT);
    let report = try_load(&wasm, HandlerSpec::default()).unwrap().inspect();
    assert_eq!(report.bytes, wasm.len() as u64);
    assert_eq!(report.digest.len(), 64);
    assert_eq!(report.initial_memory, Some(65536));
    assert_eq!(report.compiled_from, CompiledFrom::Source);
    assert_eq!(report.exports, ["sharemill:worker/record-handler@0.1.0"]);
    let closed: Vec<&str> = report.not_granted().map(|import| import.name.as_str()).collect();
    assert_eq!(closed, ["sharemill:worker/producer@0.1.0"]);
    let mut spec = HandlerSpec::default();
    spec.grants.emit.insert("lines".to_owned());
    let report = try_load(&wasm, spec).unwrap().inspect();
    assert!(report.imports.iter().any(|import| import.grant == ImportGrant::Granted));
    assert_eq!(report.not_granted().count(), 0);
}

async fn accepts(loaded: &Arc<LoadedHandler>) {
    let mut instance = loaded.instantiate(Arc::new(NullServices)).await.expect("an instance");
    let report = instance
        .call(input(1), &CallControl::new(Duration::from_secs(30)))
        .await;
    assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
}

#[tokio::test]
async fn without_a_pool() {
    for allocation in [Allocation::OnDemand, Allocation::Sparing] {
        let engine = engine_with(&HostEngineConfig {
            allocation,
            ..HostEngineConfig::default()
        });
        assert!(!engine.is_pooling());
        let loaded = engine
            .load_bytes(Path::new("guest.wasm"), &handler("", ACCEPT), Arc::default())
            .unwrap();
        accepts(&loaded).await;
    }
}

/// More instances than any address space holds.
#[tokio::test]
async fn a_pool_that_does_not_fit() {
    let config = HostEngineConfig {
        max_instances: 1_000_000,
        allocation: Allocation::Pooling,
        ..HostEngineConfig::default()
    };
    let error = HostEngine::new(&config).expect_err("too large");
    assert!(
        matches!(
            error,
            HostEngineError::Engine {
                max_instances: 1_000_000,
                ..
            }
        ),
        "{error}"
    );
    let engine = engine_with(&HostEngineConfig {
        allocation: Allocation::Auto,
        ..config
    });
    assert!(!engine.is_pooling());
    let loaded = engine
        .load_bytes(Path::new("guest.wasm"), &handler("", ACCEPT), Arc::default())
        .unwrap();
    accepts(&loaded).await;
}

fn cached_engine(dir: &Path) -> HostEngine {
    engine_with(&HostEngineConfig {
        max_instances: 8,
        memory_max: 64 << 20,
        cache_dir: Some(dir.to_owned()),
        ..HostEngineConfig::default()
    })
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found
}

#[tokio::test]
async fn compiled_components_are_kept() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("compiled");
    let wasm = handler("", ACCEPT);
    let load = |engine: &HostEngine| {
        engine
            .load_bytes(Path::new("guest.wasm"), &wasm, Arc::default())
            .unwrap()
    };
    let from = |loaded: &LoadedHandler| loaded.inspect().compiled_from;

    let engine = cached_engine(&dir);
    assert_eq!(from(&load(&engine)), CompiledFrom::Source);
    let loaded = load(&cached_engine(&dir));
    assert_eq!(from(&loaded), CompiledFrom::Cache);
    accepts(&loaded).await;
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let [artefact] = &files(&dir, "cwasm")[..] else {
        panic!()
    };
    assert_eq!(fs::metadata(artefact).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(files(&dir, "tmp").is_empty());

    // Damaged in any way it is compiled again, and good afterwards.
    let good = fs::read(artefact).unwrap();
    let damages: [&dyn Fn(); 4] = [
        &|| {
            let mut bad = good.clone();
            let middle = bad.len() / 2;
            bad[middle] ^= 1;
            fs::write(artefact, bad).unwrap();
        },
        &|| fs::write(artefact, &good[..good.len() / 2]).unwrap(),
        &|| fs::remove_file(artefact).unwrap(),
        &|| fs::remove_file(artefact.with_extension("sha256")).unwrap(),
    ];
    for damage in damages {
        damage();
        assert_eq!(from(&load(&engine)), CompiledFrom::Source);
        assert_eq!(from(&load(&engine)), CompiledFrom::Cache);
    }
    // Vouched for, but no code of this engine: refused by wasmtime, compiled again.
    fs::write(artefact, b"no code").unwrap();
    fs::write(artefact.with_extension("sha256"), hex(&Sha256::digest(b"no code"))).unwrap();
    assert_eq!(from(&load(&engine)), CompiledFrom::Source);
    assert_eq!(from(&load(&engine)), CompiledFrom::Cache);
}

#[test]
fn the_cache_is_closed_to_others() {
    let temporary = tempfile::tempdir().unwrap();
    let open = temporary.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    drop(cached_engine(&open));
    assert_eq!(fs::metadata(&open).unwrap().permissions().mode() & 0o777, 0o700);

    let file = temporary.path().join("file");
    fs::write(&file, b"").unwrap();
    let config = HostEngineConfig {
        cache_dir: Some(file),
        max_instances: 8,
        ..HostEngineConfig::default()
    };
    let error = HostEngine::new(&config).expect_err("not a directory");
    assert!(matches!(error, HostEngineError::Cache { .. }), "{error}");
}
