//! The databases that a host is tested on.

use sqlx::{Connection as _, Executor as _, PgConnection};

/// Where a host keeps its identity and catalog.
pub(crate) enum Database {
    /// `soma.db` in the data folder, as by default.
    Sqlite,
    /// A schema of its own in the server at hand.
    Postgres(Schema),
}

/// A fresh schema, to be dropped after the test.
pub(crate) struct Schema {
    server: String,
    name: String,
}

/// The server for tests, where there is one: `SOMA_TEST_POSTGRES`, which `./dev` sets.
pub(crate) fn postgres() -> Option<String> {
    std::env::var("SOMA_TEST_POSTGRES")
        .ok()
        .filter(|url| !url.is_empty())
}

impl Database {
    pub(crate) async fn fresh_schema(server: String) -> Self {
        let name = format!("soma_test_{}", uuid::Uuid::now_v7().simple());
        execute(&server, format!("CREATE SCHEMA {name}")).await;
        Self::Postgres(Schema { server, name })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "Postgres",
        }
    }

    /// The URL to give the host; none for its default.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres(Schema { server, name }) => {
                let and = if server.contains('?') { '&' } else { '?' };
                Some(format!("{server}{and}options=-csearch_path%3D{name}"))
            }
        }
    }

    /// Leaves nothing behind.
    pub(crate) async fn drop(self) {
        if let Self::Postgres(Schema { server, name }) = self {
            execute(&server, format!("DROP SCHEMA {name} CASCADE")).await;
        }
    }
}

/// A whole database of the server at hand, which can be closed to everybody.
pub(crate) struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    pub(crate) async fn create(server: String) -> Self {
        let name = format!("soma_test_{}", uuid::Uuid::now_v7().simple());
        execute(&server, format!("CREATE DATABASE {name}")).await;
        Self { server, name }
    }

    /// The URL to give the host.
    pub(crate) fn url(&self) -> String {
        let mut url: reqwest::Url = self.server.parse().expect("a URL");
        url.set_path(&self.name);
        url.into()
    }

    /// Whoever is connected is cut off, and nobody is let in.
    pub(crate) async fn close(&self) {
        self.allow_connections(false).await;
        let name = &self.name;
        let cut_off = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        execute(&self.server, cut_off).await;
    }

    /// It can be connected to again.
    pub(crate) async fn open(&self) {
        self.allow_connections(true).await;
    }

    async fn allow_connections(&self, is_open: bool) {
        let name = &self.name;
        let alter = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {is_open}");
        execute(&self.server, alter).await;
    }

    /// Leaves nothing behind.
    pub(crate) async fn drop(self) {
        let name = &self.name;
        execute(&self.server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
}

async fn execute(server: &str, statement: String) {
    let mut connection = PgConnection::connect(server)
        .await
        .expect("the Postgres of the tests");
    connection
        .execute(sqlx::AssertSqlSafe(statement))
        .await
        .expect("a statement of the tests");
}
