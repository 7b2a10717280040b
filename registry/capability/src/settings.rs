//! The values that an operator gives a capsule's settings. They are plain: the capsule sees them,
//! and so do logs and the audit log.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::asked::{AskedNameError, ConfigCapability, ConfigKey};
use crate::text::{self, TextError};
use crate::unique::Unique;

/// As many as a capsule can ask for.
const MAX_SETTINGS: usize = 64;
/// The most characters of one value.
const MAX_VALUE: usize = 4096;

/// Settings and their values: at most 64, each of at most 4096 characters that can be shown. Clones
/// share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Unique<ConfigKey, String>")]
pub struct Settings(Arc<BTreeMap<ConfigKey, String>>);

/// One setting and its value: `region=eu-1`, as it is written on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub key: ConfigKey,
    /// Its value.
    pub value: String,
}

/// Why something is no setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not of the form.
    #[error("`{0}`: write KEY=VALUE, as in `region=eu-1`")]
    Form(String),
    /// Not a name.
    #[error("{0}")]
    Key(#[from] AskedNameError),
    /// Not fit to be shown.
    #[error("the value of `{0}` {1}")]
    Value(ConfigKey, TextError),
    /// Too many.
    #[error("{0} settings; at most {MAX_SETTINGS} can be given")]
    TooMany(usize),
}

impl Settings {
    /// Whether none has a value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of one.
    pub fn get(&self, key: &ConfigKey) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigKey, &str)> {
        self.0.iter().map(|(key, value)| (key, value.as_str()))
    }

    /// Those that are asked for.
    pub fn asked(&self, asked: &[ConfigCapability]) -> Self {
        let given = |asked: &ConfigCapability| {
            let (key, value) = self.0.get_key_value(&asked.key)?;
            Some((key.clone(), value.clone()))
        };
        Self(Arc::new(asked.iter().filter_map(given).collect()))
    }

    /// Gives one its value.
    pub fn set(&mut self, setting: Setting) -> Result<(), SettingError> {
        let mut all = BTreeMap::clone(&self.0);
        all.insert(setting.key, setting.value);
        *self = Self::try_from(all)?;
        Ok(())
    }

    /// Takes the value of one away: whether it had any.
    pub fn unset(&mut self, key: &ConfigKey) -> bool {
        Arc::make_mut(&mut self.0).remove(key).is_some()
    }
}

impl TryFrom<Unique<ConfigKey, String>> for Settings {
    type Error = SettingError;

    fn try_from(Unique(all): Unique<ConfigKey, String>) -> Result<Self, SettingError> {
        Self::try_from(all)
    }
}

impl TryFrom<BTreeMap<ConfigKey, String>> for Settings {
    type Error = SettingError;

    fn try_from(all: BTreeMap<ConfigKey, String>) -> Result<Self, SettingError> {
        if all.len() > MAX_SETTINGS {
            return Err(SettingError::TooMany(all.len()));
        }
        for (key, value) in &all {
            text::prose(value, MAX_VALUE)
                .map_err(|error| SettingError::Value(key.clone(), error))?;
        }
        Ok(Self(Arc::new(all)))
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let form = || SettingError::Form(crate::asked::shown(text));
        let (key, value) = text.split_once('=').ok_or_else(form)?;
        Ok(Self {
            key: key.parse()?,
            value: value.to_owned(),
        })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_can_be_shown() {
        let mut settings = Settings::default();
        for text in ["region=eu-1", "greeting=a=b\n\tc", "empty="] {
            settings.set(text.parse().unwrap()).unwrap();
        }
        let key = |name: &str| name.parse::<ConfigKey>().unwrap();
        assert_eq!(settings.get(&key("greeting")), Some("a=b\n\tc"));
        assert_eq!(settings.get(&key("empty")), Some(""));
        assert!(settings.unset(&key("empty")) && !settings.unset(&key("empty")));
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);

        for (text, part) in [
            ("region", "write KEY=VALUE"),
            ("Region=eu", "is not a name"),
            ("a\x1bb", "write KEY=VALUE"),
        ] {
            let message = text.parse::<Setting>().unwrap_err().to_string();
            assert!(
                message.contains(part) && !message.contains('\x1b'),
                "{message}"
            );
        }
        for value in ["\x1b[2J", &"ö".repeat(4097)] {
            let setting = Setting {
                key: key("region"),
                value: value.to_owned(),
            };
            let error = settings.clone().set(setting).unwrap_err();
            assert!(
                error.to_string().contains("the value of `region` has"),
                "{error}"
            );
        }
        let many = (0..65).map(|n| (key(&format!("k{n}")), String::new()));
        assert_eq!(
            Settings::try_from(many.collect::<BTreeMap<_, _>>()),
            Err(SettingError::TooMany(65))
        );
    }
}
