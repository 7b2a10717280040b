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

async fn execute(server: &str, statement: String) {
    let mut connection = PgConnection::connect(server)
        .await
        .expect("the Postgres of the tests");
    connection
        .execute(sqlx::AssertSqlSafe(statement))
        .await
        .expect("a statement of the tests");
}
