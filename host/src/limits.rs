//! Limits as an operator writes them: only the ones that differ, as a TOML table or as
//! `fuel=1000000000,time-ms=5000`.

use std::str::FromStr;

use anyhow::bail;
use serde::{Deserialize, Deserializer, de::Error as _};
use soma_capability::Limits;
use toml::Table;

/// Some of [`Limits`], by their names there. Every key is known and every value fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GivenLimits(Table);

/// A limit that is unknown, or a value that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GivenLimitsError(#[from] toml::de::Error);

impl GivenLimits {
    /// `base` with these in place of its own.
    pub fn on(&self, base: Limits) -> Result<Limits, GivenLimitsError> {
        let mut table = Table::try_from(base)
            .map_err(|error| GivenLimitsError(toml::de::Error::custom(error)))?;
        table.extend(self.0.clone());
        Ok(table.try_into()?)
    }

    /// The same, where none of these is above the maximum.
    pub(crate) fn within(&self, base: Limits, maximum: &Limits) -> anyhow::Result<Limits> {
        let limits = self.on(base)?;
        let most = Table::try_from(maximum)?;
        for (name, value) in &self.0 {
            if let (Some(value), Some(most)) = (value.as_integer(), most[name].as_integer())
                && value > most
            {
                bail!("{name} is {value}, more than the maximum of {most}: raise maximum-limits");
            }
        }
        Ok(limits)
    }

    /// Both together; where both name a limit, `first` holds.
    pub(crate) fn over(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(Self(first)), Some(Self(mut second))) => {
                second.extend(first);
                Some(Self(second))
            }
            (first, second) => first.or(second),
        }
    }

    fn checked(table: Table) -> Result<Self, GivenLimitsError> {
        let given = Self(table);
        given.on(Limits::default())?;
        Ok(given)
    }
}

impl FromStr for GivenLimits {
    type Err = GivenLimitsError;

    fn from_str(text: &str) -> Result<Self, GivenLimitsError> {
        Self::checked(toml::from_str(&text.replace(',', "\n"))?)
    }
}

impl<'de> Deserialize<'de> for GivenLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::checked(Table::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_differs() {
        let given: GivenLimits = "fuel=5, time-ms=7".parse().unwrap();
        let expected = Limits {
            fuel: 5,
            time_ms: 7,
            ..Limits::default()
        };
        assert_eq!(given.on(Limits::default()).unwrap(), expected);
        for bad in [
            "feul=5",
            "fuel=-1",
            "fuel",
            "fuel=5 time-ms=7",
            "fuel=\"5\"",
        ] {
            assert!(bad.parse::<GivenLimits>().is_err(), "{bad}");
        }
    }
}
