//! `soma secret`: credentials that accompany capsules' requests, and that no capsule sees.

mod how;
mod login;
mod source;

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use soma_capability::CredentialName;

use self::how::{How, shown};
use self::source::{Place, place};
use crate::client::{Body, Client, HostArgs, LocalKey, of_tenant};
use crate::failure::{Exit, Failure};
use crate::key_id::KeyId;
use crate::named_file;
use crate::screen::{Screen, table};

/// The most bytes of a value that are read: more than any credential has, and than any host takes.
const MAX_VALUE_BYTES: usize = 64 << 10;

#[derive(clap::Subcommand)]
pub(crate) enum SecretCommand {
    Set(Set),
    Login(login::Login),
    Rotate(Rotate),
    List(List),
    Rm(Rm),
}

#[derive(clap::Args)]
struct Of {
    /// The tenant whose capsules it is for [default: the key's own]
    #[arg(long)]
    tenant: Option<String>,

    #[command(flatten)]
    host: HostArgs,
}

/// Whose it is.
#[derive(clap::Args)]
struct Whose {
    /// The id of an API key of the tenant's: it is for the calls of this key alone, in place of the
    /// tenant's, and is forgotten when the key is revoked
    #[arg(long, value_name = "ID", value_parser = KeyId)]
    key: Option<String>,

    #[command(flatten)]
    of: Of,
}

/// Where a value comes from: never the command line, which other users can read.
#[derive(clap::Args)]
struct From {
    /// Read the value from this file, not from standard input; a line break at its end is dropped
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Set a credential: its value comes from standard input, or is asked for
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma secret set github < token.txt
  soma secret set shop --basic api
  soma secret set maps --header x-api-key --file key.txt
  soma secret set crm --oauth https://login.example.com/token --client-id soma < client-secret
  soma secret set drive --google --scope https://www.googleapis.com/auth/drive --file account.json
  soma secret set store --sigv4 AKIDEXAMPLE --region eu-central-1 --service s3 < secret-key
  soma secret set github --from file
  soma secret set ci --from vault:ci/github#token
  soma secret set github --key 3f9a0c1d2e4b5a69 < ada.txt

--from has the host read the value whenever it is needed, where its operator lets it (`soma serve
--secrets-env`, --secrets-files, --vault-addr): from the tenant's variable or file of that name, a field
of a secret in the tenant's folder in Vault, or as a user of a database that Vault makes.

It accompanies the requests whose entry in the manifest and in the grant both name it.")]
pub(crate) struct Set {
    /// What manifests and grants call it
    name: CredentialName,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    from: From,

    /// Have the host read it whenever it is needed: env[:NAME], file[:NAME], vault:PATH[#FIELD] or
    /// vault-database:ROLE
    #[arg(long = "from", value_name = "PLACE", value_parser = place, conflicts_with = "file")]
    place: Option<Place>,

    #[command(flatten)]
    whose: Whose,
}

/// Give a credential a new value; the next request has it
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma secret rotate github < token.txt")]
pub(crate) struct Rotate {
    /// Its name
    name: CredentialName,

    #[command(flatten)]
    from: From,

    #[command(flatten)]
    whose: Whose,
}

/// List credentials, without their values
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma secret list --tenant acme")]
pub(crate) struct List {
    #[command(flatten)]
    of: Of,
}

/// Forget a credential for good
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma secret rm github
  soma secret rm github --key 3f9a0c1d2e4b5a69")]
pub(crate) struct Rm {
    /// Its name
    name: CredentialName,

    #[command(flatten)]
    whose: Whose,
}

impl SecretCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Set(set) => set.run(screen).await,
            Self::Login(login) => login.run(screen).await,
            Self::Rotate(rotate) => rotate.run(screen).await,
            Self::List(List { of }) => list(&of, screen).await,
            Self::Rm(Rm { name, whose }) => {
                whose.send(Method::DELETE, &name, Body::None).await?;
                let mut done = json!({"removed": name});
                let mut of = String::new();
                if let Some(key) = &whose.key {
                    done["key"] = json!(key);
                    of = format!(", of the key {key}");
                }
                screen.show(&done, |out| writeln!(out, "removed: {name}{of}"))
            }
        }
    }
}

impl Set {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        // A key's own is shown as the tenant's, and what has a user with it as `basic`.
        let is_told = self.whose.key.is_some() || self.place.as_ref().is_some_and(Place::has_user);
        let kind = self.how.given().or((!is_told).then(How::usual));
        let Some(place) = &self.place else {
            let value = self.from.value(&self.name)?;
            return keep(&self.name, kind, &value, &self.whose, screen).await;
        };
        let wanted = json!({"from": place.wanted(&self.name), "as": kind});
        put(&self.name, &wanted, &self.whose, screen).await
    }
}

impl Rotate {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let all = self
            .whose
            .of
            .send(Method::GET, &[], None, Body::None)
            .await?;
        let all = all["secrets"].as_array().map(Vec::as_slice);
        let name = self.name.to_string();
        let is_it = |secret: &&Value| {
            secret["name"] == name.as_str() && secret["key"].as_str() == self.whose.key.as_deref()
        };
        let Some(found) = all.unwrap_or_default().iter().find(is_it) else {
            return Err(
                Failure::new(Exit::NotFound, format_args!("there is no `{name}`"))
                    .hint(format_args!("`soma secret set {name}` makes it")),
            );
        };
        if let Some(place) = source::shown(&found["from"]) {
            let words = format_args!("`{name}` is read from {place}: give it its new value there");
            return Err(Failure::usage(words).hint(format_args!(
                "`soma secret set {name}` has the host keep a value itself"
            )));
        }
        let value = self.from.value(&self.name)?;
        keep(&self.name, None, &value, &self.whose, screen).await
    }
}

impl Of {
    async fn send(
        &self,
        method: Method,
        name: &[&str],
        key: Option<&str>,
        body: Body,
    ) -> Result<Value, Failure> {
        let client = Client::new(self.host.clone(), LocalKey::Admin)?;
        let path = [&["admin", "secrets"], name].concat();
        let mut query = of_tenant(self.tenant.as_deref());
        query.extend(key.map(|key| ("key", key.to_owned())));
        client.send_with(method, &path, &query, body).await
    }
}

impl Whose {
    async fn send(
        &self,
        method: Method,
        name: &CredentialName,
        body: Body,
    ) -> Result<Value, Failure> {
        let key = self.key.as_deref();
        let name = name.to_string();
        self.of.send(method, &[&name], key, body).await
    }
}

async fn keep(
    name: &CredentialName,
    kind: Option<Value>,
    value: &SecretString,
    whose: &Whose,
    screen: Screen,
) -> Result<(), Failure> {
    let wanted = json!({"value": value.expose_secret(), "as": kind});
    put(name, &wanted, whose, screen).await
}

async fn put(
    name: &CredentialName,
    wanted: &Value,
    whose: &Whose,
    screen: Screen,
) -> Result<(), Failure> {
    let body = Body::Json(wanted.to_string());
    let stored = whose.send(Method::PUT, name, body).await?;
    let from = source::shown(&stored["from"]).map(|place| format!(", from {place}"));
    let key = stored["key"]
        .as_str()
        .map(|key| format!(", for the key {key}"));
    let (from, key) = (from.unwrap_or_default(), key.unwrap_or_default());
    screen.show(&stored, |out| {
        writeln!(out, "set: {name}, {}{from}{key}", shown(&stored["as"]))
    })
}

impl From {
    fn value(&self, name: &CredentialName) -> Result<SecretString, Failure> {
        let text = match &self.file {
            Some(path) => return read_value(path),
            None if io::stdin().is_terminal() => {
                let prompt = format!("Value of `{name}`: ");
                rpassword::prompt_password(prompt)
                    .map_err(|e| Failure::usage(format_args!("cannot ask for the value: {e}")))?
            }
            None => {
                let mut text = String::new();
                io::stdin()
                    .lock()
                    .take(MAX_VALUE_BYTES as u64 + 1)
                    .read_to_string(&mut text)
                    .map_err(|e| Failure::usage(format_args!("cannot read the value: {e}")))?;
                if text.len() > MAX_VALUE_BYTES {
                    let words = format_args!("the value has over {MAX_VALUE_BYTES} bytes");
                    return Err(Failure::usage(words));
                }
                text
            }
        };
        Ok(without_end(&text))
    }
}

/// The value in a file.
fn read_value(path: &Path) -> Result<SecretString, Failure> {
    let text = named_file::text(path, MAX_VALUE_BYTES);
    let text = text.map_err(|e| Failure::unreadable(path, e))?;
    Ok(without_end(&text))
}

/// Without the line break at its end.
fn without_end(text: &str) -> SecretString {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line).to_owned().into()
}

async fn list(of: &Of, screen: Screen) -> Result<(), Failure> {
    let list = of.send(Method::GET, &[], None, Body::None).await?;
    let items = list["secrets"].as_array().map(Vec::as_slice);
    let row = |secret: &Value| {
        let text = |member: &str| secret[member].as_str().unwrap_or_default().to_owned();
        let kept = || "the host".to_owned();
        vec![
            text("name"),
            text("key"),
            shown(&secret["as"]),
            source::shown(&secret["from"]).unwrap_or_else(kept),
            text("set_at"),
        ]
    };
    let rows = items.unwrap_or_default().iter().map(row).collect();
    screen.show(&list, |out| {
        table(
            out,
            &["name", "key", "shown as", "kept by", "set"],
            rows,
            "No credential is set.",
        )
    })
}
