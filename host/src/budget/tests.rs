//! Budgets on a real database.

mod fixture;
mod folded;
mod hosts;
mod postgres;
mod proof;
mod random;
mod tables;

use std::time::Duration;

use futures::future::join_all;

use self::fixture::{Fixture, KEY, OTHER_KEY, TENANT, payer, place, session};
use super::*;
use crate::db::budgets;

#[tokio::test]
async fn a_payer_without_budgets_holds_what_it_likes() {
    let fixture = Fixture::new().await;
    let host = fixture.host("a").await;
    let held = host.reserve(&payer(KEY), u64::MAX).await.unwrap();
    assert_eq!(held.tokens(), u64::MAX);
    held.settle(1);
    assert!(host.snapshot().is_empty());
}

#[tokio::test]
async fn what_is_leased_is_spent_without_the_database_and_nothing_more() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Day, 1600, true).await;
    let host = fixture.host("a").await;
    let first = host.reserve(&payer(KEY), 10).await.unwrap();
    fixture.pool.close().await;
    let second = host.reserve(&payer(KEY), 90).await.unwrap();
    let third = host.reserve(&payer(KEY), 1).await;
    assert!(matches!(third, Err(Refused::Database(_))));
    drop(first);
    let fourth = host.reserve(&payer(KEY), 10).await.unwrap();
    let in_hand = host.snapshot()["tenant"];
    assert_eq!((in_hand.reservations, in_hand.leased), (2, 100));
    second.settle(90);
    fourth.settle(10);
}

#[tokio::test]
async fn a_lease_is_not_held_from_when_a_call_might_outlast_it() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Day, 1600, true).await;
    let host = fixture.host("a").await;
    drop(host.reserve(&payer(KEY), 10).await.unwrap());
    fixture.clock.advance(Duration::from_millis(59_999));
    drop(host.reserve(&payer(KEY), 10).await.unwrap());
    fixture.pool.close().await;
    drop(host.reserve(&payer(KEY), 10).await.unwrap());
    fixture.clock.advance(Duration::from_millis(1));
    let late = host.reserve(&payer(KEY), 10).await;
    assert!(matches!(late, Err(Refused::Database(_))));
}

#[tokio::test]
async fn a_lease_in_use_lives_on_and_an_idle_one_is_given_back() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Month, 1600, true).await;
    let host = fixture.host("a").await;
    for _ in 0..5 {
        host.reserve(&payer(KEY), 10).await.unwrap().settle(2);
        host.tick().await.unwrap();
        fixture.clock.advance(RESERVING / 2);
    }
    let standing = fixture.standing(Level::Tenant, Span::Month).await;
    assert_eq!((standing.used, standing.leased), (10, 90));
    host.tick().await.unwrap();
    let standing = fixture.standing(Level::Tenant, Span::Month).await;
    assert_eq!((standing.used, standing.leased), (10, 0));
    assert_eq!(fixture.states().await, ["posted"]);
}

#[tokio::test]
async fn all_levels_are_held_or_none() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Day, 100, true).await;
    let key = Level::Key {
        key: KEY.to_owned(),
    };
    fixture.set(key.clone(), Span::Minute, 20, true).await;
    let host = fixture.host("a").await;
    let held = host.reserve(&payer(KEY), 15).await.unwrap();
    let refused = host.reserve(&payer(KEY), 6).await.err().unwrap();
    let Refused::Exhausted(short) = refused else {
        panic!("{refused}");
    };
    assert_eq!((short.level, short.left), (key, 5));
    assert_eq!(short.refills_at, Span::Minute.ends_at(fixture.clock.wall()));
    let in_hand = host.snapshot();
    assert_eq!(in_hand["tenant"].reservations, 1);
    host.reserve(&payer(OTHER_KEY), 80)
        .await
        .unwrap()
        .settle(80);
    held.settle(15);
    host.close().await.unwrap();
    let standing = fixture.standing(Level::Tenant, Span::Day).await;
    assert_eq!((standing.used, standing.leased), (95, 0));
}

#[tokio::test]
async fn what_can_never_be_held_is_not_to_be_tried_again() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Minute, 0, true).await;
    let host = fixture.host("a").await;
    let refused = host.reserve(&payer(KEY), 1).await.err().unwrap();
    let Refused::Exhausted(short) = refused else {
        panic!("{refused}");
    };
    assert_eq!((short.limit, short.refills_at), (0, None));
    assert!(host.reserve(&payer(KEY), u64::MAX).await.is_err());
    assert!(host.reserve(&payer(KEY), 0).await.is_ok());
    assert_eq!(host.snapshot()["tenant"].leased, 0);
}

#[tokio::test]
async fn a_call_counts_in_the_window_in_which_it_began() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Minute, 10, true).await;
    let host = fixture.host("a").await;
    let before = host.reserve(&payer(KEY), 10).await.unwrap();
    let began = fixture.clock.wall();
    fixture.clock.advance(Duration::from_mins(1));
    let after = host.reserve(&payer(KEY), 10).await.unwrap();
    host.tick().await.unwrap();
    before.settle(7);
    after.settle(3);
    host.tick().await.unwrap();
    let place = place(Level::Tenant, Span::Minute);
    let first = budgets::get(&fixture.pool, &place, began)
        .await
        .unwrap()
        .unwrap();
    let second = fixture.standing(Level::Tenant, Span::Minute).await;
    assert_eq!((first.used, first.leased, second.used), (7, 0, 3));
}

#[tokio::test]
async fn a_host_that_starts_again_has_spent_what_it_had_leased() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Day, 1600, true).await;
    let crashed = fixture.host("a").await;
    let held = crashed.reserve(&payer(KEY), 10).await.unwrap();
    let _other = fixture.host("b").await;
    assert_eq!(fixture.standing(Level::Tenant, Span::Day).await.leased, 100);
    let _again = fixture.host("a").await;
    let standing = fixture.standing(Level::Tenant, Span::Day).await;
    assert_eq!((standing.used, standing.leased), (100, 0));
    // It only seemed to have crashed: what it says is not counted again, and it goes on.
    held.settle(5);
    crashed.tick().await.unwrap();
    crashed.reserve(&payer(KEY), 1).await.unwrap().settle(1);
    crashed.close().await.unwrap();
    let standing = fixture.standing(Level::Tenant, Span::Day).await;
    assert_eq!((standing.used, standing.leased), (101, 0));
    assert_eq!(fixture.states().await, ["expired", "posted"]);
}

#[tokio::test]
async fn a_soft_budget_only_counts() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Day, 10, false).await;
    let host = fixture.host("a").await;
    host.reserve(&payer(KEY), 30).await.unwrap().settle(25);
    drop(host.reserve(&payer(KEY), 30).await.unwrap());
    host.tick().await.unwrap();
    host.reserve(&payer(KEY), 30).await.unwrap().settle(31);
    host.close().await.unwrap();
    let standing = fixture.standing(Level::Tenant, Span::Day).await;
    assert_eq!((standing.used, standing.leased), (55, 0));
}

#[tokio::test]
async fn a_change_is_heeded_at_once() {
    let fixture = Fixture::new().await;
    let host = fixture.host("a").await;
    assert!(host.reserve(&payer(KEY), 5).await.is_ok());
    fixture.set(Level::Tenant, Span::Day, 3, true).await;
    host.changed(TENANT).await;
    assert!(host.reserve(&payer(KEY), 5).await.is_err());
    // Nobody said that it is gone: the database does.
    budgets::delete(&fixture.pool, &place(Level::Tenant, Span::Day))
        .await
        .unwrap();
    assert!(host.reserve(&payer(KEY), 5).await.is_ok());
}

#[tokio::test]
async fn what_is_leased_of_a_budget_that_was_larger_is_given_back() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Day, 1600, true).await;
    let host = fixture.host("a").await;
    let under_way = host.reserve(&payer(KEY), 10).await.unwrap();
    host.reserve(&payer(KEY), 10).await.unwrap().settle(10);

    fixture.set(Level::Tenant, Span::Day, 50, true).await;
    host.changed(TENANT).await;
    // 80 are leased and free, of 1600.
    assert!(host.reserve(&payer(KEY), 10).await.is_err());
    under_way.settle(7);
    host.tick().await.unwrap();
    let standing = fixture.standing(Level::Tenant, Span::Day).await;
    assert_eq!((standing.used, standing.leased), (17, 0));

    let rest = host.reserve(&payer(KEY), 33).await.unwrap();
    assert!(host.reserve(&payer(KEY), 1).await.is_err());
    rest.settle(33);
    // Larger again, it leases as much as that allows.
    fixture.set(Level::Tenant, Span::Day, 1600, true).await;
    host.changed(TENANT).await;
    host.reserve(&payer(KEY), 10).await.unwrap().settle(10);
    let standing = fixture.standing(Level::Tenant, Span::Day).await;
    assert_eq!(standing.leased, 33 + 100);
    host.close().await.unwrap();
    let standing = fixture.standing(Level::Tenant, Span::Day).await;
    assert_eq!((standing.used, standing.leased), (60, 0));
}

#[tokio::test]
async fn a_budget_that_was_raised_elsewhere_is_not_leased_over_and_over() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Day, 100, true).await;
    let host = fixture.host("a").await;
    host.reserve(&payer(KEY), 10).await.unwrap().settle(10);
    host.reserve(&payer(OTHER_KEY), 10)
        .await
        .unwrap()
        .settle(10);
    // This host is not told, and believes what it found.
    fixture.set(Level::Tenant, Span::Day, 16_000, true).await;
    for key in [KEY, OTHER_KEY, KEY, OTHER_KEY] {
        let held = host.reserve(&payer(key), 500).await.unwrap();
        held.settle(500);
    }
    let standing = fixture.standing(Level::Tenant, Span::Day).await;
    assert!(standing.leased < 4_000, "{}", standing.leased);
    assert!(fixture.states().await.len() <= 3);
}

#[tokio::test]
async fn a_session_that_is_narrowed_spends_no_more_of_what_was_leased() {
    let fixture = Fixture::new().await;
    let host = fixture.host("a").await;
    let wide = session(KEY, "s", Some(1600));
    host.reserve(&wide, 10).await.unwrap().settle(10);
    let narrow = session(KEY, "s", Some(20));
    assert!(host.reserve(&narrow, 10).await.is_err());
    host.tick().await.unwrap();
    host.reserve(&narrow, 10).await.unwrap().settle(10);
    assert!(host.reserve(&narrow, 1).await.is_err());
}

#[tokio::test]
async fn many_calls_at_once_share_a_lease() {
    let fixture = Fixture::new().await;
    fixture.set(Level::Tenant, Span::Lifetime, 100, true).await;
    let host = fixture.host("a").await;
    let payer = payer(KEY);
    let calls = join_all((0..200).map(|_| host.reserve(&payer, 1))).await;
    let (held, refused): (Vec<_>, Vec<_>) = calls.into_iter().partition(Result::is_ok);
    assert_eq!((held.len(), refused.len()), (100, 100));
    assert_eq!(fixture.states().await, ["pending"]);
}
