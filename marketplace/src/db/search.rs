//! Search: SQLite's FTS5 and Postgres' full text behind one question.

use serde::Deserialize;
use soma_capability::{CapsuleName, Tool};
use soma_registry::Manifest;
use soma_registry::api::{Hits, Summary};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};
use utoipa::IntoParams;

use super::sql::Sql;
use super::{from_json, number};

/// Hits of one page, where nothing is said, and at most.
const PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;
/// Who pages further should ask a narrower question.
const DEEPEST: u32 = 10_000;
/// Of a word that is nearly everywhere so many are ranked: what a search costs is bounded.
const RANKED: i64 = 2_000;
const MAX_WORDS: usize = 8;

/// `GET /v1/packages`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Words, all of which must be there, each perhaps as the beginning of a longer one.
    q: Option<String>,
    /// A keyword.
    keyword: Option<String>,
    /// A namespace.
    publisher: Option<String>,
    /// A host that it asks to talk to.
    capability: Option<String>,
    /// How many hits to pass over, as `next` of the page before says.
    after: Option<u32>,
    /// How many hits to give.
    limit: Option<u32>,
}

/// The hits of one page, best first.
pub(crate) async fn find(pool: &AnyPool, wanted: &Wanted) -> sqlx::Result<Hits> {
    let limit = wanted.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let after = wanted.after.unwrap_or(0).min(DEEPEST);
    let mut connection = pool.acquire().await?;
    let mut select = Sql::new(
        "SELECT p.namespace, p.name, p.latest, p.description, p.keywords, p.downloads, p.updated
         FROM packages p ",
    );
    let words = words(wanted.q.as_deref().unwrap_or_default());
    let ranked = !words.is_empty();
    if ranked {
        match connection.backend_name() {
            "SQLite" => join_sqlite(&mut select, &words),
            _ => join_postgres(&mut select, &words),
        }
    }
    select.push(" WHERE p.current = 1");
    narrow(&mut select, wanted);
    select.push(" ORDER BY ");
    if ranked {
        select.push("w.score DESC, ");
    }
    select.push("p.downloads DESC, p.namespace, p.name LIMIT ");
    // One more tells whether there is another page.
    select.number(i64::from(limit) + 1);
    select.push(" OFFSET ").number(i64::from(after));
    let rows = select.fetch(&mut connection).await?;

    let mut hits = rows.iter().map(summary).collect::<sqlx::Result<Vec<_>>>()?;
    let more = hits.len() > limit as usize && after + limit <= DEEPEST;
    hits.truncate(limit as usize);
    Ok(Hits {
        hits,
        next: more.then(|| (after + limit).to_string()),
    })
}

/// Name before keywords before description before tools.
fn join_sqlite(select: &mut Sql, words: &[String]) {
    let all: Vec<String> = words.iter().map(|word| format!("\"{word}\"*")).collect();
    select.push(
        "JOIN (SELECT rowid AS id, -bm25(package_words, 10.0, 5.0, 2.0, 1.0) AS score
         FROM package_words WHERE package_words MATCH ",
    );
    select.text(all.join(" "));
    select.push(" LIMIT ").number(RANKED);
    select.push(") w ON w.id = p.id");
}

fn join_postgres(select: &mut Sql, words: &[String]) {
    let all: Vec<String> = words.iter().map(|word| format!("{word}:*")).collect();
    let all = all.join(" & ");
    select.push("JOIN (SELECT id, ts_rank('{0.1, 0.2, 0.5, 1.0}', words, to_tsquery('english', ");
    select.text(all.clone());
    select.push(")) AS score FROM (SELECT id, words FROM package_words WHERE words @@ to_tsquery('english', ");
    select.text(all);
    select.push(") LIMIT ").number(RANKED);
    select.push(") found) w ON w.id = p.id");
}

fn narrow(select: &mut Sql, wanted: &Wanted) {
    if let Some(publisher) = &wanted.publisher {
        select.push(" AND p.namespace = ").text(publisher.clone());
    }
    if let Some(keyword) = &wanted.keyword {
        select.push(" AND p.id IN (SELECT package FROM package_keywords WHERE keyword = ");
        select.text(keyword.clone()).push(")");
    }
    if let Some(host) = &wanted.capability {
        select.push(" AND p.id IN (SELECT package FROM package_hosts WHERE host IN (");
        select.text(host.to_lowercase());
        if let Some((_, parent)) = host.split_once('.') {
            select
                .push(", ")
                .text(format!("*.{}", parent.to_lowercase()));
        }
        select.push("))");
    }
}

/// The words of a question: letters and digits only, so that none is an operator.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .map(|word| word.chars().take(64).collect::<String>().to_lowercase())
        .collect()
}

fn summary(row: &AnyRow) -> sqlx::Result<Summary> {
    let version: &str = row.try_get("latest")?;
    Ok(Summary {
        capsule: CapsuleName::new(row.try_get("namespace")?, row.try_get("name")?)
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        version: version
            .parse()
            .map_err(|error: semver::Error| sqlx::Error::Decode(Box::new(error)))?,
        description: row.try_get("description")?,
        keywords: from_json(row.try_get("keywords")?)?,
        downloads: number(row.try_get("downloads")?),
        updated: number(row.try_get("updated")?),
    })
}

/// Puts the newest version of a capsule into the search's tables, in the place of an older one.
pub(crate) async fn index(
    tx: &mut AnyConnection,
    id: i64,
    manifest: &Manifest,
    tools: &[Tool],
) -> sqlx::Result<()> {
    for forget in [
        "DELETE FROM package_keywords WHERE package = $1",
        "DELETE FROM package_hosts WHERE package = $1",
    ] {
        sqlx::query(forget).bind(id).execute(&mut *tx).await?;
    }
    for keyword in &manifest.keywords {
        sqlx::query("INSERT INTO package_keywords (keyword, package) VALUES ($1, $2)")
            .bind(keyword)
            .bind(id)
            .execute(&mut *tx)
            .await?;
    }
    for asked in &manifest.capabilities.http {
        sqlx::query(
            "INSERT INTO package_hosts (host, package) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(asked.origin.host().to_string())
        .bind(id)
        .execute(&mut *tx)
        .await?;
    }
    let tools = tools
        .iter()
        .map(|tool| format!("{} {}", tool.name, tool.description));
    let tools: Vec<String> = tools.collect();
    let insert = match tx.backend_name() {
        "SQLite" => {
            "INSERT OR REPLACE INTO package_words (rowid, name, keywords, description, tools)
             VALUES ($1, $2, $3, $4, $5)"
        }
        _ => {
            "INSERT INTO package_words (id, words) VALUES ($1,
               setweight(to_tsvector('english', $2), 'A') ||
               setweight(to_tsvector('english', $3), 'B') ||
               setweight(to_tsvector('english', $4), 'C') ||
               setweight(to_tsvector('english', $5), 'D'))
             ON CONFLICT (id) DO UPDATE SET words = excluded.words"
        }
    };
    sqlx::query(insert)
        .bind(id)
        .bind(manifest.name.to_string().replace(['/', '-'], " "))
        .bind(manifest.keywords.join(" ").replace('-', " "))
        .bind(&manifest.description)
        .bind(tools.join(" "))
        .execute(tx)
        .await?;
    Ok(())
}
