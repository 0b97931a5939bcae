//! Certificates that are made when a cluster starts: an authority of its own, and one certificate of that authority for all
//! brokers. The JDK's keytool makes them; what it keeps is in a folder of the cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, of_file};
use crate::java;

/// The files.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    /// The authority's certificate in PEM: what a client has to trust.
    pub(crate) authority: PathBuf,
    /// The brokers' key and certificate, PKCS 12.
    pub(crate) brokers: PathBuf,
    /// The same with the authority's key.
    both: PathBuf,
}

/// The password of every key store.
pub(crate) const STORE_PASSWORD: &str = "changeit";

impl Certificates {
    /// Where they are to be.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            authority: folder.join("authority.pem"),
            brokers: folder.join("brokers.p12"),
            both: folder.join("both.p12"),
        }
    }

    /// Makes them.
    pub(crate) fn make(&self) -> Result<(), Error> {
        let folder = self.both.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(of_file(folder))?;
        let [both, authority, brokers] =
            [&self.both, &self.authority, &self.brokers].map(|path| path.display().to_string());
        let pair = [
            "-genkeypair",
            "-keystore",
            &both,
            "-keyalg",
            "EC",
            "-groupname",
            "secp256r1",
            "-validity",
            "30",
        ];
        let constraint = [
            "-alias",
            "authority",
            "-dname",
            "CN=authority of a test",
            "-ext",
            "bc:c",
        ];
        keytool(&[&pair[..], &constraint[..]].concat())?;
        let names = "san=dns:localhost,ip:127.0.0.1";
        let signed = [
            "-alias",
            "broker",
            "-dname",
            "CN=broker of a test",
            "-ext",
            names,
            "-signer",
            "authority",
        ];
        keytool(&[&pair[..], &signed[..]].concat())?;
        keytool(&[
            "-exportcert",
            "-rfc",
            "-alias",
            "authority",
            "-keystore",
            &both,
            "-file",
            &authority,
        ])?;
        // The brokers do not get the authority's key.
        keytool(&[
            "-importkeystore",
            "-srcalias",
            "broker",
            "-srckeystore",
            &both,
            "-srcstorepass",
            STORE_PASSWORD,
            "-destkeystore",
            &brokers,
        ])
    }
}

fn keytool(arguments: &[&str]) -> Result<(), Error> {
    let mut command = Command::new(java::in_home("keytool"));
    command
        .env_remove("JAVA_TOOL_OPTIONS")
        .args(["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"]);
    command.args(arguments).args(["-storetype", "PKCS12"]);
    if arguments.contains(&"-importkeystore") {
        command.args(["-deststorepass", STORE_PASSWORD]);
    } else {
        command.args(["-storepass", STORE_PASSWORD]);
    }
    let name = format!("keytool {}", arguments.join(" "));
    java::finish(&mut command, &name).map(drop)
}
