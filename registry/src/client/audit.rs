//! Walking a whole log, and whether what a marketplace shows follows from it.

use std::collections::BTreeSet;

use serde::Serialize;
use soma_capability::CapsuleName;

use super::{ClientError, Marketplace, Query};
use crate::follower::Follower;
use crate::index::{Index, Release};
use crate::log::{Checkpoint, Frontier};

/// How often the comparison is made again because the log grew meanwhile.
const MAX_ROUNDS: usize = 3;

/// A whole log, each leaf proven to be in it, and what follows from them.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The checkpoint that it leads to.
    pub checkpoint: Checkpoint,
    /// What follows.
    pub index: Index,
    follower: Follower,
    leaves: Vec<Vec<u8>>,
}

/// What an audit found.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The log, from its first leaf on.
    pub walk: Walk,
    /// Where the marketplace shows something else than follows.
    pub differences: Vec<Difference>,
}

/// Something that a marketplace shows and that does not follow from its log, or the other way
/// round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// A namespace, a capsule or a version of one.
    pub subject: String,
    /// In what way it differs.
    pub what: &'static str,
}

impl Marketplace {
    /// Reads the log from its first leaf on and derives the index from it.
    pub async fn walk(&self) -> Result<Walk, ClientError> {
        let mut follower = Follower::new(Frontier::default());
        let (checkpoint, leaves) = self.follow(&mut follower).await?;
        let mut index = Index::default();
        for leaf in &leaves {
            index.push(leaf, self.origin())?;
        }
        Ok(Walk {
            checkpoint,
            index,
            follower,
            leaves,
        })
    }

    /// Goes on to the newest checkpoint; says whether there was anything new.
    async fn walk_on(&self, walk: &mut Walk) -> Result<bool, ClientError> {
        let (checkpoint, leaves) = self.follow(&mut walk.follower).await?;
        for leaf in &leaves {
            walk.index.push(leaf, self.origin())?;
        }
        let grew = !leaves.is_empty();
        walk.checkpoint = checkpoint;
        walk.leaves.extend(leaves);
        Ok(grew)
    }

    /// Walks the log and compares all that the marketplace shows with what follows from it.
    pub async fn audit(&self) -> Result<Audit, ClientError> {
        let mut walk = self.walk().await?;
        let mut differences = self.compare(&walk.index).await?;
        for _ in 1..MAX_ROUNDS {
            // What was published in between is no difference.
            if differences.is_empty() || !self.walk_on(&mut walk).await? {
                break;
            }
            differences = self.compare(&walk.index).await?;
        }
        Ok(Audit { walk, differences })
    }

    async fn compare(&self, index: &Index) -> Result<Vec<Difference>, ClientError> {
        let mut found = BTreeSet::new();
        let mut note = |subject: String, what| {
            found.insert(Difference { subject, what });
        };
        for (name, namespace) in &index.namespaces {
            match shown(self.namespace(name).await)? {
                None => note(name.to_string(), "is in the log and not shown"),
                Some(info) if info.state != *namespace || info.name != *name => {
                    note(name.to_string(), "has other owners or keys than in the log");
                }
                Some(_) => {}
            }
        }
        let mut listed = self.listed(Query::default()).await?;
        let mut publishers = BTreeSet::new();
        for (capsule, releases) in &index.releases {
            let has_current = releases.values().any(|it| it.standing.is_current());
            // Of very many a search without a publisher gives the first.
            if has_current && !listed.contains(capsule) && publishers.insert(capsule.publisher()) {
                let query = Query {
                    publisher: Some(capsule.namespace().to_owned()),
                    ..Query::default()
                };
                listed.extend(self.listed(query).await?);
            }
            if has_current && !listed.contains(capsule) {
                note(capsule.to_string(), "is in the log and found by no search");
            }
            let Some(info) = shown(self.package(capsule).await)? else {
                note(capsule.to_string(), "is in the log and not shown");
                continue;
            };
            for release in &info.versions {
                if !releases.contains_key(&release.version) {
                    note(titled(release), "is shown and not in the log");
                }
            }
            for release in releases.values() {
                if !info.versions.contains(release) {
                    note(titled(release), "is listed otherwise than in the log");
                }
                match shown(self.release(capsule, &release.version).await)? {
                    Some(info) if info.release == *release => {}
                    _ => note(titled(release), "is shown otherwise than in the log"),
                }
            }
        }
        for capsule in listed.iter().filter(|it| !index.releases.contains_key(*it)) {
            note(capsule.to_string(), "is shown and not in the log");
        }
        Ok(found.into_iter().collect())
    }

    /// Every capsule that such a search finds.
    async fn listed(&self, mut query: Query) -> Result<BTreeSet<CapsuleName>, ClientError> {
        let mut listed = BTreeSet::new();
        loop {
            let page = self.search(&query).await?;
            let before = listed.len();
            listed.extend(page.hits.into_iter().map(|hit| hit.capsule));
            query.after = page.next;
            // A page with nothing new would be followed by others for ever.
            if query.after.is_none() || listed.len() == before {
                return Ok(listed);
            }
        }
    }
}

impl Walk {
    /// Whether an older checkpoint is of this very log: its leaves are the first ones here.
    pub fn continues(&self, older: &Checkpoint) -> bool {
        let Ok(size) = usize::try_from(older.size()) else {
            return false;
        };
        let Some(leaves) = self.leaves.get(..size) else {
            return false;
        };
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.push(leaf);
        }
        frontier.root() == older.root()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.subject, self.what)
    }
}

fn titled(release: &Release) -> String {
    format!("{}@{}", release.capsule, release.version)
}

/// What is shown; none where the marketplace says that there is nothing.
fn shown<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Err(error) if error.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}
