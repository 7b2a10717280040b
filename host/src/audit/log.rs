//! The log on disk, as the one who writes it has it: its lines, the tree over them, and what of that
//! is signed. A host goes on with what the last one left, where that has all that was signed.

use std::io::{self, ErrorKind};
use std::iter;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, ensure};
use soma_registry::log::{Frontier, NoteSecret};

use super::head::{self, Head};
use super::layout::read_next;
use super::line::{erase, is_erased, is_line, leaf};
use super::lines::Lines;
use super::store::Store;
use super::tree::{self, Tree};
use super::{Entry, Event, Salt};

/// What is left to do where records are gone.
const ADVICE: &str = "restore the host from a backup (`soma restore`), or move the folder away to \
                      begin a new log";

pub(super) struct Log {
    folder: PathBuf,
    secret: NoteSecret,
    store: Store,
    tree: Tree,
    /// The edge of the tree.
    frontier: Frontier,
    /// What was signed last.
    head: Head,
}

impl Log {
    /// Goes on where the last host ended, and records that this one begins. Refuses a log of which
    /// files are gone, or lines that were signed.
    pub(super) fn open(folder: &Path, secret: NoteSecret) -> anyhow::Result<Self> {
        let records = folder.join("records");
        let mut store = Store::open(&records).map_err(advised)?;
        let head = match Head::read(folder, &secret.log_key())? {
            Some(head) => head,
            None => begin(folder, &secret, store.size())?,
        };
        let signed = head.size();
        ensure!(
            store.size() >= signed,
            "{signed} records were signed and {} are there: some are gone; {ADVICE}",
            store.size()
        );
        store.cut(signed, is_line).map_err(advised)?;
        let tree = Tree::open(&folder.join(tree::FILE), &records, &head.frontier)?;
        let checked = store.check_ends(signed, |index, line| tree.has(index, line));
        checked.map_err(advised)?;
        let mut log = Self {
            folder: folder.to_owned(),
            secret,
            store,
            tree,
            frontier: head.frontier.clone(),
            head,
        };
        log.start(&records)?;
        Ok(log)
    }

    /// Takes what came after the newest checkpoint as it is, with the record of this start behind it,
    /// and signs both together: nothing of that is signed before it is counted.
    fn start(&mut self, records: &Path) -> anyhow::Result<()> {
        let start = Event::Start {
            version: env!("CARGO_PKG_VERSION"),
            unsigned: NonZeroU64::new(self.store.size() - self.head.size()),
        };
        let line = Salt::new().line(Entry::by_host(None, start))?;
        self.store.append(&iter::once(line).collect())?;
        while self.frontier.size() < self.store.size() {
            let lines = read_next(records, self.frontier.size(), self.store.size());
            for line in lines.map_err(advised)? {
                self.count(&line);
            }
        }
        self.sign()
    }

    /// Takes a line into the tree.
    fn count(&mut self, line: &[u8]) {
        self.tree.extend(&self.frontier.push(&leaf(line)));
    }

    /// How many lines are in the tree.
    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Appends lines on disk. On an error the first of them may be there all the same.
    pub(super) fn append(&mut self, lines: &Lines) -> io::Result<()> {
        self.store.append(lines)
    }

    /// Takes those of the lines into the tree that were appended; gives how many of the first it was.
    pub(super) fn grow(&mut self, lines: &Lines) -> usize {
        // Of several files the first may have taken some, and the next none.
        let taken = self.store.size() - self.frontier.size();
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        for line in lines.iter().take(taken) {
            self.count(line);
        }
        taken
    }

    /// Writes the hashes that the tree has grown by.
    pub(super) fn write_hashes(&mut self) {
        self.tree.write();
    }

    /// Gives up the hashes of the tree, which are damaged.
    pub(super) fn lose_hashes(&mut self) {
        let error = io::Error::other("a receipt that was made of them proves nothing");
        self.tree.lose(&error);
    }

    /// Erases the lines of which this is true, and gives how many it was.
    pub(super) fn erase(&mut self, is_meant: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
        self.store
            .rewrite(|line| (!is_erased(line) && is_meant(line)).then(|| erase(line)))
    }

    /// Signs how far the log has come.
    pub(super) fn sign(&mut self) -> anyhow::Result<()> {
        let head = Head::sign(&self.secret, &self.frontier)?;
        // Whatever is signed can be proven after a power cut too.
        self.tree.sync();
        head.write(&self.folder)?;
        self.head = head;
        Ok(())
    }

    /// Whether all of it is signed.
    pub(super) fn is_signed(&self) -> bool {
        self.head.size() == self.size()
    }

    /// The newest.
    pub(super) fn checkpoint(&self) -> &str {
        &self.head.checkpoint
    }
}

/// Signs that nothing is there yet: lines that nothing was signed before are refused.
fn begin(folder: &Path, secret: &NoteSecret, size: u64) -> anyhow::Result<Head> {
    ensure!(
        size == 0,
        "{} is missing, which says what was signed of the {size} records that are there; {ADVICE}",
        head::FILE
    );
    let head = Head::sign(secret, &Frontier::default())?;
    head.write(folder)?;
    Ok(head)
}

/// The error, with what is left to do where records are gone.
fn advised(error: io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::InvalidData => anyhow!("{error}; {ADVICE}"),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};
    use soma_registry::SecretKey;
    use tempfile::TempDir;

    use super::super::layout::{IN_FILE, path, read};
    use super::super::line::Line;
    use super::*;

    /// A log that hosts go on with.
    struct Left {
        folder: TempDir,
        records: PathBuf,
        secret: String,
    }

    impl Left {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let records = folder.path().join("records");
            fs::create_dir(&records).unwrap();
            let secret = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
            Self {
                folder,
                records,
                secret: secret.expose(),
            }
        }

        fn open(&self) -> anyhow::Result<Log> {
            Log::open(self.folder.path(), self.secret.parse().unwrap())
        }

        fn is_refused(&self, words: &str) {
            let error = format!("{:#}", self.open().err().unwrap());
            assert!(error.contains(words), "{error}");
            assert!(error.contains("; restore the host"), "{error}");
        }

        fn records(&self) -> Vec<Value> {
            let lines = read(&self.records, 0, IN_FILE).unwrap();
            let record = |line: &Vec<u8>| Line::<Value>::read(line).unwrap().record;
            lines.iter().map(record).collect()
        }
    }

    #[test]
    fn what_came_after_the_newest_checkpoint_is_counted_and_what_is_no_record_cut_off() {
        let left = Left::new();
        for _ in 0..2 {
            left.open().unwrap();
        }
        let file = path(&left.records, 0);
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str(&"{\"salt\":\"\",\"record\":{\"kind\":\"call\"}}\n".repeat(3));
        text.push_str("\0\0\0\n{\"salt\":\"\",\"record\":{}}\n{\"salt");
        fs::write(&file, text).unwrap();
        let log = left.open().unwrap();
        assert_eq!((log.head.size(), log.store.size()), (6, 6));
        assert_eq!(log.size(), 6);
        let of = |member: &str| -> Vec<Value> {
            let records = left.records();
            records.iter().map(|it| it[member].clone()).collect()
        };
        let kinds = ["start", "start", "call", "call", "call", "start"];
        assert_eq!(of("kind"), kinds);
        let counted = json!([null, null, null, null, null, 3]);
        assert_eq!(json!(of("unsigned")), counted);
    }

    #[test]
    fn a_log_of_which_files_or_signed_lines_are_gone_is_refused() {
        let left = Left::new();
        left.open().unwrap();
        let far = path(&left.records, 244 * IN_FILE);
        fs::write(&far, "").unwrap();
        left.is_refused("there is no file 000000004096.jsonl");
        fs::remove_file(far).unwrap();

        let (first, next) = (path(&left.records, 0), path(&left.records, IN_FILE));
        let kept = fs::read(&first).unwrap();
        fs::write(&first, "").unwrap();
        left.is_refused("1 records were signed and 0 are there");
        fs::write(&next, "").unwrap();
        left.is_refused("records are missing after 0");
        fs::remove_file(&first).unwrap();
        left.is_refused("there is no file 000000000000.jsonl");
        // Where all that was signed is there, what follows nothing goes.
        fs::write(&first, kept).unwrap();
        fs::write(&next, "{\"salt\":\"\",\"record\":{}}\n").unwrap();
        left.open().unwrap();
        assert_eq!(left.records().len(), 2);
        assert!(!next.exists());
    }

    #[test]
    fn an_older_file_that_was_cut_short_is_refused() {
        let left = Left::new();
        left.open().unwrap();
        let line = |n: u64| format!("{{\"salt\":\"{n}\",\"record\":{{}}}}\n");
        let (first, next) = (path(&left.records, 0), path(&left.records, IN_FILE));
        let mut whole = fs::read_to_string(&first).unwrap();
        whole.extend((1..IN_FILE).map(line));
        fs::write(&first, &whole).unwrap();
        fs::write(&next, line(IN_FILE)).unwrap();
        left.open().unwrap();

        let hashes = left.folder.path().join(tree::FILE);
        for has_hashes in [true, false] {
            for (bytes, words) in [
                (whole.len() - line(4095).len(), "are missing after 4095"),
                (whole.len() - 1, "are missing after 4095"),
                (0, "are missing after 0"),
            ] {
                fs::write(&first, &whole[..bytes]).unwrap();
                if !has_hashes {
                    fs::write(&hashes, "").unwrap();
                }
                left.is_refused(words);
            }
        }
        fs::write(&first, &whole).unwrap();
        left.open().unwrap().erase(|_| true).unwrap();
        let log = left.open().unwrap();
        let last = erase(line(4095).trim_end().as_bytes());
        assert!(log.tree.has(4095, &last) && !log.tree.has(4094, &last));
        // Where the hash of its last line is damaged, none is missing.
        let mut bytes = fs::read(&hashes).unwrap();
        bytes[32 * 8178..32 * 8179].fill(0);
        fs::write(&hashes, bytes).unwrap();
        let log = left.open().unwrap();
        assert!(!log.tree.has(4095, &last));
    }

    #[test]
    fn records_of_which_nothing_says_how_many_were_signed_are_refused() {
        let left = Left::new();
        left.open().unwrap();
        fs::remove_file(left.folder.path().join(head::FILE)).unwrap();
        left.is_refused("head.json is missing, which says what was signed of the 1 records");
        // Of a log that is empty nothing was.
        fs::remove_file(path(&left.records, 0)).unwrap();
        assert!(left.open().unwrap().is_signed());
    }
}
