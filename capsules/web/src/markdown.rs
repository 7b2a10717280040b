//! The last touch to Markdown.

/// Without white space at the ends of lines, and never more than one empty line in a row. Lines
/// inside code fences stay as they are.
pub(crate) fn finish(markdown: &str) -> String {
    let mut finished = String::with_capacity(markdown.len());
    let mut fence: Option<&str> = None;
    let mut empty_lines = 1;
    for line in markdown.lines() {
        let mark = line.trim_start();
        match fence {
            Some(open) if mark.starts_with(open) && mark.trim_end() == open => fence = None,
            Some(_) => {}
            None if mark.starts_with("```") => {
                fence = Some(&mark[..mark.len() - mark.trim_start_matches('`').len()]);
            }
            None => {
                let line = line.trim_end();
                empty_lines = if line.is_empty() { empty_lines + 1 } else { 0 };
                if empty_lines <= 1 {
                    finished.push_str(line);
                    finished.push('\n');
                }
                continue;
            }
        }
        empty_lines = 0;
        finished.push_str(line);
        finished.push('\n');
    }
    finished.truncate(finished.trim_end().len());
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_are_kept_in_code_only() {
        let markdown = "\n\na  \n\n\n\nb\n```rust\nx  \n\n\ny\n```\n\n\nc\n\n";
        assert_eq!(finish(markdown), "a\n\nb\n```rust\nx  \n\n\ny\n```\n\nc");
    }
}
