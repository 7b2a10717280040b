//! The hashes of the log's tree on disk, which proofs are made from. They follow from the records: a
//! file that lacks some is made anew from those when the log is opened.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use soma_registry::log::{Frontier, Inclusion, TreeHash};

use super::layout::{self, read_next};
use super::line::leaf;

/// In the log's folder.
pub(super) const FILE: &str = "hashes";
/// Bytes of one: that of the stored index `i` begins at `i` times as many.
const HASH: u64 = 32;
/// Bytes that wait to be written, while that fails, before they are given up.
const MOST_WAITING: usize = 64 << 20;

/// The file, as the one who writes it has it. That it cannot be written stops no call and no
/// checkpoint: only receipts need it.
pub(super) struct Tree {
    file: File,
    /// Hashes in the file.
    written: u64,
    /// Those that are not, one behind the other.
    waiting: Vec<u8>,
    is_failing: bool,
    /// It is too late for this run of the host.
    is_lost: bool,
}

impl Tree {
    /// Opens the file of the tree that was signed last, and makes it anew where it does not fit.
    pub(super) fn open(path: &Path, records: &Path, signed: &Frontier) -> io::Result<Self> {
        let mut tree = Self {
            file: layout::open(path)?,
            written: signed.stored(),
            waiting: Vec::new(),
            is_failing: false,
            is_lost: false,
        };
        if tree.fits(signed)? {
            // What was written since comes again, with its records.
            tree.file.set_len(HASH * tree.written)?;
        } else if let Err(error) = tree.remake(records, signed) {
            tree.lose(&error);
        }
        Ok(tree)
    }

    /// Whether the file has the edge of that tree, which is written after all that is under it.
    fn fits(&self, signed: &Frontier) -> io::Result<bool> {
        if self.file.metadata()?.len() < HASH * signed.stored() {
            return Ok(false);
        }
        for (index, hash) in signed.edge() {
            if hash_at(&self.file, index)? != hash {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn remake(&mut self, records: &Path, signed: &Frontier) -> io::Result<()> {
        tracing::info!(
            records = signed.size(),
            "the hashes of the audit log's tree are made anew from its records"
        );
        self.file.set_len(0)?;
        self.written = 0;
        let mut frontier = Frontier::default();
        while frontier.size() < signed.size() {
            for line in read_next(records, frontier.size(), signed.size())? {
                self.extend(&frontier.push(&leaf(&line)));
            }
            self.put()?;
        }
        if frontier.root() != signed.root() {
            return Err(io::Error::other(
                "the records are not those that were signed",
            ));
        }
        Ok(())
    }

    /// Whether the file has the hash of this line at that leaf. Of one that is lost it has none.
    pub(super) fn has(&self, index: u64, line: &[u8]) -> bool {
        let hash = hash_at(&self.file, stored(index));
        hash.is_ok_and(|hash| hash == TreeHash::of_leaf(&leaf(line)))
    }

    /// Takes what a leaf brings, to be written.
    pub(super) fn extend(&mut self, hashes: &[(u64, TreeHash)]) {
        if !self.is_lost {
            let hashes = hashes.iter().flat_map(|(_, hash)| hash.as_bytes());
            self.waiting.extend(hashes);
        }
    }

    /// Writes what waits. What cannot be written goes on waiting.
    pub(super) fn write(&mut self) {
        match self.put() {
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                tracing::warn!("the hashes of the audit log's tree can be written again");
            }
            Ok(()) => {}
            Err(error) if self.waiting.len() > MOST_WAITING => self.lose(&error),
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::error!(%error, "the hashes of the audit log's tree cannot be written");
            }
            Err(_) => {}
        }
    }

    /// The same; what is written then outlives a power cut.
    pub(super) fn sync(&mut self) {
        self.write();
        if let Err(error) = self.file.sync_data() {
            // Nobody knows which of them are there.
            self.lose(&error);
        }
    }

    fn put(&mut self) -> io::Result<()> {
        // Over whatever came of an attempt that failed.
        self.file.write_all_at(&self.waiting, HASH * self.written)?;
        self.written += self.waiting.len() as u64 / HASH;
        self.waiting.clear();
        Ok(())
    }

    /// Gives the file up until the next start, which makes it anew.
    pub(super) fn lose(&mut self, error: &io::Error) {
        if self.is_lost {
            return;
        }
        tracing::error!(
            %error,
            "the hashes of the audit log's tree are lost: there are no receipts until the host's \
             next start, which makes them anew"
        );
        self.is_lost = true;
        self.waiting = Vec::new();
        // By this the next start sees it.
        if let Err(error) = self.file.set_len(0) {
            tracing::error!(%error, "the file of the hashes cannot be emptied: delete it");
        }
    }
}

fn hash_at(file: &File, index: u64) -> io::Result<TreeHash> {
    let mut hash = [0; 32];
    file.read_exact_at(&mut hash, HASH * index)?;
    Ok(TreeHash::from_bytes(hash))
}

/// The file's own hash of a leaf, whatever the record says.
pub(super) fn hash_of(path: &Path, leaf: u64) -> io::Result<TreeHash> {
    hash_at(&File::open(path)?, stored(leaf))
}

/// At which stored index a leaf's hash is: so many are those of all leaves before it, and of the
/// subtrees that are whole by then.
fn stored(leaf: u64) -> u64 {
    2 * leaf - u64::from(leaf.count_ones())
}

/// Proves that leaf to be in the tree of this size, from the file of its hashes.
pub(super) fn prove(path: &Path, index: u64, size: u64) -> io::Result<Inclusion> {
    let file = File::open(path)?;
    let mut hashes = BTreeMap::new();
    for wanted in Inclusion::wanted(index, size).map_err(io::Error::other)? {
        let hash = hash_at(&file, wanted);
        let hash = hash.map_err(|e| io::Error::other(format!("the tree's hash {wanted}: {e}")))?;
        hashes.insert(wanted, hash);
    }
    Inclusion::from_hashes(index, size, &hashes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::Range;
    use std::path::PathBuf;

    use soma_registry::SecretKey;
    use soma_registry::log::{Checkpoint, NoteSecret};
    use tempfile::TempDir;

    use super::super::layout::IN_FILE;
    use super::super::store::Store;
    use super::*;

    /// A log as its writer has it.
    struct Log {
        folder: TempDir,
        store: Store,
        frontier: Frontier,
        tree: Tree,
    }

    impl Log {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("records")).unwrap();
            let frontier = Frontier::default();
            Self {
                store: Store::open(&folder.path().join("records")).unwrap(),
                tree: open(folder.path(), &frontier),
                folder,
                frontier,
            }
        }

        fn hashes(&self) -> PathBuf {
            self.folder.path().join(FILE)
        }

        fn append(&mut self, range: Range<u64>) {
            let lines: Vec<Vec<u8>> = range.map(line).collect();
            self.store.append(&lines.iter().collect()).unwrap();
            for line in lines {
                self.tree.extend(&self.frontier.push(&leaf(&line)));
            }
            self.tree.write();
        }

        /// Begins again at what was signed, with what is in the file after this.
        fn reopen(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
            self.tree.sync();
            let mut bytes = fs::read(self.hashes()).unwrap();
            change(&mut bytes);
            fs::write(self.hashes(), bytes).unwrap();
            self.tree = open(self.folder.path(), &self.frontier);
        }

        /// Each of these leaves is proven, and no other line in its place.
        fn proves(&self, leaves: impl Iterator<Item = u64>) {
            let secret = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
            let checkpoint = Checkpoint::sign(&secret, &self.frontier).unwrap();
            for index in leaves {
                let proof = prove(&self.hashes(), index, self.frontier.size()).unwrap();
                proof.check(&leaf(&line(index)), &checkpoint).unwrap();
                let other = leaf(&line(index + 1));
                assert!(proof.check(&other, &checkpoint).is_err());
            }
        }
    }

    fn open(folder: &Path, signed: &Frontier) -> Tree {
        Tree::open(&folder.join(FILE), &folder.join("records"), signed).unwrap()
    }

    fn line(n: u64) -> Vec<u8> {
        format!("line {n}").into_bytes()
    }

    #[test]
    fn each_leaf_is_proven_at_every_size() {
        let mut log = Log::new();
        for size in 0..70 {
            log.append(size..size + 1);
            log.proves(0..=size);
        }
        assert_eq!(fs::read(log.hashes()).unwrap().len() % 32, 0);
    }

    #[test]
    fn a_file_that_lacks_hashes_is_made_anew_and_one_that_has_more_is_cut() {
        let mut log = Log::new();
        log.append(0..IN_FILE + 37);
        let whole = fs::read(log.hashes()).unwrap();
        let some = || {
            (0..IN_FILE + 37)
                .step_by(61)
                .chain([IN_FILE - 1, IN_FILE + 36])
        };
        log.proves(some());
        let changes: [fn(&mut Vec<u8>); 6] = [
            |_| {},
            |bytes| bytes.extend([7; 100]),
            Vec::clear,
            |bytes| bytes.truncate(bytes.len() - 1),
            |bytes| bytes.truncate(bytes.len() / 2),
            |bytes| {
                let end = bytes.len() - 32;
                bytes[end..].fill(0);
            },
        ];
        for change in changes {
            log.reopen(change);
            assert!(fs::read(log.hashes()).unwrap() == whole);
            log.proves(some());
        }
        log.append(IN_FILE + 37..IN_FILE + 50);
        log.proves(some());
    }

    #[test]
    fn where_records_are_gone_nothing_is_proven_and_the_log_goes_on() {
        let mut log = Log::new();
        log.append(0..IN_FILE + 5);
        let first = log.folder.path().join("records/000000000000.jsonl");
        let kept = fs::read(&first).unwrap();
        fs::remove_file(&first).unwrap();
        log.reopen(Vec::clear);
        log.append(IN_FILE + 5..IN_FILE + 9);
        assert!(prove(&log.hashes(), 1, log.frontier.size()).is_err());
        // The next start makes them anew, where it can.
        fs::write(&first, kept).unwrap();
        log.reopen(|_| {});
        log.proves([0, 1, IN_FILE, IN_FILE + 8].into_iter());
    }

    #[test]
    fn damage_in_the_middle_is_told_from_a_changed_record() {
        let mut log = Log::new();
        for index in 0..50 {
            assert_eq!(stored(index), log.frontier.stored());
            log.append(index..index + 1);
        }
        let secret = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
        let checkpoint = Checkpoint::sign(&secret, &log.frontier).unwrap();
        let is_sound = |log: &Log, index| {
            let proof = prove(&log.hashes(), index, 50).unwrap();
            let own = hash_of(&log.hashes(), index).unwrap();
            proof.check_hash(own, &checkpoint).is_ok()
        };
        assert!((0..50).all(|index| is_sound(&log, index)));
        // The edge does not show it, and so the next start does not either.
        log.reopen(|bytes| bytes[32 * 7..32 * 9].fill(0));
        assert!((0..50).any(|index| !is_sound(&log, index)));
        log.tree.lose(&io::Error::other("damaged"));
        log.append(50..60);
        log.reopen(|bytes| assert_eq!(bytes.len(), 0));
        log.proves(0..60);
    }

    #[test]
    fn what_cannot_be_written_is_written_once_it_can_be() {
        let mut log = Log::new();
        log.append(0..10);
        // A file that is not open for writing takes nothing.
        let readable = File::open(log.hashes()).unwrap();
        let writable = std::mem::replace(&mut log.tree.file, readable);
        log.append(10..20);
        assert!(log.tree.is_failing && !log.tree.is_lost);
        assert!(prove(&log.hashes(), 15, 20).is_err());
        log.tree.file = writable;
        log.append(20..30);
        assert!(!log.tree.is_failing);
        log.proves(0..30);
    }
}
