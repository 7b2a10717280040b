//! `soma secret`: credentials that accompany capsules' requests, and that no capsule sees.

mod how;
mod login;

use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use soma_capability::CredentialName;

use self::how::{How, shown};
use crate::client::{Body, Client, HostArgs, LocalKey, of_tenant};
use crate::failure::{Exit, Failure};
use crate::screen::{Screen, table};

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

It accompanies the requests whose entry in the manifest and in the grant both name it.")]
pub(crate) struct Set {
    /// What manifests and grants call it
    name: CredentialName,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    from: From,

    #[command(flatten)]
    of: Of,
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
    of: Of,
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
#[command(after_help = "Example:\n  soma secret rm github")]
pub(crate) struct Rm {
    /// Its name
    name: CredentialName,

    #[command(flatten)]
    of: Of,
}

impl SecretCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Set(set) => set.run(screen).await,
            Self::Login(login) => login.run(screen).await,
            Self::Rotate(rotate) => rotate.run(screen).await,
            Self::List(List { of }) => list(&of, screen).await,
            Self::Rm(Rm { name, of }) => {
                of.send(Method::DELETE, Some(&name), Body::None).await?;
                screen.show(&json!({"removed": name}), |out| {
                    writeln!(out, "removed: {name}")
                })
            }
        }
    }
}

impl Set {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let value = self.from.value(&self.name)?;
        let kind = Some(self.how.kind());
        keep(&self.name, kind, &value, &self.of, screen).await
    }
}

impl Rotate {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let all = self.of.send(Method::GET, None, Body::None).await?;
        let all = all["secrets"].as_array().map(Vec::as_slice);
        let name = self.name.to_string();
        let is_there = |secret: &Value| secret["name"] == name.as_str();
        if !all.unwrap_or_default().iter().any(is_there) {
            return Err(
                Failure::new(Exit::NotFound, format_args!("there is no `{name}`"))
                    .hint(format_args!("`soma secret set {name}` makes it")),
            );
        }
        let value = self.from.value(&self.name)?;
        keep(&self.name, None, &value, &self.of, screen).await
    }
}

impl Of {
    async fn send(
        &self,
        method: Method,
        name: Option<&CredentialName>,
        body: Body,
    ) -> Result<Value, Failure> {
        let client = Client::new(self.host.clone(), LocalKey::Admin)?;
        let name = name.map(ToString::to_string);
        let mut path = vec!["admin", "secrets"];
        path.extend(name.as_deref());
        let tenant = of_tenant(self.tenant.as_deref());
        client.send_with(method, &path, &tenant, body).await
    }
}

async fn keep(
    name: &CredentialName,
    kind: Option<Value>,
    value: &SecretString,
    of: &Of,
    screen: Screen,
) -> Result<(), Failure> {
    let wanted = json!({"value": value.expose_secret(), "as": kind});
    let body = Body::Json(wanted.to_string());
    let stored = of.send(Method::PUT, Some(name), body).await?;
    screen.show(&stored, |out| {
        writeln!(out, "set: {name}, {}", shown(&stored["as"]))
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
                    .read_to_string(&mut text)
                    .map_err(|e| Failure::usage(format_args!("cannot read the value: {e}")))?;
                text
            }
        };
        Ok(without_end(&text))
    }
}

/// The value in a file.
fn read_value(path: &Path) -> Result<SecretString, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|e| Failure::usage(format_args!("cannot read {}: {e}", path.display())))?;
    Ok(without_end(&text))
}

/// Without the line break at its end.
fn without_end(text: &str) -> SecretString {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line).to_owned().into()
}

async fn list(of: &Of, screen: Screen) -> Result<(), Failure> {
    let list = of.send(Method::GET, None, Body::None).await?;
    let items = list["secrets"].as_array().map(Vec::as_slice);
    let row = |secret: &Value| {
        let text = |member: &str| secret[member].as_str().unwrap_or_default().to_owned();
        vec![text("name"), shown(&secret["as"]), text("set_at")]
    };
    let rows = items.unwrap_or_default().iter().map(row).collect();
    screen.show(&list, |out| {
        table(
            out,
            &["name", "shown as", "set"],
            rows,
            "No credential is set.",
        )
    })
}
