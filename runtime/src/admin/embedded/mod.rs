//! [`Admin`] over an open engine: what a running host answers on its socket, and what a command does by itself when
//! no host runs. Adds words and shapes to the engine's answers, and no state of its own.

pub(super) mod convert;
mod dead;
mod delete;
mod produce;
mod read;
mod records;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use share_engine::config::Retention;
use share_engine::engine::describe::{GroupDescription, ShareDescription, TopicDescription};
use share_engine::engine::{self, Engine};
use share_engine::ids::{MemberIndex, Offset};
use tokio::sync::{mpsc, watch};

use super::{
    About, Admin, AdminError, Answer, CreateTopic, DeadLetterDetail, DeadLetterId, DeadPage, DeadQuery, DeleteGroup,
    DeleteTopic, ErrorCode, GroupDeleted, GroupDetail, GroupSummary, Member, ProduceResult, ReadPage, ReadQuery,
    Record, RecordsPage, RecordsQuery, RedriveRequest, RedriveResult, ResetGroup, ResetPartition, ResetResult,
    TopicDeleted, TopicDetail, TopicSummary,
};
use crate::supervisor::{DeploymentHandle, DeploymentSpec};

/// An open engine, with the deployments of the host that runs on it.
pub struct EmbeddedAdmin {
    engine: Engine,
    /// As they come up.
    deployments: Mutex<Vec<Deployed>>,
    /// What the host's manifest wishes is there, or will not be.
    started: watch::Sender<bool>,
    about: About,
    /// The engine was opened for one command and is closed after it.
    owned: bool,
}

/// A deployment that is up.
#[derive(Clone)]
pub struct Deployed {
    /// The deployment.
    pub handle: DeploymentHandle,
    /// Its number as a member of its group.
    pub member: MemberIndex,
    /// Topics that it may emit to.
    pub emit: Vec<String>,
    /// The topic of its dead letters.
    pub dead_letter: Option<String>,
}

impl EmbeddedAdmin {
    /// For a host that starts on `data_dir`.
    pub fn of_host(engine: Engine, data_dir: &Path) -> Self {
        Self {
            engine,
            deployments: Mutex::default(),
            started: watch::Sender::new(false),
            about: About {
                directory: super::directory_identity(data_dir),
                ..About::this_process()
            },
            owned: false,
        }
    }

    /// One more deployment is up.
    pub fn handle_deployed(&self, deployment: Deployed) {
        self.deployments().push(deployment);
    }

    /// Every topic and group of the manifest is there, or the start has failed.
    pub fn handle_started(&self) {
        self.started.send_replace(true);
    }

    /// For one command, which closes the engine with [`Admin::close`].
    pub fn owning(engine: Engine) -> Self {
        Self {
            engine,
            deployments: Mutex::default(),
            started: watch::Sender::new(true),
            about: About::this_process(),
            owned: true,
        }
    }

    fn deployments(&self) -> MutexGuard<'_, Vec<Deployed>> {
        self.deployments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deployments of this host whose specification fits.
    fn deployments_with(&self, fits: impl Fn(&DeploymentSpec) -> bool) -> Vec<DeploymentHandle> {
        let deployments = self.deployments();
        let handles = deployments.iter().map(|one| &one.handle);
        handles.filter(|deployment| fits(deployment.spec())).cloned().collect()
    }

    /// Deployments of this host that work for a group.
    fn deployments_of(&self, group: &str) -> Vec<DeploymentHandle> {
        self.deployments_with(|spec| *spec.group == *group)
    }

    /// How a member is called: by process and deployment, or by its number if it is none of this host's.
    fn member_name(&self, member: u32) -> String {
        let deployments = self.deployments();
        let known = deployments.iter().find(|one| one.member.0 == member);
        let name = known.map_or_else(|| member.to_string(), |one| one.handle.spec().name.to_string());
        format!("{}-{name}", std::process::id())
    }

    /// Describes a topic; one that the manifest of a host that still starts may be about to make is waited for.
    async fn topic_named(&self, name: &str) -> Result<TopicDescription, AdminError> {
        let was_started = *self.started.borrow();
        match self.engine.describe_topic(name).await.map_err(AdminError::from) {
            Err(error) if error.code == ErrorCode::NotFound && !was_started => {
                self.await_started().await;
                Ok(self.engine.describe_topic(name).await?)
            }
            found => found,
        }
    }

    /// As [`EmbeddedAdmin::topic_named`], a group.
    async fn group_named(&self, name: &str) -> Result<GroupDescription, AdminError> {
        let was_started = *self.started.borrow();
        match self.engine.describe_group(name).await.map_err(AdminError::from) {
            Err(error) if error.code == ErrorCode::NotFound && !was_started => {
                self.await_started().await;
                Ok(self.engine.describe_group(name).await?)
            }
            found => found,
        }
    }

    /// Until the host has started, or has taken too long. Whether it has started.
    async fn await_started(&self) -> bool {
        let mut started = self.started.subscribe();
        let waited = tokio::time::timeout(START_LIMIT, started.wait_for(|started| *started));
        // The sender is in `self`.
        waited.await.is_ok()
    }

    async fn topic_detail(&self, name: &str) -> Result<TopicDetail, AdminError> {
        let topic = self.topic_named(name).await?;
        let mut group_list = Vec::new();
        for group in &topic.groups {
            let unsettled = self.shares(group, name).await?.iter().map(|share| share.lag).sum();
            group_list.push(super::TopicGroup {
                group: group.clone(),
                unsettled: Some(unsettled),
            });
        }
        Ok(convert::topic_detail(&topic, group_list))
    }

    async fn shares(&self, group: &str, topic: &str) -> Result<Vec<ShareDescription>, AdminError> {
        let group = self.engine.describe_group(group).await?;
        Ok(group
            .partitions
            .into_iter()
            .filter(|share| share.topic == topic)
            .collect())
    }

    async fn group_detail(&self, name: &str) -> Result<GroupDetail, AdminError> {
        let group = self.group_named(name).await?;
        let members = self.members(&group);
        Ok(convert::group_detail(&group, members))
    }

    /// Deployments of this host in a group, then members that nobody here knows.
    fn members(&self, group: &GroupDescription) -> Vec<Member> {
        let here = self.deployments_of(&group.name);
        let mut members: Vec<Member> = here
            .iter()
            .map(|deployment| Member {
                id: format!("{}-{}", std::process::id(), deployment.spec().name),
                deployment: Some(deployment.spec().name.to_string()),
                acquired: Some(deployment.held() as u64),
                client_id: None,
                host: None,
                assigned: None,
            })
            .collect();
        for number in members.len()..group.members {
            members.push(Member {
                id: format!("{}-{number}", std::process::id()),
                deployment: None,
                acquired: Some(0),
                client_id: None,
                host: None,
                assigned: None,
            });
        }
        members
    }

    async fn reset(&self, name: &str, request: ResetGroup) -> Result<ResetResult, AdminError> {
        let before = self.engine.describe_group(name).await?;
        let paused = if request.force {
            Some(Paused::quiet(self.deployments_of(name)).await)
        } else {
            None
        };
        let to = match request.to {
            super::ResetTo::Start(start) => engine::ResetTo::Start(crate::host::start(start)),
            super::ResetTo::Offset(offset) => engine::ResetTo::Offset(Offset::saturating(offset)),
        };
        let result = self
            .engine
            .reset_group(engine::ResetGroup {
                group: name.to_owned(),
                topic: request.topic.clone(),
                partition: request.partition,
                to,
                force: request.force,
            })
            .await;
        drop(paused);
        result?;
        let after = self.engine.describe_group(name).await?;
        let changed = before
            .partitions
            .iter()
            .zip(&after.partitions)
            .filter(|(old, new)| old.epoch != new.epoch);
        let topics = self.engine.topics().await?;
        let is_queue = |name: &str| {
            let topic = topics.iter().find(|topic| topic.name == name);
            topic.is_some_and(|topic| topic.config.retention == Retention::Queue)
        };
        let partitions = changed.map(|(old, new)| ResetPartition {
            topic: new.topic.clone(),
            partition: new.partition,
            from: Some(old.start),
            to: new.start,
            state_epoch: Some(new.epoch),
            unsettled: new.lag,
            is_queue: is_queue(&new.topic),
        });
        Ok(ResetResult {
            partitions: partitions.collect(),
            left: Vec::new(),
        })
    }
}

/// Fails with what there is, if a name is not among it.
fn known(what: &str, name: &str, known: &[String]) -> Result<(), AdminError> {
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let message = format!("unknown {what} {name:?}");
    let hint = match known {
        [] => format!("there is no {what}"),
        known => format!("there is {}", known.join(", ")),
    };
    Err(AdminError::new(ErrorCode::NotFound, message).hint(hint))
}

/// How long a command waits for a host that starts: compiling a component for the first time takes seconds.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a forced reset waits for what runs.
const PAUSE_LIMIT: Duration = Duration::from_secs(30);

/// Deployments that acquire nothing until this is dropped: whoever asked for it may be gone by then. What was paused before stays so.
struct Paused(Vec<DeploymentHandle>);

impl Paused {
    /// Nothing more is acquired; what runs may end. What does not end in time is stale after the reset.
    async fn quiet(deployments: Vec<DeploymentHandle>) -> Self {
        let paused = Self(deployments.into_iter().filter(|one| !one.is_paused()).collect());
        for deployment in &paused.0 {
            deployment.pause();
        }
        let quiet = async {
            let mut look = tokio::time::interval(Duration::from_millis(5));
            while paused.0.iter().any(|one| one.held() + one.settling() > 0) {
                look.tick().await;
            }
        };
        drop(tokio::time::timeout(PAUSE_LIMIT, quiet).await);
        paused
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        for deployment in &self.0 {
            deployment.resume();
        }
    }
}

impl Admin for EmbeddedAdmin {
    fn about(&self) -> Answer<'_, About> {
        Box::pin(async { Ok(self.about.clone()) })
    }

    fn topics(&self) -> Answer<'_, Vec<TopicSummary>> {
        Box::pin(async {
            let mut list = Vec::new();
            for topic in self.engine.topics().await? {
                list.push(convert::topic_summary(&self.engine.describe_topic(&topic.name).await?));
            }
            Ok(list)
        })
    }

    fn topic<'a>(&'a self, topic: &'a str) -> Answer<'a, TopicDetail> {
        Box::pin(self.topic_detail(topic))
    }

    fn create_topic(&self, request: CreateTopic) -> Answer<'_, TopicDetail> {
        Box::pin(async move {
            let config = convert::topic_config(&request)?;
            self.engine.create_topic(&request.name, config).await?;
            self.topic_detail(&request.name).await
        })
    }

    fn delete_topic<'a>(&'a self, topic: &'a str, request: DeleteTopic) -> Answer<'a, TopicDeleted> {
        Box::pin(self.delete_topic_now(topic, request.force))
    }

    fn produce<'a>(
        &'a self,
        topic: &'a str,
        patience: Duration,
        records: mpsc::Receiver<Record>,
        results: mpsc::Sender<ProduceResult>,
    ) -> Answer<'a, ()> {
        Box::pin(self.produce_stream(topic, patience, records, results))
    }

    fn read<'a>(&'a self, topic: &'a str, query: ReadQuery) -> Answer<'a, ReadPage> {
        Box::pin(self.read_page(topic, query))
    }

    fn groups(&self) -> Answer<'_, Vec<GroupSummary>> {
        Box::pin(async {
            let mut list = Vec::new();
            for group in self.engine.groups().await? {
                list.push(convert::group_summary(&self.engine.describe_group(&group.name).await?));
            }
            Ok(list)
        })
    }

    fn group<'a>(&'a self, group: &'a str) -> Answer<'a, GroupDetail> {
        Box::pin(self.group_detail(group))
    }

    fn reset_group<'a>(&'a self, group: &'a str, request: ResetGroup) -> Answer<'a, ResetResult> {
        Box::pin(self.reset(group, request))
    }

    fn delete_group<'a>(&'a self, group: &'a str, request: DeleteGroup) -> Answer<'a, GroupDeleted> {
        Box::pin(self.delete_group_now(group, request.force))
    }

    fn records<'a>(&'a self, group: &'a str, query: RecordsQuery) -> Answer<'a, RecordsPage> {
        Box::pin(self.records_page(group, query))
    }

    fn dead_letters(&self, query: DeadQuery) -> Answer<'_, DeadPage> {
        Box::pin(self.dead_page(query))
    }

    fn dead_letter(&self, id: DeadLetterId) -> Answer<'_, DeadLetterDetail> {
        Box::pin(self.dead_detail(id))
    }

    fn original(&self, id: DeadLetterId) -> Answer<'_, Record> {
        Box::pin(self.dead_original(id))
    }

    fn redrive(&self, request: RedriveRequest) -> Answer<'_, RedriveResult> {
        Box::pin(self.redrive_all(request))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            if self.owned {
                let fenced =
                    |error: share_engine::error::Fenced| AdminError::new(ErrorCode::Unavailable, error.to_string());
                self.engine.close().await.map_err(fenced)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use share_engine::config::{EngineConfig, TopicConfig};

    use super::*;
    use crate::supervisor::testing::{World, local, spec};

    /// Asking waited without an end for a name that no manifest has, and a topic could be deleted under a deployment that
    /// was about to work on it.
    #[tokio::test(start_paused = true)]
    async fn commands_wait_ten_seconds_for_a_start() {
        let directory = tempfile::tempdir().unwrap();
        let (engine, _) = Engine::open(directory.path(), EngineConfig::default()).unwrap();
        let admin = EmbeddedAdmin::of_host(engine.clone(), directory.path());
        for missing in [admin.topic("late").await.map(drop), admin.group("late").await.map(drop)] {
            assert_eq!(missing.unwrap_err().code, ErrorCode::NotFound);
        }
        let began = tokio::time::Instant::now();
        assert_eq!(admin.topic("late").await.unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(began.elapsed(), START_LIMIT);
        engine.create_topic("late", TopicConfig::default()).await.unwrap();
        let delete = || admin.delete_topic("late", DeleteTopic { force: true });
        assert_eq!(delete().await.unwrap_err().code, ErrorCode::Conflict);
        admin.handle_started();
        delete().await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(admin.topic("late").await.unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(began.elapsed(), Duration::ZERO);
        engine.close().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_forced_reset_that_nobody_waits_for_any_more_resumes_its_deployments() {
        local(async {
            let world = World::new(1, spec(1));
            world.source.produce(["sleep 1000"]);
            world.running(1).await;
            let reset = Paused::quiet(vec![world.deployment.clone()]);
            // The client goes away while the call is still waited for.
            let gone = tokio::time::timeout(Duration::from_millis(100), reset).await;
            assert!(gone.is_err());
            assert!(!world.deployment.is_paused());
            world.source.produce(["accept"]);
            world.idle().await;
            world.drain().await;
        })
        .await;
    }
}
