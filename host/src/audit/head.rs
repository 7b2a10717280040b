//! What is signed of the log: the newest checkpoint, and the edge of the tree at it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use soma_registry::log::{Checkpoint, Frontier, LogKey, NoteSecret};
use soma_registry::owner_only;

/// In the log's folder.
pub(super) const FILE: &str = "head.json";

/// As it is in the file.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) checkpoint: String,
    /// The edge of the tree whose root the checkpoint has.
    pub(super) frontier: Frontier,
}

impl Head {
    /// What was signed last; none where nothing was yet.
    pub(super) fn read(folder: &Path, key: &LogKey) -> anyhow::Result<Option<Self>> {
        let bytes = match fs::read(folder.join(FILE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes.context(FILE)?,
        };
        let head: Self = serde_json::from_slice(&bytes).context(FILE)?;
        let checkpoint = Checkpoint::read(head.checkpoint.as_bytes(), key).context(FILE)?;
        // One hash is the edge of trees of many sizes.
        let is_edge = checkpoint.size() == head.size() && checkpoint.root() == head.frontier.root();
        ensure!(
            is_edge,
            "{FILE}: its edge does not make the root that was signed"
        );
        Ok(Some(head))
    }

    /// Signs the tree that this is the edge of, with the time.
    pub(super) fn sign(secret: &NoteSecret, frontier: &Frontier) -> anyhow::Result<Self> {
        let mut checkpoint = Checkpoint::sign(secret, frontier)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        checkpoint.cosign(secret, now)?;
        Ok(Self {
            checkpoint: String::from_utf8(checkpoint.to_bytes())?,
            frontier: frontier.clone(),
        })
    }

    /// Puts it in the place of the one before.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(owner_only::replace(
            &folder.join(FILE),
            &serde_json::to_vec(self)?,
        )?)
    }

    /// How many lines are signed.
    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use soma_registry::SecretKey;

    use super::*;

    #[test]
    fn its_edge_is_that_of_the_tree_that_was_signed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let secret = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
        let key = secret.log_key();
        assert!(Head::read(folder, &key).unwrap().is_none());
        let mut frontier = Frontier::default();
        for leaf in [b"a", b"b", b"c", b"d"] {
            frontier.push(leaf);
        }
        Head::sign(&secret, &frontier)
            .unwrap()
            .write(folder)
            .unwrap();
        assert_eq!(Head::read(folder, &key).unwrap().unwrap().size(), 4);

        let kept: Value = serde_json::from_slice(&fs::read(folder.join(FILE)).unwrap()).unwrap();
        frontier.push(b"e");
        let hashes = &kept["frontier"]["hashes"];
        for other in [
            json!(frontier),
            json!({"size": 8, "hashes": hashes}),
            json!({"size": 2, "hashes": hashes}),
        ] {
            let mut changed = kept.clone();
            changed["frontier"] = other;
            fs::write(folder.join(FILE), changed.to_string()).unwrap();
            let error = Head::read(folder, &key).err().unwrap().to_string();
            assert!(error.contains("its edge does not make"), "{error}");
        }
    }
}
