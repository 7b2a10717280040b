//! Who we are to a registry.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use serde::Deserialize;

/// A user and a password, or the token that a registry gives out in place of one.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(super) user: String,
    pub(super) password: SecretString,
}

/// A file in the form of `~/.docker/config.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DockerConfigError {
    /// Not JSON, or not of that form.
    #[error("this is not a Docker configuration: {0}")]
    Json(#[from] serde_json::Error),
    /// An entry's `auth` is not base64 of `USER:PASSWORD`.
    #[error("the `auth` of `{0}` is not base64 of `USER:PASSWORD`")]
    Auth(String),
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: HashMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    auth: String,
}

impl Credentials {
    /// These.
    pub fn new(user: &str, password: SecretString) -> Self {
        let user = user.to_owned();
        Self { user, password }
    }

    /// What `docker login`, `podman login` or `oras login` left for this host (with its port).
    /// There are none where they are kept by a helper program.
    pub fn in_docker_config(json: &[u8], host: &str) -> Result<Option<Self>, DockerConfigError> {
        let config: DockerConfig = serde_json::from_slice(json)?;
        let mut entries = config.auths.into_iter();
        let Some((key, entry)) = entries.find(|(key, _)| registry_of(key) == host) else {
            return Ok(None);
        };
        if entry.auth.is_empty() {
            return Ok(None);
        }
        let decoded = BASE64_STANDARD.decode(&entry.auth).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) = pair.ok_or(DockerConfigError::Auth(key))?;
        Ok(Some(Self::new(user, password.into())))
    }
}

/// Old entries are URLs.
fn registry_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn reads_what_docker_login_wrote() {
        let json = br#"{
            "auths": {
                "https://old.example/v1/": {"auth": "bWU6YTpi"},
                "helped.example": {},
                "bad.example:5000": {"auth": "bWU="}
            },
            "credsStore": "desktop"
        }"#;
        let read = |host| Credentials::in_docker_config(json, host);
        let found = read("old.example").unwrap().unwrap();
        assert_eq!(found.user, "me");
        assert_eq!(found.password.expose_secret(), "a:b");
        assert!(!format!("{found:?}").contains("a:b"));
        assert!(read("helped.example").unwrap().is_none());
        assert!(read("other.example").unwrap().is_none());
        assert!(read("bad.example:5000").is_err());
        assert!(Credentials::in_docker_config(b"1", "h").is_err());
        assert!(Credentials::in_docker_config(b"{}", "h").unwrap().is_none());
    }
}
