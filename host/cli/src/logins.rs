//! The tokens that `soma login` got, by marketplace: a file in the config folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use soma_capability::Name;
use soma_registry::api::NewToken;
use soma_registry::owner_only;
use url::Url;

use crate::config_folder::{self, check_private, write_private};
use crate::failure::Failure;

/// All of them.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    logins: BTreeMap<String, Login>,
}

/// Who one is to a marketplace.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) account: Name,
    /// None after a logout, which does not forget who one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Its public id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Unix seconds.
    #[serde(default)]
    expires: u64,
}

impl Login {
    /// What a marketplace gave the account.
    pub(crate) fn of(account: Name, got: NewToken) -> Self {
        Self {
            account,
            token: Some(got.token),
            id: Some(got.about.id),
            expires: got.about.expires,
        }
    }

    /// The token, where it opens something still.
    pub(crate) fn token(&self, now: u64) -> Option<SecretString> {
        let token = self.token.clone().filter(|_| now < self.expires);
        token.map(SecretString::from)
    }

    fn without_token(mut self) -> Self {
        (self.token, self.id, self.expires) = (None, None, 0);
        self
    }
}

/// The login at a marketplace.
pub(crate) fn find(marketplace: &Url) -> Result<Option<Login>, Failure> {
    Ok(read()?.logins.remove(marketplace.as_str()))
}

/// Keeps a login in the place of the one before.
pub(crate) fn keep(marketplace: &Url, login: Login) -> Result<(), Failure> {
    let mut file = read()?;
    file.logins.insert(marketplace.to_string(), login);
    write(&file)
}

/// Forgets the token, and not whose it was.
pub(crate) fn forget(marketplace: &Url) -> Result<(), Failure> {
    let mut file = read()?;
    if let Some(login) = file.logins.remove(marketplace.as_str()) {
        let login = login.without_token();
        file.logins.insert(marketplace.to_string(), login);
        write(&file)?;
    }
    Ok(())
}

fn path() -> Result<PathBuf, Failure> {
    Ok(config_folder::path()?.join("logins.json"))
}

fn read() -> Result<File, Failure> {
    let path = path()?;
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(File::default()),
        bytes => bytes.map_err(|e| Failure::unreadable(&path, e))?,
    };
    check_private(&path)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Failure::usage(format_args!("{} is damaged: {e}", path.display()))
            .hint("remove it and log in again")
    })
}

fn write(file: &File) -> Result<(), Failure> {
    let path = path()?;
    if let Some(folder) = path.parent() {
        owner_only::make_folder(folder)?;
    }
    let bytes = serde_json::to_vec_pretty(file).map_err(Failure::failed)?;
    write_private(&path, &bytes)
}
