//! Makes components of core modules, and judges finished ones. Nothing here runs a guest.
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use wasmparser::Validator;
use wit_bindgen_core::wit_parser::{Resolve, WorldKey};
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, embed_component_metadata};

/// Every module exports world `handler` by the names of the canonical ABI.
pub(crate) fn componentize(wit: &Path, out: &Path, modules: &[PathBuf]) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("cannot parse {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some("handler"))?;
    for path in modules {
        let encode = || {
            let mut module = wat::parse_file(path)?;
            embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
            let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
            let name = path.file_stem().context("no file name")?;
            fs::write(out.join(name).with_extension("wasm"), component)?;
            Ok::<_, anyhow::Error>(())
        };
        encode().with_context(|| format!("cannot componentize {}", path.display()))?;
    }
    Ok(())
}

/// Every file is a valid component that exports a handler of the contract.
pub(crate) fn inspect(components: &[PathBuf], is_quiet: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for path in components {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Validator::new()
            .validate_all(&bytes)
            .with_context(|| format!("{} is not valid", path.display()))?;
        let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes)? else {
            bail!("{} is a WIT package, not a component", path.display());
        };
        let world = resolve.worlds.get(world).context("a component without a world")?;
        let names = |keys: Vec<&WorldKey>| {
            keys.into_iter()
                .map(|key| resolve.name_world_key(key))
                .collect::<Vec<_>>()
        };
        let (imports, exports) = (
            names(world.imports.keys().collect()),
            names(world.exports.keys().collect()),
        );
        let is_handler = exports.iter().any(|name| HANDLERS.contains(&name.as_str()));
        ensure!(is_handler, "{} exports no handler but {exports:?}", path.display());
        writeln!(
            out,
            "{}: {} bytes, {} imports",
            path.display(),
            bytes.len(),
            imports.len()
        )?;
        if !is_quiet {
            for (what, names) in [("import", &imports), ("export", &exports)] {
                names.iter().try_for_each(|name| writeln!(out, "  {what} {name}"))?;
            }
        }
    }
    Ok(())
}

const HANDLERS: [&str; 2] = [
    "sharemill:worker/record-handler@0.1.0",
    "sharemill:worker/record-batch-handler@0.1.0",
];
