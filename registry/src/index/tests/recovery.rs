//! A key that was lost, and what its namespace does then.

use super::*;

#[test]
fn a_lost_key_comes_back_after_seven_days_unless_an_owner_objects() {
    let (ada, new, other) = (key(), key(), key());
    let mut log = with_soma(&ada);
    let recover = |key: &SecretKey| Change::Recover {
        namespace: name("soma"),
        owner: owner("ada", key),
    };
    let object = Change::Object {
        namespace: name("soma"),
        account: name("ada"),
    };
    let end = Change::Recovered {
        namespace: name("soma"),
        account: name("ada"),
    };
    refused(
        log.signed(&recover(&new), &[&ada, &new]),
        "marketplace's word",
    );
    refused(log.own(&end), "no recovery");
    log.own(&recover(&new)).unwrap();
    log.signed(&object, &[&ada]).unwrap();
    log.time += 2 * RECOVERY_WAIT;
    refused(log.own(&end), "no recovery");

    log.own(&recover(&other)).unwrap();
    log.time += RECOVERY_WAIT - 1;
    refused(log.own(&end), "not before");
    log.time += 1;
    log.own(&end).unwrap();
    refused(log.signed(&publish(1), &[&ada]), "was revoked");
    log.signed(&publish(1), &[&other]).unwrap();
}

#[test]
fn a_recovery_ends_with_its_owner_and_gives_nobody_the_key_of_another() {
    let (ada, bob, new) = (key(), key(), key());
    let recover = Change::Recover {
        namespace: name("soma"),
        owner: owner("ada", &new),
    };
    let end = Change::Recovered {
        namespace: name("soma"),
        account: name("ada"),
    };
    let begun = || {
        let mut log = with_soma(&ada);
        let join = Change::AddOwner {
            namespace: name("soma"),
            owner: owner("bob", &bob),
        };
        log.signed(&join, &[&ada, &bob]).unwrap();
        log.own(&recover).unwrap();
        log
    };
    // Whose last key a co-owner revokes could not object any more.
    let mut log = begun();
    let revoke = Change::RevokeKey {
        namespace: name("soma"),
        account: name("ada"),
        key: ada.public(),
        successor: None,
    };
    log.signed(&revoke, &[&bob]).unwrap();
    log.time += RECOVERY_WAIT;
    refused(log.own(&end), "no recovery");

    let mut log = begun();
    let add = Change::AddKey {
        namespace: name("soma"),
        owner: owner("bob", &new),
    };
    log.signed(&add, &[&bob, &new]).unwrap();
    log.time += RECOVERY_WAIT;
    refused(log.own(&end), "to an owner already");
}
