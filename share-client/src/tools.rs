//! Commands of Kafka's own tools, for whoever may do what we may not. Every such command that a message names is made here, whole and quoted
//! for a shell: it can be run as it stands. Pure.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::{Address, ClientConfig, Login, OAuth};

/// As whom a client asks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// In Kafka's words (`User:jobs`), where that can be told from here; brokers may be told to call us otherwise.
    pub principal: Option<String>,
    /// One that can be asked, or several, separated by commas.
    pub servers: String,
}

/// What an ACL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// To read records, or to be a member.
    Read,
    /// To write records.
    Write,
    /// To know of it.
    Describe,
    /// To remove it.
    Delete,
    /// To make topics.
    Create,
    /// To change it.
    Alter,
    /// To read settings.
    DescribeConfigs,
    /// To change settings.
    AlterConfigs,
}

/// On what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum On<'a> {
    /// The cluster as a whole.
    Cluster,
    /// By their names.
    Topics(&'a [&'a str]),
    /// Whatever it is called.
    EveryTopic,
    /// By name.
    Group(&'a str),
}

impl Who {
    /// Whom the configuration logs in, at the brokers that it begins with.
    pub fn of(config: &ClientConfig) -> Self {
        let principal = match config.login() {
            // What the broker makes of a token, nobody else knows.
            Some(Login::OAuthBearer(OAuth::Oidc(_))) => None,
            Some(login) => Some(format!("User:{}", login.user())),
            None if config.tls().is_some_and(|tls| tls.own.is_some()) => None,
            None => Some("User:ANONYMOUS".to_owned()),
        };
        let servers: Vec<String> = config.bootstrap().iter().map(Address::to_string).collect();
        Self {
            principal,
            servers: servers.join(","),
        }
    }

    /// Allows these operations. A principal that is not known stands as `User:...`.
    pub fn grant(&self, operations: &[Operation], on: On<'_>) -> String {
        let principal = self.principal.as_deref().unwrap_or("User:...");
        let mut words = vec![format!(
            "{} --add --allow-principal {}",
            self.command("kafka-acls.sh"),
            quoted(principal)
        )];
        words.extend(operations.iter().map(|one| format!("--operation {}", one.word())));
        match on {
            On::Cluster => words.push("--cluster".to_owned()),
            On::Topics(names) => words.extend(names.iter().map(|name| format!("--topic {}", quoted(name)))),
            On::EveryTopic => words.push("--topic '*'".to_owned()),
            On::Group(name) => words.push(format!("--group {}", quoted(name))),
        }
        words.join(" ")
    }

    /// Makes a topic; what is not named, the brokers decide.
    pub fn create_topic(
        &self,
        topic: &str,
        partitions: Option<i32>,
        replicas: Option<i16>,
        settings: &BTreeMap<String, String>,
    ) -> String {
        let command = self.command("kafka-topics.sh");
        let mut words = vec![format!("{command} --create --topic {}", quoted(topic))];
        words.extend(partitions.map(|count| format!("--partitions {count}")));
        words.extend(replicas.map(|count| format!("--replication-factor {count}")));
        let setting = |(name, value): (&String, &String)| format!("--config {}", quoted(&format!("{name}={value}")));
        words.extend(settings.iter().map(setting));
        words.join(" ")
    }

    /// Gives a topic more partitions.
    pub fn grow_topic(&self, topic: &str, partitions: u64) -> String {
        let command = self.command("kafka-topics.sh");
        format!("{command} --alter --topic {} --partitions {partitions}", quoted(topic))
    }

    /// Gives a share group a setting.
    pub fn set_group(&self, group: &str, name: &str, value: &str) -> String {
        let (command, setting) = (self.command("kafka-configs.sh"), format!("{name}={value}"));
        let group = quoted(group);
        format!(
            "{command} --alter --entity-type groups --entity-name {group} --add-config {}",
            quoted(&setting)
        )
    }

    /// Removes a group of any kind.
    pub fn delete_group(&self, group: &str) -> String {
        let command = self.command("kafka-groups.sh");
        format!("{command} --delete --group {}", quoted(group))
    }

    /// Ends a transaction that its producer has left open.
    pub fn abort(&self, topic: &str, partition: i32, start: u64) -> String {
        let command = self.command("kafka-transactions.sh");
        format!(
            "{command} abort --topic {} --partition {partition} --start-offset {start}",
            quoted(topic)
        )
    }

    /// Switches share groups on.
    pub fn share_groups_on(&self) -> String {
        let command = self.command("kafka-features.sh");
        format!("{command} upgrade --feature share.version=1")
    }

    fn command(&self, tool: &str) -> String {
        format!("{tool} --bootstrap-server {}", quoted(&self.servers))
    }
}

impl From<&Address> for Who {
    /// Whoever asks this broker.
    fn from(broker: &Address) -> Self {
        Self {
            principal: None,
            servers: broker.to_string(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.principal.as_deref().unwrap_or("the principal of this connection"))
    }
}

impl Operation {
    /// As `kafka-acls.sh` takes it.
    const fn word(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Describe => "Describe",
            Self::Delete => "Delete",
            Self::Create => "Create",
            Self::Alter => "Alter",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
        }
    }

    /// As messages number it.
    pub(crate) const fn bit(self) -> u32 {
        match self {
            Self::Read => 3,
            Self::Write => 4,
            Self::Create => 5,
            Self::Delete => 6,
            Self::Alter => 7,
            Self::Describe => 8,
            Self::DescribeConfigs => 10,
            Self::AlterConfigs => 11,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Describe => "DESCRIBE",
            Self::Delete => "DELETE",
            Self::Create => "CREATE",
            Self::Alter => "ALTER",
            Self::DescribeConfigs => "DESCRIBE_CONFIGS",
            Self::AlterConfigs => "ALTER_CONFIGS",
        })
    }
}

/// For a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:=,@/".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(properties: &[(&str, &str)]) -> Who {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut properties: BTreeMap<String, String> = properties.iter().map(pair).collect();
        properties.insert("bootstrap.servers".to_owned(), "k1:9092,k2:9092".to_owned());
        Who::of(&ClientConfig::new(&properties).unwrap())
    }

    #[test]
    fn a_command_can_be_run_as_it_stands() {
        let login = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "bob's $(id)"),
            ("sasl.password", "x"),
        ];
        let bob = who(&login);
        assert_eq!(
            bob.grant(
                &[Operation::Describe, Operation::Read],
                On::Topics(&["orders", "my orders"])
            ),
            r"kafka-acls.sh --bootstrap-server k1:9092,k2:9092 --add --allow-principal 'User:bob'\''s $(id)' --operation Describe --operation Read --topic orders --topic 'my orders'"
        );
        assert_eq!(bob.to_string(), "User:bob's $(id)");
        assert_eq!(
            bob.set_group("a b", "share.auto.offset.reset", "earliest"),
            "kafka-configs.sh --bootstrap-server k1:9092,k2:9092 --alter --entity-type groups --entity-name 'a b' --add-config share.auto.offset.reset=earliest"
        );
    }

    #[test]
    fn a_topic_is_made_as_it_was_wanted() {
        let settings = [("retention.ms", "86400000"), ("cleanup.policy", "compact,delete")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(
            who(&[]).create_topic("orders", Some(12), Some(3), &settings),
            "kafka-topics.sh --bootstrap-server k1:9092,k2:9092 --create --topic orders --partitions 12 --replication-factor 3 --config cleanup.policy=compact,delete --config retention.ms=86400000"
        );
        assert_eq!(
            who(&[]).create_topic("orders", None, None, &BTreeMap::new()),
            "kafka-topics.sh --bootstrap-server k1:9092,k2:9092 --create --topic orders"
        );
    }

    #[test]
    fn whoever_is_not_known_is_not_guessed() {
        assert_eq!(who(&[]).principal.as_deref(), Some("User:ANONYMOUS"));
        let certified = who(&[
            ("security.protocol", "SSL"),
            ("ssl.certificate.location", "/own.pem"),
            ("ssl.key.location", "/own.key"),
        ]);
        assert_eq!(
            certified.grant(&[Operation::Read], On::Group("jobs")),
            "kafka-acls.sh --bootstrap-server k1:9092,k2:9092 --add --allow-principal User:... --operation Read --group jobs"
        );
        assert_eq!(certified.to_string(), "the principal of this connection");
    }
}
