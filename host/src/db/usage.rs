//! The `usage_days` table: what calls used, in sums.

use jiff::Timestamp;
use serde::Serialize;
use soma_capability::CapsuleName;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, FromRow, Row as _};

use super::{corrupt, time};
use crate::keep::Days;

/// What a sum is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Line<'a> {
    /// The tenant's id.
    pub(crate) tenant: &'a str,
    /// The key's id.
    pub(crate) key: &'a str,
    pub(crate) capsule: &'a CapsuleName,
    pub(crate) tool: &'a str,
    /// When the day began, in milliseconds.
    pub(crate) day: i64,
    /// See [`Prices::version`](soma_capability::Prices::version).
    pub(crate) prices: &'a str,
}

/// What calls used together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sums {
    pub(crate) calls: u64,
    /// Of the calls, those without an answer.
    pub(crate) failed: u64,
    pub(crate) tokens: u64,
    pub(crate) fuel: u64,
    #[serde(serialize_with = "millis", rename = "time_ms")]
    pub(crate) time_us: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
}

/// What sums are told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct By {
    pub(crate) day: bool,
    pub(crate) capsule: bool,
    pub(crate) tool: bool,
    pub(crate) key: bool,
}

/// Whose sums, and of which days: from the first to before the last.
pub(crate) struct Which<'a> {
    pub(crate) tenant: &'a str,
    /// None is all of the tenant's.
    pub(crate) key: Option<&'a str>,
    pub(crate) from: Timestamp,
    pub(crate) before: Timestamp,
}

/// One sum, with what it is told apart by.
#[derive(Serialize)]
pub(crate) struct Used {
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capsule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(flatten)]
    sums: Sums,
    prices: String,
    engine: String,
}

fn millis<S: serde::Serializer>(micros: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(micros / 1000)
}

impl Sums {
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.calls, other.calls),
            (&mut self.failed, other.failed),
            (&mut self.tokens, other.tokens),
            (&mut self.fuel, other.fuel),
            (&mut self.time_us, other.time_us),
            (&mut self.sent_bytes, other.sent_bytes),
            (&mut self.received_bytes, other.received_bytes),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }

    /// As columns, in the table's order.
    fn columns(&self) -> [i64; 7] {
        [
            self.calls,
            self.failed,
            self.tokens,
            self.fuel,
            self.time_us,
            self.sent_bytes,
            self.received_bytes,
        ]
        .map(|sum| i64::try_from(sum).unwrap_or(i64::MAX))
    }
}

/// Adds to a line. Nothing where its tenant is gone.
pub(crate) async fn add(
    connection: &mut AnyConnection,
    line: Line<'_>,
    engine: &str,
    sums: &Sums,
) -> sqlx::Result<()> {
    let mut query = sqlx::query(
        "INSERT INTO usage_days (tenant, day, key, namespace, name, tool, prices, engine,
             calls, failed, tokens, fuel, time_us, sent_bytes, received_bytes)
         SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
         FROM tenants WHERE id = $1
         ON CONFLICT (tenant, day, key, namespace, name, tool, prices, engine) DO UPDATE SET
             calls = usage_days.calls + excluded.calls,
             failed = usage_days.failed + excluded.failed,
             tokens = usage_days.tokens + excluded.tokens,
             fuel = usage_days.fuel + excluded.fuel,
             time_us = usage_days.time_us + excluded.time_us,
             sent_bytes = usage_days.sent_bytes + excluded.sent_bytes,
             received_bytes = usage_days.received_bytes + excluded.received_bytes",
    )
    .bind(line.tenant)
    .bind(line.day)
    .bind(line.key)
    .bind(line.capsule.namespace())
    .bind(line.capsule.name())
    .bind(line.tool)
    .bind(line.prices)
    .bind(engine);
    for column in sums.columns() {
        query = query.bind(column);
    }
    query.execute(connection).await?;
    Ok(())
}

/// Columns of what sums are told apart by, each with the name that it is read by.
fn groups(by: By) -> Vec<&'static str> {
    let mut groups = vec!["prices", "engine"];
    for (is_wanted, columns) in [
        (by.day, &["day"][..]),
        (by.capsule, &["namespace", "name"]),
        (by.tool, &["tool"]),
        (by.key, &["key"]),
    ] {
        if is_wanted {
            groups.extend(columns);
        }
    }
    groups
}

/// Each column as the sum of it.
const SUMS: &str = "CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(failed) AS BIGINT) AS failed,
    CAST(SUM(tokens) AS BIGINT) AS tokens, CAST(SUM(fuel) AS BIGINT) AS fuel,
    CAST(SUM(time_us) AS BIGINT) AS time_us, CAST(SUM(sent_bytes) AS BIGINT) AS sent_bytes,
    CAST(SUM(received_bytes) AS BIGINT) AS received_bytes";

/// The sums, the dearest first.
pub(crate) async fn sums(pool: &AnyPool, which: &Which<'_>, by: By) -> sqlx::Result<Vec<Used>> {
    let groups = groups(by).join(", ");
    // Of the words here alone.
    let text = AssertSqlSafe(format!(
        "SELECT {groups}, {SUMS} FROM usage_days
         WHERE tenant = $1 AND day >= $2 AND day < $3 AND ($4 = '' OR key = $4)
         GROUP BY {groups} ORDER BY SUM(tokens) DESC, {groups}"
    ));
    let rows = sqlx::query(text)
        .bind(which.tenant)
        .bind(which.from.as_millisecond())
        .bind(which.before.as_millisecond())
        .bind(which.key.unwrap_or_default())
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| Used::read(row, by)).collect()
}

impl Used {
    fn read(row: &AnyRow, by: By) -> sqlx::Result<Self> {
        let text = |is_wanted: bool, column: &str| match is_wanted {
            true => row.try_get(column).map(Some),
            false => Ok(None),
        };
        let day = by.day.then(|| day(row)).transpose()?;
        let namespace: Option<String> = text(by.capsule, "namespace")?;
        let name: Option<String> = text(by.capsule, "name")?;
        Ok(Self {
            day,
            capsule: namespace
                .zip(name)
                .map(|(namespace, name)| format!("{namespace}/{name}")),
            tool: text(by.tool, "tool")?,
            key: text(by.key, "key")?,
            sums: Sums::from_row(row)?,
            prices: row.try_get("prices")?,
            engine: row.try_get("engine")?,
        })
    }
}

/// As in `2026-11-29`.
fn day(row: &AnyRow) -> sqlx::Result<String> {
    let day = time(row.try_get("day")?)?;
    Ok(day.strftime("%F").to_string())
}

impl FromRow<'_, AnyRow> for Sums {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let sum = |column| {
            let stored: i64 = row.try_get(column)?;
            u64::try_from(stored).map_err(corrupt)
        };
        Ok(Self {
            calls: sum("calls")?,
            failed: sum("failed")?,
            tokens: sum("tokens")?,
            fuel: sum("fuel")?,
            time_us: sum("time_us")?,
            sent_bytes: sum("sent_bytes")?,
            received_bytes: sum("received_bytes")?,
        })
    }
}

/// Forgets what was used on days before those that are kept.
pub(crate) async fn forget_old(pool: &AnyPool, moment: Timestamp, kept: Days) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM usage_days WHERE day < $1")
        .bind(moment.as_millisecond() - kept.millis())
        .execute(pool)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db;

    #[tokio::test]
    async fn days_are_forgotten_after_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/soma.db?mode=rwc", folder.path().display());
        let pool = db::open(&url).await.unwrap();
        sqlx::query("INSERT INTO tenants (id, name, created_at) VALUES ('tenant', 'tenant', 0)")
            .execute(&pool)
            .await
            .unwrap();
        let day = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let (today, yesterday) = (day("2027-03-31T00:00:00Z"), day("2027-03-30T00:00:00Z"));
        for day in [today, yesterday] {
            let line = Line {
                tenant: "tenant",
                key: "key",
                capsule: &"a/b".parse().unwrap(),
                tool: "run",
                day,
                prices: "prices",
            };
            let mut connection = pool.acquire().await.unwrap();
            let added = add(&mut connection, line, "engine", &Sums::default()).await;
            added.unwrap();
        }
        let kept = Days::try_from(1).unwrap();
        for (moment, left) in [
            ("2027-03-30T23:59:59Z", vec![yesterday, today]),
            ("2027-03-31T23:59:59Z", vec![today]),
        ] {
            forget_old(&pool, moment.parse().unwrap(), kept)
                .await
                .unwrap();
            let days = sqlx::query_scalar("SELECT day FROM usage_days ORDER BY day");
            let days: Vec<i64> = days.fetch_all(&pool).await.unwrap();
            assert_eq!(days, left, "{moment}");
        }
    }
}
