//! The id of a call on the command line, where whatever else would find nothing.

use crate::failure::Failure;

/// Refuses what has not the form of the ids that hosts give to calls.
pub(crate) fn check(text: &str) -> Result<(), Failure> {
    if is_uuid(text) {
        return Ok(());
    }
    let words = format_args!(
        "{text} is no invocation id: one is like 01a20571-f123-768b-ace1-a3a60eceeeca"
    );
    let failure = Failure::usage(words);
    Err(failure.hint("an answer names its call in `invocation`, a problem too"))
}

fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    let has_groups = [8, 4, 4, 4, 12].iter().all(|digits| {
        let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
        groups
            .next()
            .is_some_and(|group| group.len() == *digits && is_hex(group))
    });
    has_groups && groups.next().is_none()
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
