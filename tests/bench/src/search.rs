//! (e) A marketplace's search over a generated catalogue of 100,000 capsules, over HTTP: what is
//! asked, and how long the answer takes. The tables are filled directly; publishing so many would
//! measure publishing.

mod catalogue;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use soma_registry::client::{Marketplace, Query};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::process::Child;

use crate::paths;
use catalogue::{PACKAGES, host, publisher, statements, word};

/// Searches of each kind.
const ROUNDS: u32 = 200;
/// Those before are not counted.
const WARM: u32 = 20;

/// The n-th question of a kind.
type Kind = fn(u32) -> Query;

pub(crate) async fn measure() -> anyhow::Result<()> {
    sqlx::any::install_default_drivers();
    let data = tempfile::tempdir()?;
    let file = data.path().join("marketplace.db");
    let sqlite = format!("sqlite://{}?mode=rwc", file.display());
    on("SQLite", &sqlite, data.path()).await?;
    let Ok(server) = std::env::var("SOMA_TEST_POSTGRES") else {
        println!("(e) not on Postgres: SOMA_TEST_POSTGRES is not set");
        return Ok(());
    };
    let data = tempfile::tempdir()?;
    let name = format!("soma_bench_{}", std::process::id());
    let mut connection = sqlx::AnyConnection::connect(&server).await?;
    let create = format!("CREATE SCHEMA {name}");
    connection.execute(AssertSqlSafe(create)).await?;
    let mark = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{mark}options=-csearch_path%3D{name}");
    let measured = on("Postgres", &url, data.path()).await;
    let drop = format!("DROP SCHEMA {name} CASCADE");
    connection.execute(AssertSqlSafe(drop)).await?;
    measured
}

async fn on(database: &str, url: &str, data: &Path) -> anyhow::Result<()> {
    // Once to make the tables, then again on the full ones.
    let mut child = serve(url, data)?;
    marketplace(data).await?;
    stop(&mut child, data).await?;
    let begun = Instant::now();
    fill(url).await.context("the catalogue")?;
    println!(
        "(e) search, {database}, {PACKAGES} capsules (filled in {:.0} s), one client, {ROUNDS} \
         each: ms",
        begun.elapsed().as_secs_f64()
    );
    let mut child = serve(url, data)?;
    let market = marketplace(data).await?;
    let mut all = Vec::new();
    let kinds: [(&str, Kind); 7] = [
        ("one rare word", |n| Query::text(word(2_000 + n * 37))),
        ("one common word", |n| Query::text(word(n % 20))),
        ("two words", |n| {
            Query::text(format!("{} {}", word(n % 50), word(50 + n)))
        }),
        ("the beginning of a word", |n| {
            Query::text(&word(400 + n)[..4])
        }),
        ("a keyword", |n| Query {
            keyword: Some(format!("k{}", n % 100)),
            ..Query::default()
        }),
        ("a publisher", |n| Query {
            publisher: Some(publisher(n)),
            ..Query::default()
        }),
        ("who talks to a host", |n| Query {
            capability: Some(host(n)),
            ..Query::default()
        }),
    ];
    for (kind, query) in kinds {
        let (mut times, mut hits) = (Vec::new(), 0);
        for n in 0..WARM + ROUNDS {
            let query = query(n);
            let begun = Instant::now();
            let found = market.search(&query).await?;
            if n >= WARM {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                hits += found.hits.len();
            }
        }
        ensure!(hits > 0, "{kind}: nothing was found");
        all.extend(times.iter().copied());
        report(kind, times);
    }
    report("all of them", all);
    stop(&mut child, data).await
}

fn report(kind: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "    {kind:<24} p50 {:6.2}   p95 {:6.2}   highest {:6.2}",
        at(50),
        at(95),
        at(100)
    );
}

async fn fill(url: &str) -> anyhow::Result<()> {
    let postgres = url.starts_with("postgres");
    let mut connection = sqlx::AnyConnection::connect(url).await?;
    let mut tx = connection.begin().await?;
    for statement in statements(postgres) {
        tx.execute(AssertSqlSafe(statement)).await?;
    }
    tx.commit().await?;
    // A database that has grown over years has done this by itself.
    connection.execute("ANALYZE").await?;
    connection.close().await?;
    Ok(())
}

fn serve(url: &str, data: &Path) -> anyhow::Result<Child> {
    tokio::process::Command::new(paths::soma()?)
        .args(["marketplace", "serve", "--listen", "127.0.0.1:0"])
        .args(["--origin", "bench.test/log", "--data"])
        .arg(data)
        .env("SOMA_MARKETPLACE_DATABASE", url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("soma marketplace serve: run `cargo build` first")
}

async fn marketplace(data: &Path) -> anyhow::Result<Marketplace> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Ok(url) = std::fs::read_to_string(data.join("marketplace.url"))
            && url.ends_with('\n')
        {
            let key = std::fs::read_to_string(data.join("log.vkey"))?;
            return Ok(Marketplace::new(url.trim().parse()?, key.trim().parse()?)?);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the marketplace did not start")
}

async fn stop(child: &mut Child, data: &Path) -> anyhow::Result<()> {
    child.kill().await?;
    std::fs::remove_file(data.join("marketplace.url"))?;
    Ok(())
}
