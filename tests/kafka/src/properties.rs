//! The text of `server.properties`: pure, from what the cluster is to be and where its brokers listen.

use std::collections::BTreeMap;
use std::path::Path;

use crate::broker::{Ports, Secured};
use crate::certificates::{Certificates, STORE_PASSWORD};
use crate::cluster::{PASSWORD, USERS};
use crate::options::Options;

/// Of one broker.
pub(crate) struct Server<'a> {
    pub(crate) id: u32,
    pub(crate) options: &'a Options,
    /// Of all brokers, by number.
    pub(crate) ports: &'a [(u32, Ports)],
    pub(crate) own: Ports,
    pub(crate) data: &'a Path,
    pub(crate) certificates: Option<&'a Certificates>,
}

impl Server<'_> {
    /// The whole file.
    pub(crate) fn text(&self) -> String {
        let mut lines = self.identity();
        lines.extend(self.sizes());
        lines.extend(pace());
        if let Some(certificates) = self.certificates {
            lines.extend(security(certificates));
        }
        lines.extend(self.options.settings.clone());
        let lines: Vec<String> = lines.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        lines.concat()
    }

    fn identity(&self) -> BTreeMap<String, String> {
        let Ports {
            plain,
            controller,
            secured,
        } = self.own;
        let voters: Vec<String> = self
            .ports
            .iter()
            .map(|(id, ports)| format!("{id}@127.0.0.1:{}", ports.controller))
            .collect();
        let others = secured.map(|Secured { tls_sasl, tls, sasl }| {
            let others = [("SASL_SSL", tls_sasl), ("SSL", tls), ("SASL_PLAINTEXT", sasl)];
            others
                .map(|(name, port)| format!(",{name}://127.0.0.1:{port}"))
                .concat()
        });
        let listeners = format!("PLAINTEXT://127.0.0.1:{plain}{}", others.unwrap_or_default());
        owned([
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", self.id.to_string()),
            ("controller.quorum.voters", voters.join(",")),
            ("listeners", format!("{listeners},CONTROLLER://127.0.0.1:{controller}")),
            ("advertised.listeners", listeners),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"
                    .to_owned(),
            ),
            ("log.dirs", self.data.display().to_string()),
        ])
    }

    /// Every internal topic lives with the brokers that there are. Without this the share coordinator's topic is never
    /// made, and members wait for ever.
    fn sizes(&self) -> BTreeMap<String, String> {
        let replicas = self.ports.len().min(3);
        let in_sync = replicas.div_ceil(2);
        owned([
            ("num.partitions", "1".to_owned()),
            ("default.replication.factor", replicas.to_string()),
            ("min.insync.replicas", in_sync.to_string()),
            ("offsets.topic.replication.factor", replicas.to_string()),
            ("offsets.topic.num.partitions", "1".to_owned()),
            ("transaction.state.log.replication.factor", replicas.to_string()),
            ("transaction.state.log.min.isr", in_sync.to_string()),
            ("transaction.state.log.num.partitions", "1".to_owned()),
            ("share.coordinator.state.topic.replication.factor", replicas.to_string()),
            ("share.coordinator.state.topic.min.isr", in_sync.to_string()),
            ("share.coordinator.state.topic.num.partitions", "1".to_owned()),
            // 128 MiB by default.
            ("log.cleaner.dedupe.buffer.size", "2097152".to_owned()),
        ])
    }
}

/// Tests wait for locks, sessions and failovers: as short as the broker allows them and a busy machine bears.
fn pace() -> BTreeMap<String, String> {
    owned([
        ("broker.heartbeat.interval.ms", "250"),
        ("broker.session.timeout.ms", "4000"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.share.heartbeat.interval.ms", "500"),
        ("group.share.min.heartbeat.interval.ms", "500"),
        ("group.share.session.timeout.ms", "5000"),
        ("group.share.min.session.timeout.ms", "2000"),
        ("group.share.record.lock.duration.ms", "5000"),
        ("group.share.min.record.lock.duration.ms", "1000"),
    ])
}

/// The open listener and the brokers among themselves are nobody, who may do everything.
fn security(certificates: &Certificates) -> BTreeMap<String, String> {
    let package = "org.apache.kafka.common.security";
    let scram = format!("{package}.scram.ScramLoginModule required;");
    let users = USERS.map(|user| format!(" user_{user}=\"{PASSWORD}\"")).concat();
    let login = [
        (
            "plain.sasl.jaas.config",
            format!("{package}.plain.PlainLoginModule required{users};"),
        ),
        ("scram-sha-256.sasl.jaas.config", scram.clone()),
        ("scram-sha-512.sasl.jaas.config", scram),
        // Without a handler of its own a broker takes tokens that nobody has signed.
        ("oauthbearer.sasl.jaas.config", bearer("broker")),
        ("sasl.enabled.mechanisms", MECHANISMS.join(",")),
    ];
    let tls = [
        ("ssl.keystore.location", certificates.brokers.display().to_string()),
        ("ssl.keystore.password", STORE_PASSWORD.to_owned()),
        ("ssl.keystore.type", "PKCS12".to_owned()),
    ];
    let mut own = BTreeMap::new();
    for (listener, lines) in [
        ("sasl_ssl", &login[..]),
        ("sasl_ssl", &tls),
        ("ssl", &tls),
        ("sasl_plaintext", &login),
    ] {
        let lines = lines.iter().cloned();
        own.extend(lines.map(|(key, value)| (format!("listener.name.{listener}.{key}"), value)));
    }
    let authorizer = owned([
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ),
        ("super.users", "User:ANONYMOUS;User:admin"),
    ]);
    own.into_iter().chain(authorizer).collect()
}

/// What users may log in with.
pub(crate) const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

fn bearer(user: &str) -> String {
    let package = "org.apache.kafka.common.security.oauthbearer";
    format!("{package}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"{user}\";")
}

/// What a client with one of Kafka's own programs needs to log in.
pub(crate) fn client(user: &str, mechanism: &str, authority: &Path) -> String {
    let package = "org.apache.kafka.common.security";
    let password = |module| format!("{package}.{module} required username=\"{user}\" password=\"{PASSWORD}\";");
    let login = match mechanism {
        "PLAIN" => password("plain.PlainLoginModule"),
        "OAUTHBEARER" => bearer(user),
        _ => password("scram.ScramLoginModule"),
    };
    format!(
        "security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nsasl.jaas.config={login}\n\
         ssl.truststore.type=PEM\nssl.truststore.location={}\n",
        authority.display()
    )
}

fn owned<const N: usize>(lines: [(&str, impl ToString); N]) -> BTreeMap<String, String> {
    lines.map(|(key, value)| (key.to_owned(), value.to_string())).into()
}

/// Everything that a broker has to say, with its time, but not its configuration again and again.
pub(crate) const LOGGING: &str = "\
appenders=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
rootLogger.level=info
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=console
loggers=broker,settings,clients,logs
logger.broker.name=kafka.server.KafkaConfig
logger.broker.level=warn
logger.settings.name=org.apache.kafka.common.config.AbstractConfig
logger.settings.level=warn
logger.clients.name=org.apache.kafka.clients
logger.clients.level=warn
logger.logs.name=org.apache.kafka.storage.internals.log.LogConfig
logger.logs.level=warn
";

/// The same for Log4j 1.
pub(crate) const OLD_LOGGING: &str = "\
log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %m (%c{1})%n
log4j.logger.kafka.server.KafkaConfig=WARN
log4j.logger.org.apache.kafka.common.config.AbstractConfig=WARN
log4j.logger.org.apache.kafka.clients=WARN
log4j.logger.org.apache.kafka.storage.internals.log.LogConfig=WARN
";
