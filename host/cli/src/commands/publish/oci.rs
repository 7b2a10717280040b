//! `soma publish … oci://…`: the same capsule, in any OCI registry.

use serde_json::json;
use soma_registry::oci::Reference;
use soma_registry::{Bundle, Package, Statement};

use crate::failure::Failure;
use crate::marketplace::MarketplaceArgs;
use crate::oci;
use crate::screen::{Screen, strong};
use crate::signer::SignerArgs;

/// Pushes it with the bundle that the marketplace has of it; where it is published in none, with
/// its author's signature alone.
pub(super) async fn push(
    package: &Package,
    to: &Reference,
    signer: &SignerArgs,
    marketplace: MarketplaceArgs,
    screen: Screen,
) -> Result<(), Failure> {
    let registry = oci::registry(to)?;
    let published = published(package, marketplace).await?;
    let is_published = published.is_some();
    let bundle = match published {
        Some(bundle) => bundle,
        None => signed(package, signer)?,
    };
    let bundle = bundle.to_bytes().map_err(Failure::failed)?;
    screen.step("Pushing", &to.to_string());
    let pushed = registry.push(package, Some(&bundle), to).await?;
    let manifest = package.manifest();
    let value = json!({
        "package": format!("{}@{}", manifest.name, manifest.version),
        "digest": package.digest(),
        "reference": pushed.reference.to_string(),
        "manifest": pushed.manifest,
        "logged": is_published,
    });
    screen.show(&value, |out| {
        writeln!(out, "{}", strong(&pushed.reference.to_string()))?;
        writeln!(out, "  digest    {}", package.digest())?;
        writeln!(out, "  manifest  {}", pushed.manifest)?;
        let proof = if is_published {
            "the marketplace's"
        } else {
            "your signature alone: no marketplace that is known here has this version"
        };
        writeln!(out, "  proof     {proof}")
    })
}

/// The marketplace's bundle, where one is known that has this very version.
async fn published(
    package: &Package,
    marketplace: MarketplaceArgs,
) -> Result<Option<Bundle>, Failure> {
    let Some(marketplace) = marketplace.open_any()? else {
        return Ok(None);
    };
    let manifest = package.manifest();
    let (capsule, version) = (&manifest.name, &manifest.version);
    let bundle = match marketplace.bundle(capsule, version).await {
        Ok(bundle) => bundle,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let proven = bundle.prove(package, marketplace.key());
    proven.map_err(|error| {
        Failure::failed(format_args!(
            "{capsule} {version} is published, but not as this file: {error}"
        ))
        .hint("push the file that was published, or give this one another version")
    })?;
    Ok(Some(bundle))
}

fn signed(package: &Package, signer: &SignerArgs) -> Result<Bundle, Failure> {
    let statement = Statement::about(package).sign(&signer.key()?);
    Ok(Bundle {
        statement: statement.map_err(Failure::failed)?,
        logged: None,
    })
}
