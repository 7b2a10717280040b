//! Who may publish: owners, keys, recoveries.

use soma_registry::api::OperatorChange;
use soma_registry::{Change, Envelope, OwnerKey, SecretKey, SignedChange};

use crate::harness::{
    Author, Offer, TestMarketplace, capsule_name, echo, owner, problem, unix_time,
};

#[test]
fn an_owner_invites_and_the_invited_accepts() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let bob = market.author("bob").await;
        let eve = market.author("eve").await;
        let join = Change::AddOwner {
            namespace: "ada".parse().unwrap(),
            owner: bob.owner(),
        };
        // A token alone does nothing, and neither does the invited one's own signature.
        problem(bob.change(join.clone(), &[&bob.key]).await, "not-allowed");
        problem(ada.change(join.clone(), &[&ada.key]).await, "not-allowed");
        // Nor do both signatures, where nobody with ada's token offered it: a key of hers that was
        // found is no invitation.
        let stolen = bob.change(join.clone(), &[&ada.key, &bob.key]).await;
        let words = problem(stolen, "forbidden");
        assert!(words.contains("no such invitation"), "{words}");
        let offer = ada.sign(join.clone(), &[&ada.key]);
        problem(bob.market.invite(&offer).await, "forbidden");
        let invitation = ada.market.invite(&offer).await.unwrap();
        assert_eq!(ada.market.invitations().await.unwrap().len(), 1);
        // Only who joins accepts: nobody becomes an owner unasked.
        let forced = SignedChange::countersign(&offer, ada.market.origin(), &bob.key);
        let words = problem(ada.market.submit(&forced.unwrap()).await, "forbidden");
        assert!(words.contains("this is `bob`'s to do"), "{words}");
        assert!(eve.market.invitations().await.unwrap().is_empty());
        problem(eve.market.decline(&invitation.id).await, "not-found");

        let open = bob.market.invitations().await.unwrap();
        assert_eq!(open, [invitation]);
        let accepted = SignedChange::countersign(&open[0].change, bob.market.origin(), &bob.key);
        bob.market.submit(&accepted.unwrap()).await.unwrap();
        assert!(bob.market.invitations().await.unwrap().is_empty());
        bob.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();

        let leave = |account: &str| Change::RemoveOwner {
            namespace: "ada".parse().unwrap(),
            account: account.parse().unwrap(),
        };
        problem(eve.change(leave("ada"), &[&eve.key]).await, "not-allowed");
        bob.change(leave("ada"), &[&bob.key]).await.unwrap();
        problem(
            ada.publish(&echo("ada/echo", "1.1.0").await).await,
            "not-allowed",
        );
        problem(bob.change(leave("bob"), &[&bob.key]).await, "conflict");
    });
}

#[test]
fn an_invitation_that_was_withdrawn_makes_nobody_an_owner() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let bob = market.author("bob").await;
        let join = || Change::AddOwner {
            namespace: "ada".parse().unwrap(),
            owner: bob.owner(),
        };
        for decliner in [&ada, &bob] {
            let offer = ada.sign(join(), &[&ada.key]);
            let invitation = ada.market.invite(&offer).await.unwrap();
            let twice = ada.sign(join(), &[&ada.key]);
            let words = problem(ada.market.invite(&twice).await, "conflict");
            assert!(words.contains(&invitation.id), "{words}");
            decliner.market.decline(&invitation.id).await.unwrap();
            assert!(bob.market.invitations().await.unwrap().is_empty());
            // Bob still has what ada signed.
            let accepted = SignedChange::countersign(&offer, bob.market.origin(), &bob.key);
            let words = problem(bob.market.submit(&accepted.unwrap()).await, "forbidden");
            assert!(words.contains("withdrawn"), "{words}");
            problem(decliner.market.decline(&invitation.id).await, "not-found");
            problem(ada.market.invite(&offer).await, "conflict");
        }
        // Another offer is another.
        let offer = ada.sign(join(), &[&ada.key]);
        ada.market.invite(&offer).await.unwrap();
        let accepted = SignedChange::countersign(&offer, bob.market.origin(), &bob.key);
        bob.market.submit(&accepted.unwrap()).await.unwrap();
    });
}

#[test]
fn who_is_no_owner_any_more_has_invited_nobody() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let (bob, eve) = (market.author("bob").await, market.author("eve").await);
        let join = |author: &Author| Change::AddOwner {
            namespace: "ada".parse().unwrap(),
            owner: author.owner(),
        };
        let accept = |offer: &Envelope, author: &Author| {
            SignedChange::countersign(offer, market.key.origin(), &author.key).unwrap()
        };
        let offer = ada.sign(join(&bob), &[&ada.key]);
        ada.market.invite(&offer).await.unwrap();
        bob.market.submit(&accept(&offer, &bob)).await.unwrap();

        // Bob invites eve, is removed, and has found ada's key to sign the same offer with.
        let offer = bob.sign(join(&eve), &[&bob.key]);
        bob.market.invite(&offer).await.unwrap();
        let remove = Change::RemoveOwner {
            namespace: "ada".parse().unwrap(),
            account: "bob".parse().unwrap(),
        };
        ada.change(remove, &[&ada.key]).await.unwrap();
        let both = accept(&accept(&offer, &ada), &eve);
        let words = problem(eve.market.submit(&both).await, "forbidden");
        assert!(words.contains("ask an owner for another"), "{words}");

        // Ada herself can.
        eve.market
            .decline(&eve.market.invitations().await.unwrap()[0].id)
            .await
            .unwrap();
        let offer = ada.sign(join(&eve), &[&ada.key]);
        ada.market.invite(&offer).await.unwrap();
        eve.market.submit(&accept(&offer, &eve)).await.unwrap();
    });
}

#[test]
fn an_invitation_is_accepted_or_withdrawn_and_never_both() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        for guest in ["g1", "g2", "g3", "g4"] {
            let guest = market.author(guest).await;
            let join = Change::AddOwner {
                namespace: "ada".parse().unwrap(),
                owner: guest.owner(),
            };
            let offer = ada.sign(join, &[&ada.key]);
            let invitation = ada.market.invite(&offer).await.unwrap();
            let accepted = SignedChange::countersign(&offer, ada.market.origin(), &guest.key);
            let accepted = accepted.unwrap();
            let (joined, withdrawn) = tokio::join!(
                guest.market.submit(&accepted),
                ada.market.decline(&invitation.id)
            );
            assert_ne!(
                joined.is_ok(),
                withdrawn.is_ok(),
                "{joined:?} {withdrawn:?}"
            );
            let state = market.client().namespace(&ada.account).await.unwrap().state;
            assert_eq!(state.is_owner(&guest.account), joined.is_ok());
        }
    });
}

#[test]
fn a_key_is_rotated_and_the_old_one_opens_nothing() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        let new = SecretKey::generate().unwrap();
        let rotate = Change::RevokeKey {
            namespace: "ada".parse().unwrap(),
            account: "ada".parse().unwrap(),
            key: ada.key.public(),
            successor: Some(owner("ada", &new).key),
        };
        ada.change(rotate, &[&ada.key, &new]).await.unwrap();
        problem(
            ada.publish(&echo("ada/echo", "1.1.0").await).await,
            "not-allowed",
        );

        // The login goes with it, signed by both; tokens of before open nothing.
        let market_client = market.client();
        let account = "ada".parse().unwrap();
        let login = market_client
            .login_replacing(&account, &ada.key, &new)
            .await;
        login.unwrap();
        problem(ada.market.tokens().await, "unauthorized");
        problem(
            market_client.login(&account, &ada.key).await,
            "unauthorized",
        );
        let ada = market.login("ada", new).await;
        ada.publish(&echo("ada/echo", "1.1.0").await).await.unwrap();
        // What the old key signed before is proven still.
        let package = echo("ada/echo", "1.0.0").await;
        let bundle = market_client.bundle(&package.manifest().name, &package.manifest().version);
        bundle.await.unwrap().prove(&package, &market.key).unwrap();
    });
}

#[test]
fn an_expired_key_signs_nothing() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let ci = SecretKey::generate().unwrap();
        let mut short = owner("ada", &ci);
        short.key = OwnerKey {
            expires: Some(unix_time() + 2),
            ..short.key
        };
        let add = Change::AddKey {
            namespace: "ada".parse().unwrap(),
            owner: short,
        };
        ada.change(add, &[&ada.key, &ci]).await.unwrap();
        let with_ci = crate::harness::Author {
            account: ada.account.clone(),
            key: ci,
            market: ada.market.clone(),
            token: ada.token.clone(),
        };
        let refused = async || {
            let published = with_ci.publish(&echo("ada/echo", "1.0.0").await).await;
            published.is_err_and(|error| error.to_string().contains("has expired"))
        };
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        assert!(refused().await);
    });
}

#[test]
fn a_key_that_was_found_opens_nothing_with_the_token_of_another() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let bob = market.author("bob").await;
        let mut short = bob.owner();
        short.key.expires = Some(unix_time() + 3);
        let join = Change::AddOwner {
            namespace: "ada".parse().unwrap(),
            owner: short,
        };
        let offer = ada.sign(join, &[&ada.key]);
        let invitation = ada.market.invite(&offer).await.unwrap();
        let accepted = SignedChange::countersign(&invitation.change, bob.market.origin(), &bob.key);
        bob.market.submit(&accepted.unwrap()).await.unwrap();

        // Bob is an owner, and found ada's key.
        let new = SecretKey::generate().unwrap();
        let add = Change::AddKey {
            namespace: "ada".parse().unwrap(),
            owner: owner("ada", &new),
        };
        let added = bob.change(add, &[&ada.key, &bob.key, &new]).await;
        let words = problem(added, "forbidden");
        assert!(words.contains("this is `ada`'s to do"), "{words}");
        let rotate = Change::RevokeKey {
            namespace: "ada".parse().unwrap(),
            account: "ada".parse().unwrap(),
            key: ada.key.public(),
            successor: Some(owner("ada", &new).key),
        };
        let rotated = bob.change(rotate, &[&ada.key, &bob.key, &new]).await;
        let words = problem(rotated, "forbidden");
        assert!(words.contains("this is `ada`'s to do"), "{words}");
        let package = echo("ada/echo", "1.0.0").await;
        let publish = async || {
            let offer = ada.offer(&package);
            let change = SignedChange::open(&offer.change, bob.market.origin()).unwrap();
            let change = bob.sign(change.request.change, &[&ada.key, &bob.key]);
            bob.send(Offer { change, ..offer }).await
        };
        assert!(publish().await.is_err());
        // Later his access has ended, and still he has a token.
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        problem(publish().await, "forbidden");
        problem(
            market.client().package(&capsule_name("ada/echo")).await,
            "not-found",
        );
        ada.publish(&package).await.unwrap();
    });
}

#[test]
fn a_recovery_waits_in_public_and_an_owner_can_stop_it() {
    TestMarketplace::run_operated(&[], async |market, root| {
        let ada = market.publisher("ada").await;
        let thief = SecretKey::generate().unwrap();
        let (namespace, account) = (ada.account.clone(), ada.account.clone());
        let recover = OperatorChange::Recover {
            namespace: namespace.clone(),
            account: account.clone(),
            key: thief.public(),
        };
        let end = OperatorChange::Recovered {
            namespace: namespace.clone(),
            account: account.clone(),
        };
        problem(ada.market.operate(&recover).await, "forbidden");
        root.market.operate(&recover).await.unwrap();
        let detail = problem(root.market.operate(&end).await, "conflict");
        assert!(detail.contains("not before"), "{detail}");
        let info = market.client().namespace(&namespace).await.unwrap();
        assert_eq!(info.state.recoveries.len(), 1);
        let object = Change::Object { namespace, account };
        // Not with somebody else's login, even by a key of hers.
        let eve = market.author("eve").await;
        let words = problem(eve.change(object.clone(), &[&ada.key]).await, "forbidden");
        assert!(words.contains("no owner of `ada`"), "{words}");
        ada.change(object, &[&ada.key]).await.unwrap();
        problem(root.market.operate(&end).await, "not-found");
    });
}

#[test]
fn an_operator_is_known_by_key_and_not_by_name() {
    TestMarketplace::run_operated(&[], async |market, root| {
        assert!(root.market.reviews().await.unwrap().is_empty());
        // A name that only sounds like it, and the operator's key under another name.
        for name in ["operator", "admin", "r00t"] {
            problem(
                market.author(name).await.market.reviews().await,
                "forbidden",
            );
        }
        let again = market.login("root-too", root.key.clone()).await;
        assert!(again.market.reviews().await.unwrap().is_empty());
        // The account moves to a key that nobody listed.
        let successor = SecretKey::generate().unwrap();
        let token = market
            .client()
            .login_replacing(&root.account, &root.key, &successor)
            .await;
        let token = token.unwrap().token.into();
        let moved = market.client().with_token(&token).unwrap();
        problem(moved.reviews().await, "forbidden");
        problem(root.market.reviews().await, "unauthorized");
    });
}
