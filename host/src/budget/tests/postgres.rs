//! On Postgres: two hosts' worth of tasks on one small budget, which really run at once there.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::fixture::{Fixture, KEY, TENANT, payer, place, session};
use super::proof;
use crate::budget::{Budgets, Clock, Level, Refused, Span};
use crate::db::budgets;
use crate::db::ledger::Holder;

const LIMIT: u64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_that_hammer_a_budget_spend_no_more_than_it_has() {
    on_postgres(hammer).await;
}

#[tokio::test]
async fn postgres_takes_the_same_statements() {
    on_postgres(administer).await;
}

/// Runs a test on a database of its own.
async fn on_postgres<F>(test: impl FnOnce(Fixture) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    sqlx::any::install_default_drivers();
    let Ok(url) = std::env::var("SOMA_TEST_POSTGRES") else {
        let in_ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!in_ci, "CI must not go without Postgres");
        eprintln!("SKIPPED: SOMA_TEST_POSTGRES is not set");
        return;
    };
    let mut server = AnyConnection::connect(&url).await.unwrap();
    let name = format!("soma_budgets_{}", Uuid::now_v7().simple());
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut server).await.unwrap();
    let (server_url, _) = url.rsplit_once('/').unwrap();
    let fixture = Fixture::at(&format!("{server_url}/{name}")).await;
    let tested = tokio::spawn(test(fixture)).await;
    let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
    sqlx::query(drop).execute(&mut server).await.unwrap();
    tested.unwrap();
}

async fn administer(fixture: Fixture) {
    let (pool, moment) = (&fixture.pool, fixture.clock.wall());
    fixture.set(Level::Tenant, Span::Month, 10, false).await;
    fixture.set(Level::Tenant, Span::Month, 1000, true).await;
    let host = fixture.host("a").await;
    for most in [20, 30] {
        let payer = session(KEY, "s", Some(most));
        host.reserve(&payer, 10).await.unwrap().settle(6);
        host.tick().await.unwrap();
    }
    let _again = fixture.host("a").await;
    fixture.host("b").await.tick().await.unwrap();
    let listed = budgets::list(pool, TENANT, moment).await.unwrap();
    let stands = listed
        .iter()
        .map(|standing| (standing.budget.tokens, standing.used, standing.leased));
    assert_eq!(stands.collect::<Vec<_>>(), [(1000, 62, 0), (20, 16, 0)]);
    let late = Timestamp::now() + Duration::from_hours(31 * 24);
    assert_eq!(budgets::forget_idle(pool, late).await.unwrap(), 1);
    let place = place(Level::Tenant, Span::Month);
    assert!(budgets::delete(pool, &place).await.unwrap());
    proof::prove(pool).await;
}

async fn hammer(fixture: Fixture) {
    let pool = fixture.pool.clone();
    fixture
        .set(Level::Tenant, Span::Lifetime, LIMIT, true)
        .await;
    fixture
        .set(
            Level::Key {
                key: KEY.to_owned(),
            },
            Span::Lifetime,
            LIMIT * 2,
            true,
        )
        .await;
    let mut tasks = JoinSet::new();
    let mut hosts = Vec::new();
    for name in ["a", "b"] {
        let open = Budgets::open(
            pool.clone(),
            Holder::new(name.to_owned()),
            Clock::system(),
            Duration::from_secs(5),
        );
        let host = Arc::new(open.await.unwrap());
        for task in 0..16 {
            tasks.spawn(spend(host.clone(), task));
        }
        hosts.push(host);
    }
    let mut spent = 0;
    while let Some(used) = tasks.join_next().await {
        spent += used.unwrap();
    }
    for host in hosts {
        host.close().await.unwrap();
    }
    assert!(spent <= LIMIT && spent > LIMIT / 2, "{spent}");
    for account in proof::prove(&pool).await {
        assert_eq!((account.posted.unsigned_abs(), account.leased), (spent, 0));
    }
}

/// Calls until the budget is exhausted; gives what the calls used.
async fn spend(host: Arc<Budgets>, task: u64) -> u64 {
    let mut spent = 0;
    for call in 0.. {
        let tokens = 1 + (call * 7 + task) % 23;
        match host.reserve(&payer(KEY), tokens).await {
            Ok(reservation) => {
                tokio::task::yield_now().await;
                let used = tokens - tokens / 4;
                reservation.settle(used);
                spent += used;
            }
            Err(Refused::Exhausted(_)) if tokens == 1 => break,
            Err(Refused::Exhausted(_)) => {}
            Err(error) => panic!("{error}"),
        }
        // A caller that does not wait for the answer takes nothing along.
        let patience = Duration::from_micros(call * 97 % 4000);
        drop(tokio::time::timeout(patience, host.reserve(&payer(KEY), 300)).await);
        if call % 16 == task {
            host.tick().await.unwrap();
        }
    }
    spent
}
