//! Search: SQLite's FTS5 and Postgres' full text behind one question.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use soma_capability::{CapsuleName, Tool};
use soma_registry::Manifest;
use soma_registry::api::{Hits, Summary};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};
use utoipa::IntoParams;

use super::sql::Sql;
use super::{corrupt, from_json, number};
use crate::error::Error;

/// Hits of one page, where nothing is said, and at most.
const PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;
/// Who pages further should ask a narrower question.
const DEEPEST: u32 = 10_000;
/// On SQLite so many of what fits a question are ranked, those that were published first: what a
/// search of a word that is nearly everywhere costs is bounded.
const RANKED: i64 = 2_000;
const MAX_WORDS: usize = 8;
/// Bytes of what tools say of themselves: Postgres has a bound for the words of one thing.
const MOST_INDEXED: usize = 128 << 10;
const LONGEST_WORD: usize = 64;
/// A shorter word is the beginning of so many that they say nothing and cost much.
const SHORTEST_BEGINNING: usize = 3;

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

impl Wanted {
    /// The words that it asks for, or what is wrong with it.
    pub(crate) fn check(&self) -> Result<Vec<String>, Error> {
        let texts = [&self.q, &self.keyword, &self.publisher, &self.capability];
        // Postgres has no text with it.
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(Error::BadRequest("a NUL is in no text here".to_owned()));
        }
        let words = self.words();
        if words.len() > MAX_WORDS {
            let words = format!("`q` has {} words; at most {MAX_WORDS} are", words.len());
            return Err(Error::BadRequest(format!("{words} searched for at once")));
        }
        if words.iter().any(|word| word.chars().count() > LONGEST_WORD) {
            let words = format!("`q` has a word of over {LONGEST_WORD} characters");
            return Err(Error::BadRequest(words));
        }
        Ok(words)
    }

    /// The words of the question: letters and digits only, so that none is an operator.
    fn words(&self) -> Vec<String> {
        let text = self.q.as_deref().unwrap_or_default();
        text.split(is_between_words)
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    }
}

/// Postgres would keep `docs.rs` as one word, and here nobody asks for one such.
fn is_between_words(character: char) -> bool {
    !character.is_alphanumeric()
}

/// What is asked of the words at once: each place is asked until a page is full.
struct Question<'a> {
    words: &'a [String],
    /// Whether a word may be the beginning of a longer one.
    begun: bool,
    place: Place,
}

/// Where the words must be, the best first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// All among the names and keywords.
    Named,
    /// All somewhere, and some of them among the names and keywords.
    NamedInPart,
    /// All somewhere.
    Anywhere,
}

/// The hits of one page, best first: what has the words as they are before what only begins with
/// them, what is named so before what only says so, and then by downloads.
pub(crate) async fn find(pool: &AnyPool, wanted: &Wanted, words: &[String]) -> sqlx::Result<Hits> {
    let limit = wanted.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let after = wanted.after.unwrap_or(0).min(DEEPEST);
    // One more tells whether there is another page.
    let enough = (after + limit) as usize + 1;
    let mut connection = pool.acquire().await?;
    let mut found = Vec::new();
    if words.is_empty() {
        found = ids(&mut connection, wanted, None, enough).await?;
    }
    let mut seen = HashSet::new();
    for question in questions(words) {
        let next = ids(&mut connection, wanted, Some(&question), enough).await?;
        found.extend(next.into_iter().filter(|id| seen.insert(*id)));
        if found.len() >= enough {
            break;
        }
    }
    let more = found.len() >= enough && after + limit <= DEEPEST;
    let page = found.into_iter().skip(after as usize);
    let page: Vec<i64> = page.take(limit as usize).collect();
    Ok(Hits {
        hits: summaries(&mut connection, &page).await?,
        next: more.then(|| (after + limit).to_string()),
    })
}

/// From the narrowest to the widest.
fn questions(words: &[String]) -> impl Iterator<Item = Question<'_>> {
    let places = [Place::Named, Place::NamedInPart, Place::Anywhere];
    let places = places
        .into_iter()
        // One word is there or not.
        .filter(|place| words.len() > 1 || *place != Place::NamedInPart);
    let all = [false, true]
        .into_iter()
        .flat_map(move |begun| places.clone().map(move |place| (begun, place)));
    all.filter(|_| !words.is_empty())
        .map(move |(begun, place)| Question {
            words,
            begun,
            place,
        })
}

/// The packages that fit, the most downloaded first.
async fn ids(
    connection: &mut AnyConnection,
    wanted: &Wanted,
    question: Option<&Question<'_>>,
    enough: usize,
) -> sqlx::Result<Vec<i64>> {
    // Postgres looks the words up among the most downloaded where they are common.
    let bounded = question.is_some() && connection.backend_name() == "SQLite";
    let mut select = Sql::new("SELECT p.id FROM ");
    if bounded {
        select.push("(SELECT p.id, p.downloads, p.namespace, p.name FROM ");
    }
    match question {
        None => select.push("packages p WHERE"),
        Some(question) if bounded => question.sqlite(&mut select),
        Some(question) => question.postgres(&mut select),
    };
    select.push(" p.current = 1");
    narrow(&mut select, wanted);
    if bounded {
        select.push(" LIMIT ").number(RANKED).push(") p");
    }
    select.push(" ORDER BY p.downloads DESC, p.namespace, p.name LIMIT ");
    select.number(i64::try_from(enough).unwrap_or(i64::MAX));
    let rows = select.fetch(connection).await?;
    rows.iter().map(|row| row.try_get("id")).collect()
}

impl Question<'_> {
    /// The words with something after each that may be a beginning, and something between them.
    fn text(&self, quote: &str, beginning: &str, between: &str) -> String {
        let word = |word: &String| {
            let begun = self.begun && word.chars().count() >= SHORTEST_BEGINNING;
            format!("{quote}{word}{quote}{}", if begun { beginning } else { "" })
        };
        let words: Vec<String> = self.words.iter().map(word).collect();
        words.join(between)
    }

    /// The words come first: to look each capsule up among them would cost more.
    fn sqlite<'s>(&self, select: &'s mut Sql) -> &'s mut Sql {
        let (all, any) = (self.text("\"", "*", " "), self.text("\"", "*", " OR "));
        let matched = match self.place {
            Place::Named => format!("{{name keywords}} : ({all})"),
            Place::NamedInPart => format!("{{name keywords}} : ({any}) AND ({all})"),
            Place::Anywhere => all,
        };
        select
            .push("package_words CROSS JOIN packages p ON p.id = package_words.rowid")
            .push(" WHERE package_words MATCH ")
            .text(matched)
            .push(" AND")
    }

    fn postgres<'s>(&self, select: &'s mut Sql) -> &'s mut Sql {
        let (all, any) = (self.text("", ":*", " & "), self.text("", ":*", " | "));
        select.push("package_words w JOIN packages p ON p.id = w.id WHERE ");
        let named = match self.place {
            Place::Named => Some(&all),
            Place::NamedInPart => Some(&any),
            Place::Anywhere => None,
        };
        if let Some(named) = named {
            select.push("ts_filter(w.words, '{a,b}') @@ to_tsquery('english', ");
            select.text(named).push(") AND ");
        }
        if self.place != Place::Named {
            select.push("w.words @@ to_tsquery('english', ");
            select.text(all).push(") AND ");
        }
        select
    }
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

/// These packages, in this order.
async fn summaries(connection: &mut AnyConnection, ids: &[i64]) -> sqlx::Result<Vec<Summary>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Sql::new(
        "SELECT id, namespace, name, latest, description, keywords, downloads, updated
         FROM packages WHERE id IN (",
    );
    for (nth, id) in ids.iter().enumerate() {
        select.push(if nth == 0 { "" } else { ", " }).number(*id);
    }
    select.push(")");
    let rows = select.fetch(connection).await?;
    let mut summaries = HashMap::new();
    for row in &rows {
        summaries.insert(row.try_get::<i64, _>("id")?, summary(row)?);
    }
    Ok(ids.iter().filter_map(|id| summaries.remove(id)).collect())
}

fn summary(row: &AnyRow) -> sqlx::Result<Summary> {
    let version: &str = row.try_get("latest")?;
    Ok(Summary {
        capsule: CapsuleName::new(row.try_get("namespace")?, row.try_get("name")?)
            .map_err(corrupt)?,
        version: version.parse().map_err(corrupt)?,
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
    let tools = spaced(&tools.join(" "));
    let tools = &tools[..tools.floor_char_boundary(MOST_INDEXED)];
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
        .bind(spaced(&manifest.name.to_string()))
        .bind(spaced(&manifest.keywords.join(" ")))
        .bind(spaced(&manifest.description))
        .bind(tools)
        .execute(tx)
        .await?;
    Ok(())
}

/// The words alone, as they are asked for.
fn spaced(text: &str) -> String {
    text.replace(is_between_words, " ")
}
