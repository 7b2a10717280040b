//! Old movements are put together: the sums of every account, window and lease are what they were.

use jiff::Timestamp;

use super::fixture::{Fixture, KEY, payer};
use super::proof;
use crate::budget::{Level, Span};
use crate::db::ledger;

#[tokio::test]
async fn windows_that_are_over_are_kept_for_so_many_days() {
    let fixture = Fixture::new().await;
    let now: Timestamp = "2027-03-31T12:00:00Z".parse().unwrap();
    let mut windows = Vec::new();
    for (span, days) in [
        (Span::Day, ["2027-03-31", "2027-03-30", "2027-03-28"]),
        (Span::Month, ["2027-03-01", "2027-02-01", "2027-01-01"]),
    ] {
        let budget = fixture.set(Level::Tenant, span, 5, true).await;
        for day in days {
            let begin: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
            windows.push((budget.id.clone(), begin.as_millisecond()));
        }
    }
    for (id, (budget, starts_at)) in (0..).zip(&windows) {
        sqlx::query("INSERT INTO budget_windows VALUES ($1, $2, $3, 0, 0)")
            .bind(i64::to_string(&id))
            .bind(budget)
            .bind(*starts_at)
            .execute(&fixture.pool)
            .await
            .unwrap();
    }
    let left = async || -> Vec<String> {
        let left = sqlx::query_scalar("SELECT id FROM budget_windows ORDER BY id");
        left.fetch_all(&fixture.pool).await.unwrap()
    };
    ledger::forget_old(&fixture.pool, now, None).await.unwrap();
    assert_eq!(left().await.len(), windows.len());
    // None that is under way, and none that has not been over for a day.
    let kept = crate::keep::Days::try_from(1).ok();
    ledger::forget_old(&fixture.pool, now, kept).await.unwrap();
    assert_eq!(left().await, ["0", "1", "3"]);
}

async fn entries(fixture: &Fixture) -> i64 {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM ledger_entries");
    count.fetch_one(&fixture.pool).await.unwrap()
}

/// Sweeps as if it were so many days later.
async fn sweep(fixture: &Fixture, days: i64) {
    let hours = jiff::SignedDuration::from_hours(24 * days);
    let moment = Timestamp::now() + hours;
    let swept = ledger::forget_old(&fixture.pool, moment, None).await;
    swept.unwrap();
}

/// What must hold of the ledger, and what it says.
async fn proven(fixture: &Fixture) -> Vec<String> {
    let accounts = proof::prove(&fixture.pool).await;
    let mut said: Vec<String> = accounts.iter().map(|it| format!("{it:?}")).collect();
    said.sort();
    said
}

#[tokio::test]
async fn balances_are_the_same_before_and_after() {
    let fixture = Fixture::new().await;
    let key = Level::Key {
        key: KEY.to_owned(),
    };
    fixture
        .set(Level::Tenant, Span::Lifetime, 9_000, true)
        .await;
    fixture.set(key, Span::Month, 50, false).await;
    let (first, second) = (fixture.host("a").await, fixture.host("b").await);
    for round in 0..20_u64 {
        for host in [&first, &second] {
            let held = host.reserve(&payer(KEY), 30 + round).await.unwrap();
            held.settle(1 + round);
            host.tick().await.unwrap();
        }
    }
    // One gives its leases back; those of the other are pending still, and it goes on with them.
    second.close().await.unwrap();
    let (before, many) = (proven(&fixture).await, entries(&fixture).await);
    sweep(&fixture, 30).await;
    assert_eq!(entries(&fixture).await, many, "too new to be put together");
    sweep(&fixture, 32).await;
    assert_eq!(proven(&fixture).await, before);
    let few = entries(&fixture).await;
    assert!(few < many / 2, "{few} of {many}");
    sweep(&fixture, 32).await;
    assert_eq!(entries(&fixture).await, few);

    first.reserve(&payer(KEY), 30).await.unwrap().settle(30);
    first.close().await.unwrap();
    let after = proven(&fixture).await;
    assert_ne!(after, before);
    sweep(&fixture, 32).await;
    assert_eq!(proven(&fixture).await, after);
}
