//! Numbers of tokens, as people write them.

use anyhow::{Context as _, ensure};

const HOW: &str = "tokens are written like 1000000, 1_000_000, 10k or 1.5M";

/// Reads a number of tokens on the command line.
pub(crate) fn tokens(text: &str) -> anyhow::Result<u64> {
    let (number, zeros) = if let Some(thousands) = text.strip_suffix('k') {
        (thousands, 3)
    } else if let Some(millions) = text.strip_suffix('M') {
        (millions, 6)
    } else {
        (text, 0)
    };
    let (digits, decimals) = match number.split_once('.') {
        Some((digits, decimals)) => (digits, Some(decimals)),
        None => (number, None),
    };
    let is_number = digits.chars().all(|c| c.is_ascii_digit() || c == '_');
    let are_digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    ensure!(
        is_number && !digits.starts_with('_') && decimals.is_none_or(are_digits),
        HOW
    );
    let whole = digits.replace('_', "").parse::<u64>().context(HOW)?;
    let decimals = decimals.unwrap_or_default().trim_end_matches('0');
    ensure!(
        decimals.len() <= zeros,
        "{text} is no whole number of tokens"
    );
    // As written, with the unit's zeros where there is no decimal place.
    format!("{whole}{decimals:0<zeros$}")
        .parse()
        .context("there are not so many tokens")
}

/// Reads how many tokens a call may cost, on the command line.
pub(crate) fn tokens_of_a_call(text: &str) -> anyhow::Result<u64> {
    let most = tokens(text)?;
    ensure!(most > 0, "a call of 0 tokens cannot begin");
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_and_millions() {
        for (text, number) in [
            ("0", 0),
            ("1000000", 1_000_000),
            ("1_000_000", 1_000_000),
            ("10k", 10_000),
            ("5M", 5_000_000),
            ("1_000k", 1_000_000),
            ("1.5M", 1_500_000),
            ("0.25k", 250),
            ("1.500k", 1_500),
            ("1_000.000001M", 1_000_000_001),
            ("2.0", 2),
            ("18446744073709551.615k", u64::MAX),
        ] {
            assert_eq!(tokens(text).unwrap(), number, "{text}");
        }
        for text in [
            "",
            "k",
            "_",
            "_1",
            "-1",
            "+1",
            "1.5",
            "0.0005k",
            "1.0000001M",
            "1.M",
            ".5M",
            "1.5_0M",
            "1.-5M",
            "1.5.0M",
            "1 000",
            "5m",
            "5kM",
            "1e6",
            "many",
            "99999999999999999999",
            "18446744073709551615k",
            "18446744073709551.616k",
        ] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_call_has_some() {
        assert_eq!(tokens_of_a_call("1").unwrap(), 1);
        for text in ["0", "0k", "0.0", "many"] {
            assert!(tokens_of_a_call(text).is_err(), "{text}");
        }
    }
}
