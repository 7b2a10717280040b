//! Which key a command signs with.

use std::path::PathBuf;

use soma_registry::SecretKey;

use crate::failure::Failure;
use crate::keyring::{self, Keyring};
use crate::passphrase;

/// The key that is taken where none is named.
pub(crate) const DEFAULT_KEY: &str = "default";

/// How commands find the key to sign with.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SignerArgs {
    /// The key to sign with, as `soma keys list` names it [default: the only one, or `default`]
    #[arg(long, env = "SOMA_SIGNING_KEY", value_name = "NAME")]
    signing_key: Option<String>,

    /// A key file to sign with instead, as `soma keys export --secret` prints it, such as for CI
    #[arg(long, env = "SOMA_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl SignerArgs {
    /// The key; asks for its passphrase where it has one.
    pub(crate) fn key(&self) -> Result<SecretKey, Failure> {
        if let Some(path) = &self.key_file {
            let shown = path.display().to_string();
            return keyring::read_key(path, || passphrase::known(&shown));
        }
        let keyring = Keyring::open()?;
        let name = self.name(&keyring)?;
        keyring.unlock(&name, || passphrase::known(&name))
    }

    fn name(&self, keyring: &Keyring) -> Result<String, Failure> {
        if let Some(name) = &self.signing_key {
            return Ok(name.clone());
        }
        let keys = keyring.list()?;
        match keys.as_slice() {
            [] => Err(Failure::usage("there is no key to sign with")
                .hint("`soma keys new` makes one; --key-file takes one from elsewhere")),
            [(only, _)] => Ok(only.clone()),
            _ if keyring.has(DEFAULT_KEY) => Ok(DEFAULT_KEY.to_owned()),
            _ => Err(Failure::usage("there are several keys to sign with")
                .hint("choose one with --signing-key NAME; `soma keys list` shows them")),
        }
    }
}
