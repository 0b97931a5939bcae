//! What a deployment takes from the surroundings of the host when it starts: values of environment variables, and secrets.

use std::collections::BTreeMap;

use crate::config::{Deployment, EnvValue, Secret};
use crate::handler::Secrets;
use crate::output::Failure;

/// The values of one deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// Of every granted environment variable.
    pub environment: BTreeMap<String, String>,
    /// Of every secret; `Debug` shows the names alone.
    pub secrets: Secrets,
}

impl Given {
    /// Reads all of them; what is not there, or is no secret, is an error.
    pub(super) fn of(name: &str, deployment: &Deployment) -> Result<Self, Failure> {
        Ok(Self {
            environment: environment_of(name, deployment)?,
            secrets: secrets_of(name, deployment.secrets.iter()).map_err(Failure::from)?,
        })
    }

    /// What is here of them, and why a secret that is here is none. What is missing here may be on the machine that runs it.
    pub(super) fn here(name: &str, deployment: &Deployment) -> (Self, Option<NoSecret>) {
        let is_here = |secret: &Secret| match secret {
            Secret::Env { env } => std::env::var_os(env).is_some(),
            Secret::File { file } => file.exists(),
        };
        let there = deployment.secrets.iter().filter(|(_, secret)| is_here(secret));
        let (secrets, objection) = match secrets_of(name, there) {
            Ok(secrets) => (secrets, None),
            Err(objection) => (Secrets::default(), Some(objection)),
        };
        let environment = environment_of(name, deployment).unwrap_or_default();
        (Self { environment, secrets }, objection)
    }
}

/// Why something cannot be a secret, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoSecret {
    pub(super) message: String,
    pub(super) hint: String,
}

impl From<NoSecret> for Failure {
    fn from(NoSecret { message, hint }: NoSecret) -> Self {
        Self::new(message).hint(hint)
    }
}

fn environment_of(name: &str, deployment: &Deployment) -> Result<BTreeMap<String, String>, Failure> {
    let mut missing = Vec::new();
    let mut values = BTreeMap::new();
    for (variable, value) in &deployment.grants.env {
        let text = match value {
            EnvValue::Literal(text) => text.clone(),
            EnvValue::Inherited { from } => {
                let Ok(text) = std::env::var(from) else {
                    missing.push(format!("{from} (for {variable})"));
                    continue;
                };
                text
            }
        };
        values.insert(variable.clone(), text);
    }
    if missing.is_empty() {
        return Ok(values);
    }
    let missing = missing.join(", ");
    Err(Failure::new(format!(
        "deployment {name} takes variables of the host that are not set: {missing}"
    ))
    .hint("set them, or give the values in the manifest"))
}

fn secrets_of<'a>(name: &str, secrets: impl Iterator<Item = (&'a String, &'a Secret)>) -> Result<Secrets, NoSecret> {
    let key = |secret: &str| format!("deployments.{name}.secrets.{secret}");
    let mut values = BTreeMap::new();
    for (secret, place) in secrets {
        let value = place.read(&key(secret)).map_err(|error| NoSecret {
            message: error.to_string(),
            hint: match place {
                Secret::Env { env } => format!("set {env} before this command"),
                Secret::File { .. } => {
                    "see that the file is there, and that the user of this process may read it".to_owned()
                }
            },
        })?;
        values.insert(secret.clone(), value);
    }
    Secrets::new(values).map_err(|error| NoSecret {
        message: format!("{} {}", key(&error.name), error.objection),
        hint: error.hint,
    })
}
