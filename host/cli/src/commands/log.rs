//! `soma log`: whether a marketplace's log is one, and the marketplace what follows from it.

use std::collections::BTreeMap;

use serde_json::json;
use soma_registry::client::Marketplace;
use soma_registry::log::LogKey;
use url::Url;

use crate::failure::Failure;
use crate::marketplace::address;
use crate::screen::Screen;

#[derive(clap::Subcommand)]
pub(crate) enum Log {
    Audit(Audit),
}

/// Read a whole log, and compare all that its marketplace shows with what follows from it
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma log audit https://market.example --key market.example+1f3a99c0+AYr…

The exit code is 0 where the log is whole, every leaf follows from those before it, and the
marketplace shows exactly that; else 1.")]
pub(crate) struct Audit {
    /// The marketplace
    #[arg(value_parser = address)]
    url: Url,

    /// The key of its log
    #[arg(long, value_name = "VKEY")]
    key: LogKey,
}

impl Log {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let Self::Audit(Audit { url, key }) = self;
        let marketplace = Marketplace::new(url, key)?;
        screen.step("Reading", &format!("the log {}", marketplace.origin()));
        let audit = marketplace.audit().await?;
        let (index, checkpoint) = (&audit.walk.index, &audit.walk.checkpoint);
        let versions: usize = index.releases.values().map(BTreeMap::len).sum();
        let value = json!({
            "log": marketplace.origin(),
            "leaves": checkpoint.size(),
            "root": checkpoint.root(),
            "namespaces": index.namespaces.len(),
            "capsules": index.releases.len(),
            "versions": versions,
            "differences": audit.differences,
        });
        screen.show(&value, |out| {
            writeln!(out, "log         {}", marketplace.origin())?;
            writeln!(
                out,
                "leaves      {}, all of them in the tree that it signs",
                checkpoint.size()
            )?;
            writeln!(out, "root        {}", checkpoint.root())?;
            writeln!(out, "namespaces  {}", index.namespaces.len())?;
            writeln!(
                out,
                "capsules    {} in {versions} versions",
                index.releases.len()
            )
        })?;
        if audit.differences.is_empty() {
            screen.aside("The marketplace shows exactly what follows from its log.");
            return Ok(());
        }
        let count = audit.differences.len();
        let all = audit.differences.iter().map(ToString::to_string);
        Err(Failure::failed(format_args!(
            "the marketplace shows something else than follows from its log, in {count} places"
        ))
        .details(all)
        .hint("do not use this marketplace until you know why"))
    }
}
