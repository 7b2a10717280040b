mod recovery;

use dsse::Envelope;
use soma_capability::Digest;

use super::*;
use crate::change::{Change, ChangeRequest, Owner, OwnerKey};
use crate::key::SecretKey;
use crate::log::{Act, Leaf};

const LOG: &str = "log.test";

/// Later than the ids of the tests' changes, which have the time in them.
const NOW: u64 = 4_000_000_000;

/// A log in memory, and a clock that stands where a test puts it.
struct Log {
    index: Index,
    time: u64,
}

impl Log {
    fn push(&mut self, act: Act) -> Result<(), IndexError> {
        let leaf = Leaf {
            time: self.time,
            act,
        };
        self.index.push(&leaf.to_bytes().unwrap(), LOG)
    }

    fn signed(&mut self, change: &Change, keys: &[&SecretKey]) -> Result<(), String> {
        let envelope = ChangeRequest::new(LOG, change.clone()).sign(keys).unwrap();
        self.push(Act::Signed(envelope)).map_err(|e| e.to_string())
    }

    fn own(&mut self, change: &Change) -> Result<(), String> {
        let request = ChangeRequest::new(LOG, change.clone());
        self.push(Act::Marketplace(request))
            .map_err(|e| e.to_string())
    }
}

fn key() -> SecretKey {
    SecretKey::generate().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn owner(account: &str, key: &SecretKey) -> Owner {
    let key = OwnerKey {
        public: key.public(),
        expires: None,
    };
    Owner {
        account: name(account),
        key,
    }
}

fn publish(version: u64) -> Change {
    Change::Publish {
        capsule: "soma/jq".parse().unwrap(),
        version: Version::new(version, 0, 0),
        digest: Digest::of(b"file"),
        statement: Digest::of(b"statement"),
    }
}

fn revoke(version: u64, reason: &str) -> Change {
    Change::Revoke {
        capsule: "soma/jq".parse().unwrap(),
        version: Version::new(version, 0, 0),
        reason: reason.to_owned(),
    }
}

/// A log with the namespace `soma`, which ada owns.
fn with_soma(ada: &SecretKey) -> Log {
    let mut log = Log {
        index: Index::default(),
        time: NOW,
    };
    let namespace = name("soma");
    let change = Change::Create {
        namespace,
        owner: owner("ada", ada),
    };
    log.signed(&change, &[ada]).unwrap();
    log
}

fn refused(result: Result<(), String>, part: &str) {
    let message = result.unwrap_err();
    assert!(message.contains(part), "{message}");
}

#[test]
fn only_owners_publish_and_a_version_is_for_ever() {
    let (ada, eve) = (key(), key());
    let mut log = with_soma(&ada);
    log.signed(&publish(1), &[&ada]).unwrap();
    refused(log.signed(&publish(1), &[&ada]), "is published already");
    refused(log.signed(&publish(2), &[&eve]), "none of the keys");
    refused(log.own(&publish(2)), "an owner's signature");
    let other = Change::Create {
        namespace: name("soma"),
        owner: owner("eve", &eve),
    };
    refused(log.signed(&other, &[&eve]), "has owners already");
    let unsigned = Change::Create {
        namespace: name("mine"),
        owner: owner("ada", &ada),
    };
    refused(log.signed(&unsigned, &[&eve]), "must sign too");
    let nowhere = Change::Yank {
        capsule: "none/x".parse().unwrap(),
        version: Version::new(1, 0, 0),
    };
    refused(log.signed(&nowhere, &[&ada]), "no namespace `none`");
    assert_eq!(log.index.size(), 2);
}

#[test]
fn yanked_is_not_for_ever_and_revoked_is() {
    let ada = key();
    let mut log = with_soma(&ada);
    log.signed(&publish(1), &[&ada]).unwrap();
    let (capsule, version): (CapsuleName, _) = ("soma/jq".parse().unwrap(), Version::new(1, 0, 0));
    let yank = Change::Yank {
        capsule: capsule.clone(),
        version: version.clone(),
    };
    let unyank = Change::Unyank {
        capsule: capsule.clone(),
        version: version.clone(),
    };
    refused(log.signed(&unyank, &[&ada]), "is current already");
    let once = ChangeRequest::new(LOG, yank.clone()).sign(&[&ada]).unwrap();
    log.push(Act::Signed(once.clone())).unwrap();
    refused(log.signed(&yank, &[&ada]), "is yanked already");
    log.signed(&unyank, &[&ada]).unwrap();
    // Whoever kept the first yank cannot make it again.
    let again = log.push(Act::Signed(once)).map_err(|e| e.to_string());
    refused(again, "sign it anew");
    refused(log.signed(&revoke(1, " "), &[&ada]), "needs a reason");
    refused(
        log.signed(&revoke(1, "a\u{202e}b"), &[&ada]),
        "bidirectional",
    );
    refused(
        log.signed(&revoke(9, "x"), &[&ada]),
        "there is no soma/jq 9.0.0",
    );
    log.own(&revoke(1, "It steals.")).unwrap();
    refused(log.signed(&unyank, &[&ada]), "is revoked already");
    let release = log.index.release(&capsule, &version).unwrap();
    assert!(release.standing.revocation().unwrap().marketplace);
}

#[test]
fn owners_and_keys_change_with_the_right_signatures_only() {
    let (ada, bob, eve, new) = (key(), key(), key(), key());
    let mut log = with_soma(&ada);
    let namespace = || name("soma");
    let join = Change::AddOwner {
        namespace: namespace(),
        owner: owner("bob", &bob),
    };
    refused(log.signed(&join, &[&ada]), "must sign too");
    refused(log.signed(&join, &[&bob, &eve]), "none of the keys");
    log.signed(&join, &[&ada, &bob]).unwrap();
    refused(log.signed(&join, &[&ada, &bob]), "is an owner already");
    log.signed(&publish(1), &[&bob]).unwrap();

    let replace = Change::RevokeKey {
        namespace: namespace(),
        account: name("ada"),
        key: ada.public(),
        successor: Some(owner("ada", &new).key),
    };
    refused(log.signed(&replace, &[&ada]), "must sign too");
    refused(log.signed(&replace, &[&new]), "none of the keys");
    // Bob would speak as ada.
    let another = |account: &str| Change::AddKey {
        namespace: namespace(),
        owner: owner(account, &new),
    };
    refused(log.signed(&replace, &[&bob, &new]), "keys of `ada` must");
    refused(
        log.signed(&another("ada"), &[&bob, &new]),
        "keys of `ada` must",
    );
    refused(
        log.signed(&another("eve"), &[&bob, &new]),
        "is not an owner",
    );
    log.signed(&replace, &[&ada, &new]).unwrap();
    refused(log.signed(&publish(2), &[&ada]), "was revoked by leaf 3");
    log.signed(&publish(2), &[&new]).unwrap();
    assert_eq!(log.index.namespaces[&namespace()].owners_since, 3);

    let leave = |account: &str| Change::RemoveOwner {
        namespace: namespace(),
        account: name(account),
    };
    refused(log.signed(&leave("eve"), &[&new]), "is not an owner");
    log.signed(&leave("bob"), &[&new]).unwrap();
    refused(log.signed(&publish(3), &[&bob]), "was revoked");
    refused(log.signed(&leave("ada"), &[&new]), "the last key");
    let back = Change::AddOwner {
        namespace: namespace(),
        owner: owner("eve", &bob),
    };
    refused(log.signed(&back, &[&new, &bob]), "belonged, to an owner");
    // Whoever was removed can come back, with a key that is new.
    let again = key();
    let back = Change::AddOwner {
        namespace: namespace(),
        owner: owner("bob", &again),
    };
    log.signed(&back, &[&new, &again]).unwrap();
    log.signed(&publish(3), &[&again]).unwrap();
}

#[test]
fn a_change_that_could_be_sent_again_is_dated_and_newer_than_the_last() {
    let (ada, bob) = (key(), key());
    let mut log = with_soma(&ada);
    let yank = Change::Yank {
        capsule: "soma/jq".parse().unwrap(),
        version: Version::new(1, 0, 0),
    };
    log.signed(&publish(1), &[&ada]).unwrap();
    let mut request = ChangeRequest::new(LOG, yank);
    let millis = (NOW + 301) * 1000;
    let early = uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
    for id in [uuid::Uuid::from_u128(7), early] {
        request.id = id;
        let signed = log.push(Act::Signed(request.sign(&[&ada]).unwrap()));
        refused(signed.map_err(|e| e.to_string()), "is the clock right?");
    }
    let remove = || Change::RemoveOwner {
        namespace: name("soma"),
        account: name("bob"),
    };
    let old = ChangeRequest::new(LOG, remove()).sign(&[&ada]).unwrap();
    let join = |key: &SecretKey| Change::AddOwner {
        namespace: name("soma"),
        owner: owner("bob", key),
    };
    log.signed(&join(&bob), &[&ada, &bob]).unwrap();
    log.signed(&remove(), &[&ada]).unwrap();
    let again = key();
    log.signed(&join(&again), &[&ada, &again]).unwrap();
    // Somebody kept what ada signed at another time.
    let replayed = log.push(Act::Signed(old)).map_err(|e| e.to_string());
    refused(replayed, "sign it anew");
}

#[test]
fn versions_of_one_precedence_are_one() {
    let ada = key();
    let mut log = with_soma(&ada);
    let build = |version: &str| Change::Publish {
        capsule: "soma/jq".parse().unwrap(),
        version: version.parse().unwrap(),
        digest: Digest::of(b"file"),
        statement: Digest::of(b"statement"),
    };
    log.signed(&build("1.0.0+one"), &[&ada]).unwrap();
    refused(
        log.signed(&build("1.0.0"), &[&ada]),
        "1.0.0+one is published",
    );
    refused(
        log.signed(&build("1.0.0+two"), &[&ada]),
        "1.0.0+one is published",
    );
    refused(
        log.signed(&revoke(1, "x"), &[&ada]),
        "there is no soma/jq 1.0.0",
    );
}

#[test]
fn an_expired_key_signs_nothing_and_does_not_count() {
    let (ada, ci) = (key(), key());
    let mut log = with_soma(&ada);
    let mut short = owner("ada", &ci);
    short.key.expires = Some(NOW + 100);
    let add = Change::AddKey {
        namespace: name("soma"),
        owner: short,
    };
    log.signed(&add, &[&ada, &ci]).unwrap();
    let dead = key();
    let mut past = owner("ada", &dead);
    past.key.expires = Some(NOW);
    let dead_end = Change::AddKey {
        namespace: name("soma"),
        owner: past,
    };
    refused(log.signed(&dead_end, &[&ada, &dead]), "would have expired");
    log.time = NOW + 99;
    log.signed(&publish(1), &[&ci]).unwrap();
    let drop_main = Change::RevokeKey {
        namespace: name("soma"),
        account: name("ada"),
        key: ada.public(),
        successor: None,
    };
    // It holds for a second still.
    refused(log.signed(&drop_main, &[&ada]), "the last key");
    log.time = NOW + 100;
    refused(log.signed(&publish(2), &[&ci]), "has expired");
    refused(log.signed(&drop_main, &[&ada]), "the last key");
}

#[test]
fn leaves_of_other_logs_and_times_and_forms_are_refused() {
    let ada = key();
    let mut log = with_soma(&ada);
    let elsewhere = ChangeRequest::new("other.test", publish(1))
        .sign(&[&ada])
        .unwrap();
    let message = log.push(Act::Signed(elsewhere)).unwrap_err().to_string();
    assert!(
        message.contains("signed for the log `other.test`"),
        "{message}"
    );
    log.time = NOW + 5;
    log.signed(&publish(1), &[&ada]).unwrap();
    log.time = NOW + 4;
    refused(log.signed(&publish(2), &[&ada]), "dated before");
    assert!(log.index.push(b"{}", LOG).is_err());
    let envelope: Envelope = ChangeRequest::new(LOG, publish(3)).sign(&[&ada]).unwrap();
    let mut bytes = Leaf {
        time: NOW + 5,
        act: Act::Signed(envelope),
    }
    .to_bytes()
    .unwrap();
    bytes.push(b' ');
    assert!(log.index.push(&bytes, LOG).is_err());
}
