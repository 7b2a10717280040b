//! The one place that appends to the log: a change is judged, and it and all that follows from it
//! are stored, in one transaction, or nothing is.

use std::time::{Duration, Instant};

use soma_capability::Name;
use soma_registry::log::{Act, Checkpoint, Frontier, Inclusion, Leaf, LogKey, NoteSecret};
use soma_registry::oci::{Artifact, Referrer};
use soma_registry::{
    Bundle, Change, ChangeRequest, Envelope, Logged, Namespace, Package, Position, ProvenLeaf,
    Release, SignedChange,
};
use sqlx::{AnyConnection, AnyPool};
use tokio::sync::Mutex;

use crate::db::{self, accounts, invitations, log, namespaces, oci, packages, releases};
use crate::error::{Error, no_invitation};
use crate::names::skeleton;
use crate::witnesses::Witnesses;

/// A checkpoint says when it was signed; it is signed anew when it is older than this.
const FRESH: Duration = Duration::from_secs(5);

/// The log's key, and the turn to append.
pub(crate) struct Sequencer {
    secret: NoteSecret,
    pool: AnyPool,
    witnesses: Witnesses,
    /// Taken before the database's lock, so that writers of this process wait without a
    /// connection each.
    turn: Mutex<()>,
    signed: Mutex<Option<(Instant, Checkpoint)>>,
}

/// The file and what its author signed about it, with a [`Change::Publish`].
pub(crate) struct Publication<'a> {
    pub(crate) package: &'a Package,
    pub(crate) statement: &'a Envelope,
    /// The review that this settles.
    pub(crate) review: Option<&'a str>,
}

/// A change was logged.
pub(crate) struct Appended {
    pub(crate) leaf: u64,
}

impl Sequencer {
    /// Opens the log in the database, which must be this key's.
    pub(crate) async fn open(
        secret: NoteSecret,
        pool: AnyPool,
        witnesses: Witnesses,
    ) -> anyhow::Result<Self> {
        let origin = log::begin(&pool, secret.name()).await?;
        anyhow::ensure!(
            origin == secret.name(),
            "the database has the log `{origin}`, and the key is of `{}`",
            secret.name()
        );
        Ok(Self {
            secret,
            pool,
            witnesses,
            turn: Mutex::default(),
            signed: Mutex::default(),
        })
    }

    /// What others pin.
    pub(crate) fn key(&self) -> LogKey {
        self.secret.log_key()
    }

    /// The log's origin.
    pub(crate) fn origin(&self) -> &str {
        self.secret.name()
    }

    /// Judges a change as if it were the next, and stores nothing.
    pub(crate) async fn rehearse(&self, signed: &SignedChange) -> Result<Option<Release>, Error> {
        let mut connection = self.pool.acquire().await?;
        let head = log::head(&mut connection).await?;
        let position = Position {
            index: head.frontier.size(),
            time: head.time.max(db::now()),
            marketplace: false,
        };
        let (_, release) = judge(&mut connection, signed, position).await?;
        Ok(release)
    }

    /// Appends a change, with the publication that it publishes.
    pub(crate) async fn append(
        &self,
        act: Act,
        publication: Option<&Publication<'_>>,
    ) -> Result<Appended, Error> {
        let _turn = self.turn.lock().await;
        let mut tx = self.pool.begin().await?;
        let mut head = log::lock(&mut tx).await?;
        head.time = head.time.max(db::now());
        let leaf = Leaf {
            time: head.time,
            act,
        };
        let signed = leaf.open(self.origin())?;
        let position = Position {
            index: head.frontier.size(),
            time: head.time,
            marketplace: leaf.is_marketplace(),
        };
        let change = &signed.request.change;
        let name = change.namespace();
        let (namespace, release) = judge(&mut tx, &signed, position).await?;
        namespaces::put(&mut tx, &name, &skeleton(name.as_str()), &namespace)
            .await
            .map_err(|error| taken(error, name.as_str()))?;
        match (&release, publication) {
            (Some(release), Some(publication)) => publish(&mut tx, release, publication).await?,
            (Some(release), None) => restate(&mut tx, release).await?,
            (None, _) => settle(&mut tx, &signed.request, &namespace).await?,
        }
        let body = leaf.to_bytes()?;
        let owners = change.release().is_none();
        let frontier = log::append(&mut tx, head, &body, &name, owners).await?;
        if let (Some(release), Some(publication)) = (&release, publication) {
            self.attach(&mut tx, &frontier, release, publication)
                .await?;
        }
        tx.commit().await?;
        let leaf = position.index;
        *self.signed.lock().await = None;
        tracing::info!(leaf, namespace = name.as_str(), "logged");
        Ok(Appended { leaf })
    }

    /// The newest checkpoint, signed a moment ago, with the cosignatures that witnesses gave.
    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let mut kept = self.signed.lock().await;
        if let Some((when, checkpoint)) = &*kept
            && when.elapsed() < FRESH
        {
            return Ok(checkpoint.clone());
        }
        let mut connection = self.pool.acquire().await?;
        let head = log::head(&mut connection).await?;
        drop(connection);
        let mut checkpoint = Checkpoint::sign(&self.secret, &head.frontier)?;
        checkpoint.cosign(&self.secret, db::now())?;
        self.witnesses.cosign(&self.pool, &mut checkpoint).await;
        *kept = Some((Instant::now(), checkpoint.clone()));
        Ok(checkpoint)
    }

    /// Statement and proofs of a version, all leading to the newest checkpoint.
    pub(crate) async fn bundle(
        &self,
        release: &Release,
        statement: Envelope,
    ) -> Result<Bundle, Error> {
        let checkpoint = self.checkpoint().await?;
        let mut connection = self.pool.acquire().await?;
        prove(&mut connection, release, statement, &checkpoint).await
    }

    /// Writes what OCI clients are served of a version: among it the bundle as it was when the
    /// version came, since what has a digest cannot change with the log.
    async fn attach(
        &self,
        tx: &mut AnyConnection,
        frontier: &Frontier,
        release: &Release,
        publication: &Publication<'_>,
    ) -> Result<(), Error> {
        let mut checkpoint = Checkpoint::sign(&self.secret, frontier)?;
        checkpoint.cosign(&self.secret, db::now())?;
        let statement = publication.statement.clone();
        let bundle = prove(&mut *tx, release, statement, &checkpoint).await?;
        let unwritable = |error: serde_json::Error| Error::Log(error.to_string());
        let artifact = Artifact::of(publication.package).map_err(unwritable)?;
        let referrer = Referrer::of(&artifact, &bundle.to_bytes()?).map_err(unwritable)?;
        let (capsule, version) = (&release.capsule, &release.version);
        oci::insert(tx, capsule, version, &artifact, &referrer).await?;
        Ok(())
    }
}

/// The leaves that a version follows from, each with its way to the checkpoint.
async fn prove(
    connection: &mut AnyConnection,
    release: &Release,
    statement: Envelope,
    checkpoint: &Checkpoint,
) -> Result<Bundle, Error> {
    let size = checkpoint.size();
    let publisher = release.capsule.publisher();
    let chain = log::chain(&mut *connection, &publisher, release.leaf).await?;
    let mut leaves = Vec::with_capacity(chain.len());
    for (index, leaf) in chain {
        let wanted = Inclusion::wanted(index, size)?;
        let hashes = log::hashes(&mut *connection, &wanted).await?;
        let inclusion = Inclusion::from_hashes(index, size, &hashes)?;
        leaves.push(ProvenLeaf { leaf, inclusion });
    }
    let checkpoint =
        String::from_utf8(checkpoint.to_bytes()).map_err(|error| Error::Log(error.to_string()))?;
    Ok(Bundle {
        statement,
        logged: Some(Logged { checkpoint, leaves }),
    })
}

async fn judge(
    connection: &mut AnyConnection,
    signed: &SignedChange,
    position: Position,
) -> Result<(Namespace, Option<Release>), Error> {
    let change = &signed.request.change;
    let namespace = namespaces::get(connection, &change.namespace()).await?;
    let release = match change.release() {
        Some((capsule, version)) => releases::concerned(connection, capsule, version).await?,
        None => None,
    };
    let applied = Namespace::apply(namespace.as_ref(), release.as_ref(), signed, position)?;
    Ok((applied.namespace, applied.release))
}

/// A version is new.
async fn publish(
    tx: &mut AnyConnection,
    release: &Release,
    publication: &Publication<'_>,
) -> Result<(), Error> {
    let capsule = &release.capsule;
    let manifest = publication.package.manifest();
    let before = releases::of(tx, capsule).await?;
    let newest = before.iter().filter(|before| before.standing.is_current());
    let newest = newest
        .map(|before| &before.version)
        .max_by_key(|it| releases::rank(it));
    if newest.is_none_or(|newest| releases::rank(newest) < releases::rank(&release.version)) {
        packages::put(
            tx,
            release,
            manifest,
            publication.package.tools(),
            &skeleton(capsule.name()),
        )
        .await
        .map_err(|error| taken(error, capsule.name()))?;
    }
    releases::insert(tx, release, publication.package, publication.statement).await?;
    if let Some(review) = publication.review
        && !db::reviews::delete(tx, review).await?
    {
        return Err(Error::NotFound(format!("review `{review}`")));
    }
    Ok(())
}

/// A version's standing changed, and with it perhaps which is the newest.
async fn restate(tx: &mut AnyConnection, release: &Release) -> Result<(), Error> {
    releases::update(tx, release).await?;
    packages::choose_latest(tx, &release.capsule).await?;
    Ok(())
}

/// Owners or keys changed.
async fn settle(
    tx: &mut AnyConnection,
    request: &ChangeRequest,
    namespace: &Namespace,
) -> Result<(), Error> {
    match &request.change {
        Change::AddOwner { namespace, owner } => {
            let account = &owner.account;
            // Looked at before, and perhaps withdrawn since.
            let was_open = invitations::settle(tx, namespace, account, request.id).await?;
            if !was_open {
                return Err(no_invitation());
            }
        }
        Change::Recovered { account, .. } => {
            // Whoever has the key again can log in again.
            let mut keys = namespace.owners.get(account).into_iter().flatten();
            // All but the new one were revoked.
            if let Some((key, _)) = keys.find(|(_, standing)| standing.revoked.is_none()) {
                accounts::set_key(tx, account, key).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// A unique name, or its skeleton, was there.
fn taken(error: sqlx::Error, name: &str) -> Error {
    if db::is_duplicate(&error) {
        return Error::NameTaken(format!(
            "`{name}` looks like a name that is taken: choose one that cannot be mistaken"
        ));
    }
    error.into()
}

/// Whether the name could be another's in haste.
pub(crate) async fn lookalike(
    connection: &mut AnyConnection,
    name: &Name,
) -> sqlx::Result<Option<String>> {
    let found = namespaces::by_skeleton(connection, &skeleton(name.as_str())).await?;
    Ok(found.filter(|found| found != name.as_str()))
}
