//! Lines on their way to the disk, one behind the other as they will stand there: they come from many
//! threads, and what one allocates and another frees costs more than a copy.

/// Bytes of memory that are kept for the lines to come.
const KEPT: usize = 16 << 20;

/// Some lines, each with its end.
#[derive(Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    /// Where each ends, behind its line feed.
    ends: Vec<usize>,
}

impl Lines {
    /// Adds one, which has no line feed in it.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        self.ends.push(self.text.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each without its line feed.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.text[start..end - 1])
    }

    /// The text of those from one to before another.
    pub(super) fn text(&self, from: usize, to: usize) -> &[u8] {
        &self.text[self.start(from)..self.start(to)]
    }

    fn start(&self, index: usize) -> usize {
        match index.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        }
    }

    /// Takes all of another's behind its own, and leaves it empty, with memory for more.
    pub(super) fn take(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        for line in other.iter() {
            self.push(line);
        }
        other.clear();
    }

    /// Lets go of the first.
    pub(super) fn drop_first(&mut self, number: usize) {
        if number == self.len() {
            return self.clear();
        }
        let gone = self.start(number);
        self.text.drain(..gone);
        self.ends.drain(..number);
        for end in &mut self.ends {
            *end -= gone;
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.text.shrink_to(KEPT);
    }
}

impl<L: AsRef<[u8]>> FromIterator<L> for Lines {
    fn from_iter<I: IntoIterator<Item = L>>(lines: I) -> Self {
        let mut all = Self::default();
        for line in lines {
            all.push(line.as_ref());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &Lines) -> Vec<&[u8]> {
        lines.iter().collect()
    }

    #[test]
    fn they_come_and_go_in_their_order() {
        let mut lines: Lines = ["a", "", "bc"].into_iter().collect();
        assert_eq!(shown(&lines), [&b"a"[..], b"", b"bc"]);
        assert_eq!(lines.text(0, 3), b"a\n\nbc\n");
        assert_eq!(lines.text(1, 2), b"\n");
        lines.drop_first(1);
        assert_eq!(shown(&lines), [&b""[..], b"bc"]);
        assert_eq!(lines.text(0, 2), b"\nbc\n");

        let mut more: Lines = ["d"].into_iter().collect();
        lines.take(&mut more);
        assert_eq!(shown(&lines), [&b""[..], b"bc", b"d"]);
        assert!(more.is_empty());
        more.take(&mut lines);
        assert_eq!((more.len(), lines.len()), (3, 0));
        more.drop_first(3);
        assert!(more.is_empty() && more.text(0, 0).is_empty());
    }
}
