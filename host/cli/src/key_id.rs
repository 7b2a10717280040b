//! The id of an API key on the command line, where a whole key is taken for it easily.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};
use soma_host::{KEY_PREFIX, is_key_id};

use crate::screen::visible;

/// The most of a wrong id that is repeated: no secret is that short.
const MOST_SHOWN: usize = 40;

/// Reads the id of a key. clap would show a wrong value as it is, and it may be a live key.
#[derive(Clone, Copy)]
pub(crate) struct KeyId;

impl TypedValueParser for KeyId {
    type Value = String;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        key_id(&value.to_string_lossy())
            .map_err(|words| Error::raw(ErrorKind::ValueValidation, format_args!("{words}\n")))
    }
}

/// The id as it is, or what is wrong with it, without anything that may be secret.
fn key_id(text: &str) -> Result<String, String> {
    if is_key_id(text) {
        return Ok(text.to_owned());
    }
    if let Some(rest) = text.strip_prefix(KEY_PREFIX) {
        let id = rest.split('_').next().unwrap_or_default();
        return Err(match is_key_id(id) {
            true => format!(
                "that is a whole key: its id is the part between `soma_` and the next `_`, here \
                 `{id}`"
            ),
            false => "that is no key's id: `soma key list` shows them".to_owned(),
        });
    }
    let shown = match text.chars().count() <= MOST_SHOWN {
        true => format!("`{}`", visible(text)),
        false => "that".to_owned(),
    };
    Err(format!(
        "{shown} is no key's id: `soma key list` shows them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f9a0c1d2e4b5a69";

    #[test]
    fn a_whole_key_is_no_id_and_nothing_of_its_secret_is_shown() {
        assert_eq!(key_id(ID).as_deref(), Ok(ID));
        let secret = "0123456789abcdef".repeat(4);
        for whole in [
            format!("soma_{ID}_{secret}"),
            format!("soma_{ID}_{}", &secret[..7]),
            format!("soma_{ID}"),
        ] {
            let words = key_id(&whole).unwrap_err();
            assert!(words.starts_with("that is a whole key"), "{words}");
            assert!(words.ends_with(&format!("`{ID}`")), "{words}");
            assert!(!words.contains(&secret[..7]), "{words}");
        }
        for (text, shown) in [
            (secret.clone(), "that is no"),
            (format!("soma_{}_{secret}", &ID[1..]), "that is no"),
            ("nobody".to_owned(), "`nobody` is no"),
            (String::new(), "`` is no"),
            (ID.to_uppercase(), "`3F9A0C1D2E4B5A69` is no"),
            ("a\u{1b}b".to_owned(), "`a\\u{1b}b` is no"),
        ] {
            let words = key_id(&text).unwrap_err();
            assert!(words.starts_with(shown), "{words}");
            assert!(!words.contains(&secret), "{words}");
        }
    }

    #[test]
    fn a_refused_value_is_not_in_what_is_shown() {
        let whole = format!("soma_{ID}_{}", "ab".repeat(32));
        let command = Command::new("soma").arg(Arg::new("id").value_parser(KeyId));
        let refused = command.try_get_matches_from(["soma", &whole]).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        let shown = refused.render().to_string();
        assert!(shown.starts_with("error: that is a whole key"), "{shown}");
        assert!(shown.ends_with("`\n"), "{shown}");
        assert!(!shown.contains("abab"), "{shown}");
    }
}
