//! What is set, and what the ledger has of it.

use std::time::Duration;

use uuid::Uuid;

use super::fixture::{Fixture, KEY, OTHER_KEY, TENANT, place, session};
use crate::budget::{Level, Refused, Span};
use crate::db::budgets::{self, MOST_SESSIONS, Place, SetError};
use crate::db::ledger::{self, Asked, Holder, Lease, Taken, Window};

#[tokio::test]
async fn a_session_is_only_ever_narrowed() {
    let fixture = Fixture::new().await;
    let host = fixture.host("a").await;
    for (most, tokens, limit) in [
        (None, 1, None),
        (Some(50), 1, Some(50)),
        (Some(80), 1, Some(50)),
    ] {
        let payer = session(KEY, "s", most);
        host.reserve(&payer, tokens).await.unwrap().settle(tokens);
        let level = payer.level();
        let place = place(level, Span::Lifetime);
        let standing = budgets::get(&fixture.pool, &place, fixture.clock.wall());
        let standing = standing.await.unwrap();
        assert_eq!(standing.map(|standing| standing.budget.tokens), limit);
    }
    let narrower = host.reserve(&session(KEY, "s", Some(2)), 4).await;
    let Some(Refused::Exhausted(short)) = narrower.err() else {
        panic!("it is held to less");
    };
    assert_eq!((short.limit, short.refills_at), (2, None));
    assert!(host.reserve(&session(KEY, "t", None), 100).await.is_ok());
    assert!(
        host.reserve(&session(OTHER_KEY, "s", None), 100)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn so_many_sessions_are_remembered() {
    let fixture = Fixture::new().await;
    fixture.fill_sessions(MOST_SESSIONS).await;
    let host = fixture.host("a").await;
    let refused = host.reserve(&session(KEY, "new", Some(5)), 1).await;
    assert!(matches!(refused, Err(Refused::TooManySessions)));
    assert!(host.reserve(&session(KEY, "1", Some(5)), 1).await.is_ok());
    assert!(host.reserve(&session(KEY, "new", None), 1).await.is_ok());
    assert!(
        host.reserve(&session(OTHER_KEY, "new", Some(5)), 1)
            .await
            .is_ok()
    );
    let moment = |hours: i64| jiff::Timestamp::now() + Duration::from_hours(hours.unsigned_abs());
    let forget = async |hours| {
        budgets::forget_idle(&fixture.pool, moment(hours))
            .await
            .unwrap()
    };
    // All but the one that was just used.
    assert_eq!(forget(29 * 24).await, MOST_SESSIONS.unsigned_abs() - 1);
    // They hold leases.
    assert_eq!(forget(31 * 24).await, 0);
    host.close().await.unwrap();
    assert_eq!(forget(31 * 24).await, 2);
    assert!(host.reserve(&session(KEY, "new", Some(5)), 1).await.is_ok());
}

#[tokio::test]
async fn budgets_are_set_listed_and_deleted() {
    let fixture = Fixture::new().await;
    let moment = fixture.clock.wall();
    let day = place(Level::Tenant, Span::Day);
    let large = budgets::set(&fixture.pool, &day, u64::MAX, true).await;
    assert!(matches!(large, Err(SetError::TooLarge)));
    let strange = place(
        Level::Key {
            key: "strange".to_owned(),
        },
        Span::Day,
    );
    let strange = budgets::set(&fixture.pool, &strange, 1, true).await;
    assert!(matches!(strange, Err(SetError::NoSuchLevel)));
    let nobody = Place {
        tenant: "nobody".to_owned(),
        ..day.clone()
    };
    let nobody = budgets::set(&fixture.pool, &nobody, 1, true).await;
    assert!(matches!(nobody, Err(SetError::NoSuchLevel)));

    let first = fixture.set(Level::Tenant, Span::Day, 5, true).await;
    let second = fixture.set(Level::Tenant, Span::Day, 7, false).await;
    assert_eq!(
        (first.id, second.tokens, second.is_hard),
        (second.id, 7, false)
    );
    fixture
        .set(
            Level::Key {
                key: KEY.to_owned(),
            },
            Span::Lifetime,
            9,
            true,
        )
        .await;
    let listed = budgets::list(&fixture.pool, TENANT, moment).await.unwrap();
    let tokens: Vec<u64> = listed
        .iter()
        .map(|standing| standing.budget.tokens)
        .collect();
    assert_eq!(tokens, [7, 9]);
    assert!(budgets::delete(&fixture.pool, &day).await.unwrap());
    assert!(!budgets::delete(&fixture.pool, &day).await.unwrap());
    assert!(
        budgets::get(&fixture.pool, &day, moment)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn settling_is_fenced_and_done_once() {
    let fixture = Fixture::new().await;
    let budget = fixture.set(Level::Tenant, Span::Lifetime, 1600, true).await;
    let window = Window {
        budget: budget.id,
        starts_at: 0,
    };
    let lease = Lease {
        id: Uuid::now_v7(),
        window: window.clone(),
    };
    let holder = |fence: &str| Holder {
        host: "a".to_owned(),
        fence: fence.to_owned(),
    };
    let asked = Asked {
        needed: 10,
        ends_at: fixture.clock.wall(),
    };
    let (mine, other) = (holder("1"), holder("2"));
    let pool = &fixture.pool;
    let taken = ledger::take(pool, &mine, &lease, &asked).await.unwrap();
    assert_eq!(
        taken,
        Taken::Granted {
            tokens: 100,
            limit: 1600
        }
    );
    let taken = ledger::take(pool, &other, &lease, &asked).await.unwrap();
    assert_eq!(taken, Taken::Lost);
    ledger::settle(pool, &other, &lease, 9).await.unwrap();
    assert!(
        !ledger::post(pool, &other, &lease, 9, asked.ends_at)
            .await
            .unwrap()
    );
    for _ in 0..2 {
        assert!(
            ledger::post(pool, &mine, &lease, 20, asked.ends_at)
                .await
                .unwrap()
        );
    }
    for spent in [30, 40] {
        ledger::settle(pool, &mine, &lease, spent).await.unwrap();
    }
    assert!(
        !ledger::post(pool, &mine, &lease, 50, asked.ends_at)
            .await
            .unwrap()
    );
    let movement = Uuid::now_v7();
    for _ in 0..2 {
        ledger::count(pool, &window, movement, 3).await.unwrap();
    }
    let standing = fixture.standing(Level::Tenant, Span::Lifetime).await;
    assert_eq!((standing.used, standing.leased), (33, 0));
}

#[tokio::test]
async fn narrowing_makes_hard_and_never_raises() {
    let fixture = Fixture::new().await;
    let payer = session(KEY, "s", None);
    fixture.set(payer.level(), Span::Lifetime, 50, false).await;
    for (most, limit) in [(80, 50), (u64::MAX, 50), (20, 20), (30, 20)] {
        let session = &payer.session.as_ref().unwrap().id;
        let narrowed = budgets::narrow(&fixture.pool, TENANT, KEY, session, most).await;
        narrowed.unwrap();
        let budget = fixture.standing(payer.level(), Span::Lifetime).await.budget;
        assert_eq!((budget.tokens, budget.is_hard), (limit, true));
    }
}
