//! The properties' names: which are read, which mean the same, and which cannot be meant, with what to use instead. Names and meanings
//! are librdkafka's (2.x, CONFIGURATION.md); the most frequent names of Kafka's Java clients are known too, so that they can be
//! answered.

/// What is read.
pub(super) const READ: &[&str] = &[
    "bootstrap.servers",
    "broker.address.family",
    "client.id",
    "client.rack",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "https.ca.location",
    "https.ca.pem",
    "message.max.bytes",
    "metadata.max.age.ms",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "sasl.mechanism",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "topic.metadata.refresh.interval.ms",
];

/// Other names of the same.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("metadata.broker.list", "bootstrap.servers"),
    ("sasl.mechanisms", "sasl.mechanism"),
    (
        "sasl.oauthbearer.client.credentials.client.id",
        "sasl.oauthbearer.client.id",
    ),
    (
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.client.secret",
    ),
];

/// What is known and cannot be meant here: the name, or the beginning of names if it ends in `*`; and the way out.
pub(super) const ELSEWHERE: &[(&str, &str)] = &[
    // Mistakes that articles make.
    ("share.group.id", "Kafka has no such property; use group"),
    (
        "group.id",
        "the group is no property of the connection: name it as the source's group",
    ),
    // What share groups have elsewhere, or not at all.
    (
        "auto.offset.reset",
        "a share group's start is kept with the group: use the source's start, or the group's share.auto.offset.reset",
    ),
    (
        "isolation.level",
        "it is a share group's, not a client's: use the source's isolation-level, or the group's share.isolation.level",
    ),
    (
        "session.timeout.ms",
        "it is a share group's, not a client's: set the group's share.session.timeout.ms at the broker",
    ),
    (
        "heartbeat.interval.ms",
        "it is a share group's, not a client's: set the group's share.heartbeat.interval.ms at the broker",
    ),
    (
        "max.poll.interval.ms",
        "share groups know no polls: how long a record may take is the group's share.record.lock.duration.ms",
    ),
    ("max.poll.records", "as many records are fetched as there is room for"),
    (
        "enable.auto.commit",
        "share groups have no offsets to commit: each record is settled by itself",
    ),
    (
        "auto.commit.*",
        "share groups have no offsets to commit: each record is settled by itself",
    ),
    (
        "enable.auto.offset.store",
        "share groups have no offsets to store: each record is settled by itself",
    ),
    (
        "offset.store.*",
        "share groups have no offsets to store: each record is settled by itself",
    ),
    (
        "partition.assignment.strategy",
        "the broker assigns the partitions of a share group",
    ),
    ("group.instance.id", "share groups have no static members"),
    ("group.protocol*", "the protocol is that of share groups"),
    (
        "group.remote.assignor",
        "the broker assigns the partitions of a share group",
    ),
    (
        "coordinator.query.interval.ms",
        "the coordinator is asked for when it is needed",
    ),
    ("share.acknowledgement.mode", "each record is settled by itself, always"),
    (
        "share.acquire.mode",
        "it is chosen for each fetch by the room that there is",
    ),
    (
        "max.partition.fetch.bytes",
        "a share fetch has one limit for all partitions: use fetch.max.bytes",
    ),
    (
        "fetch.message.max.bytes",
        "a share fetch has one limit for all partitions: use fetch.max.bytes",
    ),
    ("fetch.max.wait.ms", "that is the name in Java: use fetch.wait.max.ms"),
    (
        "fetch.error.backoff.ms",
        "a failed fetch is tried again as reconnect.backoff.ms says",
    ),
    ("fetch.queue.backoff.ms", "no more is fetched than there is room for"),
    ("queued.*", "no more is fetched than there is room for"),
    ("check.crcs", "checksums are checked, always"),
    ("enable.partition.eof", "share groups have no end of a partition"),
    ("consume.callback.max.messages", "there are no callbacks"),
    ("allow.auto.create.topics", "a consumer creates no topics"),
    // TLS.
    (
        "ssl.keystore.*",
        "key stores are not read: use ssl.certificate.location and ssl.key.location with PEM files",
    ),
    (
        "ssl.truststore.*",
        "trust stores are not read: use ssl.ca.location with a PEM file",
    ),
    (
        "ssl.ca.certificate.stores",
        "use ssl.ca.location with a PEM file; without it the system's certificates are used",
    ),
    ("ssl.crl.location", "lists of revoked certificates are not read"),
    (
        "ssl.cipher.suites",
        "suites are not chosen: TLS 1.2 and 1.3 with safe ones are spoken",
    ),
    (
        "ssl.curves.list",
        "curves are not chosen: TLS 1.2 and 1.3 with safe ones are spoken",
    ),
    (
        "ssl.sigalgs.list",
        "signatures are not chosen: TLS 1.2 and 1.3 with safe ones are spoken",
    ),
    ("ssl.protocol", "versions are not chosen: TLS 1.2 and 1.3 are spoken"),
    (
        "ssl.enabled.protocols",
        "versions are not chosen: TLS 1.2 and 1.3 are spoken",
    ),
    ("ssl.provider*", "TLS comes with the program: OpenSSL is not used"),
    ("ssl.engine*", "TLS comes with the program: OpenSSL is not used"),
    (
        "ssl_*",
        "there are no callbacks: use the properties ssl.ca.pem, ssl.certificate.pem and ssl.key.pem",
    ),
    (
        "ssl.certificate.verify_cb",
        "there are no callbacks: use enable.ssl.certificate.verification",
    ),
    // SASL.
    (
        "sasl.jaas.config",
        "that is a property in Java: use sasl.username and sasl.password",
    ),
    (
        "sasl.kerberos.*",
        "Kerberos (GSSAPI) is not supported: use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
    ),
    ("sasl.login.*", "that is a property in Java: use sasl.oauthbearer.*"),
    ("sasl.client.*", "that is a property in Java: use sasl.oauthbearer.*"),
    (
        "sasl.oauthbearer.assertion.*",
        "tokens are not asked for by assertion: use sasl.oauthbearer.client.id and .client.secret",
    ),
    (
        "sasl.oauthbearer.metadata.*",
        "tokens are not asked for by a machine's identity: use sasl.oauthbearer.client.id and .client.secret",
    ),
    (
        "sasl.oauthbearer.sub.claim.name",
        "the broker reads the token's claims, not the client",
    ),
    ("oauthbearer_*", "there are no callbacks: use sasl.oauthbearer.method"),
    // The connection.
    ("request.timeout.ms", "use socket.timeout.ms"),
    (
        "connections.max.idle.ms",
        "connections are used all the time, and closed with their member",
    ),
    ("socket.nagle.disable", "it is so, always"),
    ("socket.blocking.max.ms", "nothing blocks"),
    ("socket.send.buffer.bytes", "the system chooses its buffers"),
    ("socket.receive.buffer.bytes", "the system chooses its buffers"),
    ("socket.copy.max.bytes", "the system chooses its buffers"),
    ("send.buffer.bytes", "the system chooses its buffers"),
    ("receive.buffer.bytes", "the system chooses its buffers"),
    ("message.copy.max.bytes", "the system chooses its buffers"),
    ("socket.max.fails", "a connection that fails once is closed"),
    (
        "max.in.flight*",
        "a connection has one request on its way, as share sessions need it",
    ),
    ("broker.address.ttl", "names are resolved for each connection"),
    ("client.dns.lookup", "all addresses of a name are tried, in turn"),
    (
        "reconnect.backoff.jitter.ms",
        "there is always jitter: use reconnect.backoff.ms and reconnect.backoff.max.ms",
    ),
    (
        "retry.backoff.*",
        "use reconnect.backoff.ms and reconnect.backoff.max.ms",
    ),
    ("topic.metadata.refresh.*", "use topic.metadata.refresh.interval.ms"),
    ("topic.metadata.propagation.max.ms", "a topic may come at any time"),
    ("topic.blacklist", "only the topics of the source are asked for"),
    (
        "metadata.recovery.*",
        "when no known broker answers, those of bootstrap.servers are asked again",
    ),
    (
        "api.version.*",
        "versions are always asked for: brokers have had that since Kafka 0.10",
    ),
    (
        "broker.version.fallback",
        "versions are always asked for: brokers have had that since Kafka 0.10",
    ),
    ("security.providers", "TLS comes with the program"),
    // What a library in C offers its caller.
    ("builtin.features", "it says what librdkafka was built with"),
    ("debug", "logging is the program's, not the connection's"),
    ("log*", "logging is the program's, not the connection's"),
    (
        "statistics.interval.ms",
        "metrics are the program's, not the connection's",
    ),
    ("stats_cb", "metrics are the program's, not the connection's"),
    (
        "enable.metrics.push",
        "metrics are the program's, and nothing is pushed to brokers",
    ),
    ("metric.reporters", "metrics are the program's, not the connection's"),
    ("metrics.*", "metrics are the program's, not the connection's"),
    ("internal.termination.signal", "signals are the program's"),
    ("enable.random.seed", "it has no use here"),
    ("open_cb", "there are no callbacks"),
    ("closesocket_cb", "there are no callbacks"),
    ("connect_cb", "there are no callbacks"),
    ("socket_cb", "there are no callbacks"),
    ("resolve_cb", "there are no callbacks"),
    ("error_cb", "there are no callbacks"),
    ("throttle_cb", "there are no callbacks"),
    ("background_event_cb", "there are no callbacks"),
    ("consume_cb", "there are no callbacks"),
    ("rebalance_cb", "there are no callbacks"),
    ("offset_commit_cb", "there are no callbacks"),
    ("dr_*", "there are no callbacks"),
    ("opaque", "there are no callbacks"),
    ("default_topic_conf", "topics have no properties here"),
    ("enabled_events", "there are no events of a library"),
    ("interceptors", "plug-ins of librdkafka cannot be loaded"),
    ("plugin.library.paths", "plug-ins of librdkafka cannot be loaded"),
    ("interceptor.classes", "plug-ins cannot be loaded"),
    ("key.deserializer*", "records are bytes"),
    ("value.deserializer*", "records are bytes"),
    // What belongs to producers.
    ("acks", PRODUCER),
    ("request.required.acks", PRODUCER),
    ("batch.*", PRODUCER),
    ("buffer.memory", PRODUCER),
    ("compression.*", PRODUCER),
    ("delivery.*", PRODUCER),
    ("enable.gapless.guarantee", PRODUCER),
    ("enable.idempotence", PRODUCER),
    ("key.serializer", PRODUCER),
    ("linger.ms", PRODUCER),
    ("message.send.max.retries", PRODUCER),
    ("message.timeout.ms", PRODUCER),
    ("msg_order_cmp", PRODUCER),
    ("partitioner*", PRODUCER),
    ("produce.offset.report", PRODUCER),
    ("queue.buffering.*", PRODUCER),
    ("queuing.strategy", PRODUCER),
    ("retries", PRODUCER),
    ("sticky.partitioning.linger.ms", PRODUCER),
    ("transaction*", PRODUCER),
    ("value.serializer", PRODUCER),
];

const PRODUCER: &str = "it belongs to producers";

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is read, by this name.
    Read(&'static str),
    /// It cannot be meant; this is the way out.
    Elsewhere(&'static str),
    /// Nobody knows it; this name is the nearest, if one is near.
    Unknown(Option<&'static str>),
}

pub(super) fn meaning(name: &str) -> Meaning {
    let same = |known: &&&'static str| **known == name;
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    if let Some(known) = READ.iter().find(same).copied().or(alias.map(|(_, known)| *known)) {
        return Meaning::Read(known);
    }
    let fits = |row: &&(&str, &str)| match row.0.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => row.0 == name,
    };
    if let Some((_, way_out)) = ELSEWHERE.iter().find(fits) {
        return Meaning::Elsewhere(way_out);
    }
    let near = READ
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known));
    let (distance, nearest) = near.min().unwrap_or((usize::MAX, ""));
    Meaning::Unknown((distance <= nearest.len() / 3).then_some(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_has_two_meanings() {
        for known in READ {
            let elsewhere = ELSEWHERE.iter().find(|(name, _)| match name.strip_suffix('*') {
                // A name that is read goes before a beginning.
                Some(_) => false,
                None => name == known,
            });
            assert_eq!(elsewhere, None);
        }
        assert!(READ.is_sorted());
        assert!(
            ALIASES
                .iter()
                .all(|(alias, known)| READ.contains(known) && !READ.contains(alias))
        );
        for (index, (name, _)) in ELSEWHERE.iter().enumerate() {
            let hidden = ELSEWHERE[..index]
                .iter()
                .find(|(before, _)| match before.strip_suffix('*') {
                    Some(beginning) => name.starts_with(beginning),
                    None => before == name,
                });
            assert_eq!(hidden, None, "{name}");
        }
    }

    #[test]
    fn names_are_found() {
        assert_eq!(meaning("sasl.mechanisms"), Meaning::Read("sasl.mechanism"));
        assert_eq!(
            meaning("share.group.id"),
            Meaning::Elsewhere("Kafka has no such property; use group")
        );
        assert_eq!(meaning("queue.buffering.max.ms"), Meaning::Elsewhere(PRODUCER));
        assert_eq!(meaning("sasl.user.name"), Meaning::Unknown(Some("sasl.username")));
        assert_eq!(
            meaning("bootstrap_servers"),
            Meaning::Unknown(Some("bootstrap.servers"))
        );
        assert_eq!(meaning("colour"), Meaning::Unknown(None));
        assert_eq!(meaning(&"x".repeat(100)), Meaning::Unknown(None));
    }
}
