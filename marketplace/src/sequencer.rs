//! The one place that appends to the log: a change is judged, and it and all that follows from it
//! are stored, in one transaction, or nothing is.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use soma_capability::Name;
use soma_registry::log::{Act, Checkpoint, Frontier, Inclusion, Leaf, LogKey, NoteSecret};
use soma_registry::oci::{Artifact, Referrer};
use soma_registry::{
    Applied, Bundle, Change, ChangeRequest, Envelope, Logged, Namespace, Position, ProvenLeaf,
    Release, SignedChange,
};
use sqlx::{AnyConnection, AnyPool};
use tokio::sync::Mutex;

use crate::authority;
use crate::db::{self, accounts, invitations, log, namespaces, oci, packages, releases};
use crate::error::{Error, no_invitation};
use crate::names::skeleton;
use crate::publication::Publication;
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
    /// Leaves that this process knows of. A checkpoint of fewer is signed anew, whatever its age;
    /// whoever appends does not wait for one that is on its way, witnesses and all.
    size: AtomicU64,
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
            size: AtomicU64::new(0),
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

    /// Judges a change of an account as if it were the next, and stores nothing.
    pub(crate) async fn rehearse(
        &self,
        signed: &SignedChange,
        account: &Name,
    ) -> Result<Option<Release>, Error> {
        let mut connection = self.pool.acquire().await?;
        let head = log::head(&mut connection).await?;
        let position = Position {
            index: head.frontier.size(),
            time: head.time.max(db::now()),
            marketplace: false,
        };
        let judged = judge(&mut connection, signed, Some(account), position).await?;
        Ok(judged.after.release)
    }

    /// Appends a change that came with this account's login, with the publication that it publishes.
    pub(crate) async fn append(
        &self,
        change: Envelope,
        account: &Name,
        publication: Option<&Publication<'_>>,
    ) -> Result<Appended, Error> {
        self.log(Act::Signed(change), Some(account), publication)
            .await
    }

    /// Appends a change on the marketplace's own word.
    pub(crate) async fn append_own(&self, request: ChangeRequest) -> Result<Appended, Error> {
        self.log(Act::Marketplace(request), None, None).await
    }

    async fn log(
        &self,
        act: Act,
        account: Option<&Name>,
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
        let judged = judge(&mut tx, &signed, account, position).await?;
        let Applied { namespace, release } = judged.after;
        namespaces::put(&mut tx, &name, &skeleton(name.as_str()), &namespace)
            .await
            .map_err(|error| taken(error, name.as_str()))?;
        match (&release, publication) {
            (Some(release), Some(publication)) => publish(&mut tx, release, publication).await?,
            (Some(release), None) => restate(&mut tx, release).await?,
            (None, _) => {
                if let Some(before) = &judged.before {
                    settle_invitation(&mut tx, &signed, before, position.time).await?;
                }
                settle_recovery(&mut tx, change, &namespace).await?;
            }
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
        self.size.fetch_max(leaf + 1, SeqCst);
        tracing::info!(leaf, namespace = name.as_str(), "logged");
        Ok(Appended { leaf })
    }

    /// The newest checkpoint, signed a moment ago, with the cosignatures that witnesses gave.
    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let mut kept = self.signed.lock().await;
        if let Some((when, checkpoint)) = &*kept
            && when.elapsed() < FRESH
            && checkpoint.size() >= self.size.load(SeqCst)
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
        // It may have come through another process.
        self.size.fetch_max(release.leaf + 1, SeqCst);
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
    // They have most of these in common.
    let mut wanted = BTreeSet::new();
    for (index, _) in &chain {
        wanted.extend(Inclusion::wanted(*index, size)?);
    }
    let wanted: Vec<u64> = wanted.into_iter().collect();
    let hashes = log::hashes(&mut *connection, &wanted).await?;
    let mut leaves = Vec::with_capacity(chain.len());
    for (index, leaf) in chain {
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

/// A change that may be made.
struct Judged {
    before: Option<Namespace>,
    after: Applied,
}

/// What the signatures are worth is said first, then whether they go with the login that the change
/// came with. The marketplace's own have none.
async fn judge(
    connection: &mut AnyConnection,
    signed: &SignedChange,
    account: Option<&Name>,
    position: Position,
) -> Result<Judged, Error> {
    let change = &signed.request.change;
    let before = namespaces::get(connection, &change.namespace()).await?;
    let release = match change.release() {
        Some((capsule, version)) => releases::concerned(connection, capsule, version).await?,
        None => None,
    };
    let after = Namespace::apply(before.as_ref(), release.as_ref(), signed, position)?;
    if let Some(account) = account {
        authority::check(account, signed, before.as_ref(), &after, position.time)?;
    }
    Ok(Judged { before, after })
}

/// A version is new.
async fn publish(
    tx: &mut AnyConnection,
    release: &Release,
    publication: &Publication<'_>,
) -> Result<(), Error> {
    if release.key != publication.key {
        return Err(Error::Conflict(format!(
            "the statement is of the key {}, which signs for the change no more",
            publication.key
        )));
    }
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

/// Whoever joins was invited, and the invitation is open still. Its sender must be an owner still and
/// have signed it: who was removed has invited nobody, whose key ever they found.
async fn settle_invitation(
    tx: &mut AnyConnection,
    signed: &SignedChange,
    before: &Namespace,
    time: u64,
) -> Result<(), Error> {
    let Change::AddOwner { namespace, owner } = &signed.request.change else {
        return Ok(());
    };
    let inviter = invitations::settle(tx, namespace, &owner.account, signed.request.id).await?;
    inviter
        .filter(|inviter| authority::signs(before, inviter, &signed.signers, time))
        .map(drop)
        .ok_or_else(no_invitation)
}

/// Whoever has a key again can log in again.
async fn settle_recovery(
    tx: &mut AnyConnection,
    change: &Change,
    after: &Namespace,
) -> Result<(), Error> {
    let Change::Recovered { account, .. } = change else {
        return Ok(());
    };
    let mut keys = after.owners.get(account).into_iter().flatten();
    // All but the new one were revoked.
    if let Some((key, _)) = keys.find(|(_, standing)| standing.revoked.is_none()) {
        accounts::set_key(tx, account, key).await?;
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
