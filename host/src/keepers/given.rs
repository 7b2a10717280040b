//! Which keepers a host reads, as its operator says it, and as it then holds.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use url::Url;

use crate::config::Config;
use crate::secrets::check_url;

/// HashiCorp Vault: the table `[vault]` of the file, or flags.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GivenVault {
    /// HashiCorp Vault that credentials can be read from, such as `https://vault.example.com:8200`
    /// [default: none]
    #[arg(long = "vault-addr", env = "SOMA_VAULT_ADDR", value_name = "URL")]
    pub addr: Option<Url>,

    /// Certificates that Vault's must come from, PEM [default: the system's]
    #[arg(long = "vault-ca", env = "SOMA_VAULT_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Namespace in Vault [default: none]
    #[arg(
        id = "vault-namespace",
        long = "vault-namespace",
        env = "SOMA_VAULT_NAMESPACE",
        value_name = "NAME"
    )]
    pub namespace: Option<String>,

    /// File of the token for Vault; read again for each use, and the token renewed
    #[arg(
        long = "vault-token-file",
        env = "SOMA_VAULT_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub token_file: Option<PathBuf>,

    /// File of the role's id, to log in to Vault by AppRole
    #[arg(
        long = "vault-role-id-file",
        env = "SOMA_VAULT_ROLE_ID_FILE",
        value_name = "FILE"
    )]
    pub role_id_file: Option<PathBuf>,

    /// File of the secret id that goes with it; read again for each login
    #[arg(
        long = "vault-secret-id-file",
        env = "SOMA_VAULT_SECRET_ID_FILE",
        value_name = "FILE"
    )]
    pub secret_id_file: Option<PathBuf>,

    /// Where AppRole is in Vault [default: approle]
    #[arg(
        long = "vault-approle-mount",
        env = "SOMA_VAULT_APPROLE_MOUNT",
        value_name = "PATH"
    )]
    pub approle_mount: Option<String>,

    /// Where the KV engine is in Vault [default: secret]
    #[arg(long = "vault-mount", env = "SOMA_VAULT_MOUNT", value_name = "PATH")]
    pub mount: Option<String>,

    /// Version of the KV engine, 1 or 2 [default: 2]
    #[arg(long = "vault-kv", env = "SOMA_VAULT_KV", value_name = "VERSION", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub kv: Option<u8>,

    /// Folder in the KV engine; below it each tenant has one of its name [default: soma]
    #[arg(long = "vault-prefix", env = "SOMA_VAULT_PREFIX", value_name = "PATH")]
    pub prefix: Option<String>,

    /// Where the database engine is in Vault; a tenant's roles begin with its name and a `.`
    /// [default: database]
    #[arg(
        long = "vault-database-mount",
        env = "SOMA_VAULT_DATABASE_MOUNT",
        value_name = "PATH"
    )]
    pub database_mount: Option<String>,
}

/// The keepers that a host reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct KeeperSettings {
    /// What the names of variables begin with.
    pub(crate) environment: Option<String>,
    /// Absolute.
    pub(crate) files: Option<PathBuf>,
    pub(crate) vault: Option<VaultSettings>,
}

/// A Vault. Mounts and prefix are parts of paths.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VaultSettings {
    pub(crate) addr: Url,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) namespace: Option<String>,
    pub(crate) identity: Identity,
    pub(crate) mount: String,
    pub(crate) is_kv2: bool,
    pub(crate) prefix: String,
    pub(crate) database_mount: String,
}

/// Who the host is to Vault.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Identity {
    Token(PathBuf),
    AppRole {
        mount: String,
        role_id: PathBuf,
        secret_id: PathBuf,
    },
}

impl GivenVault {
    /// This, and `file`'s where nothing is said here.
    pub(crate) fn over(self, file: Self) -> Self {
        // Half of one identity and half of another are none.
        let is_said = self.token_file.is_some() || self.role_id_file.is_some();
        let identity = if is_said { &self } else { &file };
        Self {
            token_file: identity.token_file.clone(),
            role_id_file: identity.role_id_file.clone(),
            secret_id_file: self.secret_id_file.or(file.secret_id_file),
            addr: self.addr.or(file.addr),
            ca: self.ca.or(file.ca),
            namespace: self.namespace.or(file.namespace),
            approle_mount: self.approle_mount.or(file.approle_mount),
            mount: self.mount.or(file.mount),
            kv: self.kv.or(file.kv),
            prefix: self.prefix.or(file.prefix),
            database_mount: self.database_mount.or(file.database_mount),
        }
    }

    fn resolve(&self) -> anyhow::Result<Option<VaultSettings>> {
        let identity = self.identity()?;
        let (addr, identity) = match (&self.addr, identity) {
            (Some(addr), Some(identity)) => (addr.clone(), identity),
            (None, None) => return Ok(None),
            (Some(_), None) => bail!(
                "Vault wants to know who asks: give token-file, or role-id-file and secret-id-file"
            ),
            (None, Some(_)) => bail!("addr says which Vault it is"),
        };
        check_url(&addr).map_err(anyhow::Error::msg)?;
        let path = |given: &Option<String>, default: &str| {
            let path = given.as_deref().unwrap_or(default).trim_matches('/');
            let is_part = |part: &str| !part.trim_matches('.').is_empty();
            if !path.split('/').all(is_part) {
                bail!("{path:?} is no path in Vault");
            }
            Ok(path.to_owned())
        };
        Ok(Some(VaultSettings {
            addr,
            ca: self.ca.clone(),
            namespace: self.namespace.clone(),
            identity,
            mount: path(&self.mount, "secret")?,
            is_kv2: match self.kv.unwrap_or(2) {
                1 => false,
                2 => true,
                other => bail!("kv is {other}; there are the versions 1 and 2"),
            },
            prefix: path(&self.prefix, "soma")?,
            database_mount: path(&self.database_mount, "database")?,
        }))
    }

    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        match (&self.token_file, &self.role_id_file, &self.secret_id_file) {
            (None, None, None) => Ok(None),
            (Some(file), None, None) => Ok(Some(Identity::Token(file.clone()))),
            (None, Some(role_id), Some(secret_id)) => {
                let mount = self.approle_mount.as_deref().unwrap_or("approle");
                Ok(Some(Identity::AppRole {
                    mount: mount.trim_matches('/').to_owned(),
                    role_id: role_id.clone(),
                    secret_id: secret_id.clone(),
                }))
            }
            _ => bail!("give token-file, or role-id-file and secret-id-file, and not both"),
        }
    }
}

impl KeeperSettings {
    pub(crate) fn resolve(config: &Config) -> anyhow::Result<Self> {
        let is_name = |prefix: &&String| {
            prefix.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && prefix
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let prefix = config.secrets_env.as_ref();
        if let Some(prefix) = prefix.filter(|prefix| !is_name(prefix)) {
            bail!("secrets-env: no variable begins with {prefix:?}: letters, digits and `_` do");
        }
        let files = config.secrets_files.as_ref().map(std::path::absolute);
        Ok(Self {
            environment: prefix.cloned(),
            files: files.transpose().context("secrets-files")?,
            vault: config.vault.resolve().context("vault")?,
        })
    }
}
