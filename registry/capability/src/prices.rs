//! What calls cost: one list for everything that a call can take, in tokens.

use std::fmt::{self, Write as _};

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::limits::Limits;

/// Tokens, to the millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price(u64);

/// What things cost. Version and list go together: see [`Prices::version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Prices {
    /// A million units of fuel, which is about as many instructions. Never nothing: all else is
    /// reckoned in the fuel that the same tokens would buy.
    #[serde(deserialize_with = "not_nothing")]
    pub million_fuel: Price,
    /// One call from the guest to the host, of any kind.
    pub host_call: Price,
    /// 1024 bytes that come in: the input, and bodies from the network.
    pub kib_in: Price,
    /// 1024 bytes that go out: the answer, and bodies to the network.
    pub kib_out: Price,
    /// 1024 bytes that are written to the capsule's store.
    pub kib_stored: Price,
    /// One second in which the call waits for the host or the network. While it computes, it pays
    /// with fuel.
    pub second: Price,
}

const MILLION: u64 = 1_000_000;

/// A price beyond it would be no price: 2⁵³ millionths are what a number in JSON holds.
const MOST: f64 = 9_007_199_254.0;

impl Price {
    /// So many millionths of a token.
    pub const fn millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// So many whole tokens.
    pub const fn tokens(tokens: u64) -> Self {
        Self(tokens.saturating_mul(MILLION))
    }

    /// Millionths of a token.
    pub const fn as_millionths(self) -> u64 {
        self.0
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            million_fuel: Price::tokens(1),
            host_call: Price::millionths(1_000),
            kib_in: Price::millionths(10_000),
            kib_out: Price::millionths(10_000),
            kib_stored: Price::millionths(100_000),
            second: Price::tokens(1),
        }
    }
}

impl Prices {
    /// Tokens that a call may come to which uses up its fuel and waits all its time: what it may cost
    /// where nobody says.
    pub fn of_limits(&self, limits: &Limits) -> u64 {
        let fuel = u128::from(limits.fuel) * u128::from(self.million_fuel.0) / u128::from(MILLION);
        let time = u128::from(limits.time_ms) * u128::from(self.second.0) / 1000;
        let tokens = (fuel + time).div_ceil(u128::from(MILLION));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    /// 12 digits that are this list's and no other's, so that a record says by which list a call was
    /// charged.
    pub fn version(&self) -> String {
        let Self {
            million_fuel,
            host_call,
            kib_in,
            kib_out,
            kib_stored,
            second,
        } = self;
        let mut text = String::from("soma prices 1");
        for price in [million_fuel, host_call, kib_in, kib_out, kib_stored, second] {
            // Writing to a string does not fail.
            let _ = write!(text, " {}", price.0);
        }
        let mut version = Digest::of(text.as_bytes()).hex();
        version.truncate(12);
        version
    }
}

/// As in `0.25`.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / MILLION, self.0 % MILLION);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let part = format!("{part:06}");
        write!(f, "{whole}.{}", part.trim_end_matches('0'))
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(MILLION) {
            return serializer.serialize_u64(self.0 / MILLION);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "no price has more digits than a float holds"
        )]
        serializer.serialize_f64(self.0 as f64 / MILLION as f64)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Number)
    }
}

fn not_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Price, D::Error> {
    let price = Price::deserialize(deserializer)?;
    if price.0 == 0 {
        return Err(D::Error::custom(
            "fuel has a price, if only 0.000001: all else is reckoned in it",
        ));
    }
    Ok(price)
}

struct Number;

impl Visitor<'_> for Number {
    type Value = Price;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens from 0 to 9007199254, with at most six places")
    }

    fn visit_u64<E: Error>(self, tokens: u64) -> Result<Price, E> {
        #[expect(clippy::cast_precision_loss, reason = "what is too much is too much")]
        self.visit_f64(tokens as f64)
    }

    fn visit_i64<E: Error>(self, tokens: i64) -> Result<Price, E> {
        #[expect(clippy::cast_precision_loss, reason = "what is too much is too much")]
        self.visit_f64(tokens as f64)
    }

    fn visit_f64<E: Error>(self, tokens: f64) -> Result<Price, E> {
        let wrong = || E::custom(format_args!("{tokens} is no price: it takes {Wanted}"));
        if !(0.0..=MOST).contains(&tokens) {
            return Err(wrong());
        }
        #[expect(clippy::cast_precision_loss, reason = "a million is not much")]
        let millionths = tokens * MILLION as f64;
        // Decimal places are not binary ones; a seventh place is much more than that differs.
        let rounded = millionths.round();
        if (millionths - rounded).abs() > 0.01 {
            return Err(wrong());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole, and between 0 and 2⁵³"
        )]
        Ok(Price(rounded as u64))
    }
}

/// What a price can be, for an error.
struct Wanted;

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Number.expecting(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_decimal() {
        let read = |text: &str| serde_json::from_str::<Prices>(text);
        let prices = read(r#"{"host-call": 0.000001, "second": 12, "kib-in": 0.29}"#).unwrap();
        assert_eq!(prices.host_call, Price::millionths(1));
        assert_eq!(prices.kib_in, Price::millionths(290_000));
        assert_eq!(prices.second.to_string(), "12");
        assert_eq!(prices.kib_in.to_string(), "0.29");
        let written = serde_json::to_string(&prices).unwrap();
        assert_eq!(read(&written).unwrap(), prices);
        for (wrong, words) in [
            (r#"{"second": -1}"#, "-1 is no price"),
            (r#"{"second": 0.0000001}"#, "at most six places"),
            (r#"{"second": 1e300}"#, "from 0 to"),
            (r#"{"second": "1"}"#, "expected tokens"),
            (r#"{"million-fuel": 0}"#, "fuel has a price"),
            (r#"{"minute": 1}"#, "unknown field"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }

    #[test]
    fn another_list_is_another_version() {
        let usual = Prices::default();
        let dearer = Prices {
            second: Price::tokens(2),
            ..usual
        };
        assert_eq!(usual.version(), Prices::default().version());
        assert_ne!(usual.version(), dearer.version());
        assert_eq!(usual.version().len(), 12);
    }

    #[test]
    fn a_call_may_come_to_what_its_limits_allow() {
        let limits = Limits {
            fuel: 10_000_001,
            time_ms: 30_000,
            ..Limits::default()
        };
        assert_eq!(Prices::default().of_limits(&limits), 41);
        let endless = Limits {
            fuel: u64::MAX,
            time_ms: u64::MAX,
            ..limits
        };
        let dear = Prices {
            million_fuel: Price::millionths(1 << 53),
            ..Prices::default()
        };
        assert_eq!(dear.of_limits(&endless), u64::MAX);
    }
}
