//! A deployment of the manifest as the handler and the host loop want it. Plain conversions; ranges were checked at load.

use std::sync::Arc;

use super::given::Given;
use crate::config::{self, Deployment};
use crate::handler::{Access, FileGrant, Grants, HandlerLimits, HandlerSpec, InstanceMode};
use crate::supervisor::{Backoff, DeploymentSpec};

/// What its instances need to know.
pub fn handler_spec(name: &str, deployment: &Deployment, given: &Given) -> HandlerSpec {
    HandlerSpec {
        deployment: name.to_owned(),
        group: deployment.group.clone(),
        topic: Some(deployment.topic.clone()),
        limits: HandlerLimits {
            memory: deployment.memory,
            deadline: deployment.deadline,
            http: deployment.http.clone(),
            ..HandlerLimits::default()
        },
        grants: Grants {
            emit: deployment.grants.emit.iter().cloned().collect(),
            files: deployment.grants.files.iter().map(file_grant).collect(),
            http: deployment.grants.http.clone(),
            config: deployment.grants.config.clone(),
            env: given.environment.clone(),
        },
        attempt_limit: Some(deployment.attempts),
        instance: instance_mode(deployment.instance),
        secrets: given.secrets.clone(),
        settings: deployment.settings.clone().into_iter().collect(),
        ..HandlerSpec::default()
    }
}

/// What the host loop needs to know.
pub fn deployment_spec(name: &str, deployment: &Deployment) -> DeploymentSpec {
    DeploymentSpec {
        group: Arc::from(deployment.group.as_str()),
        concurrency: deployment.concurrency,
        instance: instance_mode(deployment.instance),
        deadline: deployment.deadline,
        max_lease: deployment.max_lease,
        lock: deployment.lock.unwrap_or(Deployment::LOCK),
        memory: deployment.memory,
        attempts: u16::try_from(deployment.attempts).unwrap_or(u16::MAX),
        backoff: Backoff {
            first: deployment.backoff.first,
            max: deployment.backoff.max,
            jitter: deployment.backoff.jitter,
        },
        dead_letter: deployment.dead_letter.as_deref().map(Arc::from),
        ..DeploymentSpec::new(name, &deployment.topic)
    }
}

fn instance_mode(mode: config::InstanceMode) -> InstanceMode {
    match mode {
        config::InstanceMode::Reuse => InstanceMode::Reuse,
        config::InstanceMode::Fresh => InstanceMode::Fresh,
    }
}

fn file_grant(grant: &config::FileGrant) -> FileGrant {
    FileGrant {
        host: grant.host.clone(),
        guest: grant.guest.clone(),
        access: match grant.access {
            config::Access::Read => Access::Read,
            config::Access::ReadWrite => Access::ReadWrite,
        },
    }
}
