//! What a cluster is to be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::version::Version;

/// What [`crate::Cluster::start`] starts. The default is one broker of the default version, in a folder that goes with it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of Kafka.
    pub version: Version,
    /// How many, 1 to 5; each is a controller as well.
    pub brokers: u32,
    /// Where their files lie; emptied first. `None`: among the temporary files, removed with the cluster.
    pub dir: Option<PathBuf>,
    /// Listeners with TLS and SASL, with TLS alone and with SASL alone, and an authorizer: of those who log in, only `admin` may do
    /// anything until ACLs say more, while whoever comes without a login may do everything.
    pub tls_sasl: bool,
    /// `false` formats with `share.version` 0, so that the brokers know nothing of share groups. Kafka 3.9 never does.
    pub share_groups: bool,
    /// The first listener's port; the others follow. `None`: free ports outside of those that the system hands out.
    pub port: Option<u16>,
    /// Heap of each broker, in MiB. The process takes some 150 MiB more.
    pub heap_mib: u32,
    /// With the optimising compiler and the collector that Java chooses: for measurements. A start takes longer.
    pub optimised: bool,
    /// Lines of `server.properties` that are added, or take the place of ours.
    pub settings: BTreeMap<String, String>,
    /// How long each broker may take to answer.
    pub ready_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::default(),
            brokers: 1,
            dir: None,
            tls_sasl: false,
            share_groups: true,
            port: None,
            heap_mib: 256,
            optimised: false,
            settings: BTreeMap::new(),
            ready_within: Duration::from_mins(2),
        }
    }
}

impl Options {
    /// With one more setting of the brokers.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if (1..=BROKERS_MAX).contains(&self.brokers) {
            return Ok(());
        }
        Err(Error::Brokers {
            brokers: self.brokers,
            max: BROKERS_MAX,
        })
    }
}

/// More have no use on one machine.
const BROKERS_MAX: u32 = 5;
