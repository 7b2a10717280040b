//! Which texts may be shown to a person or a model: none that forge a line, hide, or read
//! differently from how they are stored.

/// Why a text may not be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// More characters than the bound.
    #[error("has {characters} characters; at most {bound} are allowed")]
    TooLong {
        /// How many it has.
        characters: usize,
        /// How many it may have.
        bound: usize,
    },
    /// A character that controls the terminal, the direction of the text, or is not seen.
    #[error("has the {kind} character U+{code:04X} at position {position}; remove it")]
    Character {
        /// What the character does.
        kind: CharacterKind,
        /// Its code point.
        code: u32,
        /// Characters before it.
        position: usize,
    },
}

/// What makes a character unfit to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CharacterKind {
    /// General category Cc, and the line and paragraph separators.
    Control,
    /// Changes the direction of what follows (UAX #9).
    Bidirectional,
    /// Takes no room, so that a model reads what a person does not see.
    Invisible,
}

impl std::fmt::Display for CharacterKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Bidirectional => "bidirectional",
            Self::Invisible => "invisible",
        })
    }
}

/// Checks a text of one line, such as a title.
pub fn line(text: &str, bound: usize) -> Result<(), TextError> {
    check(text, bound, |_| false)
}

/// Checks a text of several lines, such as a description. Line feeds and tabs are allowed.
pub fn prose(text: &str, bound: usize) -> Result<(), TextError> {
    check(text, bound, |c| matches!(c, '\n' | '\t'))
}

fn check(text: &str, bound: usize, allowed: impl Fn(char) -> bool) -> Result<(), TextError> {
    let characters = text.chars().count();
    if characters > bound {
        return Err(TextError::TooLong { characters, bound });
    }
    let unfit = text
        .chars()
        .enumerate()
        .find_map(|(position, c)| Some((position, c, kind(c).filter(|_| !allowed(c))?)));
    match unfit {
        Some((position, c, kind)) => Err(TextError::Character {
            kind,
            code: c.into(),
            position,
        }),
        None => Ok(()),
    }
}

/// Joiners and the emoji variation selectors stay: whole scripts and common emoji need them.
fn kind(c: char) -> Option<CharacterKind> {
    match c {
        '\u{2028}' | '\u{2029}' => Some(CharacterKind::Control),
        c if c.is_control() => Some(CharacterKind::Control),
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => Some(CharacterKind::Bidirectional),
        '\u{00ad}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => Some(CharacterKind::Invisible),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_script_and_nothing_that_forges() {
        for fit in ["", "Größe 尺寸 اندازه\u{200c}ها", "👩\u{200d}🔬 ❤\u{fe0f}"] {
            assert_eq!(line(fit, 40), Ok(()), "{fit}");
        }
        assert_eq!(prose("one\n\ttwo", 8), Ok(()));
        assert!(line("one\ntwo", 8).is_err());
        for unfit in [
            '\x1b',
            '\r',
            '\u{7f}',
            '\u{9b}',
            '\u{2028}',
            '\u{202e}',
            '\u{200b}',
            '\u{e0041}',
        ] {
            let text = format!("ab{unfit}");
            let Err(TextError::Character { position, code, .. }) = prose(&text, 8) else {
                panic!("{unfit:?} passed");
            };
            assert_eq!((position, code), (2, u32::from(unfit)));
        }
    }

    #[test]
    fn counts_characters_not_bytes() {
        assert_eq!(line("ööö", 3), Ok(()));
        let message = line("öööö", 3).unwrap_err().to_string();
        assert_eq!(message, "has 4 characters; at most 3 are allowed");
    }
}
