//! Hosts on one database, to which anything happens in any order. Each case is a seed, which
//! `SOMA_SEED` runs again; `SOMA_TEST=full` runs more of them.

mod steps;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::fixture::{self, Fixture};
use super::proof::{self, Account};
use super::random::Random;
use crate::budget::{Budgets, Clock, Reservation};
use crate::db::ledger::{self, Window};

const STEPS: u32 = 40;

/// Calls of one host, and what is left of it when it crashes.
struct Host {
    name: String,
    clock: Clock,
    budgets: Budgets,
    open: Vec<Reservation>,
}

/// What calls that ended have used of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    leased: i64,
    counted: i64,
}

struct World {
    fixture: Fixture,
    random: Random,
    hosts: Vec<Host>,
    used: HashMap<Window, Used>,
    /// What was posted and leased after the step before.
    taken: HashMap<Window, i64>,
    /// Budgets that were soft once.
    soft: HashSet<String>,
    /// Whether a host has crashed, whose soft counts are gone.
    has_crashed: bool,
    starts: u32,
    story: Story,
}

/// What happened, told where a test fails.
struct Story {
    seed: u64,
    steps: Vec<String>,
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SOMA_SEED={}\n{}", self.seed, self.steps.join("\n"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_budget_is_overdrawn_whatever_happens() {
    if let Ok(seed) = std::env::var("SOMA_SEED") {
        return World::live(seed.parse().unwrap()).await;
    }
    let is_full = std::env::var("SOMA_TEST").is_ok_and(|test| test == "full");
    let cases = if is_full { 5000 } else { 300 };
    let first = Random::new(Timestamp::now().as_millisecond().unsigned_abs()).next() >> 16;
    eprintln!("seeds from {first} on");
    for seed in first..first + cases {
        World::live(seed).await;
    }
}

impl World {
    async fn live(seed: u64) {
        let story = Story {
            seed,
            steps: Vec::new(),
        };
        let mut world = Self {
            fixture: Fixture::new().await,
            random: Random::new(seed),
            hosts: Vec::new(),
            used: HashMap::new(),
            taken: HashMap::new(),
            soft: HashSet::new(),
            has_crashed: false,
            starts: 0,
            story,
        };
        for name in ["a", "b"] {
            let clock = fixture::clock();
            let host = world.start(name.to_owned(), clock).await;
            world.hosts.push(host);
        }
        for _ in 0..3 {
            world.set().await;
        }
        for _ in 0..STEPS {
            world.step().await;
            world.check().await;
        }
        world.end().await;
    }

    fn tell(&mut self, step: impl Into<String>) {
        self.story.steps.push(step.into());
    }

    /// Proves what holds after every step.
    async fn check(&mut self) -> Vec<Account> {
        let accounts = proof::prove(&self.fixture.pool).await;
        for account in &accounts {
            let used = self.used.get(&account.window).copied().unwrap_or_default();
            assert!(
                used.leased <= account.taken(),
                "{used:?} is covered: {account:?}"
            );
            let most = used.leased + used.counted + account.lost;
            assert!(account.posted <= most, "{used:?} counts once: {account:?}");
            let before = self
                .taken
                .insert(account.window.clone(), account.taken())
                .unwrap_or(0);
            let is_within = account.taken() <= account.limit.max(before);
            let was_soft = self.soft.contains(&account.window.budget);
            assert!(
                is_within || was_soft,
                "overdrawn from {before}: {account:?}"
            );
        }
        accounts
    }

    /// Everything is settled or expired: nothing is leased, and what was used is posted.
    async fn end(&mut self) {
        self.tell("the end");
        for index in 0..self.hosts.len() {
            self.finish(index).await;
        }
        ledger::expire_lost(&self.fixture.pool, Timestamp::MAX)
            .await
            .unwrap();
        for account in self.check().await {
            let used = self.used.get(&account.window).copied().unwrap_or_default();
            assert_eq!(account.leased, 0, "{account:?}");
            assert!(account.posted >= used.leased, "{used:?}: {account:?}");
            let has_all_counts = used.counted == 0 || !self.has_crashed;
            let is_exact = account.lost == 0 && has_all_counts;
            let all = used.leased + used.counted;
            assert!(
                !is_exact || account.posted == all,
                "{used:?} exactly: {account:?}"
            );
        }
    }
}
