//! Logins and tokens: what each opens, and that none is enough by itself.

use soma_registry::api::{Login, TokenRequest, TokenScope};
use soma_registry::{Change, SecretKey};

use crate::harness::{Author, TestMarketplace, capsule_name, echo, problem, version};

fn wanted(scopes: &[TokenScope], namespaces: Option<&[&str]>) -> TokenRequest {
    TokenRequest {
        name: "ci".to_owned(),
        scopes: scopes.to_vec(),
        namespaces: namespaces.map(|some| some.iter().map(|n| n.parse().unwrap()).collect()),
        lifetime: 3600,
    }
}

async fn with_token(market: &TestMarketplace, author: &Author, wanted: &TokenRequest) -> Author {
    let token = author.market.create_token(wanted).await.unwrap().token;
    Author {
        account: author.account.clone(),
        key: author.key.clone(),
        market: market.client().with_token(&token.clone().into()).unwrap(),
        token,
    }
}

#[test]
fn a_key_is_worth_nothing_with_somebody_elses_token() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        let eve = market.author("eve").await;
        // Who has found ada's key file, and has no token of hers.
        let thief = Author {
            account: ada.account.clone(),
            key: ada.key.clone(),
            market: eve.market,
            token: eve.token,
        };
        let newer = echo("ada/echo", "1.1.0").await;
        let words = problem(thief.publish(&newer).await, "forbidden");
        assert!(words.contains("this is `ada`'s to do"), "{words}");
        let yank = Change::Yank {
            capsule: capsule_name("ada/echo"),
            version: version("1.0.0"),
        };
        problem(thief.change(yank, &[&ada.key]).await, "forbidden");
        ada.publish(&newer).await.unwrap();
    });
}

#[test]
fn a_token_opens_what_its_scopes_say_and_nothing_else() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        ada.create("other").await.unwrap();
        let new = with_token(&market, &ada, &wanted(&[TokenScope::PublishNew], None)).await;
        let update = wanted(&[TokenScope::PublishUpdate], Some(&["ada"]));
        let update = with_token(&market, &ada, &update).await;

        problem(
            update.publish(&echo("ada/echo", "1.0.0").await).await,
            "insufficient-scope",
        );
        new.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        problem(
            new.publish(&echo("ada/echo", "1.1.0").await).await,
            "insufficient-scope",
        );
        update
            .publish(&echo("ada/echo", "1.1.0").await)
            .await
            .unwrap();
        new.publish(&echo("other/echo", "1.0.0").await)
            .await
            .unwrap();
        problem(
            update.publish(&echo("other/echo", "1.1.0").await).await,
            "insufficient-scope",
        );

        let yank = Change::Yank {
            capsule: capsule_name("ada/echo"),
            version: version("1.0.0"),
        };
        problem(
            update.change(yank.clone(), &[&ada.key]).await,
            "insufficient-scope",
        );
        let yanker = with_token(&market, &ada, &wanted(&[TokenScope::Yank], None)).await;
        // The scope without the signature is not enough.
        let thief = SecretKey::generate().unwrap();
        problem(yanker.change(yank.clone(), &[&thief]).await, "not-allowed");
        yanker.change(yank, &[&ada.key]).await.unwrap();
        problem(yanker.market.tokens().await, "insufficient-scope");
        problem(
            yanker
                .market
                .create_token(&wanted(&[TokenScope::Yank], None))
                .await,
            "insufficient-scope",
        );
    });
}

#[test]
fn tokens_are_listed_revoked_and_expire() {
    TestMarketplace::run(async |market| {
        let ada = market.author("ada").await;
        let bob = market.author("bob").await;
        let token = ada
            .market
            .create_token(&wanted(&[TokenScope::Yank], None))
            .await
            .unwrap();
        let names: Vec<_> = ada.market.tokens().await.unwrap();
        assert_eq!(
            names.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
            ["ci", "login"]
        );
        problem(bob.market.revoke_token(&token.about.id).await, "not-found");
        ada.market.revoke_token(&token.about.id).await.unwrap();
        let revoked = market.client().with_token(&token.token.into()).unwrap();
        problem(revoked.invitations().await, "unauthorized");

        let mut short = wanted(&[TokenScope::Owners], None);
        short.lifetime = 4;
        let short = with_token(&market, &ada, &short).await;
        short.market.invitations().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5100)).await;
        problem(short.market.invitations().await, "unauthorized");
        for (change, part) in [
            (
                TokenRequest {
                    lifetime: 0,
                    ..wanted(&[TokenScope::Yank], None)
                },
                "lives for",
            ),
            (
                TokenRequest {
                    name: String::new(),
                    ..wanted(&[TokenScope::Yank], None)
                },
                "name",
            ),
            (wanted(&[], None), "without scopes"),
            (wanted(&[TokenScope::Tokens], None), "only a login"),
        ] {
            let detail = problem(ada.market.create_token(&change).await, "bad-request");
            assert!(detail.contains(part), "{detail}");
        }
    });
}

#[test]
fn a_challenge_is_good_once_and_for_its_log_and_key() {
    TestMarketplace::run(async |market| {
        let ada = market.author("ada").await;
        let client = market.client();
        let thief = SecretKey::generate().unwrap();
        let challenge = client.challenge().await.unwrap().challenge;
        let login = |log: &str, challenge: &str| Login {
            log: log.to_owned(),
            account: "ada".parse().unwrap(),
            challenge: challenge.to_owned(),
        };
        let post = async |login: Login, key: &SecretKey| {
            let body = login.sign(&[key]).unwrap();
            let url = format!("{}/v1/login", market.url);
            let response = reqwest::Client::new()
                .post(url)
                .json(&body)
                .send()
                .await
                .unwrap();
            response.status().as_u16()
        };
        assert_eq!(post(login("other.test", &challenge), &ada.key).await, 422);
        assert_eq!(
            post(login("market.test/log", "made-up"), &ada.key).await,
            401
        );
        assert_eq!(
            post(login("market.test/log", &challenge), &thief).await,
            401
        );
        // The refused attempt used it up.
        assert_eq!(
            post(login("market.test/log", &challenge), &ada.key).await,
            401
        );
        let challenge = client.challenge().await.unwrap().challenge;
        assert_eq!(
            post(login("market.test/log", &challenge), &ada.key).await,
            200
        );
        assert_eq!(
            post(login("market.test/log", &challenge), &ada.key).await,
            401
        );
    });
}

#[test]
fn a_key_that_was_replaced_leaves_no_token_behind() {
    TestMarketplace::run(async |market| {
        let ada = market.author("ada").await;
        let mut key = ada.key;
        for _ in 0..5 {
            let new = SecretKey::generate().unwrap();
            // Whoever found the old one logs in all the time, while it is replaced.
            let logins = (0..16).map(|_| async {
                let mut tokens = Vec::new();
                for _ in 0..5 {
                    let login = market.client().login(&ada.account, &key).await;
                    tokens.extend(login.map(|login| login.token));
                }
                tokens
            });
            let client = market.client();
            let replace = client.login_replacing(&ada.account, &key, &new);
            let (replaced, tokens) = tokio::join!(replace, futures::future::join_all(logins));
            replaced.unwrap();
            let mut still = 0;
            for token in tokens.into_iter().flatten() {
                let with_it = market.client().with_token(&token.into()).unwrap();
                still += usize::from(with_it.tokens().await.is_ok());
            }
            assert_eq!(still, 0, "tokens of the old key are good still");
            key = new;
        }
    });
}
