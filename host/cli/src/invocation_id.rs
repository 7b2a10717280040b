//! The id of a call on the command line, where whatever else would find nothing.

use uuid::fmt::Hyphenated;

use crate::failure::Failure;

/// Refuses what has not the form of the ids that hosts give to calls.
pub(crate) fn check(text: &str) -> Result<(), Failure> {
    if text.parse::<Hyphenated>().is_ok() {
        return Ok(());
    }
    let words = format_args!(
        "{text} is no invocation id: one is like 01a20571-f123-768b-ace1-a3a60eceeeca"
    );
    let failure = Failure::usage(words);
    Err(failure.hint("an answer names its call in `invocation`, a problem too"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_is_a_uuid() {
        assert!(check("01a20571-f123-768b-ace1-a3a60eceeeca").is_ok());
        for text in [
            "",
            "blah",
            "01a20571f123768bace1a3a60eceeeca",
            "01a20571-f123-768b-ace1-a3a60eceeeca-",
            "01a20571-f123-768b-ace1-a3a60eceeecg",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
