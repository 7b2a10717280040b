//! What there is to find and to fetch.

use semver::Version;
use soma_capability::CapsuleName;

use super::exchange::TRANSFER;
use super::{ClientError, Marketplace};
use crate::api::{Hits, PackageInfo, ReleaseInfo};
use crate::bundle::{Bundle, MAX_BUNDLE_BYTES};
use crate::package::MAX_FILE_BYTES;

/// What to search for; everything given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Words.
    pub text: Option<String>,
    /// A keyword.
    pub keyword: Option<String>,
    /// A namespace.
    pub publisher: Option<String>,
    /// A capability that is asked for, such as a host that is talked to.
    pub capability: Option<String>,
    /// Where the page before ended.
    pub after: Option<String>,
    /// How many hits.
    pub limit: Option<u32>,
}

impl Query {
    /// A search for words.
    pub fn text(words: impl Into<String>) -> Self {
        Self {
            text: Some(words.into()),
            ..Self::default()
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Self {
            text,
            keyword,
            publisher,
            capability,
            after,
            limit,
        } = self.clone();
        let limit = limit.map(|limit| limit.to_string());
        [
            ("q", text),
            ("keyword", keyword),
            ("publisher", publisher),
            ("capability", capability),
            ("after", after),
            ("limit", limit),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

impl Marketplace {
    /// One page of what fits.
    pub async fn search(&self, query: &Query) -> Result<Hits, ClientError> {
        let mut url = self.at(&["v1", "packages"]);
        let mut pairs = query.pairs().peekable();
        if pairs.peek().is_some() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        self.get_from(url).await
    }

    /// All versions of a capsule, as the marketplace tells it.
    pub async fn package(&self, capsule: &CapsuleName) -> Result<PackageInfo, ClientError> {
        let path = ["v1", "packages", capsule.namespace(), capsule.name()];
        self.get(&path).await
    }

    /// One version, as the marketplace tells it.
    pub async fn release(
        &self,
        capsule: &CapsuleName,
        version: &Version,
    ) -> Result<ReleaseInfo, ClientError> {
        let version = version.to_string();
        self.get(&release_path(capsule, &version)).await
    }

    /// A version's file. The caller compares its digest with the log's.
    pub async fn capsule(
        &self,
        capsule: &CapsuleName,
        version: &Version,
    ) -> Result<Vec<u8>, ClientError> {
        let version = version.to_string();
        let [a, b, c, d, e] = release_path(capsule, &version);
        let path = [a, b, c, d, e, "capsule"];
        self.bytes(&path, MAX_FILE_BYTES, TRANSFER).await
    }

    /// A version's signature and proofs. The caller has it [prove](Bundle::prove) what it says.
    pub async fn bundle(
        &self,
        capsule: &CapsuleName,
        version: &Version,
    ) -> Result<Bundle, ClientError> {
        let version = version.to_string();
        let [a, b, c, d, e] = release_path(capsule, &version);
        let path = [a, b, c, d, e, "bundle"];
        let bytes = self.bytes(&path, MAX_BUNDLE_BYTES, TRANSFER).await?;
        Bundle::from_bytes(&bytes).map_err(|error| ClientError::Malformed {
            what: self.at(&path).to_string(),
            error: error.to_string(),
        })
    }
}

fn release_path<'a>(capsule: &'a CapsuleName, version: &'a str) -> [&'a str; 5] {
    [
        "v1",
        "packages",
        capsule.namespace(),
        capsule.name(),
        version,
    ]
}
