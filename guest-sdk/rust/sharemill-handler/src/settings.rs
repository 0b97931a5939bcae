//! The settings that `configure` gets, with errors that name the setting.
use std::fmt::Display;
use std::str::FromStr;

/// `settings` of the deployment, as `#[handler(configure = ..)]` is given them. What [`crate::config`] answers is not among them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pairs: Vec<(String, String)>,
}

impl Settings {
    /// The text of a setting; the last one where a name repeats.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A setting read as a type; `None` where it is not there.
    ///
    /// # Errors
    /// A text that names the setting and its value.
    pub fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, String> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|error| format!("setting {name} = {text:?}: {error}"))
        };
        self.get(name).map(parse).transpose()
    }

    /// The same, where the handler cannot do without.
    ///
    /// # Errors
    /// A text that names the setting.
    pub fn require<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, String> {
        self.parse(name)?.ok_or_else(|| format!("setting {name} is missing"))
    }

    /// All of them, in the host's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl From<Vec<(String, String)>> for Settings {
    fn from(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_setting() {
        let settings = Settings::from(vec![("size".to_owned(), "big".to_owned())]);
        let error = "setting size = \"big\": invalid digit found in string";
        assert_eq!(settings.parse::<u32>("size"), Err(error.to_owned()));
        assert_eq!(
            settings.require::<u32>("count"),
            Err("setting count is missing".to_owned())
        );
        assert_eq!(settings.parse::<u32>("count"), Ok(None));
    }
}
