//! Numbers of tokens, as people write them.

use anyhow::{Context as _, ensure};

const HOW: &str = "tokens are written like 1000000, 1_000_000, 10k or 5M";

/// Reads a number of tokens on the command line.
pub(crate) fn tokens(text: &str) -> anyhow::Result<u64> {
    let (digits, unit) = if let Some(thousands) = text.strip_suffix('k') {
        (thousands, 1_000)
    } else if let Some(millions) = text.strip_suffix('M') {
        (millions, 1_000_000)
    } else {
        (text, 1)
    };
    let is_number = digits.chars().all(|c| c.is_ascii_digit() || c == '_');
    ensure!(is_number && !digits.starts_with('_'), HOW);
    let number = digits.replace('_', "").parse::<u64>().context(HOW)?;
    number
        .checked_mul(unit)
        .context("there are not so many tokens")
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
            "1.5M",
            "1 000",
            "5m",
            "5kM",
            "1e6",
            "many",
            "99999999999999999999",
            "18446744073709551615k",
        ] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }
}
