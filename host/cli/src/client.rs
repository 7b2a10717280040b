//! Talking to a host: where it is, which key to show it, and what its refusals mean.

mod address;
mod reply;

use std::collections::BTreeMap;
use std::env::{self, VarError};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use soma_host::ApiKey;
use url::Url;

pub(crate) use self::address::http_client;
use self::address::{check_base, host_url};
use crate::data_folder::DataFolder;
pub(crate) use crate::data_folder::LocalKey;
use crate::failure::{Exit, Failure};

/// How commands find their host. The key comes from the variable SOMA_KEY, never from the command
/// line, which other users can read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HostArgs {
    /// URL of the host; without it, the one that serves the data folder
    #[arg(long, env = "SOMA_HOST", value_name = "URL", value_parser = host_url)]
    host: Option<Url>,

    /// The host's data folder, which has its address and its keys
    /// [default: $XDG_DATA_HOME/soma or ~/.local/share/soma]
    #[arg(long, env = "SOMA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,

    /// Show the key to a host that is not on this machine and speaks http, not https
    #[arg(long)]
    plain_http: bool,
}

/// The body of a request.
pub(crate) enum Body {
    None,
    Json(String),
    Wasm(Vec<u8>),
    /// A capsule file, and the bundles that prove it.
    Proven {
        capsule: Vec<u8>,
        bundles: Vec<Vec<u8>>,
    },
}

/// What a host answered.
pub(crate) struct Answered {
    /// Whether it is the answer to an earlier request, given again.
    pub(crate) is_replayed: bool,
    /// Its members, as the host wrote them.
    pub(crate) said: Result<BTreeMap<String, Box<RawValue>>, Failure>,
}

/// The longest that a host may be silent: an installation compiles, which it bounds at six minutes,
/// and a call may take what the operator allows.
const SILENCE: Duration = Duration::from_secs(10 * 60);
/// The same for what is only looked up.
const LOOK_UP: Duration = Duration::from_secs(30);

/// A host and a key for it.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
    /// Where this is the folder's own host.
    folder: Option<DataFolder>,
}

/// The query that names a tenant; without one the key's own is meant.
pub(crate) fn of_tenant(tenant: Option<&str>) -> Vec<(&'static str, String)> {
    let named = tenant.map(|tenant| ("tenant", tenant.to_owned()));
    named.into_iter().collect()
}

impl Client {
    /// Finds the host and the key. Sends nothing yet.
    pub(crate) fn new(args: HostArgs, local: LocalKey) -> Result<Self, Failure> {
        Self::with_key(args, given_key()?, local)
    }

    fn with_key(
        args: HostArgs,
        key: Option<SecretString>,
        local: LocalKey,
    ) -> Result<Self, Failure> {
        let HostArgs {
            host,
            data,
            plain_http,
        } = args;
        let folder = data_folder(data)?;
        let served = folder.host()?;
        let base = match (&host, &served) {
            (Some(host), _) => host.clone(),
            (None, Some(served)) => served.clone(),
            (None, None) => {
                return Err(Failure::new(
                    Exit::Unreachable,
                    format_args!("no host is running on {folder}"),
                )
                .hint("start one with `soma serve`, or name one with --host URL"));
            }
        };
        check_base(&base, plain_http)?;
        let own = served.is_some_and(|served| served.origin() == base.origin());
        let key = match key {
            Some(key) => key,
            // The folder's keys are shown to the folder's own host and to nobody else.
            None if own => folder.key(local)?,
            None => {
                return Err(
                    Failure::new(Exit::NotAllowed, format_args!("no key for {base}"))
                        .hint("set SOMA_KEY to a key of that host"),
                );
            }
        };
        Ok(Self {
            http: http_client(&base)?,
            authorization: bearer(&key)?,
            base,
            folder: own.then_some(folder),
        })
    }

    /// The data folder of this host, where it is on this machine and its address is not only named.
    pub(crate) fn folder(&self) -> Result<&DataFolder, Failure> {
        self.folder.as_ref().ok_or_else(|| {
            let words = format_args!("{} is not the host of the data folder", self.base);
            Failure::usage(words).hint("leave out --host, or name the folder with --data DIR")
        })
    }

    /// Makes sure that a new secret of this key can be kept where the data folder has the key.
    pub(crate) fn prepare(&self, id: &str) -> Result<(), Failure> {
        match &self.folder {
            Some(folder) => folder.prepare(id),
            None => Ok(()),
        }
    }

    /// Keeps a key's new secret where the data folder has that key.
    pub(crate) fn keep(&self, key: &ApiKey) -> Result<(), Failure> {
        match &self.folder {
            Some(folder) => folder.keep(key),
            None => Ok(()),
        }
    }

    /// Asks for `/v1/…?…`.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, Failure> {
        self.send_with(Method::GET, path, query, Body::None).await
    }

    /// Sends a request to `/v1/…?…`.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Body,
    ) -> Result<Value, Failure> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.exchange(method, url, HeaderMap::new(), body).await
    }

    /// Sends a request to `/v1/…`. The answer's JSON, `null` where it has none.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: Body,
    ) -> Result<Value, Failure> {
        let url = self.url(path)?;
        self.exchange(method, url, HeaderMap::new(), body).await
    }

    /// The same with these headers besides.
    pub(crate) async fn send_headed(
        &self,
        method: Method,
        path: &[&str],
        headers: HeaderMap,
        body: Body,
    ) -> Result<Answered, Failure> {
        let response = self.request(method, self.url(path)?, headers, body).await?;
        Ok(Answered {
            is_replayed: response.headers().contains_key("soma-replayed"),
            said: self.read(response).await,
        })
    }

    fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::usage(format_args!("{} cannot be a host", self.base)))?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        Ok(url)
    }

    async fn exchange<T: DeserializeOwned + Default>(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Body,
    ) -> Result<T, Failure> {
        let response = self.request(method, url, headers, body).await?;
        self.read(response).await
    }

    async fn request(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response, Failure> {
        let patience = if method == Method::GET {
            LOOK_UP
        } else {
            SILENCE
        };
        let request = self
            .http
            .request(method, url)
            .timeout(patience)
            .headers(headers)
            .header(AUTHORIZATION, self.authorization.clone());
        let request = match body {
            Body::None => request,
            Body::Json(text) => request.header(CONTENT_TYPE, "application/json").body(text),
            Body::Wasm(bytes) => request.header(CONTENT_TYPE, "application/wasm").body(bytes),
            Body::Proven { capsule, bundles } => {
                let form = bundles.into_iter().fold(Form::new(), |form, bundle| {
                    form.part("bundle", Part::bytes(bundle))
                });
                request.multipart(form.part("capsule", Part::bytes(capsule)))
            }
        };
        let response = request.send().await;
        response.map_err(|error| self.unreachable(&error))
    }
}

/// The folder that is named, or the user's own.
pub(crate) fn data_folder(named: Option<PathBuf>) -> Result<DataFolder, Failure> {
    let folder = match named {
        Some(folder) => folder,
        None => soma_host::default_data_folder()?,
    };
    Ok(DataFolder::new(folder))
}

/// The key in the variable SOMA_KEY.
fn given_key() -> Result<Option<SecretString>, Failure> {
    let refused = |why: &str| {
        Failure::usage(why).hint("set it to a key, or unset it to use the data folder's own")
    };
    match env::var("SOMA_KEY") {
        // Not as good as none: a script whose variable is missing would use the admin key.
        Ok(key) if key.trim().is_empty() => Err(refused("SOMA_KEY is empty")),
        Ok(key) => Ok(Some(SecretString::from(key))),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(refused("SOMA_KEY is no key: it is not UTF-8")),
    }
}

fn bearer(key: &SecretString) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
        .map_err(|_| Failure::usage("the key has characters that no key has"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::*;

    fn arguments(host: Option<&str>, folder: &Path) -> HostArgs {
        HostArgs {
            host: host.map(|h| h.parse().unwrap()),
            data: Some(folder.to_owned()),
            plain_http: false,
        }
    }

    #[test]
    fn local_keys_are_for_the_folders_own_host() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        fs::write(folder.path().join("keys/invoke.key"), "soma_a_b\n").unwrap();
        let try_host =
            |host| Client::with_key(arguments(host, folder.path()), None, LocalKey::Invoke);
        assert_eq!(
            try_host(None).err().unwrap().code(),
            Failure::new(Exit::Unreachable, "").code()
        );

        fs::write(folder.path().join("host.url"), "http://127.0.0.1:7711\n").unwrap();
        assert!(try_host(None).is_err(), "the host that wrote it is gone");
        let lock = File::create(folder.path().join("host.lock")).unwrap();
        lock.lock().unwrap();
        assert_eq!(try_host(None).unwrap().authorization, "Bearer soma_a_b");
        assert!(try_host(Some("http://127.0.0.1:7711/")).is_ok());
        for other in [
            "http://127.0.0.1:7712",
            "https://127.0.0.1:7711",
            "https://example.com",
        ] {
            let failure = try_host(Some(other)).err().unwrap();
            assert!(
                failure.message().starts_with("no key for"),
                "{}",
                failure.message()
            );
        }
    }
}
