//! Whether a login and the signatures go together. A signature says what an owner wants and a login
//! who asks: a key that was found is worth nothing with somebody else's token, nor a token without
//! a key.

use std::collections::BTreeSet;

use soma_capability::Name;
use soma_registry::{Applied, Change, Namespace, PublicKey, Release, SignedChange};

use crate::error::Error;

/// Refuses a change that came with the login of an account in whose name it is not made, or of which
/// no key signed. `before` and `after` are the namespace as the change found it and left it.
pub(crate) fn check(
    account: &Name,
    signed: &SignedChange,
    before: Option<&Namespace>,
    after: &Applied,
    time: u64,
) -> Result<(), Error> {
    let change = &signed.request.change;
    if let Some(other) = in_the_name_of(change, after.release.as_ref())
        && other != account
    {
        return Err(Error::Forbidden(format!(
            "the login is `{account}`'s, and this is `{other}`'s to do"
        )));
    }
    // Who joins is an owner only then.
    let owners = before
        .filter(|before| before.is_owner(account))
        .unwrap_or(&after.namespace);
    require_signer(owners, account, signed, time)
}

/// Refuses what no key that the account has among these owners signed.
pub(crate) fn require_signer(
    owners: &Namespace,
    account: &Name,
    signed: &SignedChange,
    time: u64,
) -> Result<(), Error> {
    let namespace = signed.request.change.namespace();
    if !owners.is_owner(account) {
        return Err(Error::Forbidden(format!(
            "the login is `{account}`'s, which is no owner of `{namespace}`"
        )));
    }
    if signs(owners, account, &signed.signers, time) {
        return Ok(());
    }
    Err(Error::Forbidden(format!(
        "the login is `{account}`'s, and none of the keys that signed is one of its that holds in \
         `{namespace}`"
    )))
}

/// Whether one of these keys is the account's and holds.
pub(crate) fn signs(
    owners: &Namespace,
    account: &Name,
    signers: &BTreeSet<PublicKey>,
    time: u64,
) -> bool {
    signers.iter().any(|key| {
        let key = owners.key(key);
        key.is_some_and(|(owner, standing)| owner == account && standing.holds(time))
    })
}

/// Whom the log shows as the one who did it or gained by it, where that is not any owner.
fn in_the_name_of<'a>(change: &'a Change, release: Option<&'a Release>) -> Option<&'a Name> {
    match change {
        Change::Create { owner, .. }
        | Change::AddOwner { owner, .. }
        | Change::AddKey { owner, .. } => Some(&owner.account),
        Change::RevokeKey {
            account,
            successor: Some(_),
            ..
        } => Some(account),
        Change::Publish { .. } => release.map(|release| &release.account),
        _ => None,
    }
}
