//! What a capsule asks for, in the words that are shown wherever somebody is to agree to it.

use std::io::{self, Write};

use soma_capability::Capabilities;

use crate::screen::{faint, visible};

/// One thing that is asked for.
pub(crate) struct Wish {
    /// What, in our words.
    pub(crate) asks: String,
    /// What for, in its author's, and marked as theirs.
    pub(crate) why: Option<String>,
}

/// All of it, in the order of the manifest.
pub(crate) fn wishes(asked: &Capabilities) -> Vec<Wish> {
    let all = asked.sentences().into_iter();
    let all = all.map(|sentence| Wish {
        asks: sentence.asks,
        why: sentence.why.map(|why| format!("its author: \"{why}\"")),
    });
    all.collect()
}

/// Shows all of it, the author's words below ours.
pub(crate) fn show(asked: &Capabilities, out: &mut dyn Write) -> io::Result<()> {
    let wishes = wishes(asked);
    if wishes.is_empty() {
        writeln!(out, "  nothing beyond its limits")?;
    }
    for Wish { asks, why } in wishes {
        writeln!(out, "  {}", visible(&asks))?;
        if let Some(why) = why {
            writeln!(out, "    {}", faint(&why))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_words_are_theirs_and_links_say_what_they_hide() {
        let asked: Capabilities = serde_json::from_value(serde_json::json!({
            "kv": {"quota-kib": 16},
            "http": [{"origin": "https://a.test", "methods": ["POST"], "paths": ["/graphql"],
                      "why": "To ask."}],
            "links": [
                {"origin": "https://sts.amazonaws.com", "methods": ["GET"], "paths": ["/"],
                 "credential": "store", "why": "To fetch."},
                {"origin": "https://s3.test", "methods": ["GET"], "paths": ["/a"],
                 "credential": "store", "why": "To fetch."},
            ],
        }))
        .unwrap();
        let all = wishes(&asked);
        assert_eq!(all.len(), 4);
        assert!(all[0].asks.ends_with(", for every operation"));
        assert_eq!(all[0].why.as_deref(), Some("its author: \"To ask.\""));
        assert!(all[1].asks.ends_with("; every operation"));
        assert!(!all[2].asks.contains("operation"));
        assert!(all[3].asks.contains("16 KiB") && all[3].why.is_none());
    }
}
