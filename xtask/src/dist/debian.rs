//! The Debian package: the same files at Debian's places. It starts nothing, and leaves what the service has stored.

use anyhow::{Context as _, Result};

use super::VERSION;
use super::archive::{ar, gzip, tar_gz};
use super::contents::File;
use super::libc;

/// What Debian calls the platform; none where there is no Debian of it.
pub(super) fn architecture(target: &str) -> Option<&'static str> {
    match target {
        "x86_64-unknown-linux-gnu" => Some("amd64"),
        "aarch64-unknown-linux-gnu" => Some("arm64"),
        _ => None,
    }
}

/// The package as bytes.
pub(super) fn package(files: &[File], architecture: &str, epoch: u64) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    for file in files {
        data.extend(placed(file)?);
    }
    data.push(File::text("usr/share/doc/sharemill/copyright", COPYRIGHT));
    let program = files.iter().find(|file| file.path == "bin/sharemill");
    let libc = match libc::oldest(&program.context("there is no program")?.bytes) {
        Some(version) => format!("libc6 (>= {version})"),
        None => "libc6".to_owned(),
    };
    let size: usize = data.iter().map(|file| file.bytes.len().div_ceil(1_024)).sum();
    let control = [
        "Package: sharemill".to_owned(),
        format!("Version: {VERSION}"),
        format!("Architecture: {architecture}"),
        "Maintainer: The Sharemill authors <sharemill@example.com>".to_owned(),
        format!("Installed-Size: {size}"),
        format!("Depends: {libc}, libgcc-s1"),
        "Recommends: ca-certificates".to_owned(),
        "Section: net".to_owned(),
        "Priority: optional".to_owned(),
        "Description: worker runtime for task queues, with WebAssembly handlers".to_owned(),
        " A handler is a WebAssembly component that gets a record and says what becomes".to_owned(),
        " of it; its return value is the record's acknowledgement. The queue is part of".to_owned(),
        " the program, or the share groups of an Apache Kafka cluster.".to_owned(),
        String::new(),
    ];
    let script = |name: &str, text: &str| File {
        mode: 0o755,
        ..File::text(name, text)
    };
    let control = [
        File::text("control", control.join("\n")),
        File::text("conffiles", "/etc/sharemill/sharemill.toml\n"),
        script("postinst", POSTINST),
        script("prerm", PRERM),
        script("postrm", POSTRM),
    ];
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", tar_gz(&control, epoch)?),
        ("data.tar.gz", tar_gz(&data, epoch)?),
    ];
    ar(&members, epoch)
}

/// Where a file of the archive goes; some are of no use there.
fn placed(file: &File) -> Result<Option<File>> {
    let path = file.path.as_str();
    if path.starts_with("container/") || matches!(path, "README.txt" | "LICENSE") {
        return Ok(None);
    }
    let document = "usr/share/doc/sharemill";
    let (place, is_packed) = if let Some(name) = path.strip_prefix("share/zsh/site-functions/") {
        (format!("usr/share/zsh/vendor-completions/{name}"), false)
    } else if path.starts_with("share/man/") {
        (format!("usr/{path}.gz"), true)
    } else if path == "share/doc/sharemill/CHANGELOG.md" {
        (format!("{document}/changelog.gz"), true)
    } else if path == "THIRD-PARTY-LICENCES.txt" {
        (format!("{document}/{path}.gz"), true)
    } else if path.starts_with("etc/") {
        (path.to_owned(), false)
    } else {
        (format!("usr/{path}"), false)
    };
    let bytes = if is_packed {
        gzip(&file.bytes)?
    } else {
        file.bytes.clone()
    };
    Ok(Some(File {
        path: place,
        mode: file.mode,
        bytes,
    }))
}

const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Sharemill
Comment: What others wrote and is in the program or in the examples, with its
 licences, is named in THIRD-PARTY-LICENCES.txt.gz beside this file.

Files: *
Copyright: The Sharemill authors
License: Apache-2.0
 On Debian systems the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
";

/// The service is neither enabled nor started: its manifest names nothing yet.
const POSTINST: &str = r#"#!/bin/sh
set -e
if [ "$1" = configure ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
"#;

const PRERM: &str = r#"#!/bin/sh
set -e
if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl disable --now sharemill.service || true
fi
"#;

const POSTRM: &str = r#"#!/bin/sh
set -e
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
    rm -rf "$DPKG_ROOT/var/cache/sharemill" "$DPKG_ROOT/var/cache/private/sharemill"
    if [ -e "$DPKG_ROOT/var/lib/sharemill" ]; then
        echo "sharemill: what the service has stored stays in /var/lib/sharemill: delete it by hand" >&2
    fi
fi
"#;
