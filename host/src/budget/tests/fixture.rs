//! A database with a tenant and two keys, and hosts on it.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::AnyPool;
use tempfile::TempDir;

use crate::budget::{Budgets, Clock, Level, Payer, Session, Span};
use crate::db;
use crate::db::budgets::{self, Budget, Place, Standing};
use crate::db::ledger::Holder;

pub(super) const TENANT: &str = "tenant";
pub(super) const KEY: &str = "key-1";
pub(super) const OTHER_KEY: &str = "key-2";
pub(super) const LONGEST_CALL: Duration = Duration::from_secs(5);

pub(super) struct Fixture {
    pub(super) pool: AnyPool,
    pub(super) clock: Clock,
    _folder: Option<TempDir>,
}

impl Fixture {
    /// In a file, in a folder of its own.
    pub(super) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}/soma.db?mode=rwc", folder.path().display());
        let fixture = Self::at(&url).await;
        Self {
            _folder: Some(folder),
            ..fixture
        }
    }

    pub(super) async fn at(url: &str) -> Self {
        let pool = db::open(url).await.unwrap();
        for statement in [
            "INSERT INTO tenants (id, name, created_at) VALUES ('tenant', 'tenant', 0)",
            "INSERT INTO keys (id, tenant, name, secret_sha256, scopes, created_at)
             VALUES ('key-1', 'tenant', '', '', '', 0), ('key-2', 'tenant', '', '', '', 0)",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
        Self {
            pool,
            clock: clock(),
            _folder: None,
        }
    }

    pub(super) async fn host(&self, name: &str) -> Budgets {
        let open = Budgets::open(
            self.pool.clone(),
            Holder::new(name.to_owned()),
            self.clock.clone(),
            LONGEST_CALL,
        );
        open.await.unwrap()
    }

    pub(super) async fn set(&self, level: Level, span: Span, tokens: u64, is_hard: bool) -> Budget {
        let place = place(level, span);
        budgets::set(&self.pool, &place, tokens, is_hard)
            .await
            .unwrap()
    }

    pub(super) async fn standing(&self, level: Level, span: Span) -> Standing {
        let place = place(level, span);
        let standing = budgets::get(&self.pool, &place, self.clock.wall()).await;
        standing.unwrap().unwrap()
    }

    /// The states of all leases.
    pub(super) async fn states(&self) -> Vec<String> {
        let states = sqlx::query_scalar("SELECT state FROM leases ORDER BY state");
        states.fetch_all(&self.pool).await.unwrap()
    }

    /// Gives a key so many sessions with a budget, which are numbered from 1 on.
    pub(super) async fn fill_sessions(&self, many: i64) {
        sqlx::query(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
             INSERT INTO budgets (id, tenant, key, session, span, tokens, is_hard, set_at, touched_at)
             SELECT 'b' || n, 'tenant', 'key-1', CAST(n AS TEXT), 'lifetime', 5, 1, 0, 0 FROM numbers",
        )
        .bind(many)
        .execute(&self.pool)
        .await
        .unwrap();
    }
}

pub(super) fn clock() -> Clock {
    let noon: Timestamp = "2030-06-15T12:00:00Z".parse().unwrap();
    Clock::driven(noon)
}

pub(super) fn place(level: Level, span: Span) -> Place {
    Place {
        tenant: TENANT.to_owned(),
        level,
        span,
    }
}

pub(super) fn payer(key: &str) -> Payer<'_> {
    Payer {
        tenant: TENANT,
        key,
        session: None,
    }
}

pub(super) fn session<'a>(key: &'a str, id: &str, most: Option<u64>) -> Payer<'a> {
    let id = id.to_owned().try_into().unwrap();
    Payer {
        session: Some(Session { id, most }),
        ..payer(key)
    }
}

impl Payer<'_> {
    /// Its session's level, or its key's.
    pub(super) fn level(&self) -> Level {
        let key = self.key.to_owned();
        match &self.session {
            Some(session) => Level::Session {
                key,
                session: session.id.clone(),
            },
            None => Level::Key { key },
        }
    }
}
