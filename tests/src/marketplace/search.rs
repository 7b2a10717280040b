//! Search: by words, keyword, publisher and what a capsule may reach.

use soma_registry::client::Query;
use soma_registry::{Change, Manifest, Package};

use crate::harness::{Author, TestMarketplace, capsule_name, component, echo, version};

/// The echo guest under this name with this description and these lines.
async fn publish(author: &Author, tools: &Package, name: &str, description: &str, lines: &str) {
    let manifest =
        format!("name = \"{name}\"\nversion = \"1.0.0\"\ndescription = \"{description}\"\n{lines}");
    let manifest = Manifest::from_toml(&manifest).unwrap();
    let tools = tools.tools().to_vec();
    let package = Package::pack(&component("echo"), manifest, tools).unwrap();
    author.publish(&package).await.unwrap();
}

const GITHUB: &str = r#"keywords = ["issues", "git"]
[[capabilities.http]]
origin = "https://api.github.com"
methods = ["GET"]
paths = ["/**"]
why = "Reads issues."
"#;

const WILD: &str = r#"[[capabilities.http]]
origin = "https://*.github.com"
methods = ["GET"]
paths = ["/**"]
why = "Reads anything."
"#;

#[test]
fn finds_each_word_of_what_a_capsule_says() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let tools = echo("ada/x", "1.0.0").await;
        let words = "Reads docs.rs/tokio, crates.io and /tmp/x.txt; it's user@example.com's.";
        publish(&ada, &tools, "ada/docs-reader", words, "").await;
        for words in [
            "docs",
            "rs tokio",
            "docs.rs",
            "crates io",
            "example",
            "tmp txt",
        ] {
            let found = market.client().search(&Query::text(words)).await.unwrap();
            assert_eq!(found.hits.len(), 1, "{words}");
        }
    });
}

#[test]
fn finds_by_words_keyword_publisher_and_reach() {
    TestMarketplace::run(async |market| {
        let (ada, bob) = (market.publisher("ada").await, market.publisher("bob").await);
        let tools = echo("ada/x", "1.0.0").await;
        publish(
            &ada,
            &tools,
            "ada/github",
            "Reads and files issues.",
            GITHUB,
        )
        .await;
        publish(&ada, &tools, "ada/wild", "Talks to many hosts.", WILD).await;
        publish(
            &bob,
            &tools,
            "bob/tracker",
            "Keeps track of issues, as github does.",
            "",
        )
        .await;

        let find = async |query: Query| -> Vec<String> {
            let hits = market.client().search(&query).await.unwrap().hits;
            hits.iter().map(|hit| hit.capsule.to_string()).collect()
        };
        // The name counts for more than the description; a word may be the beginning of one.
        assert_eq!(
            find(Query::text("github")).await,
            ["ada/github", "bob/tracker"]
        );
        assert_eq!(
            find(Query::text("GITH")).await,
            ["ada/github", "bob/tracker"]
        );
        assert_eq!(find(Query::text("issue track")).await, ["bob/tracker"]);
        assert_eq!(
            find(Query::text("\" OR * NEAR( -x :")).await,
            Vec::<String>::new()
        );
        assert_eq!(find(Query::default()).await.len(), 3);
        let keyword = Query {
            keyword: Some("git".into()),
            ..Query::default()
        };
        assert_eq!(find(keyword).await, ["ada/github"]);
        let publisher = Query {
            publisher: Some("bob".into()),
            ..Query::default()
        };
        assert_eq!(find(publisher).await, ["bob/tracker"]);
        let reach = Query {
            capability: Some("api.github.com".into()),
            ..Query::default()
        };
        assert_eq!(find(reach).await, ["ada/github", "ada/wild"]);

        // Page by page, each once.
        let mut seen = Vec::new();
        let mut query = Query {
            limit: Some(2),
            ..Query::default()
        };
        loop {
            let page = market.client().search(&query).await.unwrap();
            seen.extend(page.hits.into_iter().map(|hit| hit.capsule));
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen.len(), 3);

        for query in [
            "keyword=%00",
            "publisher=%00",
            "capability=a%00",
            "q=a+b+c+d+e+f+g+h+i",
            &format!("q={}", "a".repeat(65)),
            "after=x",
            "page=1",
        ] {
            let url = format!("{}/v1/packages?{query}", market.url);
            let answer = reqwest::get(url).await.unwrap();
            assert_eq!(answer.status(), 400, "{query}");
        }

        let yank = Change::Yank {
            capsule: capsule_name("bob/tracker"),
            version: version("1.0.0"),
        };
        bob.change(yank, &[&bob.key]).await.unwrap();
        assert_eq!(find(Query::text("github")).await, ["ada/github"]);
    });
}
