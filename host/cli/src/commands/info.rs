//! `soma info`: what a marketplace tells about a capsule.

use std::io::{self, Write};

use serde_json::json;
use soma_registry::PackageSpec;
use soma_registry::api::{PackageInfo, ReleaseInfo};

use crate::asked;
use crate::clock::day_and_time;
use crate::failure::Failure;
use crate::marketplace::{MarketplaceArgs, choose};
use crate::screen::{Screen, faint, strong, visible};

/// Show what a marketplace tells about a capsule: what it asks for, its tools, its versions
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma info acme/weather
  soma info acme/weather@1.2.0

Nothing of it is proven: `soma verify` proves a version.")]
pub(crate) struct Info {
    /// NAMESPACE/NAME, or NAMESPACE/NAME@VERSION
    package: PackageSpec,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Info {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let marketplace = self.marketplace.open().await?;
        let (package, chosen) = choose(&marketplace, &self.package).await?;
        let release = marketplace
            .release(&chosen.capsule, &chosen.version)
            .await?;
        let value = json!({
            "release": release.release,
            "manifest": release.manifest,
            "tools": release.tools,
            "size": release.size,
            "downloads": package.downloads,
            "versions": package.versions,
        });
        screen.show(&value, |out| show(&package, &release, out))
    }
}

fn show(package: &PackageInfo, info: &ReleaseInfo, out: &mut dyn Write) -> io::Result<()> {
    let release = &info.release;
    let name = format!("{} {}", release.capsule, release.version);
    writeln!(out, "{}", strong(&name))?;
    writeln!(out, "{}\n", visible(&info.manifest.description))?;
    writeln!(
        out,
        "  standing   {}",
        visible(&release.standing.to_string())
    )?;
    if let Some(revocation) = release.standing.revocation() {
        writeln!(out, "  since      {}", day_and_time(revocation.time))?;
    }
    writeln!(out, "  digest     {}", release.digest)?;
    writeln!(out, "  size       {} KiB", info.size.div_ceil(1024))?;
    writeln!(
        out,
        "  published  {} by {} (leaf {})",
        day_and_time(release.published),
        release.account,
        release.leaf
    )?;
    writeln!(out, "  key        {}", release.key)?;
    writeln!(out, "  downloads  {}", package.downloads)?;
    let manifest = &info.manifest;
    for (what, text) in [
        ("licence", &manifest.license),
        ("source", &manifest.repository),
    ] {
        if let Some(text) = text {
            writeln!(out, "  {what:<9}  {}", visible(text))?;
        }
    }
    if !manifest.keywords.is_empty() {
        writeln!(
            out,
            "  keywords   {}",
            visible(&manifest.keywords.join(", "))
        )?;
    }
    writeln!(out, "\n{}", strong("Asks for"))?;
    asked::show(&manifest.capabilities, out)?;
    writeln!(out, "\n{}", strong("Tools"))?;
    for tool in &info.tools {
        let first = tool.description.lines().next().unwrap_or_default();
        writeln!(out, "  {} {}", strong(&tool.name), visible(first))?;
    }
    writeln!(out, "\n{}", strong("Versions"))?;
    for release in &package.versions {
        let time = day_and_time(release.published);
        let standing = visible(&release.standing.to_string());
        writeln!(out, "  {} {} {standing}", release.version, faint(&time))?;
    }
    Ok(())
}
