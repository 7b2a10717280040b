//! A version on its way into the log, with what its author signed.

use soma_registry::{Envelope, Package, PublicKey, Release, Statement};

use crate::error::Error;

/// The file and what its author signed about it, with a [`Change::Publish`](soma_registry::Change::Publish).
pub(crate) struct Publication<'a> {
    pub(crate) package: &'a Package,
    pub(crate) statement: &'a Envelope,
    /// The key by which the statement was found good.
    pub(crate) key: PublicKey,
    /// The review that this settles.
    pub(crate) review: Option<&'a str>,
}

impl<'a> Publication<'a> {
    /// The statement must be one about the package, by the release's key, and the one that the
    /// release names.
    pub(crate) fn checked(
        package: &'a Package,
        statement: &'a Envelope,
        release: &Release,
        review: Option<&'a str>,
    ) -> Result<Self, Error> {
        let key = release.key;
        let opened = Statement::open(statement, key, package)?;
        if opened.digest()? != release.statement {
            return Err(Error::BadRequest(
                "the change names another statement than the one sent".to_owned(),
            ));
        }
        Ok(Self {
            package,
            statement,
            key,
            review,
        })
    }
}
