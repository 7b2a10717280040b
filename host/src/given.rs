//! Values of which an operator writes only the ones that differ, as a TOML table or as
//! `fuel=1000000000,time-ms=5000`.

use std::marker::PhantomData;
use std::str::FromStr;

use anyhow::bail;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use soma_capability::{Limits, Prices};
use toml::Table;

use crate::keep::Keep;

/// Some of a `T`'s values, by their names there. Every name is known and every value fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Given<T>(Table, PhantomData<fn() -> T>);

/// Some of [`Limits`].
pub type GivenLimits = Given<Limits>;

/// Some of [`Prices`].
pub type GivenPrices = Given<Prices>;

/// Some of [`Keep`].
pub type GivenKeep = Given<Keep>;

/// Why a text or a table gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// A part between commas that gives nothing.
    #[error("`{0}` is no name with its value: write NAME=VALUE, with a comma between two of them")]
    Form(String),
    /// A name that is unknown, or a value that is none.
    #[error("{0}")]
    Value(#[from] toml::de::Error),
}

impl<T: Default + Serialize + DeserializeOwned> Given<T> {
    /// `base` with these in place of its own.
    pub fn on(&self, base: T) -> Result<T, GivenError> {
        let mut table = Table::try_from(base).map_err(toml::de::Error::custom)?;
        table.extend(self.0.clone());
        Ok(table.try_into()?)
    }

    /// Both together; where both name a value, `first` holds.
    pub(crate) fn over(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(mut second)) => {
                second.0.extend(first.0);
                Some(second)
            }
            (first, second) => first.or(second),
        }
    }

    fn checked(table: Table) -> Result<Self, GivenError> {
        let given = Self(table, PhantomData);
        given.on(T::default())?;
        Ok(given)
    }
}

impl GivenLimits {
    /// The same as [`on`](Given::on), where none of these is above the maximum.
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
}

impl<T: Default + Serialize + DeserializeOwned> FromStr for Given<T> {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        if let Some(part) = text.split(',').find(|part| !part.contains('=')) {
            return Err(GivenError::Form(part.trim().to_owned()));
        }
        Self::checked(toml::from_str(&text.replace(',', "\n"))?)
    }
}

impl<'de, T: Default + Serialize + DeserializeOwned> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::checked(Table::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use soma_capability::Price;

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
            "",
            "fuel=5,",
            "fuel=5,,time-ms=7",
        ] {
            assert!(bad.parse::<GivenLimits>().is_err(), "{bad}");
        }
        let given: GivenPrices = "second=2,host-call=0.5".parse().unwrap();
        let expected = Prices {
            second: Price::tokens(2),
            host_call: Price::millionths(500_000),
            ..Prices::default()
        };
        assert_eq!(given.on(Prices::default()).unwrap(), expected);
        assert!("million-fuel=0".parse::<GivenPrices>().is_err());
    }
}
