//! Which marketplace a command talks to, and as whom.

use std::env;
use std::path::PathBuf;

use anyhow::Context as _;
use secrecy::SecretString;
use soma_capability::{CapsuleName, Name};
use soma_registry::api::PackageInfo;
use soma_registry::client::Marketplace;
use soma_registry::{
    Change, ChangeRequest, MARKETPLACES_FILE, Marketplaces, PackageSpec, PinnedMarketplace,
    Release, SecretKey,
};
use url::Url;

use crate::clock::now;
use crate::failure::{Exit, Failure};
use crate::logins;

/// How commands find their marketplace.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct MarketplaceArgs {
    /// URL of the marketplace, one that `soma marketplace add` was told of [default: the first]
    #[arg(long, env = "SOMA_MARKETPLACE", value_name = "URL", value_parser = address)]
    marketplace: Option<Url>,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// Where the list of marketplaces is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DataArgs {
    /// The host's data folder, which has the list of marketplaces
    /// [default: $XDG_DATA_HOME/soma or ~/.local/share/soma]
    #[arg(long, env = "SOMA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A marketplace, and who one is there.
pub(crate) struct Session {
    pub(crate) marketplace: Marketplace,
    /// None where only a token is known.
    pub(crate) account: Option<Name>,
}

/// Reads a marketplace's address.
pub(crate) fn address(text: &str) -> anyhow::Result<Url> {
    Url::parse(text).context("a marketplace is named like https://market.example")
}

impl DataArgs {
    /// The list's file.
    pub(crate) fn path(self) -> Result<PathBuf, Failure> {
        let folder = match self.data {
            Some(folder) => folder,
            None => soma_host::default_data_folder()?,
        };
        Ok(folder.join(MARKETPLACES_FILE))
    }
}

impl MarketplaceArgs {
    /// The marketplace, for what anybody may ask: what answers there has the log that is pinned.
    pub(crate) async fn open(self) -> Result<Marketplace, Failure> {
        let marketplace = self.known()?;
        marketplace.checkpoint().await?;
        Ok(marketplace)
    }

    /// The same, whether or not it answers.
    pub(crate) fn known(self) -> Result<Marketplace, Failure> {
        self.open_any()?.ok_or_else(|| {
            Failure::usage("no marketplace is known here")
                .hint("`soma marketplace add URL --key VKEY` pins one")
        })
    }

    /// The same; none where none is named and none is known.
    pub(crate) fn open_any(self) -> Result<Option<Marketplace>, Failure> {
        let known = Marketplaces::read(&self.data.path()?)?;
        let chosen = match &self.marketplace {
            Some(url) => Some(known.at(url).ok_or_else(|| {
                Failure::usage(format_args!("the marketplace {url} is not known here")).hint(
                    format_args!(
                        "`soma marketplace add {url} --key VKEY` pins it, with the key that its \
                         operator publishes"
                    ),
                )
            })?),
            None => known.iter().next(),
        };
        Ok(chosen.map(PinnedMarketplace::client).transpose()?)
    }

    /// The one that is named, or else all that are known.
    pub(crate) fn open_all(self) -> Result<Vec<Marketplace>, Failure> {
        if self.marketplace.is_some() {
            return Ok(vec![self.known()?]);
        }
        let known = Marketplaces::read(&self.data.path()?)?;
        let all = known.iter().map(PinnedMarketplace::client);
        Ok(all.collect::<Result<_, _>>()?)
    }

    /// The marketplace, with the token of `SOMA_TOKEN` or of the last login.
    pub(crate) async fn sign_in(self) -> Result<Session, Failure> {
        sign_in(self.open().await?)
    }
}

/// A marketplace, with the token of `SOMA_TOKEN` or of the last login there.
pub(crate) fn sign_in(marketplace: Marketplace) -> Result<Session, Failure> {
    let login = logins::find(marketplace.url())?;
    let token = match from_variable()? {
        Some(token) => Some(token),
        None => login.as_ref().and_then(|login| login.token(now())),
    };
    let Some(token) = token else {
        let words = format_args!("not logged in at {}", marketplace.url());
        return Err(Failure::new(Exit::NotAllowed, words).hint(
            "`soma login` does that, for an hour; for longer, or in CI, set SOMA_TOKEN to a token \
             of `soma token create`",
        ));
    };
    Ok(Session {
        marketplace: marketplace.with_token(&token)?,
        account: login.map(|login| login.account),
    })
}

impl Session {
    /// Who one is there.
    pub(crate) fn account(&self) -> Result<&Name, Failure> {
        self.account.as_ref().ok_or_else(|| {
            Failure::usage("which account this token is of is not known here")
                .hint("`soma login --account NAME` says so")
        })
    }

    /// Signs a change with these keys and has it logged; gives the leaf's index.
    pub(crate) async fn submit(&self, change: Change, keys: &[&SecretKey]) -> Result<u64, Failure> {
        let request = ChangeRequest::new(self.marketplace.origin(), change);
        let envelope = request.sign(keys).map_err(Failure::failed)?;
        Ok(self.marketplace.submit(&envelope).await?.leaf)
    }
}

/// All versions of the capsule that is meant, and the one that is chosen.
pub(crate) async fn choose(
    marketplace: &Marketplace,
    spec: &PackageSpec,
) -> Result<(PackageInfo, Release), Failure> {
    let package = marketplace.package(&spec.capsule).await?;
    // What was not asked for is not looked at.
    if package.capsule != spec.capsule
        || package.versions.iter().any(|it| it.capsule != spec.capsule)
    {
        return Err(Failure::failed(format_args!(
            "{} answered about another capsule than {}",
            marketplace.url(),
            spec.capsule
        )));
    }
    let chosen = spec.choose(&package.versions).cloned();
    let chosen = chosen.ok_or_else(|| no_version(spec, &package))?;
    Ok((package, chosen))
}

fn no_version(spec: &PackageSpec, package: &PackageInfo) -> Failure {
    let all = package.versions.iter();
    let all = all.map(|release| format!("{} is {}", release.version, release.standing));
    let capsule = &spec.capsule;
    let words = if *spec == PackageSpec::from(capsule.clone()) {
        format!("no version of {capsule} may be chosen anew")
    } else {
        format!("no version of {capsule} that may be chosen fits {spec}")
    };
    let failure = Failure::new(Exit::NotFound, words).details(all);
    failure.hint(format_args!("{capsule}@VERSION names one of them"))
}

/// A capsule with one version that is named in full.
pub(crate) fn exact(spec: &PackageSpec) -> Result<(CapsuleName, semver::Version), Failure> {
    let version = spec.version().cloned().ok_or_else(|| {
        Failure::usage(format_args!("{spec} names no single version"))
            .hint(format_args!("write it as in {}@1.2.3", spec.capsule))
    })?;
    Ok((spec.capsule.clone(), version))
}

fn from_variable() -> Result<Option<SecretString>, Failure> {
    match env::var("SOMA_TOKEN") {
        // Not as good as none: a script whose variable is missing would use the login's token.
        Ok(token) if token.trim().is_empty() => Err(Failure::usage("SOMA_TOKEN is empty")
            .hint("set it to a token, or unset it to use the login's own")),
        Ok(token) => Ok(Some(token.into())),
        Err(_) => Ok(None),
    }
}
