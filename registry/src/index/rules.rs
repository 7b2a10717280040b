//! Which change is admitted: the one place that says who may do what.

use std::collections::BTreeSet;

use soma_capability::Name;
use uuid::Uuid;

use super::Position;
use super::namespace::Namespace;
use super::recovery::Recovery;
use super::refusal::{MAX_OWNERS, Refusal};
use super::release::{Release, Revocation, Standing};
use crate::change::{Change, Owner, OwnerKey, SignedChange};
use crate::key::PublicKey;
use crate::text;

const MAX_REASON: usize = 512;
/// Seconds by which clocks may differ.
const CLOCKS: u64 = 300;

/// What a change left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The namespace as it is now.
    pub namespace: Namespace,
    /// The version as it is now, where the change concerned one.
    pub release: Option<Release>,
}

impl Namespace {
    /// What a change makes of a namespace and a version, or why it is refused. `namespace` and
    /// `release` are those that the change concerns, as they are before it.
    pub fn apply(
        namespace: Option<&Self>,
        release: Option<&Release>,
        signed: &SignedChange,
        position: Position,
    ) -> Result<Applied, Refusal> {
        let change = &signed.request.change;
        if let Change::Create {
            namespace: name,
            owner,
        } = change
        {
            return create(namespace, name, owner, signed, position);
        }
        let name = change.namespace();
        let mut namespace = namespace
            .cloned()
            .ok_or(Refusal::NoNamespace(name.clone()))?;
        let by = if position.marketplace {
            if !change.is_for_marketplace() {
                return Err(Refusal::WrongWord("an owner's signature"));
            }
            None
        } else {
            Some(namespace.signer(&name, &signed.signers, position.time)?)
        };
        let id = signed.request.id;
        if matches!(change, Change::RemoveOwner { .. } | Change::Object { .. }) {
            namespace.newest = Some(newer(id, namespace.newest, position)?);
        }
        let before = namespace.owners.clone();
        let release = match change.release() {
            Some(_) => Some(release_after(release, change, id, by, position)?),
            None => {
                namespace.change_owners(change, &signed.signers, position)?;
                None
            }
        };
        if namespace.owners != before {
            namespace.owners_since = position.index;
        }
        Ok(Applied { namespace, release })
    }

    /// The owner who signed. Where several did, any whose key holds.
    fn signer(
        &self,
        name: &Name,
        signers: &BTreeSet<PublicKey>,
        time: u64,
    ) -> Result<(Name, PublicKey), Refusal> {
        let mut refusal = Refusal::NotOwner(name.clone());
        for key in signers {
            let Some((account, standing)) = self.key(key) else {
                continue;
            };
            if let Some(leaf) = standing.revoked {
                refusal = Refusal::KeyRevoked { key: *key, leaf };
            } else if !standing.holds(time) {
                refusal = Refusal::KeyExpired(*key);
            } else {
                return Ok((account.clone(), *key));
            }
        }
        Err(refusal)
    }

    fn change_owners(
        &mut self,
        change: &Change,
        signers: &BTreeSet<PublicKey>,
        position: Position,
    ) -> Result<(), Refusal> {
        match change {
            Change::AddOwner { owner, .. } => {
                // Who was removed may be asked back.
                if self.is_owner(&owner.account) {
                    return Err(Refusal::OwnerKnown(owner.account.clone()));
                }
                self.admit_key(owner.key, signers, position.time)?;
                self.insert(&owner.account, owner.key);
            }
            Change::AddKey { owner, .. } => {
                self.require_own_word(&owner.account, signers, position.time)?;
                self.admit_key(owner.key, signers, position.time)?;
                self.insert(&owner.account, owner.key);
            }
            Change::RemoveOwner { account, .. } => {
                self.require_owner(account)?;
                // Kept, so that what these keys signed stays theirs.
                self.revoke_all(account, position.index);
                self.recoveries.remove(account);
                self.require_some_key()?;
            }
            Change::RevokeKey {
                account,
                key,
                successor,
                ..
            } => {
                if let Some(successor) = successor {
                    self.require_own_word(account, signers, position.time)?;
                    self.admit_key(*successor, signers, position.time)?;
                    self.insert(account, *successor);
                }
                self.revoke(account, key, position)?;
                if !self.is_owner(account) {
                    // Who is no owner any more cannot object, and gets no key again.
                    self.recoveries.remove(account);
                }
                self.require_some_key()?;
            }
            Change::Recover { owner, .. } => self.recover(owner, position)?,
            Change::Object { account, .. } => {
                let under_way = self.recoveries.remove(account);
                under_way.ok_or(Refusal::NoRecovery(account.clone()))?;
            }
            Change::Recovered { account, .. } => self.recovered(account, position)?,
            Change::Create { .. }
            | Change::Publish { .. }
            | Change::Yank { .. }
            | Change::Unyank { .. }
            | Change::Revoke { .. } => {}
        }
        let too_many = |n: usize| n > MAX_OWNERS;
        if too_many(self.owners.len()) || self.owners.values().any(|keys| too_many(keys.len())) {
            return Err(Refusal::TooMany);
        }
        Ok(())
    }

    /// A key that is nobody's yet, still holds, and whose holder agrees.
    fn admit_key(
        &self,
        key: OwnerKey,
        signers: &BTreeSet<PublicKey>,
        time: u64,
    ) -> Result<(), Refusal> {
        if self.key(&key.public).is_some() {
            return Err(Refusal::KeyKnown(key.public));
        }
        if !signers.contains(&key.public) {
            return Err(Refusal::NotSignedByNew(key.public));
        }
        if key.expires.is_some_and(|end| end <= time) {
            return Err(Refusal::BornExpired(key.public));
        }
        Ok(())
    }

    /// No owner gives another one a key: whoever has it would speak in the other's name.
    fn require_own_word(
        &self,
        account: &Name,
        signers: &BTreeSet<PublicKey>,
        time: u64,
    ) -> Result<(), Refusal> {
        self.require_owner(account)?;
        let mut keys = self.owners.get(account).into_iter().flatten();
        keys.any(|(key, standing)| standing.holds(time) && signers.contains(key))
            .then_some(())
            .ok_or(Refusal::NotSignedByOwner(account.clone()))
    }

    fn require_owner(&self, account: &Name) -> Result<(), Refusal> {
        self.is_owner(account)
            .then_some(())
            .ok_or(Refusal::UnknownOwner(account.clone()))
    }

    /// A key that ends does not count: one day nobody could sign any more.
    fn require_some_key(&self) -> Result<(), Refusal> {
        let mut standings = self.owners.values().flat_map(|keys| keys.values());
        standings
            .any(|standing| standing.revoked.is_none() && standing.expires.is_none())
            .then_some(())
            .ok_or(Refusal::LastKey)
    }

    fn revoke(&mut self, account: &Name, key: &PublicKey, at: Position) -> Result<(), Refusal> {
        let standing = self
            .owners
            .get_mut(account)
            .and_then(|keys| keys.get_mut(key))
            .filter(|standing| standing.revoked.is_none());
        let standing = standing.ok_or(Refusal::UnknownKey {
            account: account.clone(),
            key: *key,
        })?;
        standing.revoked = Some(at.index);
        Ok(())
    }

    fn revoke_all(&mut self, account: &Name, leaf: u64) {
        let keys = self.owners.get_mut(account).into_iter();
        for standing in keys.flat_map(|keys| keys.values_mut()) {
            standing.revoked.get_or_insert(leaf);
        }
    }

    fn recover(&mut self, owner: &Owner, position: Position) -> Result<(), Refusal> {
        if !position.marketplace {
            return Err(Refusal::WrongWord("the marketplace's word"));
        }
        self.require_owner(&owner.account)?;
        if self.key(&owner.key.public).is_some() {
            return Err(Refusal::KeyKnown(owner.key.public));
        }
        let recovery = Recovery {
            key: owner.key,
            since: position.time,
        };
        self.recoveries.insert(owner.account.clone(), recovery);
        Ok(())
    }

    fn recovered(&mut self, account: &Name, position: Position) -> Result<(), Refusal> {
        if !position.marketplace {
            return Err(Refusal::WrongWord("the marketplace's word"));
        }
        let under_way = self.recoveries.remove(account);
        let recovery = under_way.ok_or(Refusal::NoRecovery(account.clone()))?;
        let until = recovery.until();
        if position.time < until {
            let account = account.clone();
            return Err(Refusal::TooSoon { account, until });
        }
        // It may have become another's meanwhile.
        if self.key(&recovery.key.public).is_some() {
            return Err(Refusal::KeyKnown(recovery.key.public));
        }
        self.revoke_all(account, position.index);
        self.insert(account, recovery.key);
        Ok(())
    }
}

fn create(
    namespace: Option<&Namespace>,
    name: &Name,
    owner: &Owner,
    signed: &SignedChange,
    position: Position,
) -> Result<Applied, Refusal> {
    if namespace.is_some() {
        return Err(Refusal::NamespaceTaken(name.clone()));
    }
    if position.marketplace {
        return Err(Refusal::WrongWord("the first owner's signature"));
    }
    let mut namespace = Namespace {
        owners_since: position.index,
        ..Namespace::default()
    };
    namespace.admit_key(owner.key, &signed.signers, position.time)?;
    namespace.insert(&owner.account, owner.key);
    namespace.require_some_key()?;
    Ok(Applied {
        namespace,
        release: None,
    })
}

fn release_after(
    release: Option<&Release>,
    change: &Change,
    id: Uuid,
    by: Option<(Name, PublicKey)>,
    position: Position,
) -> Result<Release, Refusal> {
    let Some((capsule, version)) = change.release() else {
        return Err(Refusal::WrongWord("a version"));
    };
    let named = || (capsule.clone(), version.clone());
    if let Change::Publish {
        digest, statement, ..
    } = change
    {
        let (capsule, version) = named();
        let (account, key) = by.ok_or(Refusal::WrongWord("an owner's signature"))?;
        // Versions that differ in their build metadata alone are one to whoever asks for it.
        if let Some(release) = release {
            return Err(Refusal::VersionTaken(capsule, release.version.clone()));
        }
        return Ok(Release {
            capsule,
            version,
            digest: *digest,
            statement: *statement,
            account,
            key,
            leaf: position.index,
            published: position.time,
            standing: Standing::Current,
            newest: None,
        });
    }
    let release = release.filter(|release| release.version == *version);
    let mut release = release.cloned().ok_or_else(|| {
        let (capsule, version) = named();
        Refusal::UnknownVersion(capsule, version)
    })?;
    let already = |word| {
        let (capsule, version) = named();
        Err(Refusal::Standing(capsule, version, word))
    };
    if !matches!(change, Change::Revoke { .. }) {
        release.newest = Some(newer(id, release.newest, position)?);
    }
    release.standing = match (change, &release.standing) {
        (_, Standing::Revoked(_)) => return already("revoked"),
        (Change::Yank { .. }, Standing::Yanked) => return already("yanked"),
        (Change::Unyank { .. }, Standing::Current) => return already("current"),
        (Change::Yank { .. }, _) => Standing::Yanked,
        (Change::Revoke { reason, .. }, _) => Standing::Revoked(revocation(reason, position)?),
        _ => Standing::Current,
    };
    Ok(release)
}

/// Of changes that could be made again if they were sent again, each is dated after the one before
/// it: an id is a UUID of version 7, which begins with its time. One from the future would keep all
/// others out.
fn newer(id: Uuid, newest: Option<Uuid>, position: Position) -> Result<Uuid, Refusal> {
    let time = id.get_timestamp().map(|time| time.to_unix().0);
    match time {
        None => Err(Refusal::Undated),
        Some(time) if time > position.time + CLOCKS => Err(Refusal::Undated),
        Some(_) if newest.is_some_and(|newest| id <= newest) => Err(Refusal::Replayed),
        Some(_) => Ok(id),
    }
}

fn revocation(reason: &str, position: Position) -> Result<Revocation, Refusal> {
    text::line(reason, MAX_REASON).map_err(Refusal::Reason)?;
    if reason.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    Ok(Revocation {
        reason: reason.to_owned(),
        time: position.time,
        marketplace: position.marketplace,
    })
}
