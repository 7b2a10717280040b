//! Values of which an operator writes only the ones that differ, as a TOML table or as
//! `fuel=1000000000,time-ms=5000`.

use std::marker::PhantomData;
use std::str::FromStr;

use anyhow::bail;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use soma_capability::{Limits, Prices};
use toml::{Table, Value};

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

/// What some values can be given of.
pub trait Named: Default + Serialize + DeserializeOwned {
    /// Every name, and what it takes.
    const NAMES: &'static [(&'static str, &'static str)];
}

/// Why a text gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// Nothing stands where a name belongs; the names that there are.
    #[error(
        "a name is missing: write NAME=VALUE, with a comma between two of them; the names are {0}"
    )]
    NoName(String),
    /// A name without a value.
    #[error("`{0}` has no value: write NAME=VALUE, with a comma between two of them")]
    NoValue(String),
    /// A name that is unknown, and those that there are.
    #[error("there is no `{0}`: the names are {1}")]
    Unknown(String, String),
    /// A name that stands before already.
    #[error("`{0}` is there twice")]
    Twice(&'static str),
    /// A value, the name that it does not fit, and what that takes.
    #[error("`{0}` does not fit `{1}`, which takes {2}")]
    Unfit(String, &'static str, &'static str),
}

const NUMBER: &str = "a whole number from 0 to 9223372036854775807";
const SMALL_NUMBER: &str = "a whole number from 0 to 4294967295";

impl Named for Limits {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("fuel", NUMBER),
        ("time-ms", NUMBER),
        ("memory-bytes", NUMBER),
        ("table-elements", NUMBER),
        ("handles", SMALL_NUMBER),
        ("copy-bytes", NUMBER),
        ("input-bytes", NUMBER),
        ("output-bytes", NUMBER),
        ("log-lines", NUMBER),
        ("log-bytes", NUMBER),
        ("host-calls", NUMBER),
        ("response-bytes", NUMBER),
    ];
}

const PRICE: &str = "a decimal number from 0 to 9007199254, with at most six places";
const PRICE_OF_FUEL: &str = "a decimal number from 0.000001 to 9007199254, with at most six places";

impl Named for Prices {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("million-fuel", PRICE_OF_FUEL),
        ("host-call", PRICE),
        ("kib-in", PRICE),
        ("kib-out", PRICE),
        ("kib-stored", PRICE),
        ("second", PRICE),
    ];
}

const DAYS: &str = "1 to 36500 days";

impl Named for Keep {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("calls", DAYS),
        ("changes", DAYS),
        ("usage", DAYS),
        ("ledger", DAYS),
    ];
}

impl<T: Named> Given<T> {
    /// `base` with these in place of its own.
    pub fn on(&self, base: T) -> Result<T, toml::de::Error> {
        let mut table = Table::try_from(base).map_err(toml::de::Error::custom)?;
        table.extend(self.0.clone());
        table.try_into()
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

    fn checked(table: Table) -> Result<Self, toml::de::Error> {
        let given = Self(table, PhantomData);
        given.on(T::default())?;
        Ok(given)
    }

    /// What stands between two commas.
    fn part(part: &str) -> Result<(&'static str, Value), GivenError> {
        if part.is_empty() || part.starts_with('=') {
            return Err(GivenError::NoName(Self::names()));
        }
        let Some((name, text)) = part.split_once('=') else {
            return Err(GivenError::NoValue(part.to_owned()));
        };
        let (name, text) = (name.trim(), text.trim());
        let Some(&(name, takes)) = T::NAMES.iter().find(|(known, _)| *known == name) else {
            return Err(GivenError::Unknown(name.to_owned(), Self::names()));
        };
        match value(text) {
            Some(value) if Self::takes(name, &value) => Ok((name, value)),
            _ => Err(GivenError::Unfit(text.to_owned(), name, takes)),
        }
    }

    fn takes(name: &str, value: &Value) -> bool {
        Self::checked(Table::from_iter([(name.to_owned(), value.clone())])).is_ok()
    }

    fn names() -> String {
        let names: Vec<&str> = T::NAMES.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

/// A value as TOML has it; a whole number may begin with zeros, too.
fn value(text: &str) -> Option<Value> {
    match text.parse() {
        Ok(number) => Some(Value::Integer(number)),
        Err(_) => text.parse().ok(),
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

impl<T: Named> FromStr for Given<T> {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        let mut given = Table::new();
        for part in text.split(',') {
            let (name, value) = Self::part(part.trim())?;
            if given.insert(name.to_owned(), value).is_some() {
                return Err(GivenError::Twice(name));
            }
        }
        Ok(Self(given, PhantomData))
    }
}

impl<'de, T: Named> Deserialize<'de> for Given<T> {
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
        let given: GivenPrices = "second=2,host-call=0.5".parse().unwrap();
        let expected = Prices {
            second: Price::tokens(2),
            host_call: Price::millionths(500_000),
            ..Prices::default()
        };
        assert_eq!(given.on(Prices::default()).unwrap(), expected);
    }

    fn refused<T: Named>(text: &str) -> String {
        let refused = text.parse::<Given<T>>().err();
        let words = refused
            .unwrap_or_else(|| panic!("{text} is taken"))
            .to_string();
        assert!(!words.contains("TOML"), "{words}");
        words
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (limits, words) in [
            ("", "a name is missing: write NAME=VALUE, "),
            ("", "the names are fuel, time-ms, memory-bytes, "),
            ("fuel=5,", "a name is missing"),
            ("fuel=5, ,time-ms=7", "a name is missing"),
            (" =5", "a name is missing"),
            ("fuel", "`fuel` has no value: write NAME=VALUE"),
            ("fuel=5,time-ms 7", "`time-ms 7` has no value"),
            ("feul=5", "there is no `feul`: the names are fuel, time-ms"),
            ("fuel=5,time-ms=7,fuel=5", "`fuel` is there twice"),
            ("fuel=", "`` does not fit `fuel`, which takes a whole"),
            ("fuel=-1", "`-1` does not fit `fuel`"),
            ("fuel=1.5", "`1.5` does not fit `fuel`"),
            ("fuel=many", "`many` does not fit `fuel`"),
            ("fuel=\"5\"", "`\"5\"` does not fit `fuel`"),
            ("fuel==5", "`=5` does not fit `fuel`"),
            ("fuel=5 time-ms=7", "`5 time-ms=7` does not fit `fuel`"),
            ("fuel=9223372036854775808", "from 0 to 9223372036854775807"),
            ("handles=4294967296", "from 0 to 4294967295"),
        ] {
            let refused = refused::<Limits>(limits);
            assert!(refused.contains(words), "{limits}: {refused}");
        }
        for (prices, words) in [
            ("second=2,", "the names are million-fuel, host-call, "),
            ("second", "`second` has no value"),
            ("minute=1", "there is no `minute`: the names are "),
            ("second=1,second=2", "`second` is there twice"),
            (
                "second=dear",
                "`dear` does not fit `second`, which takes a ",
            ),
            ("second=-0.5", "`-0.5` does not fit `second`"),
            ("second=nan", "`nan` does not fit `second`"),
            ("second=9007199255", "from 0 to 9007199254"),
            ("kib-in=0.0000001", "with at most six places"),
            ("million-fuel=0", "a decimal number from 0.000001 to"),
        ] {
            let refused = refused::<Prices>(prices);
            assert!(refused.contains(words), "{prices}: {refused}");
        }
    }

    #[test]
    fn all_that_is_said_to_fit_does() {
        for limits in [
            "fuel=0,handles=4294967295",
            "fuel=9223372036854775807",
            "memory-bytes=67_108_864",
        ] {
            assert!(limits.parse::<GivenLimits>().is_ok(), "{limits}");
        }
        for prices in ["second=0,kib-in=9007199254", "million-fuel=0.000001"] {
            assert!(prices.parse::<GivenPrices>().is_ok(), "{prices}");
        }
    }

    fn names_are_all_that_are_read<T: Named>() {
        let unknown = Table::from_iter([("?".to_owned(), Value::Integer(1))]);
        let refused = unknown.try_into::<T>().err().unwrap();
        let names: Vec<String> = T::NAMES
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let expected = format!("unknown field `?`, expected one of {}", names.join(", "));
        assert_eq!(refused.message(), expected);
    }

    #[test]
    fn every_name_is_known() {
        names_are_all_that_are_read::<Limits>();
        names_are_all_that_are_read::<Prices>();
        names_are_all_that_are_read::<Keep>();
    }
}
