//! The last touch to Markdown.

/// Without white space at the ends of lines, never more than one empty line in a row, and one
/// around every code block. Lines inside code blocks stay as they are.
pub(crate) fn finish(markdown: &str) -> String {
    let mut finished = Finished::default();
    let mut fence: Option<&str> = None;
    for line in markdown.lines() {
        let mark = line.trim();
        match fence {
            Some(open) => {
                finished.line(line);
                if mark == open {
                    fence = None;
                    finished.gap = true;
                }
            }
            None if mark.starts_with("```") => {
                fence = Some(&mark[..mark.len() - mark.trim_start_matches('`').len()]);
                // An indented block belongs to the list item above it.
                finished.gap |= line.starts_with('`');
                finished.line(line);
            }
            None if mark.is_empty() => finished.gap = true,
            None => finished.line(line.trim_end()),
        }
    }
    finished.text.truncate(finished.text.trim_end().len());
    finished.text
}

#[derive(Default)]
struct Finished {
    text: String,
    /// An empty line is due before the next.
    gap: bool,
}

impl Finished {
    fn line(&mut self, line: &str) {
        if std::mem::take(&mut self.gap) && !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_are_kept_in_code_only() {
        let markdown = "\n\na  \n\n\n\nb\n```rust\nx  \n\n\ny\n```\n\n\nc\n\n";
        assert_eq!(finish(markdown), "a\n\nb\n\n```rust\nx  \n\n\ny\n```\n\nc");
    }
}
