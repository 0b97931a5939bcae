//! The command line on a backend: a folder whose manifest has it as its source.

use super::backend::Backend;
use super::case::Case;
use crate::kafka::Stored;
use crate::{Folder, Host, Output, topics};

/// A folder with a manifest and a guest. What it does blocks, and is to be called from a task.
pub struct Cli<'a> {
    case: &'a Case,
    pub folder: Folder,
}

impl<'a> Cli<'a> {
    pub(super) fn new(case: &'a Case, guest: &str, lines: &str) -> Self {
        let name = case.name();
        let source = match case.backend() {
            Backend::Embedded(_) => "[sources.main]\njournal-size = \"16MiB\"\n".to_owned(),
            Backend::Kafka(kafka) => {
                let servers = &kafka.bootstrap;
                format!("[sources.main]\ntype = \"kafka\"\nproperties = {{ \"bootstrap.servers\" = \"{servers}\" }}\n")
            }
        };
        let manifest = format!(
            r#"{source}
[topics.{name}]
[deployments.{name}]
component = "{guest}.wasm"
topic = "{name}"
start = "earliest"
backoff = {{ first = "100ms", max = "100ms", jitter = 0.0 }}
{lines}
"#
        );
        let folder = Folder::new(&manifest).guest(guest);
        Self { case, folder }
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        tokio::task::block_in_place(|| self.folder.run(arguments))
    }

    /// Starts a host and waits until it runs.
    pub fn host(&self) -> Host {
        tokio::task::block_in_place(|| Host::start(&self.folder, &[]))
    }

    /// Works everything off, and ends with 0.
    #[track_caller]
    pub fn run_until_idle(&self) -> String {
        let said = self.run(&["run", "--until-idle"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        said.stderr
    }

    /// To partition 0 of the deployment's topic, which must be there or in the manifest.
    pub async fn produce(&self, values: &[&str]) {
        match self.case.backend() {
            Backend::Embedded(_) => {
                tokio::task::block_in_place(|| self.folder.produce(self.case.name(), values));
            }
            Backend::Kafka(kafka) => {
                if kafka.admin.topic(self.case.name()).await.is_err() {
                    self.case.create_topic(self.case.name(), 1).await;
                }
                self.case.produce(values).await;
            }
        }
    }

    /// Everything in a topic, when no host runs.
    pub async fn read(&self, topic: &str) -> Vec<Stored> {
        match self.case.backend() {
            Backend::Kafka(_) => self.case.read(topic).await,
            Backend::Embedded(_) => {
                let data = self.folder.data();
                let all = tokio::task::block_in_place(|| topics::read(&data, &[topic]));
                let stored = all.into_iter().flatten().map(|one| Stored {
                    partition: i32::try_from(one.partition).unwrap(),
                    offset: i64::try_from(one.offset).unwrap(),
                    key: one.key.map(String::into_bytes),
                    value: Some(one.value.into_bytes()),
                    headers: one
                        .headers
                        .into_iter()
                        .map(|(name, value)| (name, Some(value.into_bytes())))
                        .collect(),
                });
                stored.collect()
            }
        }
    }

    /// Dead letters of the deployment by their values, when no host runs.
    pub async fn letters(&self) -> Vec<Stored> {
        let mut letters = self.read(&format!("{}.dead", self.case.name())).await;
        letters.sort_by_key(Stored::text);
        letters
    }
}
