//! The handlers, a file a noun.

pub(crate) mod changes;
pub(crate) mod health;
pub(crate) mod invitations;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod namespaces;
pub(crate) mod oci;
pub(crate) mod operator;
pub(crate) mod packages;
pub(crate) mod publish;
pub(crate) mod tokens;
