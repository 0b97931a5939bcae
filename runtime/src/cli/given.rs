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
            secrets: secrets_of(name, deployment)?,
        })
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

fn secrets_of(name: &str, deployment: &Deployment) -> Result<Secrets, Failure> {
    let key = |secret: &str| format!("deployments.{name}.secrets.{secret}");
    let mut values = BTreeMap::new();
    for (secret, place) in &deployment.secrets {
        let value = place.read(&key(secret)).map_err(|error| {
            Failure::new(error.to_string()).hint(match place {
                Secret::Env { env } => format!("set {env} before this command"),
                Secret::File { .. } => {
                    "see that the file is there, and that the user of this process may read it".to_owned()
                }
            })
        })?;
        values.insert(secret.clone(), value);
    }
    Secrets::new(values)
        .map_err(|error| Failure::new(format!("{} {}", key(&error.name), error.objection)).hint(error.hint))
}
