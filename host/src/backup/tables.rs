//! The tables of a host's database, and their columns as the database itself says.

use anyhow::bail;
use sqlx::AnyConnection;

/// All of them, each after those that its rows belong to.
pub(super) const TABLES: [&str; 21] = [
    "tenants",
    "keys",
    "capsules",
    "set_aside",
    "grants",
    "secrets",
    "stores",
    "store_entries",
    "watches",
    "watched_requests",
    "budgets",
    "budget_windows",
    "leases",
    "ledger_entries",
    "usage_days",
    "answers",
    "logs",
    "log_namespaces",
    "log_releases",
    "revocations",
    "pins",
];

/// What a column has, where it has anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Bytes,
}

/// One column of a table.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// The columns of a table, in the database's order.
pub(super) async fn columns(
    connection: &mut AnyConnection,
    table: &str,
) -> anyhow::Result<Vec<Column>> {
    let statement = if connection.backend_name() == "SQLite" {
        "SELECT name, type FROM pragma_table_info($1)"
    } else {
        "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
    };
    let rows: Vec<(String, String)> = sqlx::query_as(statement)
        .bind(table)
        .fetch_all(connection)
        .await?;
    if rows.is_empty() {
        bail!("the database has no table `{table}`");
    }
    let columns = rows.into_iter().map(|(name, declared)| {
        let kind = match declared.to_ascii_lowercase().as_str() {
            "bigint" => Kind::Integer,
            "text" => Kind::Text,
            "bytea" => Kind::Bytes,
            _ => bail!("`{name}` of `{table}` is of the unknown type {declared}"),
        };
        Ok(Column { name, kind })
    });
    columns.collect()
}

/// Column names as a list in a statement. They come from the database itself.
pub(super) fn listed(columns: &[Column]) -> String {
    let quoted = columns.iter().map(|column| format!("\"{}\"", column.name));
    quoted.collect::<Vec<_>>().join(", ")
}
