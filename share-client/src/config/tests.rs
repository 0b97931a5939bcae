//! Properties: what they come to, and what is said of those that are wrong.

use super::*;

fn config(properties: &[(&str, &str)]) -> Result<ClientConfig, ConfigError> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ClientConfig::new(&properties.iter().map(owned).collect())
}

/// What is said of properties that come with a broker to be asked.
fn said(properties: &[(&str, &str)]) -> String {
    let error = config(&[&[("bootstrap.servers", "kafka:9092")], properties].concat()).unwrap_err();
    error.to_string()
}

fn with(properties: &[(&str, &str)]) -> ClientConfig {
    config(&[&[("bootstrap.servers", "kafka:9092")], properties].concat()).unwrap()
}

#[test]
fn defaults_are_those_of_librdkafka() {
    let config = config(&[("bootstrap.servers", " a:1, b ,plaintext://c:3,a:1")]).unwrap();
    let addresses: Vec<String> = config.bootstrap().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["a:1", "b:9092", "c:3"]);
    assert_eq!((config.times(), config.sizes()), (Times::default(), Sizes::default()));
    assert_eq!(
        (config.protocol(), config.client_id()),
        (Protocol::Plaintext, "sharemill")
    );
    assert!(config.client_rack().is_none() && config.family() == Family::Any && !config.keep_alive());
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let error = config(&[
        ("share.group.id", "jobs"),
        ("group.id", "jobs"),
        ("auto.offset.reset", "earliest"),
        ("bootstrap.server", "kafka:9092"),
        ("socket.timeout.ms", "5"),
        ("fetch.min.bytes", "many"),
        ("security.protocol", "TLS"),
    ]);
    let error = error.unwrap_err();
    let told: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    let expected = [
        "auto.offset.reset: a share group's start is kept with the group: use the source's start, or the group's share.auto.offset.reset",
        "bootstrap.server: there is no such property; is bootstrap.servers meant?",
        "bootstrap.servers: it is missing: name at least one broker as host:port",
        "fetch.min.bytes: \"many\" is not a whole number from 1 to 100000000",
        "group.id: the group is no property of the connection: name it as the source's group",
        "security.protocol: \"TLS\" is not one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
        "share.group.id: Kafka has no such property; use group",
        "socket.timeout.ms: \"5\" is not a whole number from 10 to 300000",
    ];
    assert_eq!(told, expected);
}

#[test]
fn addresses_that_are_none_are_named() {
    let said = |servers| config(&[("bootstrap.servers", servers)]).unwrap_err().to_string();
    assert_eq!(
        said("a:1,b:x"),
        "bootstrap.servers: \"b:x\" is not host:port with a port from 1 to 65535"
    );
    assert_eq!(
        said(" , "),
        "bootstrap.servers: it names no broker: name at least one as host:port"
    );
    assert_eq!(
        said("SSL://a:1"),
        "bootstrap.servers: \"SSL://a:1\" does not go with security.protocol PLAINTEXT"
    );
}

#[test]
fn two_names_of_one_property_have_to_agree() {
    let login = [
        ("security.protocol", "sasl_ssl"),
        ("sasl.username", "jobs"),
        ("sasl.password", "x"),
    ];
    let both = [("sasl.mechanism", "PLAIN"), ("sasl.mechanisms", "PLAIN")];
    assert_eq!(
        with(&[&login[..], &both].concat()).login().unwrap().mechanism(),
        "PLAIN"
    );
    let apart = [("sasl.mechanism", "PLAIN"), ("sasl.mechanisms", "SCRAM-SHA-256")];
    assert_eq!(
        said(&[&login[..], &apart].concat()),
        "sasl.mechanisms: it means the same as another name of sasl.mechanism, with another value: leave one out"
    );
}

#[test]
fn what_contradicts_is_refused() {
    let no_sasl = said(&[
        ("sasl.mechanism", "PLAIN"),
        ("sasl.password", "hush"),
        ("security.protocol", "ssl"),
    ]);
    let no_effect = "it has no effect with security.protocol SSL: use SASL_PLAINTEXT or SASL_SSL, or leave it out";
    assert_eq!(
        no_sasl,
        format!("sasl.mechanism: {no_effect}; sasl.password: {no_effect}")
    );
    let no_tls = said(&[("ssl.ca.location", "ca.pem")]);
    assert_eq!(
        no_tls,
        "ssl.ca.location: it has no effect with security.protocol PLAINTEXT: use SSL or SASL_SSL, or leave it out"
    );
    let sasl = ("security.protocol", "SASL_PLAINTEXT");
    assert!(said(&[sasl]).starts_with("sasl.mechanism: it is missing, and security.protocol wants a login: use PLAIN"));
    let user = ("sasl.username", "jobs");
    assert_eq!(
        said(&[sasl, user, ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.password", "")]),
        "sasl.password: it is missing or empty, and sasl.mechanism needs it"
    );
    assert!(said(&[sasl, ("sasl.mechanism", "GSSAPI")]).contains("Kerberos (GSSAPI) is not supported"));
    assert!(said(&[sasl, user, ("sasl.mechanism", "OAUTHBEARER")]).contains("sasl.username: it has no effect"));
    let ssl = ("security.protocol", "SSL");
    assert!(said(&[ssl, ("ssl.key.location", "k.pem")]).starts_with("ssl.certificate.location: it is missing"));
    assert!(said(&[ssl, ("ssl.certificate.pem", "c")]).starts_with("ssl.key.location: it is missing"));
    assert!(said(&[ssl, ("ssl.key.password", "hush")]).starts_with("ssl.key.password: there is no key"));
    assert!(said(&[ssl, ("ssl.ca.pem", "c"), ("ssl.ca.location", "d")]).contains("leave one out"));
    assert!(
        said(&[("reconnect.backoff.ms", "20000")])
            .contains("20000 is more than reconnect.backoff.max.ms, which is 10000")
    );
    assert!(
        said(&[("receive.message.max.bytes", "1000000")]).starts_with("receive.message.max.bytes: 1000000 is less")
    );
}

#[test]
fn sizes_and_times_go_together() {
    let config = with(&[
        ("fetch.max.bytes", "1000"),
        ("message.max.bytes", "200000000"),
        ("metadata.max.age.ms", "1000"),
    ]);
    assert_eq!(config.sizes().fetch_max, 200_000_000);
    assert_eq!(config.sizes().receive_max, 200_000_512);
    assert_eq!(config.times().metadata, Duration::from_secs(1));
}

#[test]
fn secrets_are_not_shown() {
    let config = with(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "jobs"),
        ("sasl.password", "hush"),
        ("ssl.key.pem", "hush"),
        ("ssl.certificate.pem", "c"),
        ("ssl.key.password", "hush"),
    ]);
    let shown = format!("{config:?}");
    assert!(shown.contains("jobs") && !shown.contains("hush"), "{shown}");
}

const OAUTH: [(&str, &str); 2] = [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "OAUTHBEARER")];

#[test]
fn unsecured_tokens_are_described_by_one_property() {
    let described = |text| {
        [
            &OAUTH[..],
            &[("enable.sasl.oauthbearer.unsecure.jwt", "true"), (login::CONFIG, text)],
        ]
        .concat()
    };
    let config = with(&described(
        "principalClaimName=azp principal=admin scope=a,b lifeSeconds=600 extension_traceId=1=2",
    ));
    let Some(Login::OAuthBearer(OAuth::Unsecured(token))) = config.login() else {
        panic!("{config:?}");
    };
    assert_eq!(
        (token.principal_claim.as_str(), token.principal.as_str()),
        ("azp", "admin")
    );
    assert_eq!((token.scope_claim.as_str(), token.life_s), ("scope", 600));
    assert_eq!(token.scope, ["a", "b"]);
    assert_eq!(token.extensions["traceId"], "1=2");
    for (text, words) in [
        ("scope=a", "it names no principal"),
        ("principal=a lifeSeconds=0", "lifeSeconds \"0\" is not from 1 to"),
        ("principal=a life=1", "\"life\" is none of principal"),
        ("principal=a extension_auth=1", "the extension \"auth\" is not"),
        ("principal", "\"principal\" is not name=value"),
        ("principal=a scopeClaimName=sub", "are the same"),
    ] {
        let said = said(&described(text));
        assert!(said.contains(words), "{said}");
    }
    let said = said(&[&OAUTH[..], &[(login::CONFIG, "principal=a")]].concat());
    assert!(
        said.starts_with("sasl.oauthbearer.method: method default writes tokens that nobody signs"),
        "{said}"
    );
}

#[test]
fn a_server_of_tokens_needs_a_place_and_a_secret() {
    let oidc = [
        &OAUTH[..],
        &[
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.client.id", "jobs"),
        ],
    ]
    .concat();
    assert_eq!(
        said(
            &[
                &oidc[..],
                &[
                    ("sasl.oauthbearer.client.secret", "hush"),
                    ("sasl.oauthbearer.token.endpoint.url", "idp/x")
                ]
            ]
            .concat()
        ),
        "sasl.oauthbearer.token.endpoint.url: \"idp/x\" is not https://host/path"
    );
    let missing = "it is missing or empty, and sasl.mechanism needs it";
    assert_eq!(
        said(&oidc),
        format!("sasl.oauthbearer.client.secret: {missing}; sasl.oauthbearer.token.endpoint.url: {missing}")
    );
    let rest = [
        ("sasl.oauthbearer.client.credentials.client.secret", "hush"),
        ("sasl.oauthbearer.token.endpoint.url", "https://idp/token"),
        (
            "sasl.oauthbearer.extensions",
            "logicalCluster=lkc-1,identityPoolId=pool",
        ),
        ("https.ca.pem", "c"),
    ];
    let config = with(&[&oidc[..], &rest].concat());
    let Some(Login::OAuthBearer(OAuth::Oidc(server))) = config.login() else {
        panic!("{config:?}");
    };
    assert_eq!(server.extensions.len(), 2);
    assert_eq!(server.authorities, Authorities::Text("c".to_owned()));
    assert!(!format!("{config:?}").contains("hush"));
}
