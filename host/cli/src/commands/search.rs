//! `soma search`: what there is in a marketplace.

use soma_capability::Name;
use soma_registry::client::Query;

use crate::failure::Failure;
use crate::marketplace::MarketplaceArgs;
use crate::screen::{Screen, table};

/// Search a marketplace; everything given must fit
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma search weather forecast
  soma search --capability api.github.com
  soma search --publisher acme --json")]
pub(crate) struct Search {
    /// Words
    words: Vec<String>,

    /// A keyword of the capsule
    #[arg(long)]
    keyword: Option<String>,

    /// The namespace
    #[arg(long, value_name = "NS")]
    publisher: Option<Name>,

    /// What it asks for, such as a host that it talks to
    #[arg(long)]
    capability: Option<String>,

    /// How many to show
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100), allow_negative_numbers = true)]
    limit: u32,

    /// Go on where the page before ended
    #[arg(long, value_name = "NEXT", allow_negative_numbers = true)]
    after: Option<u32>,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Search {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        if let Some(host) = self
            .capability
            .as_ref()
            .filter(|it| it.contains(['/', ':']))
        {
            return Err(Failure::usage(format_args!("`{host}` is no host"))
                .hint("give the host alone, as in `--capability api.github.com`"));
        }
        let query = Query {
            text: Some(self.words.join(" ")).filter(|text| !text.is_empty()),
            keyword: self.keyword,
            publisher: self.publisher.map(|name| name.to_string()),
            capability: self.capability,
            after: self.after.map(|after| after.to_string()),
            limit: Some(self.limit),
        };
        let hits = self.marketplace.open().await?.search(&query).await?;
        let rows = hits
            .hits
            .iter()
            .map(|hit| {
                vec![
                    hit.capsule.to_string(),
                    hit.version.to_string(),
                    hit.downloads.to_string(),
                    hit.description
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                ]
            })
            .collect();
        screen.show(&hits, |out| {
            let headings = ["capsule", "version", "downloads", "description"];
            table(out, &headings, rows, "Nothing fits.")
        })?;
        if let Some(next) = &hits.next {
            screen.aside(&format!("There is more: --after {next}"));
        }
        Ok(())
    }
}
