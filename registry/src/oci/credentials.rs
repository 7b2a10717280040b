//! Who we are to a registry.

use std::env;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use secrecy::SecretString;

/// A user and a password, or the token that a registry gives out in place of one.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(super) user: String,
    pub(super) password: SecretString,
}

/// Credentials that are kept, and that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file is there, and cannot be opened.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not what `docker login` writes, or a helper that it names fails.
    #[error("{} has no usable credentials for {host}: {error}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The registry, with its port.
        host: String,
        /// Why.
        error: CredentialRetrievalError,
    },
    /// An OAuth 2.0 refresh token, for which nothing is exchanged here.
    #[error(
        "{} has an identity token for {host}: only a user with a password or an access token will \
         do",
        .path.display()
    )]
    IdentityToken {
        /// The file.
        path: PathBuf,
        /// The registry, with its port.
        host: String,
    },
}

impl Credentials {
    /// These.
    pub fn new(user: &str, password: SecretString) -> Self {
        let user = user.to_owned();
        Self { user, password }
    }

    /// What `docker login`, `oras login`, `podman login` or `skopeo login` left for this host (with
    /// its port): in their files, or with the helper program that they name.
    pub fn of_user(host: &str) -> Result<Option<Self>, CredentialsError> {
        for path in files() {
            if let Some(found) = in_file(path, host)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Docker's file, then podman's, each where its variable says or where it usually is.
fn files() -> impl Iterator<Item = PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let under = move |name, rest| set(name).map(|folder| PathBuf::from(folder).join(rest));
    let docker = under("DOCKER_CONFIG", "config.json");
    let docker = docker.or_else(move || under("HOME", ".docker/config.json"));
    let podman = set("REGISTRY_AUTH_FILE").map(PathBuf::from);
    let podman = podman.or_else(move || under("XDG_RUNTIME_DIR", "containers/auth.json"));
    let lasting = under("XDG_CONFIG_HOME", "containers/auth.json");
    let lasting = lasting.or_else(move || under("HOME", ".config/containers/auth.json"));
    [docker, podman, lasting].into_iter().flatten()
}

fn in_file(path: PathBuf, host: &str) -> Result<Option<Credentials>, CredentialsError> {
    let file = match File::open(&path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CredentialsError::Unreadable { path, error }),
    };
    match get_credential_from_reader(file, host) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Some(Credentials::new(&user, password.into())))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(CredentialsError::IdentityToken {
            path,
            host: host.to_owned(),
        }),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(error) => Err(CredentialsError::Unusable {
            path,
            host: host.to_owned(),
            error,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn reads_what_docker_login_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let read = |host| in_file(path.clone(), host);
        assert!(read("old.example").unwrap().is_none());
        let json = r#"{
            "auths": {
                "https://old.example/v1/": {"auth": "bWU6YTpi"},
                "helped.example": {},
                "token.example": {"identitytoken": "t"},
                "bad.example:5000": {"auth": "bWU="}
            },
            "credHelpers": {"gone.example": "no-such-program"}
        }"#;
        fs::write(&path, json).unwrap();
        let found = read("old.example").unwrap().unwrap();
        assert_eq!(found.user, "me");
        assert_eq!(found.password.expose_secret(), "a:b");
        assert!(!format!("{found:?}").contains("a:b"));
        assert!(read("helped.example").unwrap().is_none());
        assert!(read("other.example").unwrap().is_none());
        for (host, words) in [
            ("bad.example:5000", "decode"),
            ("gone.example", "helper"),
            ("token.example", "identity token"),
        ] {
            let error = read(host).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(host), "{error}");
        }
        fs::write(&path, "1").unwrap();
        assert!(read("other.example").is_err());
    }
}
