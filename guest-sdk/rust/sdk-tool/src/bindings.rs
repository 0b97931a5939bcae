//! Generates the bindings, one file per world. The types stand once, in `imports`; the other files refer to them,
//! so that a `Delivery` is the same type whatever a handler exports.
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::{Opts, WithOption};

/// Writes, or with `check` compares, every generated file.
pub(crate) fn run(wit: &Path, out: &Path, check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for world in &WORLDS {
        let text = generate(wit, world)?;
        let path = out.join(format!("{}.rs", world.file));
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
        } else {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "stale bindings: {}; run `cargo run -p sdk-tool -- bindings` in guest-sdk/rust",
        stale.join(", ")
    )
}

struct World {
    file: &'static str,
    package: &'static str,
    name: &'static str,
    /// The name of the exporting macro; empty where nothing is exported.
    export: &'static str,
}

const WORLDS: [World; 5] = [
    World {
        file: "imports",
        package: "worker",
        name: "imports",
        export: "",
    },
    World {
        file: "handler",
        package: "worker",
        name: "handler",
        export: "export_handler",
    },
    World {
        file: "batch_handler",
        package: "worker",
        name: "batch-handler",
        export: "export_batch_handler",
    },
    World {
        file: "lifecycle",
        package: "sdk",
        name: "lifecycle",
        export: "export_lifecycle",
    },
    World {
        file: "config",
        package: "sdk",
        name: "config",
        export: "",
    },
];

const SHARED: [&str; 6] = ["types", "context", "lease", "logging", "metrics", "producer"];

fn generate(wit: &Path, world: &World) -> Result<String> {
    let mut resolve = Resolve::default();
    let (worker, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("cannot parse {}", wit.display()))?;
    let mut package = worker;
    if world.package == "sdk" {
        resolve.push_str("config.wit", include_str!("../wit/config.wit"))?;
        package = resolve.push_str("sdk.wit", include_str!("../wit/sdk.wit"))?;
    }
    let id = resolve.select_world(&[package], Some(world.name))?;
    let has_types = world.package == "worker" && world.file != "imports";
    let with = SHARED.iter().filter(|_| has_types).map(|name| {
        let path = format!("crate::bindings::imports::sharemill::worker::{name}");
        (format!("sharemill:worker/{name}@0.1.0"), WithOption::Path(path))
    });
    let options = Opts {
        format: true,
        generate_all: true,
        generate_unused_types: world.file == "imports",
        with: with.collect(),
        pub_export_macro: true,
        export_macro_name: Some(world.export.to_owned()).filter(|name| !name.is_empty()),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, id, &mut files)?;
    let (_, bytes) = files.iter().next().context("nothing was generated")?;
    let body = std::str::from_utf8(bytes)?;
    Ok(format!(
        "//! Generated from `wit/` by `sdk-tool bindings`; not edited by hand.\n{body}"
    ))
}
